"""One line of a comparison: what the provider says, what the ledger says, and why they differ."""

from collections.abc import Callable, Sequence

import msgspec

from farthing.ledger.grains import DAY_US
from farthing.reports.provider_rows import ProviderRow, Quantities
from farthing.reports.reconcile_ours import OneCall, OurSum

COST = "cost"


class Figure(msgspec.Struct, frozen=True):
    """One figure of a line, on both sides; cost is in nanodollars."""

    name: str
    theirs: int
    ours: int

    @property
    def difference(self) -> int:
        """How much more the provider says."""
        return self.theirs - self.ours


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """Why a line differs. exact: it accounts for the difference to the last token."""

    name: str
    text: str
    exact: bool = False


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison; a day, model or key that is None is not told apart.

    quantities: theirs and ours, where usage was exported; what theirs does not tell is None on both.
    cost: theirs and ours in nanodollars, where costs were exported; tolerance: of the cost.
    failed: calls that the provider answered with an error and that are not counted here.
    """

    provider: str
    day: int | None
    model: str | None
    key: str | None
    quantities: tuple[Quantities, Quantities] | None = None
    cost: tuple[int, int] | None = None
    tolerance: int = 0
    provisional: bool = False
    failed: int = 0
    causes: tuple[Cause, ...] = ()

    @property
    def figures(self) -> list[Figure]:
        """Every figure that both sides tell."""
        found = []
        if self.quantities is not None:
            theirs, ours = self.quantities
            for name, one, other in zip(Quantities._fields, theirs, ours, strict=True):
                if one is not None and other is not None:
                    found.append(Figure(name, one, other))
        if self.cost is not None:
            found.append(Figure(COST, *self.cost))
        return found

    def differs(self, figure: Figure) -> bool:
        """Whether a figure is farther apart than it may be: quantities may not be at all."""
        return abs(figure.difference) > (self.tolerance if figure.name == COST else 0)

    @property
    def differences(self) -> list[Figure]:
        """The figures that are farther apart than they may be."""
        return [figure for figure in self.figures if self.differs(figure)]

    @property
    def agrees(self) -> bool:
        """Whether no figure differs."""
        return not self.differences

    @property
    def quantity_difference(self) -> Quantities:
        """How much more the provider says was used; None where it does not tell."""
        if self.quantities is None:
            return Quantities(None, None, None, None, None)
        pairs = zip(*self.quantities, strict=True)
        return Quantities(*(None if one is None or other is None else one - other for one, other in pairs))

    @property
    def cost_difference(self) -> int:
        """How much more it costs there, in nanodollars."""
        return 0 if self.cost is None else self.cost[0] - self.cost[1]


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A line that differs, and what there is to find out why.

    days: the days that it is about. is_ours: whether a call of ours would be in this line.
    """

    line: Line
    usage: Sequence[ProviderRow]
    costs: Sequence[ProviderRow]
    ours: Sequence[OurSum]
    days: Sequence[int]
    is_ours: Callable[[OneCall], bool]

    @property
    def assumed(self) -> int:
        """Calls whose usage the ledger had to assume."""
        return sum(row.assumed for row in self.ours)

    @property
    def voided(self) -> int:
        """Calls that the ledger dropped because the provider was never reached."""
        return sum(row.voided for row in self.ours)

    @property
    def span(self) -> tuple[int, int]:
        """The time that it is about."""
        return min(self.days) * DAY_US, (max(self.days) + 1) * DAY_US


def as_told(quantities: Quantities, told: Quantities) -> Quantities:
    """Our quantities in the classes that the provider tells apart; the others are None.

    What was written to a cache is fresh input where the provider does not tell it apart.
    """
    fresh = quantities.fresh_input
    if told.cached_write is None and fresh is not None:
        fresh += quantities.cached_write or 0
    whole = quantities._replace(fresh_input=fresh)
    return Quantities(
        *(None if wanted is None else figure for figure, wanted in zip(whole, told, strict=True))
    )
