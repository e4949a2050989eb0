"""Where every budget stands: its accounts, and those budgets that nothing was held against yet."""

from collections.abc import Sequence

import msgspec

from farthing.domain.period import window_of
from farthing.ledger.entries import Balance, Unit, account_name
from farthing.policy.rules import Budget
from farthing.reports.budgets import balance_json, in_order

# Stands for every value of a budget that makes one account for each.
EACH = "*"


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """One account of a budget. used: False where nothing was ever held against it in this window."""

    balance: Balance
    used: bool


def standings(balances: Sequence[Balance], budgets: Sequence[Budget], now_us: int) -> list[Standing]:
    """The accounts given, and at zero those budgets of the policy that have none among them."""
    found = [Standing(balance=balance, used=True) for balance in in_order(balances)]
    known = {balance.budget for balance in balances}
    return found + [
        Standing(balance=_at_zero(budget, now_us), used=False)
        for budget in budgets
        if budget.name not in known
    ]


def standing_json(standing: Standing) -> dict[str, object]:
    """Show an account, and whether it was used."""
    return {**balance_json(standing.balance), "used": standing.used}


def _at_zero(budget: Budget, now_us: int) -> Balance:
    window = window_of(budget.period, now_us, budget.zone)
    value = EACH if budget.per else None
    return Balance(
        account=account_name(budget.name, value, window.key),
        unit=Unit.NANODOLLARS,
        settled=0,
        held=0,
        limit=budget.limit_in(window),
        budget=budget.name,
        value=value,
        window=window.key,
        starts_at_us=window.starts_at_us,
        ends_at_us=window.ends_at_us,
    )
