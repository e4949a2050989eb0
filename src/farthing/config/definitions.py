"""Hold budgets to what they once meant: one name never counts two different things."""

from collections.abc import Iterator

import msgspec

from farthing.domain.errors import PolicyError, Problem
from farthing.ledger.store import Store
from farthing.policy.definition import definition_name, definition_of, read_definition
from farthing.policy.rules import Budget, Policy
from farthing.policy.wallets import wallet_budget, wallets_of

_SAID = {"match": "match", "per": "per", "period": "period", "zone": "timezone"}


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
        before = store.recall(definition_name(budget.name))
        if before != written:
            store.remember(definition_name(budget.name), written, instead_of=before)


def _counted(policy: Policy) -> list[Budget]:
    """All that counts money under a name: budgets, and wallets."""
    wallets = [wallet_budget(wallet, policy.zone) for wallet in wallets_of(policy)]
    return [*policy.budgets, *wallets]


def _differences(policy: Policy, store: Store) -> Iterator[Problem]:
    for budget in _counted(policy):
        remembered = store.recall(definition_name(budget.name))
        if remembered in (None, _written(budget)) or not store.balances(budget=budget.name):
            continue
        before = read_definition(remembered or "")
        now = definition_of(budget)
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


def _written(budget: Budget) -> str:
    return msgspec.json.encode(definition_of(budget), order="sorted").decode()


def _shown(value: object) -> str:
    return "not set" if not value else msgspec.json.encode(value).decode()
