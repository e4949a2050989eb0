"""The virtual clock of scenarios: moments, spans and even shares, all in whole numbers."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from heapq import merge
from itertools import pairwise
from operator import attrgetter

from farthing.domain.period import to_microseconds
from farthing.scenarios.rows import Row

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US


def day(year: int, month: int, number: int = 1) -> int:
    """The start of a day, UTC."""
    return to_microseconds(datetime(year, month, number, tzinfo=UTC))


# A month of thirty days, and in it a whole week from Monday on.
MONTH_STARTS_AT_US = day(2026, 9)
MONTH_ENDS_AT_US = day(2026, 10)
WEEK_STARTS_AT_US = day(2026, 9, 7)


def evenly(count: int, starts_at_us: int, ends_at_us: int) -> Iterator[int]:
    """So many moments inside a span, at equal distances."""
    span_us = ends_at_us - starts_at_us
    for number in range(count):
        yield starts_at_us + (2 * number + 1) * span_us // (2 * count)


def some_of(part: int, whole: int) -> Iterator[bool]:
    """Say yes exactly so often among all, spread evenly."""
    for before, after in pairwise(number * part // whole for number in range(whole + 1)):
        yield after > before


def parts_of(total: int, count: int) -> Iterator[int]:
    """Split a total into whole parts that sum to it."""
    for before, after in pairwise(number * total // count for number in range(count + 1)):
        yield after - before


def in_order(*streams: Iterable[Row]) -> Iterator[Row]:
    """Merge rows by the moment they were made."""
    return merge(*streams, key=attrgetter("at_us"))
