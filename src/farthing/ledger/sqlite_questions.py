"""The questions a SQLite ledger answers: balances, calls, holds, owners, facts."""

import sqlite3
from collections.abc import Iterator, Mapping

import msgspec

from farthing.ledger.entries import Balance, Entry, OpenHold, Owner
from farthing.ledger.grains import END_OF_TIME_US, HOUR_US
from farthing.ledger.page import entry_of
from farthing.ledger.sqlite_archived import archived_corrections, archived_lines, with_archived
from farthing.ledger.sqlite_rows import (
    ACCOUNT_COLUMNS,
    ENTRY_COLUMNS,
    SqlRow,
    account_from,
    as_json,
    draft_from,
    read_entries,
)

# ── accounts, holds, owners ─────────────────────────────────────────────────────────────────────

_BALANCE = " ".join(("SELECT", ACCOUNT_COLUMNS, "FROM account WHERE account = ?"))
_BALANCES = " ".join(
    (
        "SELECT",
        ACCOUNT_COLUMNS,
        """FROM account
        WHERE (:budget IS NULL OR budget = :budget)
          AND (:at_us IS NULL OR coalesce(starts_at_us <= :at_us, TRUE))
          AND (:at_us IS NULL OR coalesce(:at_us < ends_at_us, TRUE))
        ORDER BY account""",
    )
)


def balance(connection: sqlite3.Connection, account: str, at_us: int | None) -> Balance | None:
    """One account."""
    row = connection.execute(_BALANCE, (account,)).fetchone()
    return None if row is None else account_from(row).as_of(at_us).balance()


def balances(
    connection: sqlite3.Connection, budget: str | None, current_at_us: int | None, at_us: int | None
) -> list[Balance]:
    """Accounts, by name."""
    rows = connection.execute(_BALANCES, {"budget": budget, "at_us": current_at_us})
    shown_at_us = current_at_us if at_us is None else at_us
    return [account_from(row).as_of(shown_at_us).balance() for row in rows]


def open_holds(connection: sqlite3.Connection) -> list[OpenHold]:
    """Calls in flight, oldest first."""
    holds = [draft_from(text).open_hold() for (text,) in connection.execute("SELECT draft FROM hold")]
    return sorted(holds, key=lambda hold: (hold.at_us, hold.call_id))


def owners(connection: sqlite3.Connection) -> list[Owner]:
    """Owners that have not been found dead."""
    return [
        Owner(owner=owner, host=host, process=process, renewed_at_us=renewed_at_us, until_us=until_us)
        for owner, host, process, renewed_at_us, until_us in connection.execute(
            "SELECT owner, host, process, renewed_at_us, until_us FROM owner ORDER BY owner"
        )
    ]


# ── calls ───────────────────────────────────────────────────────────────────────────────────────


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which calls are asked for."""

    limit: int
    before: tuple[int, str] | None
    outcome: str | None
    environment: str | None
    key: str | None
    labels: Mapping[str, str]
    request_id: str | None
    since_us: int | None
    until_us: int | None


_SELECT = " ".join(("SELECT", ENTRY_COLUMNS, "FROM entry"))
_ENTRY = " ".join((_SELECT, "WHERE call_id = ?"))
_CORRECTIONS = " ".join((_SELECT, "WHERE call_id IN (SELECT value FROM json_each(?)) AND correction = 1"))
# The index that narrows most leads; the other filters are looked at row by row.
_BY_REQUEST = "INDEXED BY entry_by_request WHERE correction = 0 AND request_id = :request_id"
_BY_OUTCOME = """INDEXED BY entry_by_outcome
    WHERE correction = 0 AND outcome <> 'settled' AND outcome = :outcome"""
_BY_TIME = "INDEXED BY entry_by_time WHERE correction = 0"
_REST = """
    AND at_us >= :since_us AND at_us < :until_us
    AND (at_us, call_id) < (:before_us, :before_id)
    AND (:request_id IS NULL OR request_id = :request_id)
    AND (:outcome IS NULL OR outcome = :outcome)
    AND (:key IS NULL OR key = :key)
    AND (:environment IS NULL OR environment = :environment)
    AND (:labels IS NULL OR NOT EXISTS (
        SELECT 1 FROM json_each(:labels) AS wanted
        WHERE coalesce((
            SELECT given.value FROM json_each(details, '$.facts.labels') AS given WHERE given.key = wanted.key
        ) <> wanted.value, TRUE)
    ))
    ORDER BY at_us DESC, call_id DESC
    LIMIT :limit
