"""Development beside production, month by month: the ratio, its band, and where it turns. Pure."""

import enum
from collections.abc import Mapping, Sequence
from fractions import Fraction

import msgspec

from farthing.reports.environments import DEVELOPMENT, PRODUCTION
from farthing.reports.sheet import part
from farthing.reports.spans import Span

# After so many falls in a row, a rise is a reversal.
FALLS = 2


class Band(enum.StrEnum):
    """Where a ratio of development to production stands."""

    LOW = "low"
    HEALTHY = "healthy"
    WATCH = "watch"
    FLAGGED = "flagged"


# The greatest ratio of each band; what is beyond the last one is flagged. Low ends before its own.
LOW_BELOW = Fraction(1, 5)
HEALTHY_TO = Fraction(1, 3)
WATCH_TO = Fraction(1, 2)
NONPRODUCTION_TO = Fraction(1, 4)


class Trend(enum.StrEnum):
    """How a ratio moved since the month before."""

    FALLS = "falls"
    LEVEL = "level"
    RISES = "rises"
    REVERSAL = "reversal"


def band_of(ratio: Fraction) -> Band:
    """The band of development's cost over that of production."""
    if ratio < LOW_BELOW:
        return Band.LOW
    if ratio <= HEALTHY_TO:
        return Band.HEALTHY
    return Band.WATCH if ratio <= WATCH_TO else Band.FLAGGED


class Month(msgspec.Struct, frozen=True, kw_only=True):
    """What a month, or the part of one that was asked for, cost inside and outside production."""

    span: Span
    development: int = 0
    other: int = 0
    production: int = 0

    @property
    def name(self) -> str:
        """Such as 2026-10."""
        return self.span.month

    @property
    def total(self) -> int:
        """All of it."""
        return self.development + self.other + self.production

    @property
    def nonproduction(self) -> int:
        """All but production."""
        return self.development + self.other

    @property
    def ratio(self) -> Fraction | None:
        """Development over production; None without production."""
        return part(self.development, self.production)

    @property
    def band(self) -> Band | None:
        """Where the ratio stands; None without one."""
        return None if self.ratio is None else band_of(self.ratio)

    @property
    def nonproduction_share(self) -> Fraction | None:
        """How much of all went elsewhere than to production."""
        return part(self.nonproduction, self.total)


def months_of(span: Span, costs: Mapping[tuple[str, str], int]) -> list[Month]:
    """The months of a span, from the first one that cost something on.

    costs: by month, such as 2026-10, and environment.
    """
    found: list[Month] = []
    for one in span.months():
        here = {environment: cost for (month, environment), cost in costs.items() if month == one.month}
        development, production = here.pop(DEVELOPMENT, 0), here.pop(PRODUCTION, 0)
        month = Month(span=one, development=development, production=production, other=sum(here.values()))
        if found or month.total:
            found.append(month)
    while found and not found[-1].total:
        found.pop()
    return found


def trends_of(months: Sequence[Month]) -> list[Trend | None]:
    """How each month's ratio moved; None where it or the month before has none."""
    trends: list[Trend | None] = []
    falls = 0
    for number, month in enumerate(months):
        before = months[number - 1].ratio if number else None
        now = month.ratio
        if before is None or now is None:
            trend, falls = None, 0
        elif now < before:
            trend, falls = Trend.FALLS, falls + 1
        elif now == before:
            trend, falls = Trend.LEVEL, 0
        else:
            trend, falls = Trend.REVERSAL if falls >= FALLS else Trend.RISES, 0
        trends.append(trend)
    return trends


def standing_reversal(trends: Sequence[Trend | None]) -> int | None:
    """The place of the last reversal after which the ratio has not fallen; None where there is none."""
    for place in range(len(trends) - 1, -1, -1):
        if trends[place] is Trend.REVERSAL:
            return place
        if trends[place] not in (Trend.RISES, Trend.LEVEL):
            return None
    return None
