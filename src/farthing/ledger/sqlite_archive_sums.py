"""What archived entries add to each roll-up, summed by DuckDB, laid beside the ledger to be compared."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from farthing.ledger import parquet
from farthing.ledger.archiving import Partition, PartitionState, Progress
from farthing.ledger.cost_buckets import cost_bucket
from farthing.ledger.entries import Difference
from farthing.ledger.folding import MEASURE_COLUMNS
from farthing.ledger.grains import DAY_US
from farthing.ledger.page import EntryRow
from farthing.ledger.sqlite_archived import archived_lines, file_of, trouble_with
from farthing.ledger.sqlite_partitions import partitions
from farthing.ledger.sqlite_rows import as_json


class Trust(msgspec.Struct, frozen=True):
    """Months whose sums are taken on trust, because their entries cannot be read any more."""

    months: Sequence[tuple[int, int]]

    def covers(self, first_at_us: int, last_at_us: int) -> bool:
        """Whether any moment of a span is in such a month."""
        return any(since_us <= last_at_us and first_at_us < until_us for since_us, until_us in self.months)


class Archived(NamedTuple):
    """What verify needs to know of the archive besides the sums: what is on trust, and what is wrong."""

    trust: Trust
    differences: list[Difference]


class _Sum(NamedTuple):
    """One roll-up of archived entries: the temporary table it is laid into, and DuckDB's statement."""

    table: str
    columns: Sequence[str]
    statement: str


_SUMS = ", ".join(["sum(" + name + ")::BIGINT" for name in MEASURE_COLUMNS])
_SPEND = ("environment", '"group"', "key", "developer", "provider", "model", "model_asked")
_HOUR = "at_us // 3600000000"
_DAY = "at_us // 86400000000"
_LABELS = parquet.LABELS
# farthing.ledger.cost_buckets.cost_bucket, in SQL; the bits of a number are as many as its digits in bin().
_BUCKET = """
    CASE WHEN cost < 128 THEN greatest(cost, 0)
    ELSE ((length(bin(cost)) - 7) << 6) + (cost >> (length(bin(cost)) - 7)::BIGINT) END
"""


def _sum(table: str, columns: Sequence[str], *statement: str) -> _Sum:
    return _Sum(table, columns, " ".join(statement))


_ROLLUPS = (
    _sum(
        "archived_spend", ("period", *_SPEND, *MEASURE_COLUMNS),
        "SELECT", _HOUR, ",", ", ".join(_SPEND), ",", _SUMS, "FROM", parquet.ARCHIVED, "GROUP BY ALL",
    ),
    _sum(
        "archived_run", ("environment", "run", *MEASURE_COLUMNS, "first_at_us", "last_at_us"),
        "SELECT environment, run,", _SUMS, ", min(at_us), max(at_us) FROM", parquet.ARCHIVED,
        "WHERE run <> '' GROUP BY environment, run",
    ),
    _sum(
        "archived_label", ("period", "name", "value", "second", "environment", *MEASURE_COLUMNS),
        "SELECT", _HOUR, ", label.key, label.value, '', environment,", _SUMS,
        "FROM (SELECT *, unnest(map_entries(", _LABELS, ")) AS label FROM", parquet.ARCHIVED, ")",
        "GROUP BY ALL",
    ),
    _sum(
        "archived_label", ("period", "name", "value", "second", "environment", *MEASURE_COLUMNS),
        "SELECT", _HOUR, ", 'user_id+tier', labels['user_id'] AS user, labels['tier'] AS tier, environment,",
        _SUMS, "FROM (SELECT *,", _LABELS, "AS labels FROM", parquet.ARCHIVED, ")",
        "WHERE user <> '' AND tier <> '' GROUP BY ALL",
    ),
    _sum(
        "archived_cost_count", ("period", "of", "environment", "feature", "bucket", "count"),
        "SELECT", _DAY, ", 'calls', environment, feature,", _BUCKET, ", count(*) FROM", parquet.PRICED,
        "GROUP BY ALL",
    ),
    _sum(
        "archived_activity",
        ("half_hour", "developer", "environment", "calls", "cost_nanodollars", "first_at_us", "last_at_us"),
        """SELECT at_us // 1800000000, developer, environment, sum(calls)::BIGINT,
            sum(cost_nanodollars)::BIGINT, min(at_us), max(at_us) FROM""", parquet.ARCHIVED,
        "WHERE developer <> '' AND outcome <> 'refused' GROUP BY ALL",
    ),
    _sum(
        "archived_prompt",
        ("day", "environment", "developer", "prompt_hash", "calls", "cost_nanodollars"),
        "SELECT", _DAY, ", environment, developer, details ->> '$.facts.prompt_hash' AS sent,",
        "sum(calls)::BIGINT, sum(cost_nanodollars)::BIGINT FROM", parquet.ARCHIVED,
        "WHERE developer <> '' AND outcome <> 'refused' AND sent <> '' GROUP BY ALL",
    ),
    _sum(
        "archived_reason",
        ("day", "environment", '"group"', "key", "developer", "reason", "budget", "account", "calls"),
        "SELECT", _DAY, """, environment, "group", key, developer, details ->> '$.reason' AS reason,
            coalesce(details ->> '$.short.balance.budget', ''),
            coalesce(details ->> '$.short.balance.account', ''),
            sum(if(outcome = 'refused', refused, calls))::BIGINT FROM""", parquet.ARCHIVED,
        """WHERE correction = 0 AND (outcome = 'refused'
            OR outcome IN ('settled', 'void') AND reason NOT IN ('as_asked', 'routed'))
        GROUP BY ALL""",
    ),
)  # fmt: skip
_TABLES = {one.table: one.columns for one in _ROLLUPS}

