"""Whether development stays dear after a feature has shipped: its weeks beside those before work began."""

import enum
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from fractions import Fraction
from statistics import median_high, median_low

import msgspec

from farthing.domain.period import from_microseconds
from farthing.ledger.grains import DAY_US
from farthing.ledger.report_store import Annotation
from farthing.reports.annotations import accepts
from farthing.reports.sheet import part

BASELINE_WEEKS = 8
WEEK = 7
AMBER_AFTER_DAYS = 14
RED_AFTER_DAYS = 21
ELEVATED_FROM = Fraction(3, 2)


class State(enum.StrEnum):
    """What became of the spend that a feature made."""

    BUILDING = "being built"
    ACCEPTED = "accepted"
    SETTLED = "back to normal"
    RECENT = "shipped lately"
    AMBER = "elevated"
    RED = "elevated too long"
    UNKNOWN = "no baseline"


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """One annotated feature: the weekly cost of development before it, and the last week's.

    weeks: of how many weeks the baseline is the median; those before the first call do not count.
    """

    annotation: Annotation
    days_since_ship: int
    baseline_nanodollars: int | None
    weeks: int
    last_week_nanodollars: int
    state: State

    @property
    def times_baseline(self) -> Fraction | None:
        """The last week over the baseline."""
        return part(self.last_week_nanodollars, self.baseline_nanodollars or 0)


def watched(annotations: Sequence[Annotation], costs: Mapping[date, int], *, at_us: int) -> list[Watched]:
    """Judge each annotated feature at a moment.

    costs: of development by day, from BASELINE_WEEKS before the first of the annotations on.
    """
    today = from_microseconds(at_us).date()
    any_accepted = any(accepts(one, since_us=one.starts_at_us, at_us=at_us) for one in annotations)
    return [_watched(one, costs, today, any_accepted=any_accepted) for one in annotations]


def first_day_needed(annotations: Sequence[Annotation]) -> int:
    """The moment from which on the costs by day are needed."""
    starts_at_us = min(one.starts_at_us for one in annotations) // DAY_US * DAY_US
    return max(starts_at_us - BASELINE_WEEKS * WEEK * DAY_US, 0)


def _watched(
    annotation: Annotation, costs: Mapping[date, int], today: date, *, any_accepted: bool
) -> Watched:
    starts, ships = (
        from_microseconds(moment).date() for moment in (annotation.starts_at_us, annotation.ships_at_us)
    )
    weeks = _weeks_before(starts, costs)
    baseline = (median_low(weeks) + median_high(weeks)) // 2 if weeks else None
    days = (today - ships).days
    # Whole weeks that end today, back to the day the feature shipped; one dear week alone is no trend.
    since_ship = [
        _week_until(today - timedelta(days=WEEK * number), costs) for number in range(max(days, WEEK) // WEEK)
    ]
    elevated = baseline is not None and all(week > ELEVATED_FROM * baseline for week in since_ship)
    return Watched(
        annotation=annotation,
        days_since_ship=days,
        baseline_nanodollars=baseline,
        weeks=len(weeks),
        last_week_nanodollars=since_ship[0],
        state=_state(days, elevated=elevated, known=baseline is not None, accepted=any_accepted),
    )


def _state(days: int, *, elevated: bool, known: bool, accepted: bool) -> State:
    if days < 0:
        return State.BUILDING
    if not known:
        return State.UNKNOWN
    if not elevated:
        return State.SETTLED
    if accepted:
        return State.ACCEPTED
    if days > RED_AFTER_DAYS:
        return State.RED
    return State.AMBER if days > AMBER_AFTER_DAYS else State.RECENT


def _weeks_before(starts: date, costs: Mapping[date, int]) -> list[int]:
    first = min((day for day, cost in costs.items() if cost), default=starts)
    ends = [starts - timedelta(days=WEEK * number) for number in range(BASELINE_WEEKS)]
    return [_week_until(end, costs) for end in ends if end - timedelta(days=WEEK) >= first]


def _week_until(end: date, costs: Mapping[date, int]) -> int:
    return sum(costs.get(end - timedelta(days=number), 0) for number in range(1, WEEK + 1))
