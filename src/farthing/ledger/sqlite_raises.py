"""Raises of limits in SQLite: what a batch needs of them, what it adds, and all there ever were."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from farthing.ledger.auditing import raise_act
from farthing.ledger.page import Account
from farthing.ledger.raising import RaiseRow, Raises
from farthing.ledger.sqlite_audit import add_act

_COLUMNS = "raise_id, account, at_us, amount, limit_before, limit_after, until_us, raised_by, reason"
_KNOWN = " ".join(
    (
        "SELECT",
        _COLUMNS,
        "FROM limit_raise JOIN account USING (account_id)",
        "WHERE raise_id IN (SELECT value FROM json_each(?))",
    )
)
_ASKED = " ".join(
    (
        "SELECT",
        _COLUMNS,
        """FROM limit_raise JOIN account USING (account_id)
        WHERE (:budget IS NULL OR budget = :budget) AND (:account IS NULL OR account = :account)
        ORDER BY at_us DESC, raise_id DESC LIMIT :limit""",
    )
)
_ADD = "INSERT INTO limit_raise VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_RIDE = "UPDATE account SET raises = ? WHERE account_id = ?"

_decode = msgspec.json.Decoder(Raises).decode


def raises_from(text: str | None) -> Raises:
    """What rides on the row of an account; nearly always nothing."""
    return _decode(text) if text else ()


def known_raises(connection: sqlite3.Connection, raise_ids: Sequence[str]) -> list[RaiseRow]:
    """Those of the raises that are kept already."""
    return _rows(connection.execute(_KNOWN, (msgspec.json.encode(raise_ids).decode(),)))


def raises(
    connection: sqlite3.Connection, budget: str | None, account: str | None, limit: int
) -> list[RaiseRow]:
    """Raises, newest first."""
    return _rows(connection.execute(_ASKED, {"budget": budget, "account": account, "limit": limit}))


def write_raises(
    connection: sqlite3.Connection,
    rows: Sequence[RaiseRow],
    accounts: Mapping[str, Account],
    numbers: Mapping[str, int],
) -> None:
    """Keep what a batch raised, and let it ride on the accounts."""
    for row in rows:
        number = numbers[row.account]
        told = (row.at_us, row.amount, row.limit_before, row.limit_after, row.until_us, row.by, row.reason)
        connection.execute(_ADD, (row.raise_id, number, *told))
        rides = msgspec.json.encode(accounts[row.account].raises).decode()
        connection.execute(_RIDE, (rides, number))
        add_act(connection, raise_act(row, accounts[row.account].unit))


def _rows(found: Iterable[tuple[Any, ...]]) -> list[RaiseRow]:
    names = RaiseRow.__struct_fields__
    return [RaiseRow(**dict(zip(names, row, strict=True))) for row in found]
