"""Premium passes in SQLite: those that are not over, and all there ever were."""

import sqlite3
from collections.abc import Iterable
from typing import Any

from farthing.domain.premium_pass import PremiumPass
from farthing.ledger.auditing import grant_act, lapse_act, pass_end_act
from farthing.ledger.sqlite_audit import add_act

_COLUMNS = (
    "pass_id, model, environment, key, developer, budget_nanodollars, at_us, until_us, granted_by, reason, "
    "ended_at_us, ended_by, ended_reason"
)
# Without a pass this looks at one empty page.
_OPEN = " ".join(
    (
        "SELECT",
        _COLUMNS,
        "FROM premium_pass INDEXED BY premium_pass_live WHERE ended_at_us IS NULL ORDER BY at_us, pass_id",
    )
)
_ALL = " ".join(("SELECT", _COLUMNS, "FROM premium_pass ORDER BY at_us DESC, pass_id DESC"))
_ADD = "INSERT INTO premium_pass VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_END = " ".join(
    (
        """UPDATE premium_pass SET ended_at_us = ?, ended_by = ?, ended_reason = ?
        WHERE pass_id = ? AND ended_at_us IS NULL AND until_us > ? RETURNING""",
        _COLUMNS,
    )
)
_LAPSE = " ".join(
    (
        """UPDATE premium_pass SET ended_at_us = until_us, ended_by = 'farthing', ended_reason = 'lapsed'
        WHERE ended_at_us IS NULL AND until_us <= ? RETURNING""",
        _COLUMNS,
    )
)


def open_passes(connection: sqlite3.Connection) -> list[PremiumPass]:
    """Passes that nobody ended and whose lapse was not noted, oldest first."""
    return _passes(connection.execute(_OPEN))


def all_passes(connection: sqlite3.Connection) -> list[PremiumPass]:
    """Every pass there ever was, newest first."""
    return _passes(connection.execute(_ALL))


def add_pass(connection: sqlite3.Connection, row: PremiumPass) -> None:
    """Keep a pass; from now on it counts."""
    values = tuple([getattr(row, name) for name in PremiumPass.__struct_fields__])
    connection.execute(_ADD, values)
    add_act(connection, grant_act(row))


def end_pass(connection: sqlite3.Connection, pass_id: str, at_us: int, by: str, reason: str) -> bool:
    """End a pass that is live."""
    ended = _passes(connection.execute(_END, (at_us, by, reason, pass_id, at_us)))
    for row in ended:
        add_act(connection, pass_end_act(row, at_us=at_us, by=by, reason=reason))
    return bool(ended)


def note_lapses(connection: sqlite3.Connection, at_us: int) -> None:
    """Note that the time of passes is over."""
    for row in _passes(connection.execute(_LAPSE, (at_us,))):
        add_act(connection, lapse_act(row))


def _passes(rows: Iterable[tuple[Any, ...]]) -> list[PremiumPass]:
    names = PremiumPass.__struct_fields__
    return [PremiumPass(**dict(zip(names, row, strict=True))) for row in rows]