"""


def entry(connection: sqlite3.Connection, call_id: str) -> Entry | None:
    """One call, its correction applied."""
    lines = read_entries(connection, connection.execute(_ENTRY, (call_id,)))
    lines += archived_lines(connection, [call_id], lines)
    by_kind = {line.correction: line for line in lines}
    first = by_kind.get(False)  # it may be forgotten while its correction, which came later, is not
    return None if first is None else entry_of(first, by_kind.get(True))


def entries(connection: sqlite3.Connection, wanted: Wanted) -> list[Entry]:
    """Calls, newest first, their corrections applied."""
    rows: list[SqlRow] = []
    for since_us, until_us in _spans(connection, wanted):
        statement, values = entries_statement(wanted, since_us, until_us, wanted.limit - len(rows))
        rows += connection.execute(statement, values).fetchall()
        if len(rows) >= wanted.limit:
            break
    first = read_entries(connection, rows)
    first = with_archived(connection, wanted, first, _spans(connection, wanted))
    ids = as_json([line.call_id for line in first])
    found = read_entries(connection, connection.execute(_CORRECTIONS, (ids,)))
    corrections = {line.call_id: line for line in (*archived_corrections(connection, first), *found)}
    return [entry_of(line, corrections.get(line.call_id)) for line in first]


def entries_statement(
    wanted: Wanted, since_us: int, until_us: int, limit: int
) -> tuple[str, dict[str, object]]:
    """The statement that finds calls in a span of time, and its values."""
    if wanted.request_id is not None:
        lead = _BY_REQUEST
    elif wanted.outcome is not None and wanted.outcome != "settled":
        lead = _BY_OUTCOME
    else:
        lead = _BY_TIME
    before_us, before_id = wanted.before or (END_OF_TIME_US, "")
    values = {
        "since_us": since_us,
        "until_us": until_us,
        "before_us": before_us,
        "before_id": before_id,
        "request_id": wanted.request_id,
        "outcome": wanted.outcome,
        "key": wanted.key,
        "environment": wanted.environment,
        "labels": msgspec.json.encode(wanted.labels).decode() if wanted.labels else None,
        "limit": limit,
    }
    return " ".join((_SELECT, lead, _REST)), values


# Every hour with entries, from the last one back, and whether the label occurs in it.
_HOURS_OF_LABEL = """
    WITH RECURSIVE kept(hour) AS (
        SELECT max(period) FROM label_sum WHERE grain = 0 AND period <= :last
        UNION ALL
        SELECT (SELECT max(period) FROM label_sum WHERE grain = 0 AND period < kept.hour)
        FROM kept WHERE kept.hour IS NOT NULL AND kept.hour > :first
    )
    SELECT hour FROM kept
    WHERE hour >= :first AND EXISTS (
        SELECT 1 FROM label_sum
        WHERE grain = 0 AND period = kept.hour AND name = :name AND value = :value
          AND (:environment IS NULL OR environment = :environment)
    )
"""
_HOURS = """
    SELECT DISTINCT period FROM spend_sum
    WHERE grain = 0 AND period BETWEEN :first AND :last
      AND (:environment IS NULL OR environment = :environment)
      AND (:key IS NULL OR key = :key)
    ORDER BY period DESC
"""


def _spans(connection: sqlite3.Connection, wanted: Wanted) -> Iterator[tuple[int, int]]:
    """The spans of time to look into, newest first.

    Labels, environments and keys have no index of their own; roll-ups know the hours they occur in.
    """
    since_us = 0 if wanted.since_us is None else wanted.since_us
    until_us = END_OF_TIME_US if wanted.until_us is None else wanted.until_us
    if wanted.before is not None:
        until_us = min(until_us, wanted.before[0] + 1)
    has_index = wanted.request_id is not None or wanted.outcome not in (None, "settled")
    if has_index or (not wanted.labels and wanted.environment is None and wanted.key is None):
        yield since_us, until_us
        return
    name, value = next(iter(wanted.labels.items()), (None, None))
    hours = connection.execute(
        _HOURS if name is None else _HOURS_OF_LABEL,
        {
            "name": name,
            "value": value,
            "first": since_us // HOUR_US,
            "last": until_us // HOUR_US,
            "environment": wanted.environment,
            "key": wanted.key,
        },
    )
    for (hour,) in hours:  # found one by one, for as long as they are asked for
        yield max(since_us, hour * HOUR_US), min(until_us, (hour + 1) * HOUR_US)


# ── facts ───────────────────────────────────────────────────────────────────────────────────────────


def fact(connection: sqlite3.Connection, name: str) -> str | None:
    """What is kept under a name."""
    row = connection.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()
    return None if row is None else str(row[0])


def remember(connection: sqlite3.Connection, name: str, value: str, instead_of: str | None) -> str:
    """Keep a fact unless another one than the one that gives way is kept; answer what is kept."""
    connection.execute("UPDATE fact SET value = ? WHERE name = ? AND value = ?", (value, name, instead_of))
    connection.execute("INSERT INTO fact VALUES (?, ?) ON CONFLICT DO NOTHING", (name, value))
    return fact(connection, name) or value
