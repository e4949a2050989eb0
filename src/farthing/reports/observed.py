"""Say what would have been: calls that passed only because nothing blocked them, and by which rule."""

from collections.abc import Iterable

import msgspec

from farthing.ledger.entries import Entry, Outcome
from farthing.policy.decide import OBSERVED


class WouldHave(msgspec.Struct, kw_only=True):
    """Calls of one environment that would have been stopped or changed by one rule or limit."""

    environment: str
    rule: str
    calls: int = 0
    cost_nanodollars: int = 0


def what_would_have_been(entries: Iterable[Entry]) -> list[WouldHave]:
    """Each environment and rule with the calls it would have stopped or changed, dearest first.

    A call counts under every rule that would have stopped it.
    """
    found: dict[tuple[str, str], WouldHave] = {}
    for entry in entries:
        if entry.outcome is Outcome.REFUSED:
            continue
        for rule in dict.fromkeys(_rules(entry)):
            environment = entry.facts.environment
            row = found.setdefault((environment, rule), WouldHave(environment=environment, rule=rule))
            row.calls += entry.count
            row.cost_nanodollars += entry.cost_nanodollars
    return sorted(found.values(), key=lambda row: (row.environment, -row.cost_nanodollars, row.rule))


def _rules(entry: Entry) -> list[str]:
    told = [rule.removeprefix(OBSERVED) for rule in entry.rules if rule.startswith(OBSERVED)]
    return told + [f"beyond the limit of {account.split('/')[0]}" for account in entry.would_refuse]
