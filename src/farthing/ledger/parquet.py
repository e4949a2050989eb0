"""Entries in Parquet files: write lines, read them back, find some of them. All that knows DuckDB is here."""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import blake2b, sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from farthing.domain.errors import LedgerUnavailable
from farthing.ledger.folding import MEASURE_COLUMNS
from farthing.ledger.sqlite_rows import ENTRY_COLUMNS, SqlRow

if TYPE_CHECKING:
    import duckdb

# A page of calls then reads little more than it shows.
_ROWS_TOGETHER = 10_240
_READ_TOGETHER = 5_000
_FILE_BLOCK = 1 << 20
_LEAST_BUFFER = 1 << 20

# The columns of a file, by their names in the ledger; accounts go by their names.
TEXTS = (
    "call_id",
    "outcome",
    "environment",
    "group",
    "key",
    "developer",
    "provider",
    "model",
    "model_asked",
    "run",
    "request_id",
    "booked",
    "details",
)
NUMBERS = ("correction", "at_us", "written_at_us", "ceiling_nanodollars", *MEASURE_COLUMNS)
COLUMNS = (*NUMBERS, *TEXTS)

_encode = msgspec.json.Encoder().encode

_TYPES = dict.fromkeys(NUMBERS, "BIGINT") | dict.fromkeys(TEXTS, "VARCHAR")
_TO_PARQUET = """
    COPY (
        SELECT * FROM read_json(
            $lines, format = 'newline_delimited', columns = $columns, maximum_object_size = $widest
        )
    ) TO $file (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE $rows)
"""
_READ_BACK = " ".join(
    ("SELECT", ", ".join(['"' + name + '"' for name in COLUMNS]), "FROM read_parquet($files)")
)
# Files of an earlier version may lack a measure; then it is 0, as it is in the ledger.
ARCHIVED = " ".join(
    (
        "(SELECT * REPLACE (",
        ", ".join(["coalesce(" + name + ", 0) AS " + name for name in MEASURE_COLUMNS]),
        ") FROM (SELECT * FROM read_parquet($files, union_by_name = true) UNION ALL BY NAME SELECT",
        ", ".join(["NULL::BIGINT AS " + name for name in MEASURE_COLUMNS]),
        "WHERE false)) AS entry",
    )
)
LABELS = "CAST(details -> '$.facts.labels' AS MAP(VARCHAR, VARCHAR))"
_SELECT = " ".join(("SELECT", ENTRY_COLUMNS, "FROM", ARCHIVED))
_OF_CALLS = " ".join((_SELECT, "WHERE call_id IN (SELECT unnest($calls))"))
_CORRECTIONS = " ".join((_OF_CALLS, "AND correction = 1"))
_PAGE = " ".join(
    (
        _SELECT,
        """WHERE correction = 0
        AND at_us >= $since_us AND at_us < $until_us AND at_us <= $before_us
        AND (at_us < $before_us OR call_id < $before_id)
        AND ($request_id IS NULL OR request_id = $request_id)
        AND ($outcome IS NULL OR outcome = $outcome)
        AND ($key IS NULL OR key = $key)
        AND ($environment IS NULL OR environment = $environment)
        AND ($labels IS NULL OR coalesce(list_has_all(map_entries(""",
        LABELS,
        """), map_entries(CAST($labels::JSON AS MAP(VARCHAR, VARCHAR)))), false))
        ORDER BY at_us DESC, call_id DESC LIMIT $limit""",
    )
)
# Calls that have a cost, each with its correction, as the histograms count them.
PRICED = " ".join(
    (
        """(SELECT first.call_id, first.at_us, first.environment,
            coalesce(first.details ->> '$.facts.labels.feature', '') AS feature,
            first.cost_nanodollars + coalesce(correction.cost_nanodollars, 0) AS cost
        FROM (SELECT * FROM""",
        ARCHIVED,
        """WHERE correction = 0 AND outcome = 'settled'
            AND coalesce((details ->> '$.facts.cost_tracked')::BOOLEAN, true)) AS first
        LEFT JOIN (SELECT call_id, cost_nanodollars FROM""",
        ARCHIVED,
        "WHERE correction = 1) AS correction USING (call_id))",
    )
)
_COSTS = " ".join(
    (
        "SELECT call_id, environment, feature, cost FROM",
        PRICED,
        """WHERE at_us >= $since_us AND at_us < $until_us
        AND ($environment IS NULL OR environment = $environment)
        AND ($feature IS NULL OR feature = $feature)""",
    )
)


class Written(NamedTuple):
    """What went into a file: how many lines, the longest, what they cost, and a digest of all they say."""

    lines: int
    longest: int
    cost_nanodollars: int
    digest: str


# ── writing ─────────────────────────────────────────────────────────────────────────────────────


