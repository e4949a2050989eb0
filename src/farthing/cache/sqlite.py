"""Answers kept in a SQLite file of their own, which processes share; only its owner can read it."""

import hashlib
import logging
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import msgspec

from farthing.cache.kept import CacheBusy, CacheUnavailable, Filled, Kept, Room

# Whoever finds the file in use goes without it rather than wait.
LOCK_DEADLINE_S = 0.25
_VERSION = 1
_OUTLIVED_MOST = 100
_SUFFIXES = ("", "-wal", "-shm")

_SCHEMA = """
    CREATE TABLE answer (
        answer_id INTEGER PRIMARY KEY,
        environment TEXT NOT NULL,
        key BLOB NOT NULL,
        used INTEGER NOT NULL,
        stored_at_us INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        digest BLOB NOT NULL,
        answer BLOB NOT NULL,
        UNIQUE (environment, key)
    ) STRICT;
    CREATE INDEX answer_by_use ON answer (environment, used);
    CREATE INDEX answer_by_age ON answer (environment, stored_at_us);
    CREATE TABLE filled (
        environment TEXT PRIMARY KEY,
        entries INTEGER NOT NULL,
        bytes INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TRIGGER answer_came AFTER INSERT ON answer
    BEGIN
        INSERT INTO filled VALUES (new.environment, 1, new.bytes)
        ON CONFLICT (environment) DO UPDATE
        SET entries = entries + 1, bytes = filled.bytes + excluded.bytes;
    END;
    CREATE TRIGGER answer_went AFTER DELETE ON answer
    BEGIN
        UPDATE filled SET entries = entries - 1, bytes = bytes - old.bytes
        WHERE environment = old.environment;
    END;
"""
_FIND = "SELECT answer_id, digest, answer FROM answer WHERE environment = ? AND key = ? AND stored_at_us > ?"
_NEXT_USE = "(SELECT coalesce(max(used), 0) + 1 FROM answer WHERE environment = ?1)"
_USE = " ".join(("UPDATE answer SET used =", _NEXT_USE, "WHERE environment = ?1 AND key = ?2"))
_KEEP = " ".join(
    (
        "INSERT INTO answer (environment, key, used, stored_at_us, bytes, digest, answer)",
        "VALUES (?1, ?2,", _NEXT_USE, ", ?3, ?4, ?5, ?6)",
    )
)  # fmt: skip
_DROP = "DELETE FROM answer WHERE environment = ? AND key = ?"
_DROP_OUTLIVED = """
    DELETE FROM answer WHERE answer_id IN (
        SELECT answer_id FROM answer WHERE environment = ? AND stored_at_us <= ? LIMIT ?
    )
"""
_DROP_USED_LONGEST_AGO = """
    DELETE FROM answer WHERE answer_id IN (
        SELECT answer_id FROM answer WHERE environment = ? ORDER BY used LIMIT ?
    )
"""
_FILLED = """
    SELECT environment, entries, bytes,
        (SELECT min(stored_at_us) FROM answer WHERE answer.environment = filled.environment)
    FROM filled WHERE entries > 0 ORDER BY environment
"""

log = logging.getLogger("farthing.cache")

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Kept).decode


