"""Hours, days and months in UTC: how a span of time is covered by the fewest sums. Pure.

Hours count from 1970, days from 1970-01-01, months from January 1970.
"""

import enum
from collections.abc import Iterator
from typing import NamedTuple

HOUR_US = 3_600_000_000
DAY_HOURS = 24
DAY_US = DAY_HOURS * HOUR_US
HALF_HOUR_US = HOUR_US // 2
# Later than any moment that is asked about; a span without an end ends here.
END_OF_TIME_US = 2**62

_MONTHS = 12
_FIRST_YEAR = 1970
# Days from the first of March of the year 0 to 1970-01-01; years begin in March here, so that a leap
# day is the last of its year.
_DAYS_TO_1970 = 719_468
_DAYS_OF_400_YEARS = 146_097


class Grain(enum.IntEnum):
    """Over how long a time a row of a roll-up sums; a coarser grain is greater."""

    HOUR = 0
    DAY = 1
    MONTH = 2


class Part(NamedTuple):
    """One hour, day or month of a span."""

    grain: Grain
    period: int

    def number(self, grain: Grain) -> int:
        """The hour, day or month that this one lies in; not a finer one than itself."""
        if grain is self.grain:
            return self.period
        day = self.period if self.grain is Grain.DAY else self.period // DAY_HOURS
        return day if grain is Grain.DAY else month_of_day(day)


def month_of_day(day: int) -> int:
    """The month that a day lies in."""
    era, day_of_era = divmod(day + _DAYS_TO_1970, _DAYS_OF_400_YEARS)
    year_of_era = (
        day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // (_DAYS_OF_400_YEARS - 1)
    ) // 365
    day_of_year = day_of_era - _days_before(year_of_era)
    month_from_march = (5 * day_of_year + 2) // 153
    return (era * 400 + year_of_era - _FIRST_YEAR) * _MONTHS + month_from_march + 2


def first_day_of(month: int) -> int:
    """The day that a month begins with."""
    year, month_from_march = divmod(month - 2 + _FIRST_YEAR * _MONTHS, _MONTHS)
    era, year_of_era = divmod(year, 400)
    day_of_year = (153 * month_from_march + 2) // 5
    return era * _DAYS_OF_400_YEARS + _days_before(year_of_era) + day_of_year - _DAYS_TO_1970


def _days_before(year_of_era: int) -> int:
    return year_of_era * 365 + year_of_era // 4 - year_of_era // 100


def shown(grain: Grain, period: int) -> str:
    """Tell an hour, a day or a month: 2026-11-22T01:00Z, 2026-11-22, 2026-11."""
    if grain is Grain.HOUR:
        day, hour = divmod(period, DAY_HOURS)
        return f"{shown(Grain.DAY, day)}T{hour:02}:00Z"
    if grain is Grain.DAY:
        month = month_of_day(period)
        return f"{shown(Grain.MONTH, month)}-{period - first_day_of(month) + 1:02}"
    years, month_of_year = divmod(period, _MONTHS)
    return f"{_FIRST_YEAR + years:04}-{month_of_year + 1:02}"


def whole(unit_us: int, since_us: int, until_us: int) -> tuple[int, int]:
    """The first whole hour, day … that a span touches, and the first one after it."""
    return since_us // unit_us, -(-until_us // unit_us)


def hour_parts(first: int, end: int, *, folded: int, coarsest: Grain) -> Iterator[Part]:
    """Cover the hours from first to end by months, days and hours that do not overlap.

    folded: the first hour that is not in the sums of its day and month; those hold what came before it.
    coarsest: no greater part than this.
    """
    hour = first
    while hour < end:
        part, after = Part(Grain.HOUR, hour), hour + 1
        if hour < folded and hour % DAY_HOURS == 0:
            for greater in _greater_parts(hour // DAY_HOURS, coarsest):
                greater_end = min(_end_day(greater) * DAY_HOURS, folded)
                if greater_end <= end:
                    part, after = greater, greater_end
                    break
        yield part
        hour = after


def day_parts(first: int, end: int, *, folded: int) -> Iterator[Part]:
    """Cover the days from first to end by months and days; days before folded are in the sums of months."""
    day = first
    while day < end:
        part, after = Part(Grain.DAY, day), day + 1
        for month in _greater_parts(day, Grain.MONTH) if day < folded else ():
            month_end = min(_end_day(month), folded)
            if month_end <= end:
                part, after = month, month_end
                break
        yield part
        day = after


def _greater_parts(day: int, coarsest: Grain) -> Iterator[Part]:
    """What begins with a day, the greatest first."""
    if coarsest is Grain.MONTH:
        month = month_of_day(day)
        if first_day_of(month) == day:
            yield Part(Grain.MONTH, month)
    if coarsest >= Grain.DAY:
        yield Part(Grain.DAY, day)


def _end_day(part: Part) -> int:
    return first_day_of(part.period + 1) if part.grain is Grain.MONTH else part.period + 1
