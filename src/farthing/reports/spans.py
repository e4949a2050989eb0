"""The span of a report: whole days, ISO weeks and months in UTC, as the invoices of providers count."""

import contextlib
import re
from collections.abc import Iterator
from datetime import MAXYEAR, UTC, date, datetime, timedelta

import msgspec

from farthing.domain.period import from_microseconds, to_microseconds
from farthing.domain.span import BadSpan, span_us
from farthing.ledger.grains import DAY_US

_MONTH = re.compile(r"\d{4}-\d{2}")
_WEEK = re.compile(r"\d{4}-W\d{2}")


class BadMoment(ValueError):
    """The text names no day, week, month or span of time."""


class Span(msgspec.Struct, frozen=True):
    """From one moment on and before another, in microseconds since 1970; both are midnights in UTC."""

    since_us: int
    until_us: int

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.until_us - self.since_us) // DAY_US

    @property
    def first_day(self) -> date:
        """Its first day."""
        return from_microseconds(self.since_us).date()

    @property
    def last_day(self) -> date:
        """Its last day."""
        return from_microseconds(self.until_us - 1).date()

    def __str__(self) -> str:
        """Its first and its last day, as people write them."""
        if self.days == 1:
            return f"{self.first_day} (UTC)"
        return f"{self.first_day} to {self.last_day} (UTC)"

    def before(self) -> "Span":
        """The span of the same length that ends where this one begins."""
        return Span(2 * self.since_us - self.until_us, self.since_us)

    def months(self) -> Iterator["Span"]:
        """Its months, the first and the last one cut to the span."""
        month = self.first_day.replace(day=1)
        while midnight_us(month) < self.until_us:
            following = next_month(month)
            yield Span(max(midnight_us(month), self.since_us), min(midnight_us(following), self.until_us))
            month = following

    def weeks(self) -> Iterator["Span"]:
        """Its ISO weeks, the first and the last one cut to the span."""
        monday = self.first_day - timedelta(days=self.first_day.weekday())
        while midnight_us(monday) < self.until_us:
            following = monday + timedelta(days=7)
            yield Span(max(midnight_us(monday), self.since_us), min(midnight_us(following), self.until_us))
            monday = following

    def weeks_or_months(self, *, weeks_max: int) -> tuple[str, list[tuple[str, "Span"]]]:
        """Its weeks by name, or its months where they are too many to read; and which of both they are."""
        weeks = [(week.week, week) for week in self.weeks()]
        if len(weeks) <= weeks_max:
            return "week", weeks
        return "month", [(month.month, month) for month in self.months()]

    @property
    def week(self) -> str:
        """The ISO week of its first day: 2026-W37."""
        return f"{self.first_day:%G-W%V}"

    @property
    def month(self) -> str:
        """The month of its first day: 2026-09."""
        return f"{self.first_day:%Y-%m}"


def month_of(text: str, now_us: int) -> Span:
    """A month: 2026-10, "this" or "last". Raises BadMoment."""
    first = from_microseconds(now_us).date().replace(day=1)
    if text == "last":
        first = (first - timedelta(days=1)).replace(day=1)
    elif text != "this":
        first = _date(text, _MONTH, "%Y-%m", "a month: write 2026-10, this or last")
    return Span(midnight_us(first), midnight_us(next_month(first)))


def week_of(text: str, now_us: int) -> Span:
    """An ISO week, Monday to Sunday: 2026-W46, "this" or "last". Raises BadMoment."""
    today = from_microseconds(now_us).date()
    monday = today - timedelta(days=today.weekday())
    if text == "last":
        monday -= timedelta(days=7)
    elif text != "this":
        monday = _date(f"{text}-1", re.compile(_WEEK.pattern + "-1"), "%G-W%V-%u", "a week: write 2026-W46")
    return Span(midnight_us(monday), midnight_us(monday + timedelta(days=7)))


def span_between(since: str | None, until: str | None, now_us: int, *, days: int) -> Span:
    """From a moment to another, widened to whole days; without them, so many days up to today.

    Each is a date or time such as 2026-11-01 (UTC), or how long ago, such as 30d. Raises BadMoment.
    """
    until_us = now_us + 1 if until is None else _moment_us(until, now_us)
    until_us = -(-until_us // DAY_US) * DAY_US
    since_us = until_us - days * DAY_US if since is None else _moment_us(since, now_us) // DAY_US * DAY_US
    if since_us >= until_us:
        raise BadMoment(f"the span ends ({until or 'now'}) before it begins ({since})")
    return Span(max(since_us, 0), until_us)


def last_months(months: int, now_us: int) -> Span:
    """So many months, this one included."""
    first = from_microseconds(now_us).date().replace(day=1)
    end = next_month(first)
    for _ in range(months - 1):
        first = (first - timedelta(days=1)).replace(day=1)
    return Span(midnight_us(first), midnight_us(end))


def _moment_us(text: str, now_us: int) -> int:
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        try:
            return max(now_us - span_us(text), 0)
        except BadSpan as error:
            raise BadMoment(
                f"{text!r} is no moment: write a date such as 2026-11-01, or how long ago, such as 30d or 12h"
            ) from error
    if at.year == MAXYEAR:
        raise BadMoment(f"{text} is further away than can be counted")
    return max(to_microseconds(at if at.tzinfo else at.replace(tzinfo=UTC)), 0)


def _date(text: str, form: re.Pattern[str], layout: str, what: str) -> date:
    if form.fullmatch(text):
        with contextlib.suppress(ValueError):
            found = datetime.strptime(text, layout).replace(tzinfo=UTC).date()
            if found.year < MAXYEAR:  # what comes after its end can be told too
                return found
    raise BadMoment(f"{text.removesuffix('-1') if '-W' in text else text!r} is not {what}")


def midnight_us(day: date) -> int:
    """The moment a day begins, in UTC."""
    return to_microseconds(datetime(day.year, day.month, day.day, tzinfo=UTC))


def next_month(first: date) -> date:
    """The first day of the month after the one that begins then."""
    return (first + timedelta(days=32)).replace(day=1)
