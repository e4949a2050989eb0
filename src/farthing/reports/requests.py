"""Requests for more of a budget as people see them."""

from farthing.domain.period import iso_utc
from farthing.ledger.requests import BudgetRequest


def request_json(row: BudgetRequest) -> dict[str, object]:
    """Show a request, with its answer where it has one."""
    return {
        "request_id": row.request_id,
        "state": row.state,
        "budget": row.budget,
        "value": row.value,
        "run": row.run,
        "window": row.window,
        "amount_nanodollars": row.amount_nanodollars,
        "until": _moment(row.until_us),
        "reason": row.reason,
        "by": row.by,
        "at": iso_utc(row.at_us),
        "granted_nanodollars": row.granted_nanodollars,
        "answered_at": _moment(row.answered_at_us),
        "answered_by": row.answered_by,
        "answer": row.answer,
    }


def _moment(at_us: int | None) -> str | None:
    return None if at_us is None else iso_utc(at_us)
