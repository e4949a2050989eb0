"""Windows are calendar time in the budget's own zone, without a gap or an overlap, whatever clocks do."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.domain.period import MICROSECONDS, Period, Window, to_microseconds, window_of

HOUR_US = 3_600 * MICROSECONDS
# Clocks that change at night, at midnight, by half an hour, twice a year, for a month, or never; a zone
# that left out a day; odd offsets.
ZONES = (
    "UTC", "Europe/London", "America/New_York", "America/Santiago", "America/Havana", "Africa/Cairo",
    "Asia/Beirut", "Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Apia", "Asia/Kathmandu",
    "Asia/Tokyo", "Pacific/Chatham",
)  # fmt: skip
CALENDAR = (Period.MINUTE, Period.HOURLY, Period.DAILY, Period.WEEKLY, Period.MONTHLY)
moments = st.integers(1_293_840_000, 1_893_456_000).map(lambda second: second * MICROSECONDS)  # 2011 to 2030


def at(text: str, zone: str = "UTC") -> int:
    return to_microseconds(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)))


def bounds(window: Window) -> tuple[int, int]:
    assert window.starts_at_us is not None
    assert window.ends_at_us is not None
    return window.starts_at_us, window.ends_at_us


@given(at_us=moments, zone=st.sampled_from(ZONES), period=st.sampled_from(CALENDAR))
def test_every_moment_is_in_one_window_and_the_next_begins_where_it_ends(
    at_us: int, zone: str, period: Period
) -> None:
    window = window_of(period, at_us, zone)
    start, end = bounds(window)
    before, after = window_of(period, start - 1, zone), window_of(period, end, zone)

    assert start <= at_us < end
    assert window_of(period, start, zone) == window == window_of(period, end - 1, zone)
    assert (bounds(before)[1], bounds(after)[0]) == (start, end)
    assert len({before.key, window.key, after.key}) == 3


@given(at_us=moments, zone=st.sampled_from(ZONES))
def test_a_day_begins_when_the_date_changes(at_us: int, zone: str) -> None:
    start, end = bounds(window_of(Period.DAILY, at_us, zone))

    def date(moment_us: int) -> object:
        return datetime.fromtimestamp(moment_us // MICROSECONDS, UTC).astimezone(ZoneInfo(zone)).date()

    assert date(start) == date(at_us) == date(end - 1)
    assert date(start - 1) < date(start) < date(end)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("day", "zone", "hours"),
    [
        ("2026-03-29", "Europe/London", 23),
        ("2026-10-25", "Europe/London", 25),
        ("2026-03-08", "America/New_York", 23),
        ("2026-11-01", "America/New_York", 25),
        ("2026-09-06", "America/Santiago", 23),  # there is no midnight on that day
        ("2026-04-05", "Australia/Lord_Howe", 24.5),
        ("2026-06-01", "Asia/Tokyo", 24),
    ],
)
def test_a_day_is_as_long_as_the_clocks_make_it(day: str, zone: str, hours: float) -> None:
    start, end = bounds(window_of(Period.DAILY, at(f"{day}T12:00:00", zone), zone))

    assert (end - start) * 2 == hours * 2 * HOUR_US
    assert window_of(Period.DAILY, start, zone).key == day


def test_a_month_begins_at_local_midnight_and_not_at_that_of_utc() -> None:
    window = window_of(Period.MONTHLY, at("2026-11-30T23:30:00", "Asia/Tokyo"), "Asia/Tokyo")

    assert window == Window("2026-11", at("2026-10-31T15:00:00"), at("2026-11-30T15:00:00"))


def test_a_week_begins_on_monday_and_is_named_by_its_iso_year() -> None:
    window = window_of(Period.WEEKLY, at("2027-01-02T12:00:00"), "UTC")

    assert window == Window("2026-W53", at("2026-12-28T00:00:00"), at("2027-01-04T00:00:00"))


def test_an_hour_that_a_zone_repeats_is_two_windows() -> None:
    first = window_of(Period.HOURLY, at("2026-10-25T00:30:00"), "Europe/London")
    second = window_of(Period.HOURLY, at("2026-10-25T01:30:00"), "Europe/London")

    assert (first.key, second.key) == ("2026-10-25T01+0100", "2026-10-25T01+0000")
    assert bounds(first)[1] == bounds(second)[0]


def test_a_run_is_one_window_and_without_its_id_a_day() -> None:
    noon = at("2026-11-22T12:00:00")

    assert window_of(Period.RUN, noon, "UTC", run="r7") == Window("run:r7", None, None)
    assert window_of(Period.RUN, noon, "UTC") == window_of(Period.DAILY, noon, "UTC")
    assert window_of(Period.TOTAL, noon, "UTC") == Window("total", None, None)
