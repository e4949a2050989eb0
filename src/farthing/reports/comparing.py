"""Which two spans may be held against each other: months with months, and begun ones only so far."""

from datetime import timedelta

from farthing.ledger.grains import DAY_US
from farthing.reports.spans import Span, midnight_us, next_month


def begun(span: Span, now_us: int) -> Span:
    """The days of a span that have begun; its first one at least."""
    end_us = -(-(now_us + 1) // DAY_US) * DAY_US
    return Span(span.since_us, max(min(span.until_us, end_us), span.since_us + DAY_US))


def compared(span: Span, now_us: int) -> tuple[Span, Span]:
    """What came before a span, and the span as far as it has begun.

    Whole months stand beside as many months, any other span beside one of the same length that ends where
    it begins; the first days of a month or a week beside the first days of the one before.
    """
    so_far = begun(span, now_us)
    since_us = _before_us(span)
    until_us = (
        span.since_us if so_far == span else min(since_us + so_far.until_us - so_far.since_us, span.since_us)
    )
    return Span(since_us, until_us), so_far


def _before_us(span: Span) -> int:
    """When what came before a span began."""
    months, first = _months_in(span), span.first_day
    if not months:
        return span.before().since_us
    for _ in range(months):
        first = (first - timedelta(days=1)).replace(day=1)
    return midnight_us(first)


def is_whole_months(span: Span) -> bool:
    """Whether it begins and ends with a month of the calendar."""
    return _months_in(span) > 0


def is_month(span: Span) -> bool:
    """Whether it is one month of the calendar."""
    return _months_in(span) == 1


def _months_in(span: Span) -> int:
    """How many whole months of the calendar it is; 0 where it begins or ends inside one."""
    month, count = span.first_day, 0
    if month.day != 1:
        return 0
    while midnight_us(month) < span.until_us:
        month = next_month(month)
        count += 1
    return count if midnight_us(month) == span.until_us else 0
