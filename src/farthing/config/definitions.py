"""Hold budgets to what they once meant: one name never counts two different things."""

import msgspec

from farthing.domain.errors import PolicyError, Problem
from farthing.ledger.store import Store
from farthing.policy.rules import Budget, Policy

_SAID = {"match": "match", "per": "per", "period": "period", "zone": "timezone"}


class _Definition(msgspec.Struct, frozen=True, kw_only=True):
    """What decides which money an account of a budget counts."""

    match: dict[str, list[str]]
    per: str | None
    period: str
    zone: str


def check_definitions(policy: Policy, store: Store) -> None:
    """Remember what each budget counts, and refuse a policy that makes it count something else.

    The limit may change at any time: it comes with each hold.

    Raises PolicyError for every budget whose match, per, period or zone is not what it was.
    """
    problems = tuple(
        problem for budget in policy.budgets if (problem := _difference(budget, store)) is not None
    )
    if problems:
        raise PolicyError(problems)


def _difference(budget: Budget, store: Store) -> Problem | None:
    now = _Definition(
        match={name: sorted(values) for name, values in budget.match.items()},
        per=budget.per,
        period=budget.period.value,
        zone=budget.zone,
    )
    written = msgspec.json.encode(now, order="sorted").decode()
    remembered = store.remember(f"budget:{budget.name}", written)
    if remembered == written:
        return None
    before = msgspec.json.decode(remembered, type=_Definition)
    changed = [
        f"{said} was {_shown(getattr(before, name))} and is {_shown(getattr(now, name))}"
        for name, said in _SAID.items()
        if getattr(before, name) != getattr(now, name)
    ]
    return Problem(
        file="ledger",
        line=None,
        key=f"budget {budget.name}",
        message=f"its balance counts something else: {'; '.join(changed)}",
        fix="give the changed budget a new name; the old one keeps its history",
    )


def _shown(value: object) -> str:
    return "not set" if not value else msgspec.json.encode(value).decode()
