"""Parts of the archive in SQLite: what was archived, which months may follow, and how entries leave."""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from farthing.ledger.archiving import Month, Partition, PartitionState, fingerprint, month_bounds, month_name
from farthing.ledger.sqlite_rows import SqlRow, as_json

LEAVE_TOGETHER = 1_000
READ_TOGETHER = 5_000
_FORGET_SLICES = 64

_FIELDS = Partition.__struct_fields__
PARTITION_COLUMNS = ", ".join(_FIELDS)
_PARTITIONS = " ".join(("SELECT", PARTITION_COLUMNS, "FROM archive_partition ORDER BY since_us, number"))
_ADD = " ".join(
    (
        "INSERT INTO archive_partition (month, state, since_us, until_us, file, through_entry_id)",
        "VALUES (?, 'writing', ?, ?, ?, (SELECT coalesce(max(entry_id), 0) FROM entry)) RETURNING",
        PARTITION_COLUMNS,
    )
)
_DROP = "DELETE FROM archive_partition WHERE number = ? AND state = 'writing'"
_PUBLISH = """
    UPDATE archive_partition SET state = 'leaving', entries = ?, cost_nanodollars = ?, file_bytes = ?,
        sha256 = ?, archived_at_us = ?, archived_by = ?
    WHERE number = ? AND state = 'writing'
"""
_ADD_AMOUNT = "INSERT INTO archived_amount VALUES (?, ?, ?)"
_ARCHIVED = "UPDATE archive_partition SET state = 'archived' WHERE number = ? AND state = 'leaving'"
_FORGET = """
    UPDATE archive_partition
    SET state = 'forgotten', forgotten_at_us = ?, forgotten_by = ?, forgotten_reason = ?
    WHERE number = ? AND state = 'archived'
"""
_FORGET_CALLS = "DELETE FROM archived_call WHERE number = ? AND fingerprint BETWEEN ? AND ?"

# ── which months there are ──────────────────────────────────────────────────────────────────────

_FIRST_SINCE = """
    SELECT min(at_us) FROM (
        SELECT * FROM (
            SELECT at_us FROM entry INDEXED BY entry_by_time
            WHERE correction = 0 AND at_us >= :since_us ORDER BY at_us LIMIT 1
        )
        UNION ALL
        SELECT * FROM (
            SELECT at_us FROM entry INDEXED BY entry_correction_by_time
            WHERE correction = 1 AND at_us >= :since_us ORDER BY at_us LIMIT 1
        )
    )
"""
# Without those that are in a partition already and wait to be deleted.
_COUNT = """
    WITH leaving(through) AS (
        SELECT coalesce(max(through_entry_id), -1) FROM archive_partition
        WHERE state = 'leaving' AND since_us = :since_us
    )
    SELECT (SELECT count(*) FROM entry INDEXED BY entry_by_time
            WHERE correction = 0 AND at_us >= :since_us AND at_us < :until_us
              AND entry_id > (SELECT through FROM leaving))
         + (SELECT count(*) FROM entry INDEXED BY entry_correction_by_time
            WHERE correction = 1 AND at_us >= :since_us AND at_us < :until_us
              AND entry_id > (SELECT through FROM leaving))
"""
_OPEN_HOLDS = """
    SELECT count(*) FROM hold
    WHERE json_extract(draft, '$.at_us') >= :since_us AND json_extract(draft, '$.at_us') < :until_us
"""


def partitions(connection: sqlite3.Connection) -> list[Partition]:
    """Every partition, by month."""
    return [partition_from(row) for row in connection.execute(_PARTITIONS)]


def partition_from(row: SqlRow) -> Partition:
    """Turn a row of PARTITION_COLUMNS into a partition."""
    named = dict(zip(_FIELDS, row, strict=True))
    return Partition(**(named | {"state": PartitionState(named["state"])}))


def months(connection: sqlite3.Connection, until_us: int = 2**62) -> Iterator[Month]:
    """The months that begin before a moment and of which entries are in the file, oldest first."""
    since_us = -(2**62)
    while True:
        ((at_us,),) = connection.execute(_FIRST_SINCE, {"since_us": since_us}).fetchall()
        if at_us is None or at_us >= until_us:
            return
        month = month_name(at_us)
        begins_us, since_us = month_bounds(month)
        span = {"since_us": begins_us, "until_us": since_us}
        ((entries,),) = connection.execute(_COUNT, span).fetchall()
        ((open_holds,),) = connection.execute(_OPEN_HOLDS, span).fetchall()
        if entries:
            yield Month(
                month=month, since_us=begins_us, until_us=since_us, entries=entries, open_holds=open_holds
            )


# ── how a partition comes to be ──────────────────────────────────────────────────────────────────────


def add_partition(connection: sqlite3.Connection, month: Month, file: str) -> Partition:
    """Say which file is about to be written, so that it is found whatever happens."""
    (row,) = connection.execute(_ADD, (month.month, month.since_us, month.until_us, file)).fetchall()
    return partition_from(row)


def drop_partition(connection: sqlite3.Connection, partition: Partition) -> None:
    """Forget a partition whose file was never finished."""
    connection.execute(_DROP, (partition.number,))


