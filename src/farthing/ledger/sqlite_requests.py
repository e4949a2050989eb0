"""Requests for more of a budget in SQLite."""

import sqlite3
from typing import Any

import msgspec

from farthing.ledger.requests import BudgetRequest, Ruling, answered

_COLUMNS = (
    "request_id, budget, value, run, window, amount_nanodollars, until_us, reason, asked_by, at_us, "
    "approved, granted_nanodollars, answered_at_us, answered_by, answer"
)
_ADD = "INSERT INTO budget_request VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_ONE = " ".join(("SELECT", _COLUMNS, "FROM budget_request WHERE request_id = ?"))
_NEWEST = " ".join(
    (
        "SELECT",
        _COLUMNS,
        """FROM budget_request
        WHERE (NOT :open OR approved IS NULL) AND (:by IS NULL OR asked_by = :by)
        ORDER BY at_us DESC, request_id DESC LIMIT :limit""",
    )
)
_ANSWER = """
    UPDATE budget_request
    SET approved = ?, granted_nanodollars = ?, answered_at_us = ?, answered_by = ?, answer = ?
    WHERE request_id = ?
"""


def add_request(connection: sqlite3.Connection, row: BudgetRequest) -> None:
    """Keep a request."""
    connection.execute(_ADD, msgspec.structs.astuple(row))


def request(connection: sqlite3.Connection, request_id: str) -> BudgetRequest | None:
    """One request."""
    row = connection.execute(_ONE, (request_id,)).fetchone()
    return None if row is None else _request_from(row)


def requests(
    connection: sqlite3.Connection, limit: int, *, only_open: bool, by: str | None
) -> list[BudgetRequest]:
    """Requests, newest first."""
    rows = connection.execute(_NEWEST, {"open": only_open, "by": by, "limit": limit})
    return [_request_from(row) for row in rows]


def answer(connection: sqlite3.Connection, ruling: Ruling) -> BudgetRequest | None:
    """Answer an open request; None where there is none."""
    kept = request(connection, ruling.request_id)
    if kept is None or kept.approved is not None:
        return None
    row = answered(kept, ruling)
    told = (row.approved, row.granted_nanodollars, row.answered_at_us, row.answered_by, row.answer)
    connection.execute(_ANSWER, (*told, row.request_id))
    return row


def _request_from(row: tuple[Any, ...]) -> BudgetRequest:
    named = dict(zip(BudgetRequest.__struct_fields__, row, strict=True))
    if named["approved"] is not None:
        named["approved"] = bool(named["approved"])
    return BudgetRequest(**named)
