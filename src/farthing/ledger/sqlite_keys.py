"""Keys of callers in SQLite: their rows, with what they are found by."""

import sqlite3
from typing import Any

import msgspec

from farthing.ledger.people import KeyRow

_COLUMNS = (
    'key_id, sha256, environment, label, created_at_us, "group", developer, revoked_at_us, expires_at_us'
)
_ADD = f"INSERT INTO api_key ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - our own columns
_BY_HASH = " ".join(("SELECT", _COLUMNS, "FROM api_key WHERE sha256 = ?"))
_BY_ID = " ".join(("SELECT", _COLUMNS, "FROM api_key WHERE key_id = ?"))
_ALL = " ".join(("SELECT", _COLUMNS, "FROM api_key ORDER BY environment, label"))
_RETIRED = "SELECT key_id, until_us FROM retired_secret WHERE sha256 = ?"
_RETIRE = "INSERT INTO retired_secret VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_REVOKE = " ".join(
    ("UPDATE api_key SET revoked_at_us = ? WHERE key_id = ? AND revoked_at_us IS NULL RETURNING", _COLUMNS)
)


def add_key(connection: sqlite3.Connection, row: KeyRow) -> None:
    """Remember a key."""
    try:
        connection.execute(_ADD, msgspec.structs.astuple(row))
    except sqlite3.IntegrityError as error:
        raise ValueError(f"{row.environment} has a key {row.label!r} already, or this very key") from error


def key_by_hash(connection: sqlite3.Connection, sha256: bytes) -> KeyRow | None:
    """The key with this hash, or that had it; a secret that was replaced expires when its time is over."""
    row = connection.execute(_BY_HASH, (sha256,)).fetchone()
    if row is not None:
        return _key_from(row)
    retired = connection.execute(_RETIRED, (sha256,)).fetchone()
    if retired is None:
        return None
    key = _key_from(connection.execute(_BY_ID, (retired[0],)).fetchone())
    return key.with_secret(sha256, until_us=retired[1])


def keys(connection: sqlite3.Connection) -> list[KeyRow]:
    """All keys, by environment and label."""
    return [_key_from(row) for row in connection.execute(_ALL)]


def rotate_key(
    connection: sqlite3.Connection,
    key_id: str,
    sha256: bytes,
    *,
    old_until_us: int,
    expires_at_us: int | None,
) -> KeyRow | None:
    """Give a key that stands another secret, and tell which; None where there is none."""
    row = connection.execute(_BY_ID, (key_id,)).fetchone()
    if row is None or _key_from(row).revoked_at_us is not None:
        return None
    before = _key_from(row)
    connection.execute(_RETIRE, (before.sha256, key_id, old_until_us))
    connection.execute(
        "UPDATE api_key SET sha256 = ?, expires_at_us = ? WHERE key_id = ?", (sha256, expires_at_us, key_id)
    )
    return msgspec.structs.replace(before, sha256=sha256, expires_at_us=expires_at_us)


def revoke_key(connection: sqlite3.Connection, key_id: str, at_us: int) -> KeyRow | None:
    """Revoke a key that stands, and tell which; None where there is none."""
    row = connection.execute(_REVOKE, (at_us, key_id)).fetchone()
    return None if row is None else _key_from(row)


def _key_from(row: tuple[Any, ...]) -> KeyRow:
    return KeyRow(**dict(zip(KeyRow.__struct_fields__, row, strict=True)))
