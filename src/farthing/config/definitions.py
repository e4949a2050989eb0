"""Hold budgets to what they once meant: one name never counts two different things."""

from collections.abc import Iterator

import msgspec

from farthing.domain.errors import PolicyError, Problem
from farthing.ledger.store import Store
from farthing.policy.rules import Budget, Policy
from farthing.policy.wallets import wallet_budget, wallets_of

_SAID = {"match": "match", "per": "per", "period": "period", "zone": "timezone"}


class _Definition(msgspec.Struct, frozen=True, kw_only=True):
    """What decides which money an account of a budget counts."""

    match: dict[str, list[str]]
    per: str | None
    period: str
    zone: str


_decode = msgspec.json.Decoder(_Definition).decode


def check_definitions(policy: Policy, store: Store) -> None:
    """Remember what each budget counts, and refuse a policy that makes one count something else.

    The limit may change at any time: it comes with each hold. Until a budget has counted anything, all
    of it may change. Of a policy that is refused nothing is remembered.

    Raises PolicyError for every budget whose match, per, period or zone is not what it was.
    """
    problems = tuple(_differences(policy, store))
    if problems:
        raise PolicyError(problems)
    for budget in _counted(policy):
        written = _written(budget)
        before = store.recall(_name(budget))
        if before != written:
            store.remember(_name(budget), written, instead_of=before)


def _counted(policy: Policy) -> list[Budget]:
    """All that counts money under a name: budgets, and wallets."""
    wallets = [wallet_budget(wallet, policy.zone) for wallet in wallets_of(policy)]
    return [*policy.budgets, *wallets]


def _differences(policy: Policy, store: Store) -> Iterator[Problem]:
    for budget in _counted(policy):
        remembered = store.recall(_name(budget))
        if remembered in (None, _written(budget)) or not store.balances(budget=budget.name):
            continue
        before = _decode(remembered or "")
        now = _definition(budget)
        changed = [
            f"{said} was {_shown(getattr(before, name))} and is {_shown(getattr(now, name))}"
            for name, said in _SAID.items()
            if getattr(before, name) != getattr(now, name)
        ]
        yield Problem(
            file="ledger",
            line=None,
            key=f"budget {budget.name}",
            message=f"its balance counts something else: {'; '.join(changed)}",
            fix="give the changed budget a new name; the old one keeps its history",
        )


def _name(budget: Budget) -> str:
    return f"budget:{budget.name}"


def _written(budget: Budget) -> str:
    return msgspec.json.encode(_definition(budget), order="sorted").decode()


def _definition(budget: Budget) -> _Definition:
    return _Definition(
        match={name: sorted(values) for name, values in budget.match.items()},
        per=budget.per,
        period=budget.period.value,
        zone=budget.zone,
    )


def _shown(value: object) -> str:
    return "not set" if not value else msgspec.json.encode(value).decode()
