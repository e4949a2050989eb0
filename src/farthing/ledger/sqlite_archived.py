"""Calls that were archived, found again: by their ids, and as pages among those still in the file."""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from farthing.domain.errors import LedgerUnavailable
from farthing.ledger import parquet
from farthing.ledger.archiving import Partition, fingerprint
from farthing.ledger.page import EntryRow
from farthing.ledger.sqlite_partitions import PARTITION_COLUMNS, partition_from
from farthing.ledger.sqlite_rows import SqlRow, as_json, read_archived
from farthing.ledger.store import BatchPoisoned

if TYPE_CHECKING:
    from farthing.ledger.sqlite_questions import Wanted

_READABLE = "state IN ('leaving', 'archived')"
_ANY = " ".join(("SELECT EXISTS (SELECT 1 FROM archive_partition WHERE", _READABLE, ")"))
_OF_CALLS = " ".join(
    (
        "SELECT",
        PARTITION_COLUMNS,
        "FROM archive_partition WHERE",
        _READABLE,
        """AND number IN (
            SELECT number FROM archived_call WHERE fingerprint IN (SELECT value FROM json_each(?))
        ) ORDER BY number""",
    )
)
_OF_SPAN = " ".join(
    (
        "SELECT",
        PARTITION_COLUMNS,
        "FROM archive_partition WHERE",
        _READABLE,
        "AND since_us < :until_us AND until_us > :since_us ORDER BY number",
    )
)


_FORGOTTEN = """
    SELECT EXISTS (
        SELECT 1 FROM archive_partition
        WHERE state = 'forgotten' AND since_us < :until_us AND until_us > :since_us
    )
"""
# A call leaves before its correction; what is in the file alone of the two is a correction that came late.
_STILL_HERE = """
    SELECT call_id, 0, 0 FROM entry
    WHERE correction = 0 AND call_id IN (SELECT value FROM json_each(:calls))
    UNION ALL
    SELECT call_id, 1, cost_nanodollars FROM kept_entry
    WHERE correction = 1 AND call_id IN (SELECT value FROM json_each(:calls))
"""


def archived_lines(
    connection: sqlite3.Connection, call_ids: Sequence[str], found: Iterable[EntryRow]
) -> list[EntryRow]:
    """Lines about calls of which the file has no first line, or not any more."""
    ((is_any,),) = connection.execute(_ANY).fetchall()
    if not is_any:
        return []
    known = {(line.call_id, line.correction) for line in found}
    missing = [call_id for call_id in call_ids if (call_id, False) not in known]
    prints = as_json([fingerprint(call_id) for call_id in missing])
    partitions = [partition_from(row) for row in connection.execute(_OF_CALLS, (prints,))]
    if not partitions:
        return []
    lines = read_archived(parquet.lines_of_calls(files_of(connection, partitions), missing))
    return [line for line in lines if (line.call_id, line.correction) not in known]


def lines_for_batch(
    connection: sqlite3.Connection, call_ids: Sequence[str], found: Iterable[EntryRow]
) -> list[EntryRow]:
    """The same for a batch: where the archive cannot be read, only calls that are in it are not answered."""
    try:
        return archived_lines(connection, call_ids, found)
    except LedgerUnavailable as error:
        raise BatchPoisoned(str(error), fix=error.fix) from error


def with_archived(
    connection: sqlite3.Connection,
    wanted: "Wanted",
    found: list[EntryRow],
    spans: Iterator[tuple[int, int]],
) -> list[EntryRow]:
    """First lines of a page, newest first, with those that are in the archive among them.

    spans: where to look, newest first; more and more of them are looked into at once.
    """
    is_full = len(found) >= wanted.limit
    since_us = max(wanted.since_us or 0, found[-1].at_us if is_full and found else 0)
    partitions = _partitions_between(connection, wanted, since_us)
    if not partitions or wanted.limit < 1:
        return found
    archived: list[EntryRow] = []
    count = 1
    while len(archived) < wanted.limit and (together := list(islice(spans, count))):
        begins_us, ends_us = max(together[-1][0], since_us), together[0][1]
        if ends_us > since_us:
            archived += _page(
                connection, wanted, partitions, begins_us, ends_us, wanted.limit - len(archived)
            )
        count *= 2
    # What waits to be deleted is in both, and the same.
    lines = {line.call_id: line for line in (*archived, *found)}
    newest_first = sorted(lines.values(), key=lambda line: (line.at_us, line.call_id), reverse=True)
    return newest_first[: wanted.limit]


def archived_corrections(connection: sqlite3.Connection, first: Sequence[EntryRow]) -> list[EntryRow]:
    """The archived corrections of calls, by their first lines."""
    assumed = [line for line in first if line.assumed]
    if not assumed:
        return []
    begins_us, ends_us = min(line.at_us for line in assumed), max(line.at_us for line in assumed) + 1
    partitions = _between(connection, begins_us, ends_us)
    if not partitions:
        return []
    call_ids = [line.call_id for line in assumed]
    return read_archived(parquet.corrections_of_calls(files_of(connection, partitions), call_ids))


