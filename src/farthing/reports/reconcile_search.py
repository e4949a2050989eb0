"""Find the calls that account for a difference to the last token."""

from collections.abc import Iterable, Sequence
from itertools import combinations

import msgspec

from farthing.reports.provider_rows import Quantities
from farthing.reports.reconcile_line import Line, as_told
from farthing.reports.reconcile_ours import OneCall

# With so many candidates every choice of them can be tried at once.
CANDIDATES_MAX = 12
# By its cost alone a call is named only where the difference is so many times what rounding can make.
TOLERANCES_APART = 10

_Vector = tuple[int | None, ...]


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

    @property
    def quantities_agree(self) -> bool:
        """Whether no quantity that is told differs."""
        return not any(self.wanted)

    def find(self, candidates: Sequence[Signed]) -> list[Signed]:
        """The fewest of the first candidates that make up the difference; empty where none do."""
        if self._is_nothing:
            return []
        tried = candidates[:CANDIDATES_MAX]
        for size in range(1, len(tried) + 1):
            for chosen in combinations(tried, size):
                if self._fits(chosen):
                    return list(chosen)
        return list(candidates) if len(candidates) > len(tried) and self._fits(candidates) else []

    def find_one_or_two(self, candidates: Sequence[Signed]) -> list[Signed]:
        """One or two of any number of candidates; empty where no one or two make up the difference."""
        if self._is_nothing:
            return []
        if self._by_cost:
            return next(([each] for each in candidates if self._fits([each])), [])
        seen: dict[_Vector, Signed] = {}
        pair: list[Signed] = []
        for each in candidates:
            vector = self._vector([each])
            if vector == tuple(self.wanted):
                return [each]
            rest = tuple(
                None if goal is None else goal - (part or 0)
                for goal, part in zip(self.wanted, vector, strict=True)
            )
            if not pair and rest in seen:
                pair = [seen[rest], each]
            seen.setdefault(vector, each)
        return pair

    @property
    def _is_nothing(self) -> bool:
        if self._by_cost:  # within a wide tolerance every small call would do
            return abs(self._cost) <= self._tolerance * TOLERANCES_APART
        return not any(self.wanted)

    def _fits(self, chosen: Iterable[Signed]) -> bool:
        chosen = list(chosen)
        if self._by_cost:
            cost = sum(each.sign * each.call.cost_nanodollars for each in chosen)
            return abs(self._cost - cost) <= self._tolerance
        return self._vector(chosen) == tuple(self.wanted)

    def _vector(self, chosen: Sequence[Signed]) -> _Vector:
        """What these calls add to the provider's side, in the figures that it tells."""
        sums = Quantities()
        for each in chosen:
            told = as_told(each.call.quantities, self._told)
            sums = sums.plus(Quantities(*(None if figure is None else each.sign * figure for figure in told)))
        return tuple(None if goal is None else figure for goal, figure in zip(self.wanted, sums, strict=True))
