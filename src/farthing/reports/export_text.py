"""Write the rows of an export as text: CSV for spreadsheets and finance, JSON lines for programs."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from farthing.ledger.entries import Entry
from farthing.reports.calls import call_json
from farthing.reports.export_columns import Cell, ExportColumn, Kind

CHUNK_BYTES = 65_536
# A spreadsheet takes a cell that begins like this for a formula, whoever wrote it; callers write labels.
FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠")
HARMLESS = "'"

_encode = msgspec.json.Encoder().encode


class CsvText:
    """RFC 4180 in UTF-8: a heading, lines that end in CR LF, quotes where a cell needs them.

    made_harmless: how many cells got an apostrophe in front, because a spreadsheet would run them.
    """

    def __init__(self, columns: Sequence[ExportColumn]) -> None:
        self._columns = columns
        self._words = [place for place, column in enumerate(columns) if column.kind is Kind.TEXT]
        self.made_harmless = 0

    def chunks(self, rows: Iterable[Sequence[Cell]]) -> Iterator[bytes]:
        """The file, piece by piece."""
        text = io.StringIO(newline="")
        write = csv.writer(text, lineterminator="\r\n").writerow
        write([column.name for column in self._columns])
        for row in rows:
            write(self._shown(row))
            if text.tell() >= CHUNK_BYTES:
                yield text.getvalue().encode()
                text.seek(0)
                text.truncate()
        yield text.getvalue().encode()

    def _shown(self, row: Sequence[Cell]) -> list[Cell]:
        cells = [str(cell).lower() if isinstance(cell, bool) else cell for cell in row]
        for place in self._words:
            word = cells[place]
            if isinstance(word, str) and word.startswith(FORMULA_STARTS):
                cells[place] = HARMLESS + word
                self.made_harmless += 1
        return cells


def json_lines(entries: Iterable[Entry]) -> Iterator[bytes]:
    """One entry a line, in the very shape in which the API shows it."""
    lines, size = [], 0
    for entry in entries:
        line = _encode(call_json(entry)) + b"\n"
        lines.append(line)
        size += len(line)
        if size >= CHUNK_BYTES:
            yield b"".join(lines)
            lines, size = [], 0
    yield b"".join(lines)
