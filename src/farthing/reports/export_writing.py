"""Write one export in one layout: piece by piece, or into a file that is there whole or not at all."""

import contextlib
import enum
import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from farthing.reports.export import Export, Exported
from farthing.reports.export_columns import ENTRY_COLUMNS, Cell, ExportColumn, entry_cells
from farthing.reports.export_parquet import check_parquet, write_parquet
from farthing.reports.export_text import CsvText, json_lines
from farthing.reports.focus import focus_columns, focus_rows

Written = Literal["written", "unchanged", "replaced"]


class Encoding(enum.StrEnum):
    """What the bytes of a file are."""

    CSV = "csv"
    JSON_LINES = "jsonl"
    PARQUET = "parquet"


MEDIA_TYPES = {
    Encoding.CSV: "text/csv; charset=utf-8",
    Encoding.JSON_LINES: "application/x-ndjson",
    Encoding.PARQUET: "application/vnd.apache.parquet",
}


class FileDiffers(ValueError):
    """There is a file of this name already, and it says something else."""


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """How an export is written.

    encoding: of the file. focus: the version of FOCUS whose columns it has; None for entries as they are.
    account: whose bill the rows of FOCUS are.
    """

    encoding: Encoding
    focus: str | None = None
    account: str = ""

    @property
    def ending(self) -> str:
        """How the name of its file ends."""
        return f"focus.{self.encoding}" if self.focus else self.encoding.value

    @property
    def media_type(self) -> str:
        """What HTTP calls it."""
        return MEDIA_TYPES[self.encoding]


class Writing:
    """One export in one layout; written once.

    made_harmless: how many cells of CSV got an apostrophe, so that no spreadsheet runs them.
    exported: how it ended, once it has.
    """

    def __init__(self, export: Export, layout: Layout) -> None:
        if layout.encoding is Encoding.PARQUET:
            check_parquet()
        self._export = export
        self._layout = layout
        self.made_harmless = 0
        self.exported: Exported | None = None

    def chunks(self) -> Iterator[bytes]:
        """The text of it. Raises ExportDiffers after the last piece, and NoParquet before the first."""
        if self._layout.encoding is Encoding.PARQUET:
            with tempfile.TemporaryDirectory(prefix="farthing-") as folder:
                file = Path(folder) / "export.parquet"
                self.into(file)
                with file.open("rb") as written:
                    while chunk := written.read(1 << 16):
                        yield chunk
            return
        if self._layout.encoding is Encoding.JSON_LINES:
            yield from json_lines(self._export.entries())
        else:
            columns, rows = self._table()
            text = CsvText(columns)
            yield from text.chunks(rows)
            self.made_harmless = text.made_harmless
        self.exported = self._export.ended()

    def into(self, file: Path) -> None:
        """Write all of it into a file, whatever was there. Raises ExportDiffers, NoParquet."""
        if self._layout.encoding is Encoding.PARQUET:
            columns, rows = self._table()
            write_parquet(columns, rows, file)
            self.exported = self._export.ended()
            return
        with file.open("wb") as written:
            for chunk in self.chunks():
                written.write(chunk)

    def _table(self) -> tuple[tuple[ExportColumn, ...], Iterator[Sequence[Cell]]]:
        export, layout = self._export, self._layout
        if layout.focus is None:
            return ENTRY_COLUMNS, (entry_cells(entry) for entry in export.entries())
        rows = focus_rows(
            export.entries(),
            export.window,
            version=layout.focus,
            account=layout.account,
            provisional=export.provisional,
        )
        return focus_columns(layout.focus), rows


@contextlib.contextmanager
def beside(file: Path) -> Iterator[Path]:
    """A name beside a file to write to first; what is left under it goes away."""
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


def put(part: Path, file: Path, *, replace: bool) -> Written:
    """Give a written file its name. One that is there and is the same stays as it is.

    replace: one that differs gives way. Raises FileDiffers.
    """
    there = file.exists()
    if there and sha256_of(file) == sha256_of(part):
        return "unchanged"
    if there and not replace:
        raise FileDiffers(f"{file} is there already and says something else")
    part.replace(file)
    return "replaced" if there else "written"


def sha256_of(file: Path) -> str:
    """The SHA-256 of a file, as sha256sum shows it."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