_BOOKED = " ".join(
    (
        """SELECT booked.key, sum(booked.value)::BIGINT FROM (
            SELECT unnest(map_entries(CAST(booked::JSON AS MAP(VARCHAR, BIGINT)))) AS booked FROM""",
        parquet.ARCHIVED,
        ") GROUP BY booked.key",
    )
)
_AMOUNTS = """
    SELECT account, sum(amount) FROM archived_amount JOIN account USING (account_id)
    WHERE number IN (SELECT value FROM json_each(?)) GROUP BY account_id
"""
_LONE_CORRECTIONS = """
    SELECT call_id, cost_nanodollars FROM kept_entry AS correction
    WHERE correction = 1 AND NOT EXISTS (
        SELECT 1 FROM kept_entry AS first WHERE first.call_id = correction.call_id AND first.correction = 0
    )
"""


@contextmanager
def archive_beside(connection: sqlite3.Connection, progress: Progress) -> Iterator[Archived]:
    """Lay what archived entries add to each roll-up into temporary tables, for one comparison."""
    connection.execute("PRAGMA query_only = OFF")
    try:
        for table, columns in _TABLES.items():
            connection.execute(" ".join(("CREATE TEMP TABLE", table, "(", ", ".join(columns), ")")))
        yield _lay(connection, progress)
    finally:
        for table in _TABLES:
            connection.execute(" ".join(("DROP TABLE IF EXISTS temp.", table)))
        connection.execute("PRAGMA query_only = ON")


def _lay(connection: sqlite3.Connection, progress: Progress) -> Archived:
    everything = [one for one in partitions(connection) if one.state is not PartitionState.WRITING]
    readable: list[tuple[Partition, Path]] = []
    differences: list[Difference] = []
    for count, partition in enumerate(everything):
        if partition.state is PartitionState.FORGOTTEN:
            continue
        progress(f"reading {partition.month}", count, len(everything))
        file = file_of(connection, partition)
        trouble = trouble_with(partition, file) or _changed(partition, file)
        if trouble is None:
            readable.append((partition, file))
        else:
            what = f"entries of {partition.month}: {file} {trouble}"
            differences.append(Difference(what=what, expected=partition.entries, found=0))
    read = {partition.number for partition, _ in readable}
    months = {(one.since_us, one.until_us) for one in everything if one.number not in read}
    trust = Trust(sorted(months))
    if readable:
        _sum_up(connection, [file for _, file in readable], progress)
        differences += _amounts(connection, readable)
        _move_corrected(connection, trust)
    return Archived(trust, differences)


def _changed(partition: Partition, file: Path) -> str | None:
    return None if parquet.file_sha256(file) == partition.sha256 else "was changed"


def _sum_up(connection: sqlite3.Connection, files: Sequence[Path], progress: Progress) -> None:
    with parquet.asking(files) as rows_of:
        for count, one in enumerate(_ROLLUPS):
            progress("summing archived entries", count, len(_ROLLUPS))
            places = ", ".join(["?"] * len(one.columns))
            insert = " ".join(("INSERT INTO", one.table, "VALUES (", places, ")"))
            connection.executemany(insert, rows_of(one.statement))


def _amounts(
    connection: sqlite3.Connection, readable: Sequence[tuple[Partition, Path]]
) -> Iterator[Difference]:
    """Compare what was booked to accounts by files with what the ledger kept of that."""
    with parquet.asking([file for _, file in readable]) as rows_of:
        expected: dict[str, int] = dict(rows_of(_BOOKED))
    numbers = as_json([partition.number for partition, _ in readable])
    found: dict[str, int] = dict(connection.execute(_AMOUNTS, (numbers,)).fetchall())
    for account in sorted({*expected, *found}):
        if expected.get(account, 0) != found.get(account, 0):
            what = f"archived amount of {account}"
            yield Difference(what=what, expected=expected.get(account, 0), found=found.get(account, 0))


def _move_corrected(connection: sqlite3.Connection, trust: Trust) -> None:
    """Move archived calls whose correction came later from one bucket of the histogram to another."""
    late: dict[str, int] = dict(connection.execute(_LONE_CORRECTIONS).fetchall())
    first = [
        line
        for line in archived_lines(connection, list(late), [])
        if not line.correction
        and line.details.facts.cost_tracked
        and not trust.covers(line.at_us, line.at_us)
    ]
    for line in first:
        cost = line.measures.cost
        for bucket, count in ((cost_bucket(cost), -1), (cost_bucket(cost + late[line.call_id]), 1)):
            connection.execute(
                "INSERT INTO archived_cost_count VALUES (?, 'calls', ?, ?, ?, ?)",
                (line.at_us // DAY_US, *_sliced(line), bucket, count),
            )


def _sliced(line: EntryRow) -> tuple[str, str]:
    facts = line.details.facts
    return facts.environment, facts.labels.get("feature", "")
