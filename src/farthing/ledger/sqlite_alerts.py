"""Alerts in SQLite: note each once, tell the newest."""

import sqlite3
from collections.abc import Sequence

import msgspec

from farthing.domain.alert import Alert

_NOTE = "INSERT INTO alert VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_NEWEST = """
    SELECT told FROM alert WHERE :budget IS NULL OR budget = :budget
    ORDER BY at_us DESC, account, threshold_percent DESC LIMIT :limit
"""

_decode = msgspec.json.Decoder(Alert).decode


def note_alerts(connection: sqlite3.Connection, alerts: Sequence[Alert]) -> None:
    """Keep the alerts that nobody noted before."""
    connection.executemany(
        _NOTE,
        [(*alert.key, alert.at_us, alert.budget, msgspec.json.encode(alert).decode()) for alert in alerts],
    )


def newest_alerts(connection: sqlite3.Connection, budget: str | None, limit: int) -> list[Alert]:
    """Alerts of a budget or of all, newest first."""
    rows = connection.execute(_NEWEST, {"budget": budget, "limit": limit}).fetchall()
    return [_decode(told) for (told,) in rows]