class SqliteAnswers:
    """Keeps answers in one file; each is written in one transaction, so it is there whole or not at all.

    inside: entered around every step inside SQLite, to keep forks out of it.
    """

    def __init__(
        self,
        path: Path,
        *,
        inside: AbstractContextManager[None],
        lock_deadline_s: float = LOCK_DEADLINE_S,
    ) -> None:
        self._path = path
        self._inside = inside
        with self._translated():
            self._connection = _open(path, lock_deadline_s)
        _open_connections[id(self)] = self._connection

    def find(self, environment: str, keys: Sequence[bytes], *, since_us: int) -> tuple[int, Kept] | None:
        """The answer to the first of these keys that was stored after a moment, with the key's place."""
        with self._translated():
            for place, key in enumerate(keys):
                row = self._connection.execute(_FIND, (environment, key, since_us)).fetchone()
                kept = None if row is None else self._whole(*row)
                if kept is not None:
                    return place, kept
        return None

    def _whole(self, answer_id: int, digest: bytes, answer: bytes) -> Kept | None:
        """Read an answer; one that is not what was written is forgotten."""
        if _digest(answer) == digest:
            return _decode(answer)
        log.warning("farthing: an answer in the cache %s was damaged; it is forgotten", self._path)
        self._connection.execute("DELETE FROM answer WHERE answer_id = ?", (answer_id,))
        return None

    def use(self, environment: str, key: bytes) -> None:
        """Say that an answer was used just now."""
        with self._translated():
            self._connection.execute(_USE, (environment, key))

    def keep(self, environment: str, key: bytes, kept: Kept, room: Room) -> None:
        """Keep an answer in the place of an older one, and let go of what there is no room for."""
        answer = _encode(kept)
        with self._translated(), _transaction(self._connection) as connection:
            connection.execute(_DROP, (environment, key))
            if len(answer) > room.bytes_max:
                return
            outlived_us = kept.stored_at_us - room.kept_us
            connection.execute(_DROP_OUTLIVED, (environment, outlived_us, _OUTLIVED_MOST))
            row = (environment, key, kept.stored_at_us, len(answer), _digest(answer), answer)
            connection.execute(_KEEP, row)
            self._make_room(environment, room)

    def _make_room(self, environment: str, room: Room) -> None:
        sizes = "SELECT entries, bytes FROM filled WHERE environment = ?"
        while True:
            ((entries, held_bytes),) = self._connection.execute(sizes, (environment,)).fetchall()
            if entries <= room.entries_max and held_bytes <= room.bytes_max:
                return
            too_many = max(entries - room.entries_max, 1)
            self._connection.execute(_DROP_USED_LONGEST_AGO, (environment, too_many))

    def clear(self, environment: str | None = None) -> int:
        """Forget every answer of an environment, or of all, and give its room on the disk back."""
        with self._translated():
            with _transaction(self._connection) as connection:
                if environment is None:
                    cleared = connection.execute("DELETE FROM answer").rowcount
                else:
                    cleared = connection.execute(
                        "DELETE FROM answer WHERE environment = ?", (environment,)
                    ).rowcount
            self._shrink()
        return cleared

    def _shrink(self) -> None:
        try:
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.OperationalError:
            return  # others are reading: what was deleted is overwritten already, the rest follows later

    def filled(self) -> list[Filled]:
        """What is kept, by environment."""
        with self._translated():
            rows = self._connection.execute(_FILLED).fetchall()
        return [
            Filled(environment=name, entries=entries, bytes=held_bytes, oldest_at_us=oldest)
            for name, entries, held_bytes, oldest in rows
        ]

    def close(self) -> None:
        """Let go of the file."""
        _open_connections.pop(id(self), None)
        with self._translated():
            self._connection.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            with self._inside:
                yield
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            kind = CacheBusy if busy else CacheUnavailable
            raise kind(f"the cache {self._path} cannot be used: {error}") from error
        except (sqlite3.Error, OSError, msgspec.DecodeError) as error:
            raise CacheUnavailable(f"the cache {self._path} cannot be used: {error}") from error


def remove(path: Path) -> None:
    """Remove the file of a cache, whatever state it is in."""
    for suffix in _SUFFIXES:
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _open(path: Path, lock_deadline_s: float) -> sqlite3.Connection:
    # It holds the text of answers: nobody else may read it. SQLite gives its journal the same mode.
    with suppress(FileExistsError):  # a file in use must not be opened beside SQLite: closing it ends locks
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    path.chmod(0o600)
    connection = sqlite3.connect(path, timeout=lock_deadline_s, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA secure_delete = ON")
        _prepare(connection)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    """Make the tables; those of another version are not worth translating."""
    if _version(connection) == _VERSION:
        return
    with _transaction(connection):
        if _version(connection) == _VERSION:
            return
        connection.execute("DROP TABLE IF EXISTS answer")
        connection.execute("DROP TABLE IF EXISTS filled")
        for statement in _statements(_SCHEMA):
            connection.execute(statement)
        connection.execute("PRAGMA user_version = " + str(_VERSION))


def _version(connection: sqlite3.Connection) -> int:
    ((version,),) = connection.execute("PRAGMA user_version").fetchall()
    return int(version)


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _digest(answer: bytes) -> bytes:
    return hashlib.blake2b(answer, digest_size=16).digest()


# SQLite forbids even closing a connection in a forked child; what is inherited is never collected.
_open_connections: dict[int, sqlite3.Connection] = {}
_inherited: list[sqlite3.Connection] = []


def _abandon_inherited() -> None:
    _inherited.extend(_open_connections.values())
    _open_connections.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_inherited)