def any_forgotten(connection: sqlite3.Connection, since_us: int, until_us: int) -> bool:
    """Whether calls of a span were forgotten, so that they cannot be counted one by one any more."""
    ((forgotten,),) = connection.execute(_FORGOTTEN, {"since_us": since_us, "until_us": until_us}).fetchall()
    return bool(forgotten)


def with_archived_costs(
    connection: sqlite3.Connection,
    rows: Iterable[SqlRow],
    span: tuple[int, int],
    wanted: Mapping[str, object],
) -> list[SqlRow]:
    """Counts of calls by environment, feature and cost, the cheapest first, with archived ones among them.

    wanted: environment and feature, for which None takes all, and by_environment and by_feature.
    """
    counts = Counter({(environment, feature, cost): count for environment, feature, cost, count in rows})
    for environment, feature, cost in _archived_costs(connection, span, wanted):
        by_environment = environment if wanted["by_environment"] else None
        counts[by_environment, feature if wanted["by_feature"] else None, cost] += 1
    cheapest_first = sorted(counts.items(), key=lambda row: (row[0][2], row[0][0] or "", row[0][1] or ""))
    return [(*key, count) for key, count in cheapest_first]


def _archived_costs(
    connection: sqlite3.Connection, span: tuple[int, int], wanted: Mapping[str, object]
) -> Iterator[tuple[str, str, int]]:
    """Archived calls one by one, with what corrects them in the file, but for those still there."""
    partitions = _between(connection, *span)
    if not partitions:
        return
    asked = {name: wanted[name] for name in ("environment", "feature")}
    files = files_of(connection, partitions)
    archived = parquet.costs_of_calls(files, asked | {"since_us": span[0], "until_us": span[1]})
    here = connection.execute(_STILL_HERE, {"calls": as_json([row[0] for row in archived])}).fetchall()
    doubled = {call_id for call_id, correction, _ in here if not correction}
    late = {call_id: cost for call_id, correction, cost in here if correction}
    for call_id, environment, feature, cost in archived:
        if call_id not in doubled:
            yield environment, feature, cost + late.get(call_id, 0)


def files_of(connection: sqlite3.Connection, partitions: Iterable[Partition]) -> list[Path]:
    """The files of partitions. Raises LedgerUnavailable for one that is not what was written."""
    files = []
    for partition in partitions:
        file = file_of(connection, partition)
        trouble = trouble_with(partition, file)
        if trouble:
            raise LedgerUnavailable(
                f"the archived entries of {partition.month} cannot be read: {file} {trouble}",
                fix="put the file back from a backup",
            )
        files.append(file)
    return files


def file_of(connection: sqlite3.Connection, partition: Partition) -> Path:
    """Where the file of a partition is; what was named relative moves with the ledger."""
    return folder_of(connection) / partition.file


def folder_of(connection: sqlite3.Connection) -> Path:
    """The folder of the ledger."""
    ((_, _, path),) = connection.execute("PRAGMA database_list").fetchall()[:1]
    return Path(path).parent


def trouble_with(partition: Partition, file: Path) -> str | None:
    """What can be seen to be wrong with a file without reading it."""
    try:
        size = file.stat().st_size
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return None if size == partition.file_bytes else f"has {size} bytes and had {partition.file_bytes}"


def _partitions_between(connection: sqlite3.Connection, wanted: "Wanted", since_us: int) -> list[Partition]:
    until_us = wanted.until_us
    if wanted.before is not None:
        until_us = min(wanted.before[0] + 1, wanted.before[0] + 1 if until_us is None else until_us)
    return _between(connection, since_us, 2**62 if until_us is None else until_us)


def _between(connection: sqlite3.Connection, since_us: int, until_us: int) -> list[Partition]:
    rows = connection.execute(_OF_SPAN, {"since_us": since_us, "until_us": until_us})
    return [partition_from(row) for row in rows]


def _page(
    connection: sqlite3.Connection,
    wanted: "Wanted",
    partitions: Sequence[Partition],
    since_us: int,
    until_us: int,
    limit: int,
) -> list[EntryRow]:
    before_us, before_id = wanted.before or (2**62, "")
    values: dict[str, object] = {
        "since_us": since_us,
        "until_us": until_us,
        "before_us": before_us,
        "before_id": before_id,
        "request_id": wanted.request_id,
        "outcome": wanted.outcome,
        "key": wanted.key,
        "environment": wanted.environment,
        "labels": msgspec.json.encode(wanted.labels).decode() if wanted.labels else None,
    }
    lines: list[EntryRow] = []
    for together in _newest_first(partitions, wanted, since_us, until_us):
        files = files_of(connection, together)
        lines += read_archived(parquet.page_of_calls(files, values | {"limit": limit - len(lines)}))
        if len(lines) >= limit:
            break
    return lines


def _newest_first(
    partitions: Sequence[Partition], wanted: "Wanted", since_us: int, until_us: int
) -> Iterator[list[Partition]]:
    """The partitions of a span, month by month; all at once for a request, which may be in any of them."""
    within = [
        partition
        for partition in partitions
        if partition.since_us < until_us and partition.until_us > since_us
    ]
    if wanted.request_id is not None:
        yield within
        return
    for month in sorted({partition.month for partition in within}, reverse=True):
        yield [partition for partition in within if partition.month == month]
