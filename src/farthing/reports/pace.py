"""What is expected to be spent from one moment to another: by weekdays, or in a straight line. Pure."""

from collections.abc import Mapping
from datetime import date, timedelta
from fractions import Fraction

import msgspec

from farthing.domain.period import from_microseconds
from farthing.ledger.grains import DAY_US
from farthing.reports.spans import midnight_us

# Weekdays are told from so many whole weeks; spend before them shows that they are all there is to know.
WEEKS = 4
_PATTERN_DAYS = 7 * WEEKS
LOOK_BACK_DAYS = _PATTERN_DAYS + 7


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """Spend to be expected of each weekday, Monday first, in nanodollars.

    days: how many days it was told from. by_weekday: False where all days are taken alike.
    """

    weekdays: tuple[Fraction, ...]
    days: int
    by_weekday: bool

    @property
    def a_day(self) -> Fraction:
        """The mean of a week."""
        return sum(self.weekdays, Fraction(0)) / 7

    @property
    def method(self) -> str:
        """How it was told, in words."""
        if not self.days:
            return "nothing spent lately"
        if self.by_weekday:
            return f"weekdays of the last {WEEKS} weeks"
        return f"straight line over {self.days} {'day' if self.days == 1 else 'days'}"

    def between(self, since_us: int, until_us: int) -> Fraction:
        """What is expected from one moment on and before another."""
        expected = Fraction(0)
        while since_us < until_us:
            end_us = min((since_us // DAY_US + 1) * DAY_US, until_us)
            weekday = from_microseconds(since_us).weekday()
            expected += self.weekdays[weekday] * Fraction(end_us - since_us, DAY_US)
            since_us = end_us
        return expected

    def reaches(self, amount: Fraction, *, since_us: int, until_us: int) -> int | None:
        """The start of the day on which so much more is spent; None where it is not before a moment."""
        spent = Fraction(0)
        while since_us < until_us:
            end_us = min((since_us // DAY_US + 1) * DAY_US, until_us)
            spent += self.between(since_us, end_us)
            if spent >= amount:
                return since_us // DAY_US * DAY_US
            since_us = end_us
        return None


def pace_of(costs: Mapping[date, int], now_us: int) -> Pace:
    """Tell the pace from the costs of the last LOOK_BACK_DAYS days and of today so far.

    The weekday pattern is the mean of the last four of each weekday, and is taken once there was spend
    before those four weeks. Else it is a straight line from the first day with spend to now, one day long
    at least.
    """
    today = from_microseconds(now_us).date()
    first = min((day for day, cost in costs.items() if cost), default=None)
    if first is None:
        return Pace(weekdays=(Fraction(0),) * 7, days=0, by_weekday=False)
    if first < today - timedelta(days=_PATTERN_DAYS):
        sums = [0] * 7
        for number in range(1, _PATTERN_DAYS + 1):
            day = today - timedelta(days=number)
            sums[day.weekday()] += costs.get(day, 0)
        return Pace(weekdays=tuple(Fraction(one, WEEKS) for one in sums), days=_PATTERN_DAYS, by_weekday=True)
    elapsed_us = max(now_us - midnight_us(first), DAY_US)
    total = sum(cost for day, cost in costs.items() if first <= day <= today)
    return Pace(
        weekdays=(Fraction(total * DAY_US, elapsed_us),) * 7,
        days=(today - first).days + 1,
        by_weekday=False,
    )
