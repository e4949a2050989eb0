"""Keys of callers in SQLite: their rows, with what they are found by."""

import sqlite3

from farthing.ledger.entries import KeyRow

_KEY_COLUMNS = 'key_id, sha256, environment, label, created_at_us, "group", developer, revoked_at_us'
_KEY_BY_HASH = " ".join(("SELECT", _KEY_COLUMNS, "FROM api_key WHERE sha256 = ?"))
_KEYS = " ".join(("SELECT", _KEY_COLUMNS, "FROM api_key ORDER BY environment, label"))
_REVOKE = " ".join(
    (
        "UPDATE api_key SET revoked_at_us = ? WHERE key_id = ? AND revoked_at_us IS NULL RETURNING",
        _KEY_COLUMNS,
    )
)


def add_key(connection: sqlite3.Connection, row: KeyRow) -> None:
    """Remember a key."""
    try:
        connection.execute(
            "INSERT INTO api_key VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                row.key_id,
                row.sha256,
                row.environment,
                row.label,
                row.created_at_us,
                row.group,
                row.developer,
                row.revoked_at_us,
            ),
        )
    except sqlite3.IntegrityError as error:
        raise ValueError(f"{row.environment} has a key {row.label!r} already, or this very key") from error


def key_by_hash(connection: sqlite3.Connection, sha256: bytes) -> KeyRow | None:
    """The key with this hash."""
    row = connection.execute(_KEY_BY_HASH, (sha256,)).fetchone()
    return None if row is None else _key_from(row)


def keys(connection: sqlite3.Connection) -> list[KeyRow]:
    """All keys, by environment and label."""
    return [_key_from(row) for row in connection.execute(_KEYS)]


def revoke_key(connection: sqlite3.Connection, key_id: str, at_us: int) -> KeyRow | None:
    """Revoke a key that stands, and tell which; None where there is none."""
    row = connection.execute(_REVOKE, (at_us, key_id)).fetchone()
    return None if row is None else _key_from(row)


def _key_from(row: tuple[str, bytes, str, str, int, str | None, str | None, int | None]) -> KeyRow:
    key_id, sha256, environment, label, created_at_us, group, developer, revoked_at_us = row
    return KeyRow(
        key_id=key_id,
        sha256=sha256,
        environment=environment,
        label=label,
        created_at_us=created_at_us,
        group=group,
        developer=developer,
        revoked_at_us=revoked_at_us,
    )
