"""Raises as people see them: who raised which account, when, from what to what, until when and why."""

from farthing.domain.period import iso_utc
from farthing.ledger.entries import Unit
from farthing.ledger.raising import RaiseRow


def raise_json(row: RaiseRow, *, unit: Unit = Unit.NANODOLLARS) -> dict[str, object]:
    """Show a raise; amounts carry the unit of their account in their name."""
    return {
        "raise_id": row.raise_id,
        "account": row.account,
        "at": iso_utc(row.at_us),
        "by": row.by,
        "reason": row.reason,
        f"amount_{unit}": row.amount,
        f"limit_before_{unit}": row.limit_before,
        f"limit_after_{unit}": row.limit_after,
        "until": iso_utc(row.until_us) if row.until_us is not None else None,
    }
