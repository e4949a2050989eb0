"""What is told once about an account, in SQLite: note a mark, look for it, forget those of old windows."""

import sqlite3

from farthing.ledger.store import MARKS_KEPT_US

_NOTED = "SELECT 1 FROM mark WHERE account = ? AND mark = ?"
_NOTE = "INSERT INTO mark VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
_FORGET = "DELETE FROM mark WHERE ends_at_us IS NOT NULL AND ends_at_us < ?"


def is_noted(connection: sqlite3.Connection, account: str, mark: str) -> bool:
    """Whether somebody noted it before."""
    return connection.execute(_NOTED, (account, mark)).fetchone() is not None


def note(connection: sqlite3.Connection, account: str, mark: str, at_us: int, ends_at_us: int | None) -> bool:
    """Note a mark; whether this was the first time."""
    is_first = connection.execute(_NOTE, (account, mark, at_us, ends_at_us)).rowcount == 1
    if is_first:
        connection.execute(_FORGET, (at_us - MARKS_KEPT_US,))
    return is_first
