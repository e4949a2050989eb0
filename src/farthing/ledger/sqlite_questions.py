"""The questions a SQLite ledger answers: balances, calls, spend, holds, owners, facts."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from farthing.ledger.entries import Balance, Entry, OpenHold, Owner
from farthing.ledger.page import entry_of
from farthing.ledger.rollups import HOUR_US
from farthing.ledger.slices import Slice, SpendRow, slice_of
from farthing.ledger.sqlite_rows import (
    ACCOUNT_COLUMNS,
    ENTRY_COLUMNS,
    MEASURE_COLUMNS,
    SqlRow,
    account_from,
    as_json,
    draft_from,
    read_entries,
)

_END_OF_TIME_US = 2**62


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
    by_kind = {line.correction: line for line in lines}
    return entry_of(by_kind[False], by_kind.get(True)) if by_kind else None


def entries(connection: sqlite3.Connection, wanted: Wanted) -> list[Entry]:
    """Calls, newest first, their corrections applied."""
    rows: list[SqlRow] = []
    for since_us, until_us in _spans(connection, wanted):
        statement, values = entries_statement(wanted, since_us, until_us, wanted.limit - len(rows))
        rows += connection.execute(statement, values).fetchall()
        if len(rows) >= wanted.limit:
            break
    first = read_entries(connection, rows)
    ids = as_json([line.call_id for line in first])
    corrections = {
        line.call_id: line for line in read_entries(connection, connection.execute(_CORRECTIONS, (ids,)))
    }
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
    before_us, before_id = wanted.before or (_END_OF_TIME_US, "")
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


_HOURS_OF_LABEL = """
    SELECT DISTINCT hour FROM spend_label
    WHERE name = :name AND value = :value AND hour BETWEEN :first AND :last
      AND (:environment IS NULL OR environment = :environment)
    ORDER BY hour DESC
"""
_HOURS = """
    SELECT DISTINCT hour FROM spend_hour
    WHERE hour BETWEEN :first AND :last
      AND (:environment IS NULL OR environment = :environment)
      AND (:key IS NULL OR key = :key)
    ORDER BY hour DESC
"""


def _spans(connection: sqlite3.Connection, wanted: Wanted) -> Iterator[tuple[int, int]]:
    """The spans of time to look into, newest first.

    Labels, environments and keys have no index of their own; roll-ups know the hours they occur in.
    """
    since_us = 0 if wanted.since_us is None else wanted.since_us
    until_us = _END_OF_TIME_US if wanted.until_us is None else wanted.until_us
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


# ── spend ───────────────────────────────────────────────────────────────────────────────────────

_SUMS = ", ".join(["sum(" + name + ")" for name in MEASURE_COLUMNS])
_SPEND_BY_HOUR = " ".join(
    (
        """SELECT iif(:by_hour, hour, NULL), iif(:by_environment, environment, NULL),
        iif(:by_group, "group", NULL), iif(:by_key, key, NULL), iif(:by_developer, developer, NULL),
        iif(:by_provider, provider, NULL), iif(:by_model, model, NULL),
        iif(:by_model_asked, model_asked, NULL),""",
        _SUMS,
        """FROM spend_hour
        WHERE hour BETWEEN :first AND :last
          AND (:environment IS NULL OR environment = :environment)
          AND (:group IS NULL OR "group" = :group)
          AND (:key IS NULL OR key = :key)
          AND (:developer IS NULL OR developer = :developer)
          AND (:provider IS NULL OR provider = :provider)
          AND (:model IS NULL OR model = :model)
          AND (:model_asked IS NULL OR model_asked = :model_asked)
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8 ORDER BY 1, 2, 3, 4, 5, 6, 7, 8""",
    )
)
_SPEND_BY_RUN = " ".join(
    (
        "SELECT iif(:by_environment, environment, NULL), iif(:by_run, run, NULL),",
        _SUMS,
        """FROM spend_run
        WHERE first_at_us >= :since_us AND first_at_us < :until_us
          AND (:environment IS NULL OR environment = :environment)
          AND (:run IS NULL OR run = :run)
        GROUP BY 1, 2 ORDER BY 1, 2""",
    )
)
_SPEND_BY_LABEL = " ".join(
    (
        """SELECT iif(:by_hour, hour, NULL), iif(:by_environment, environment, NULL),
        iif(:by_value, value, NULL),""",
        _SUMS,
        """FROM spend_label
        WHERE name = :name AND hour BETWEEN :first AND :last
          AND (:environment IS NULL OR environment = :environment)
          AND (:value IS NULL OR value = :value)
        GROUP BY 1, 2, 3 ORDER BY 1, 2, 3""",
    )
)
_STATEMENTS = {"hour": _SPEND_BY_HOUR, "run": _SPEND_BY_RUN, "label": _SPEND_BY_LABEL}


def spend(
    connection: sqlite3.Connection,
    by: Sequence[str],
    since_us: int | None,
    until_us: int | None,
    where: Mapping[str, str],
) -> list[SpendRow]:
    """Sum a roll-up by the dimensions asked for."""
    asked = slice_of(by, where)
    until_us = _END_OF_TIME_US if until_us is None else until_us
    values: dict[str, object] = {
        "since_us": since_us or 0,
        "until_us": until_us,
        "first": (since_us or 0) // HOUR_US,
        "last": -(-until_us // HOUR_US) - 1,
        "name": asked.label,
    }
    for dimension in asked.dimensions:
        values["by_" + dimension] = dimension in asked.by
        values[dimension] = asked.where.get(dimension)
    rows = connection.execute(_STATEMENTS[asked.rollup], values)
    return [_spend_row(asked, row) for row in rows]


def _spend_row(asked: Slice, row: SqlRow) -> SpendRow:
    width = len(asked.dimensions)
    return asked.row(dict(zip(asked.dimensions, row[:width], strict=True)), row[width:])


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
