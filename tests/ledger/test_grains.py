"""Hours, days and months: every hour of a span lies in exactly one part, and few parts cover a year."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from farthing.ledger.grains import (
    DAY_HOURS,
    HOUR_US,
    Grain,
    Part,
    day_parts,
    first_day_of,
    hour_parts,
    month_of_day,
    shown,
    whole,
)

EPOCH = date(1970, 1, 1)
NOVEMBER_22 = (date(2026, 11, 22) - EPOCH).days
hours = st.integers(490_000, 520_000)  # some years around 2026
days = st.dates().map(lambda day: (day - EPOCH).days)


def hours_of(part: Part) -> range:
    """The hours of a part, as the calendar of Python has them."""
    if part.grain is Grain.HOUR:
        return range(part.period, part.period + 1)
    if part.grain is Grain.DAY:
        return range(part.period * DAY_HOURS, (part.period + 1) * DAY_HOURS)
    first = date(1970 + part.period // 12, part.period % 12 + 1, 1)
    after = (first + timedelta(days=31)).replace(day=1)
    return range((first - EPOCH).days * DAY_HOURS, (after - EPOCH).days * DAY_HOURS)


@given(days)
def test_a_day_lies_in_the_month_that_the_calendar_says(day: int) -> None:
    on = EPOCH + timedelta(days=day)

    assert month_of_day(day) == (on.year - 1970) * 12 + on.month - 1
    assert first_day_of(month_of_day(day)) == (on.replace(day=1) - EPOCH).days
    assert shown(Grain.DAY, day) == on.isoformat()


@given(st.integers(-(10**9), 10**9))
def test_months_follow_each_other_however_far_away(month: int) -> None:
    first = first_day_of(month)

    assert month_of_day(first) == month
    assert month_of_day(first - 1) == month - 1
    assert 28 <= first_day_of(month + 1) - first <= 31


def test_hours_days_and_months_are_shown_in_utc() -> None:
    hour = NOVEMBER_22 * DAY_HOURS + 1

    assert shown(Grain.HOUR, hour) == "2026-11-22T01:00Z"
    assert shown(Grain.DAY, Part(Grain.HOUR, hour).number(Grain.DAY)) == "2026-11-22"
    assert shown(Grain.MONTH, Part(Grain.HOUR, hour).number(Grain.MONTH)) == "2026-11"


@given(hours, st.integers(0, 20_000), hours, st.sampled_from(Grain))
def test_parts_cover_each_hour_of_a_span_once_and_no_other_that_is_folded(
    first: int, length: int, folded: int, coarsest: Grain
) -> None:
    """A day or month holds the hours before the first one that is not folded."""
    end = first + length
    covered: list[int] = []
    for part in hour_parts(first, end, folded=folded, coarsest=coarsest):
        assert part.grain <= coarsest
        inside = hours_of(part)
        covered += inside if part.grain is Grain.HOUR else range(inside.start, min(inside.stop, folded))

    assert covered == list(range(first, end))


@given(hours, st.integers(0, 2_000), hours)
def test_parts_cover_each_day_of_a_span_once(first: int, length: int, folded: int) -> None:
    covered: list[int] = []
    for part in day_parts(first, first + length, folded=folded):
        inside = hours_of(part)
        start, stop = inside.start // DAY_HOURS, inside.stop // DAY_HOURS
        covered += range(start, stop if part.grain is Grain.DAY else min(stop, folded))

    assert covered == list(range(first, first + length))


def test_a_year_up_to_now_is_a_few_months_days_and_hours() -> None:
    now = NOVEMBER_22 * DAY_HOURS + 9
    parts = list(hour_parts(now - 365 * DAY_HOURS, now + 1, folded=now, coarsest=Grain.MONTH))

    assert [part.grain for part in parts].count(Grain.MONTH) == 12
    assert len(parts) < 12 + 31 + 24 + 2


def test_the_month_that_runs_is_taken_whole_although_its_hours_are_not_over() -> None:
    november = first_day_of(month_of_day(NOVEMBER_22)) * DAY_HOURS
    now = NOVEMBER_22 * DAY_HOURS + 9

    assert list(hour_parts(november, now + 1, folded=now, coarsest=Grain.MONTH)) == [
        Part(Grain.MONTH, month_of_day(NOVEMBER_22)),
        Part(Grain.HOUR, now),
    ]


def test_a_span_touches_the_hours_that_it_begins_and_ends_in() -> None:
    noon_us = int(datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()) * 1_000_000
    noon = noon_us // HOUR_US

    assert whole(HOUR_US, noon_us, noon_us + 1) == (noon, noon + 1)
    assert whole(HOUR_US, noon_us + 1, noon_us + HOUR_US) == (noon, noon + 1)
    assert whole(HOUR_US, noon_us, noon_us) == (noon, noon)