def publish(connection: sqlite3.Connection, partition: Partition, amounts: Mapping[int, int]) -> None:
    """Let a partition count: from here on its entries in the file are copies that wait to be deleted."""
    connection.execute(
        _PUBLISH,
        (
            partition.entries,
            partition.cost_nanodollars,
            partition.file_bytes,
            partition.sha256,
            partition.archived_at_us,
            partition.archived_by,
            partition.number,
        ),
    )
    connection.executemany(
        _ADD_AMOUNT, [(account_id, partition.number, amount) for account_id, amount in amounts.items()]
    )


# ── reading what will leave ─────────────────────────────────────────────────────────────────────

_FIRST_LINES = """
    SELECT * FROM entry INDEXED BY entry_by_time
    WHERE correction = 0 AND at_us < :until_us AND (at_us, call_id) > (:at_us, :call_id)
      AND entry_id <= :through
    ORDER BY at_us, call_id LIMIT :limit
"""
_CORRECTIONS = """
    SELECT * FROM entry INDEXED BY entry_correction_by_time
    WHERE correction = 1 AND at_us < :until_us AND (at_us, call_id) > (:at_us, :call_id)
      AND entry_id <= :through
    ORDER BY at_us, call_id LIMIT :limit
"""
_ACCOUNTS = "SELECT account_id, account FROM account WHERE account_id IN (SELECT value FROM json_each(?))"

_decode_booked = msgspec.json.Decoder(dict[str, int]).decode
_encode = msgspec.json.Encoder().encode

Line = dict[str, object]


def lines_page(
    connection: sqlite3.Connection, partition: Partition, *, correction: bool, after: tuple[int, str]
) -> list[Line]:
    """Lines of a partition that follow one, oldest first, as the file has them."""
    found = connection.execute(
        _CORRECTIONS if correction else _FIRST_LINES,
        {
            "until_us": partition.until_us,
            "at_us": after[0],
            "call_id": after[1],
            "through": partition.through_entry_id,
            "limit": READ_TOGETHER,
        },
    )
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found]


def name_accounts(connection: sqlite3.Connection, lines: Sequence[Line], amounts: Counter[int]) -> list[Line]:
    """Give the accounts of lines their names, and add up by number what was booked to each."""
    booked = [
        {int(key): value for key, value in _decode_booked(str(line["booked"])).items()} for line in lines
    ]
    numbers = sorted({number for one in booked for number in one})
    names: dict[int, str] = dict(connection.execute(_ACCOUNTS, (as_json(numbers),)).fetchall())
    for one in booked:
        for number, amount in one.items():
            amounts[number] += amount
    return [
        line | {"booked": _encode({names[number]: amount for number, amount in one.items()}).decode()}
        for line, one in zip(lines, booked, strict=True)
    ]


# ── leaving ─────────────────────────────────────────────────────────────────────────────────────

# The newest entry stays to the end: while it is there, every later entry gets a higher number, so none
# that comes meanwhile can be taken for one of the partition.
_LEAVERS = """
    SELECT entry_id, call_id FROM entry INDEXED BY entry_by_time
    WHERE correction = 0 AND at_us >= :since_us AND at_us < :until_us AND entry_id < :through
    UNION ALL
    SELECT entry_id, call_id FROM entry INDEXED BY entry_correction_by_time
    WHERE correction = 1 AND at_us >= :since_us AND at_us < :until_us AND entry_id < :through
    LIMIT :limit
"""
_LAST_LEAVER = """
    SELECT entry_id, call_id FROM entry
    WHERE entry_id = :through AND at_us >= :since_us AND at_us < :until_us
"""
_REMEMBER_CALL = "INSERT INTO archived_call VALUES (?, ?) ON CONFLICT DO NOTHING"
_LEAVE = "DELETE FROM entry WHERE entry_id IN (SELECT value FROM json_each(?))"


def leave(connection: sqlite3.Connection, partition: Partition) -> int:
    """Delete some of the entries that are in a partition; with the last of them the partition is archived.

    Answers how many went; 0 when it is archived.
    """
    span = {
        "since_us": partition.since_us,
        "until_us": partition.until_us,
        "through": partition.through_entry_id,
    }
    leavers = connection.execute(_LEAVERS, span | {"limit": LEAVE_TOGETHER}).fetchall()
    if leavers:
        _delete(connection, partition, leavers)
        return len(leavers)
    _delete(connection, partition, connection.execute(_LAST_LEAVER, span).fetchall())
    connection.execute(_ARCHIVED, (partition.number,))
    return 0


def _delete(connection: sqlite3.Connection, partition: Partition, leavers: Sequence[tuple[int, str]]) -> None:
    prints = sorted({fingerprint(call_id) for _, call_id in leavers})
    connection.executemany(_REMEMBER_CALL, [(one, partition.number) for one in prints])
    connection.execute(_LEAVE, (as_json([entry_id for entry_id, _ in leavers]),))


# ── forgetting ──────────────────────────────────────────────────────────────────────────────────


def forget(connection: sqlite3.Connection, partition: Partition, *, at_us: int, by: str, reason: str) -> None:
    """Say that a partition is forgotten: who, when and why."""
    connection.execute(_FORGET, (at_us, by, reason, partition.number))


def forget_calls(connection: sqlite3.Connection, partition: Partition, place: int) -> None:
    """Forget some of the fingerprints of a partition: those of one of forget_places."""
    width = 2**64 // _FORGET_SLICES
    least = -(2**63) + place * width
    connection.execute(_FORGET_CALLS, (partition.number, least, least + width - 1))


def forget_places() -> range:
    """The places that forget_calls knows."""
    return range(_FORGET_SLICES)
