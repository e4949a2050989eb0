"""Stops in SQLite: those that are live, read in the transaction of each hold, and all there ever were."""

import sqlite3
from collections.abc import Iterable

import msgspec

from farthing.domain.stop import Stop
from farthing.ledger.auditing import resume_act, stop_act
from farthing.ledger.sqlite_audit import add_act
from farthing.ledger.sqlite_rows import SqlRow

_COLUMNS = "stop_id, match, reason, stopped_by, at_us, resumed_at_us, resumed_by, resumed_reason"
# Without a live stop this looks at one empty page.
_LIVE = " ".join(
    ("SELECT", _COLUMNS, "FROM stop INDEXED BY stop_live WHERE resumed_at_us IS NULL ORDER BY at_us, stop_id")
)
_ALL = " ".join(("SELECT", _COLUMNS, "FROM stop ORDER BY at_us DESC, stop_id DESC"))
_ADD = "INSERT INTO stop VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_RESUME = " ".join(
    (
        """UPDATE stop SET resumed_at_us = ?, resumed_by = ?, resumed_reason = ?
        WHERE stop_id = ? AND resumed_at_us IS NULL RETURNING""",
        _COLUMNS,
    )
)

_decode_match = msgspec.json.Decoder(dict[str, str]).decode


def live_stops(connection: sqlite3.Connection) -> list[Stop]:
    """Stops that refuse calls now, oldest first."""
    return _stops(connection.execute(_LIVE))


def all_stops(connection: sqlite3.Connection) -> list[Stop]:
    """Every stop there ever was, newest first."""
    return _stops(connection.execute(_ALL))


def add_stop(connection: sqlite3.Connection, stop: Stop) -> None:
    """Keep a stop; from now on it refuses calls."""
    match = msgspec.json.encode(stop.match).decode()
    lifted = (stop.resumed_at_us, stop.resumed_by, stop.resumed_reason)
    connection.execute(_ADD, (stop.stop_id, match, stop.reason, stop.by, stop.at_us, *lifted))
    add_act(connection, stop_act(stop))


def resume(connection: sqlite3.Connection, stop_id: str, at_us: int, by: str, reason: str) -> bool:
    """Lift a stop that is live."""
    lifted = _stops(connection.execute(_RESUME, (at_us, by, reason, stop_id)))
    for stop in lifted:
        add_act(connection, resume_act(stop, at_us=at_us, by=by, reason=reason))
    return bool(lifted)


def _stops(rows: Iterable[SqlRow]) -> list[Stop]:
    return [
        Stop(
            stop_id=stop_id,
            match=_decode_match(match),
            reason=reason,
            by=by,
            at_us=at_us,
            resumed_at_us=resumed_at_us,
            resumed_by=resumed_by,
            resumed_reason=resumed_reason,
        )
        for stop_id, match, reason, by, at_us, resumed_at_us, resumed_by, resumed_reason in rows
    ]
