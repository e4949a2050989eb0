"""Bring a SQLite file to the schema this program knows, by numbered scripts, each applied once."""

import sqlite3
from collections.abc import Iterator
from functools import cache
from importlib import resources
from pathlib import Path

from farthing.domain.errors import LedgerUnavailable


def scripts() -> list[str]:
    """The text of every migration, in order; the n-th makes schema version n."""
    folder = resources.files("farthing.ledger") / "migrations"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda f: f.name)
    return [file.read_text(encoding="utf-8") for file in files]


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Apply what is missing, all in one transaction.

    Raises LedgerUnavailable when the file was written by a newer farthing.
    """
    known = scripts()
    if _version(connection) == len(known):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _version(connection)
        if version > len(known):
            raise LedgerUnavailable(
                f"the ledger {path} has schema {version} and this farthing knows up to {len(known)}; "
                "upgrade farthing, or point it at another file"
            )
        for script in known[version:]:
            for statement in _statements(script):
                connection.execute(statement)
        connection.execute("PRAGMA user_version = " + str(len(known)))
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def check_schema(connection: sqlite3.Connection, path: Path) -> None:
    """Ask in each transaction that writes: another farthing may have changed the schema meanwhile.

    A process that went on with the old one would leave out of the newer sums what it writes.
    Raises LedgerUnavailable.
    """
    version = _version(connection)
    if version != _known():
        raise LedgerUnavailable(
            f"the ledger {path} was brought to schema {version} while this process ran; it knows {_known()}",
            fix="start this process anew with the farthing that changed it",
        )


@cache
def _known() -> int:
    return len(scripts())


def _version(connection: sqlite3.Connection) -> int:
    ((version,),) = connection.execute("PRAGMA user_version").fetchall()
    return int(version)


def _statements(script: str) -> Iterator[str]:
    """Split a script where SQLite itself says a statement is complete; triggers hold semicolons."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
