"""Find the calls that account for a difference to the last token."""

from collections.abc import Sequence
from itertools import combinations

import msgspec

from farthing.reports.reconcile_line import Line, as_told
from farthing.reports.reconcile_ours import OneCall

# With so many candidates every choice of them can be tried at once.
CANDIDATES_MAX = 10
# By its cost alone a call is named only where the difference is so many times what rounding can make.
TOLERANCES_APART = 10

_Vector = tuple[int, ...]


class Signed(msgspec.Struct, frozen=True):
    """A call that would be one more (+1) or one less (-1) on the provider's side."""

    sign: int
    call: OneCall


class Search:
    """The difference of one line, and which calls make it up.

    Quantities must match exactly; where none are told, the cost must, within its tolerance.
    """

    def __init__(self, line: Line) -> None:
        self.wanted = line.quantity_difference
        self._told = line.quantities[0] if line.quantities is not None else self.wanted
        self._cost = line.cost_difference
        self._tolerance = line.tolerance
        self._by_cost = all(figure is None for figure in self.wanted)
        told = tuple(figure for figure in self.wanted if figure is not None)
        self._goal: _Vector = (self._cost,) if self._by_cost else told

    @property
    def quantities_agree(self) -> bool:
        """Whether no quantity that is told differs."""
        return not any(self.wanted)

    def find(self, candidates: Sequence[Signed]) -> list[Signed]:
        """The fewest of the first candidates that make up the difference; empty where none do."""
        if self._is_nothing:
            return []
        tried = [(each, self._vector(each)) for each in candidates[:CANDIDATES_MAX]]
        for size in range(1, len(tried) + 1):
            for chosen in combinations(tried, size):
                if self._fits([vector for _, vector in chosen]):
                    return [each for each, _ in chosen]
        if len(candidates) > len(tried) and self._fits([self._vector(each) for each in candidates]):
            return list(candidates)
        return []

    def find_one_or_two(self, candidates: Sequence[Signed]) -> list[Signed]:
        """One or two of any number of candidates; empty where no one or two make up the difference."""
        if self._is_nothing:
            return []
        seen: dict[_Vector, Signed] = {}
        pair: list[Signed] = []
        for each in candidates:
            vector = self._vector(each)
            if self._fits([vector]):
                return [each]
            rest = tuple(goal - part for goal, part in zip(self._goal, vector, strict=True))
            if not pair and rest in seen:
                pair = [seen[rest], each]
            seen.setdefault(vector, each)
        return pair

    @property
    def _is_nothing(self) -> bool:
        if self._by_cost:  # within a wide tolerance every small call would do
            return abs(self._cost) <= self._tolerance * TOLERANCES_APART
        return not any(self.wanted)

    def _fits(self, chosen: Sequence[_Vector]) -> bool:
        sums: list[int] = [sum(parts) for parts in zip(*chosen, strict=True)]
        if self._by_cost:
            return abs(self._goal[0] - sums[0]) <= self._tolerance
        return tuple(sums) == self._goal

    def _vector(self, each: Signed) -> _Vector:
        """What a call adds to the provider's side, in the figures that it tells; else its cost."""
        if self._by_cost:
            return (each.sign * each.call.cost_nanodollars,)
        told = as_told(each.call.quantities, self._told)
        return tuple(each.sign * figure for figure in told if figure is not None)
