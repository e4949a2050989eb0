"""Write the rows of an export as Parquet: exact decimals, whole numbers and times in UTC. Needs DuckDB."""

import importlib.util
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from farthing.reports.export_columns import Cell, ExportColumn, Kind

# What DuckDB may keep in memory; it reads from a file and writes to one.
MEMORY = "256MB"

_TYPES = {
    Kind.TEXT: "VARCHAR",
    Kind.JSON: "VARCHAR",
    Kind.COUNT: "BIGINT",
    Kind.DOLLARS: "DECIMAL(19, 9)",
    Kind.QUANTITY: "DECIMAL(20, 1)",
    Kind.YES_NO: "BOOLEAN",
    Kind.TIME: "TIMESTAMPTZ",
}
# Rows come as lines of JSON: DuckDB takes them from a file at a hundred times the speed of parameters.
_WRITE = " ".join(
    (
        "COPY (SELECT * FROM read_json($1, format = 'newline_delimited', columns = $2,",
        "maximum_object_size = 67108864)) TO $3 (FORMAT parquet, COMPRESSION zstd)",
    )
)
_encode = msgspec.json.Encoder().encode


class NoParquet(ImportError):
    """DuckDB is not installed; the message names the extra that brings it."""


def check_parquet() -> None:
    """Raise NoParquet where nothing here can write Parquet."""
    if importlib.util.find_spec("duckdb") is None:
        raise NoParquet(
            "Parquet is written by DuckDB, which is not installed: pip install 'farthing[parquet]'"
        )


def write_parquet(columns: Sequence[ExportColumn], rows: Iterable[Sequence[Cell]], file: Path) -> None:
    """Write one file. The same rows make the same bytes: one thread, and the order is kept.

    Raises NoParquet.
    """
    check_parquet()
    import duckdb

    names = [column.name for column in columns]
    with tempfile.TemporaryDirectory(prefix="farthing-") as folder:
        lines = Path(folder) / "rows.jsonl"
        with lines.open("wb") as written:
            for row in rows:
                written.write(_encode(dict(zip(names, row, strict=True))))
                written.write(b"\n")
        settings: dict[str, str | bool | int | float | list[str]] = {
            "threads": 1,
            "memory_limit": MEMORY,
            "temp_directory": folder,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        with duckdb.connect(config=settings) as connection:
            connection.execute(
                _WRITE, [str(lines), {column.name: _TYPES[column.kind] for column in columns}, str(file)]
            )
