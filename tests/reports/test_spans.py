"""Days, weeks and months in UTC."""

import pytest

from farthing.domain.period import iso_utc
from farthing.reports.spans import BadMoment, Span, last_months, month_of, span_between, week_of
from tests.builders import NOON_US  # 2026-09-21, a Monday


def told(span: Span) -> tuple[str, str]:
    return iso_utc(span.since_us)[:16], iso_utc(span.until_us)[:16]


def test_months_are_named_or_this_or_the_last() -> None:
    assert told(month_of("2026-02", NOON_US)) == ("2026-02-01T00:00", "2026-03-01T00:00")
    assert told(month_of("this", NOON_US)) == ("2026-09-01T00:00", "2026-10-01T00:00")
    assert told(month_of("last", NOON_US)) == ("2026-08-01T00:00", "2026-09-01T00:00")
    assert month_of("2026-02", NOON_US).days == 28


def test_weeks_run_from_monday_to_sunday() -> None:
    assert told(week_of("2026-W01", NOON_US)) == ("2025-12-29T00:00", "2026-01-05T00:00")
    assert told(week_of("this", NOON_US)) == ("2026-09-21T00:00", "2026-09-28T00:00")
    assert told(week_of("last", NOON_US)) == ("2026-09-14T00:00", "2026-09-21T00:00")


def test_a_span_is_widened_to_whole_days() -> None:
    assert told(span_between("12h", None, NOON_US, days=30)) == ("2026-09-21T00:00", "2026-09-22T00:00")
    assert told(span_between("2026-09-01", "2026-09-03", NOON_US, days=30)) == (
        "2026-09-01T00:00",
        "2026-09-03T00:00",
    )
    assert told(span_between("2026-09-01T10:00+02:00", None, NOON_US, days=1))[0] == "2026-09-01T00:00"
    assert span_between(None, None, NOON_US, days=30).days == 30
    assert told(span_between(None, None, NOON_US, days=1)) == ("2026-09-21T00:00", "2026-09-22T00:00")


def test_a_year_back_is_twelve_months_with_this_one() -> None:
    assert told(last_months(12, NOON_US)) == ("2025-10-01T00:00", "2026-10-01T00:00")


def test_a_span_knows_its_months_and_the_span_before_it() -> None:
    span = span_between("2026-01-20", "2026-03-05", NOON_US, days=1)
    assert [told(month)[0][:10] for month in span.months()] == ["2026-01-20", "2026-02-01", "2026-03-01"]
    assert sum(month.days for month in span.months()) == span.days
    assert span.before().until_us == span.since_us and span.before().days == span.days
    assert str(span) == "2026-01-20 to 2026-03-04 (UTC)"
    assert str(span_between("2026-01-20", "2026-01-21", NOON_US, days=1)) == "2026-01-20 (UTC)"


@pytest.mark.parametrize("text", ["2026-13", "2026-1", "soon", "2026-W60", "", "9999-12", "9999-W52"])
def test_what_is_no_month_and_no_week_is_refused(text: str) -> None:
    with pytest.raises(BadMoment, match="is not"):
        month_of(text, NOON_US)
    with pytest.raises(BadMoment, match="is not"):
        week_of(text, NOON_US)


def test_what_is_no_moment_is_refused() -> None:
    with pytest.raises(BadMoment, match="write a date"):
        span_between("yesterday", None, NOON_US, days=1)
    with pytest.raises(BadMoment, match="before it begins"):
        span_between("2026-09-03", "2026-09-01", NOON_US, days=1)
    with pytest.raises(BadMoment, match="further away"):
        span_between("2026-09-03", "9999-12-31T23:59", NOON_US, days=1)


def test_a_span_is_parted_at_mondays_and_at_the_first_of_months() -> None:
    span = span_between("2026-08-30", "2026-09-09", NOON_US, days=1)  # from a Sunday to a Tuesday
    assert [(week.week, week.days) for week in span.weeks()] == [
        ("2026-W35", 1),
        ("2026-W36", 7),
        ("2026-W37", 2),
    ]
    assert [(month.month, month.days) for month in span.months()] == [("2026-08", 2), ("2026-09", 8)]
