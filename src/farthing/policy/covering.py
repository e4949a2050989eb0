"""Find the budgets that may cover a call without asking each: by a fact or label they want exactly."""

from collections.abc import Mapping, Sequence

from farthing.domain.names import is_pattern
from farthing.policy.rules import Budget

# Facts of callers and targets that are one of few values each. A model has snapshots, so it is none of them.
_EXACT_FACTS = ("group", "key", "developer", "provider", "environment")
_Places = Mapping[str, Mapping[str, tuple[int, ...]]]


class Covering:
    """The places of budgets in their policy, by what a call must have for them.

    by_label: those that want a label to have certain values, by label and value.
    """

    def __init__(self, budgets: Sequence[Budget], fixed_facts: Sequence[str]) -> None:
        by_fact: dict[str, dict[str, list[int]]] = {}
        by_label: dict[str, dict[str, list[int]]] = {}
        everywhere: list[int] = []
        for place, budget in enumerate(budgets):
            labels = [name for name in budget.match if name not in fixed_facts]
            label = next((name for name in labels if _is_exact(budget, name)), None)
            fact = next((name for name in _EXACT_FACTS if _is_exact(budget, name)), None)
            if label is not None:
                _add(by_label, label, budget, place)
            elif fact is not None:
                _add(by_fact, fact, budget, place)
            else:
                everywhere.append(place)
        self.by_label = _frozen(by_label)
        self._by_fact = _frozen(by_fact)
        self._everywhere = tuple(everywhere)

    def places(self, facts: Mapping[str, str | None], no_value: str) -> list[int]:
        """The budgets that may cover a caller with such facts, in the order of the policy.

        Those by label are not among them.
        """
        found = list(self._everywhere)
        for name, by_value in self._by_fact.items():
            found += by_value.get(facts[name] or no_value, ())
        return sorted(found)


def _is_exact(budget: Budget, name: str) -> bool:
    patterns = budget.match.get(name, ())
    return bool(patterns) and not any(is_pattern(pattern) for pattern in patterns)


def _add(places: dict[str, dict[str, list[int]]], name: str, budget: Budget, place: int) -> None:
    for value in dict.fromkeys(budget.match[name]):
        places.setdefault(name, {}).setdefault(value, []).append(place)


def _frozen(places: Mapping[str, Mapping[str, Sequence[int]]]) -> _Places:
    return {name: {value: tuple(found) for value, found in values.items()} for name, values in places.items()}
