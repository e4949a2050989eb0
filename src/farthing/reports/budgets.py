"""Budgets as people see them: what every account has spent, holds and has left."""

from collections.abc import Sequence

from farthing.domain.period import iso_utc
from farthing.ledger.entries import Balance, OpenHold


def balance_json(balance: Balance) -> dict[str, object]:
    """Show an account; every amount carries its unit in its name."""
    unit = balance.unit.value
    return {
        "account": balance.account,
        "budget": balance.budget,
        "value": balance.value,
        "window": balance.window,
        "unit": unit,
        f"limit_{unit}": balance.limit,
        f"spent_{unit}": balance.settled,
        f"held_{unit}": balance.held,
        f"remaining_{unit}": balance.remaining,
        "starts_at": iso_utc(balance.starts_at_us) if balance.starts_at_us is not None else None,
        "resets_at": iso_utc(balance.ends_at_us) if balance.ends_at_us is not None else None,
    }


def hold_json(hold: OpenHold, *, now_us: int) -> dict[str, object]:
    """Show a call in flight with its age."""
    return {
        "call_id": hold.call_id,
        "at": iso_utc(hold.at_us),
        "age_ms": max(now_us - hold.at_us, 0) // 1000,
        "owner": hold.owner,
        "environment": hold.environment,
        "key": hold.key,
        "model": hold.model,
        "ceiling_nanodollars": hold.ceiling_nanodollars,
        "accounts": list(hold.accounts),
    }


def in_order(balances: Sequence[Balance]) -> list[Balance]:
    """Accounts by budget, newest window first, then value."""
    return sorted(balances, key=lambda row: (row.budget, -(row.starts_at_us or 0), row.value or ""))