def write_lines(rows: Iterable[Mapping[str, object]], file: Path) -> Written:
    """Write rows of COLUMNS as lines of JSON, from which a Parquet file can be made."""
    with file.open("wb") as out:
        return _digest(rows, out.write)


def make_parquet(lines: Path, file: Path, *, longest: int) -> None:
    """Make a Parquet file of lines of JSON, in their order, durably."""
    with _connected([file]) as connection:
        connection.execute(
            _TO_PARQUET,
            {
                "lines": str(lines),
                "columns": _TYPES,
                "widest": max(longest, _LEAST_BUFFER),
                "file": str(file),
                "rows": _ROWS_TOGETHER,
            },
        )
    _sync(file)


def read_back(file: Path) -> Written:
    """Read all that a new file says, as write_lines told it."""
    with _connected([file]) as connection:
        found = connection.execute(_READ_BACK, {"files": [str(file)]})
        rows = (dict(zip(COLUMNS, row, strict=True)) for row in _fetched(found))
        return _digest(rows, lambda _: None)


def file_sha256(file: Path) -> str:
    """What a file is, byte for byte."""
    digest = sha256()
    with file.open("rb") as content:
        while block := content.read(_FILE_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    if os.name != "nt":
        _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest(rows: Iterable[Mapping[str, object]], tell: Callable[[bytes], object]) -> Written:
    digest = blake2b(digest_size=32)
    lines = longest = cost_nanodollars = 0
    for row in rows:
        line = _encode(row) + b"\n"
        digest.update(line)
        tell(line)
        lines += 1
        longest = max(longest, len(line))
        cost_nanodollars += int(str(row["cost_nanodollars"]))
    return Written(lines, longest, cost_nanodollars, digest.hexdigest())


# ── finding ─────────────────────────────────────────────────────────────────────────────────────


def lines_of_calls(files: Sequence[Path], call_ids: Sequence[str]) -> list[SqlRow]:
    """Every line about some calls, as rows of ENTRY_COLUMNS."""
    return ask(files, _OF_CALLS, {"calls": call_ids})


def corrections_of_calls(files: Sequence[Path], call_ids: Sequence[str]) -> list[SqlRow]:
    """The corrections of some calls, as rows of ENTRY_COLUMNS."""
    return ask(files, _CORRECTIONS, {"calls": call_ids})


def page_of_calls(files: Sequence[Path], wanted: Mapping[str, object]) -> list[SqlRow]:
    """First lines, newest first, as rows of ENTRY_COLUMNS."""
    return ask(files, _PAGE, wanted)


def costs_of_calls(files: Sequence[Path], wanted: Mapping[str, object]) -> list[SqlRow]:
    """Calls in a span that have a cost: call_id, environment, feature, nanodollars."""
    return ask(files, _COSTS, wanted)


def ask(files: Sequence[Path], statement: str, values: Mapping[str, object]) -> list[SqlRow]:
    """Put one question to files of entries. Raises LedgerUnavailable where they cannot be read."""
    with _connected(files) as connection:
        return connection.execute(statement, {"files": [str(file) for file in files], **values}).fetchall()


@contextmanager
def asking(files: Sequence[Path]) -> "Iterator[Callable[[str], Iterator[SqlRow]]]":
    """Put several questions to the same files; each answer is read as it comes."""
    with _connected(files) as connection:

        def rows_of(statement: str) -> Iterator[SqlRow]:
            return _fetched(connection.execute(statement, {"files": [str(file) for file in files]}))

        yield rows_of


def _fetched(found: "duckdb.DuckDBPyConnection") -> Iterator[SqlRow]:
    while rows := found.fetchmany(_READ_TOGETHER):
        yield from rows


@contextmanager
def _connected(files: Sequence[Path]) -> "Iterator[duckdb.DuckDBPyConnection]":
    """DuckDB for one question: it keeps nothing, and nothing of it is left for a forked child."""
    try:
        import duckdb
    except ImportError as error:
        raise LedgerUnavailable(
            "archived entries are in Parquet files, and DuckDB, which reads them, is not installed",
            fix="pip install 'farthing[parquet]'",
        ) from error
    with tempfile.TemporaryDirectory(prefix="farthing-") as spare, _translated(files, duckdb.Error):
        connection = duckdb.connect(
            config={
                "memory_limit": "256MB",
                "temp_directory": spare,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            }
        )
        try:
            yield connection
        finally:
            connection.close()


@contextmanager
def _translated(files: Sequence[Path], error_type: type[Exception]) -> Iterator[None]:
    """Say in our words what DuckDB says in its own."""
    try:
        yield
    except error_type as error:
        said = str(error).partition("\n")[0]
        raise LedgerUnavailable(
            f"archived entries in {', '.join(map(str, files))} cannot be used: {said}",
            fix="put the file back from a backup; farthing ledger verify names what is missing or changed",
        ) from error
