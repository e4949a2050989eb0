"""The audit in SQLite: add a line in the transaction of what was done, tell the newest."""

import sqlite3

from farthing.ledger.auditing import Act, WantedActs

_COLUMNS = "at_us, done_by, action, about, before, after, reason"
_ADD = f"INSERT INTO audit ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - our own columns
_NEWEST = " ".join(
    (
        "SELECT",
        _COLUMNS,
        """FROM audit
        WHERE (:action IS NULL OR action = :action OR substr(action, 1, length(:action) + 1) = :action || ' ')
          AND (:by IS NULL OR done_by = :by) AND (:about IS NULL OR about = :about)
          AND (:since_us IS NULL OR at_us >= :since_us) AND (:until_us IS NULL OR at_us < :until_us)
        ORDER BY number DESC LIMIT :limit""",
    )
)


def add_act(connection: sqlite3.Connection, act: Act) -> None:
    """Keep an act for good."""
    connection.execute(_ADD, (act.at_us, act.by, act.action, act.about, act.before, act.after, act.reason))


def acts(connection: sqlite3.Connection, wanted: WantedActs, limit: int) -> list[Act]:
    """Acts, newest first."""
    asked = {name: getattr(wanted, name) for name in WantedActs.__struct_fields__}
    rows = connection.execute(_NEWEST, {**asked, "limit": limit})
    names = Act.__struct_fields__
    return [Act(**dict(zip(names, row, strict=True))) for row in rows]
