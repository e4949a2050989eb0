"""Read the calls of a ledger in the order in which they were made, however many there are."""

from collections.abc import Iterator
from datetime import datetime

from farthing.domain.period import MICROSECONDS, to_microseconds
from farthing.ledger.entries import Entry
from farthing.ledger.store import Store

HOUR_US = 3_600 * MICROSECONDS
PAGE = 1_000


def calls_in_order(store: Store, since_us: int, until_us: int) -> Iterator[Entry]:
    """Calls from one moment on and before another, oldest first; an hour of them is in memory at once."""
    if since_us >= until_us:
        return
    rows = store.spend(by=["hour"], since_us=since_us, until_us=until_us)
    for hour in sorted(row.by["hour"] or "" for row in rows):
        begins_us = to_microseconds(datetime.fromisoformat(hour))
        yield from reversed(_between(store, max(begins_us, since_us), min(begins_us + HOUR_US, until_us)))


def count_of_calls(store: Store, since_us: int, until_us: int) -> int:
    """How many calls there are, to the hour."""
    rows = store.spend(by=["environment"], since_us=since_us, until_us=until_us)
    return sum(row.calls + row.refused for row in rows)


def _between(store: Store, since_us: int, until_us: int) -> list[Entry]:
    found: list[Entry] = []
    before: tuple[int, str] | None = None
    while True:
        page = store.entries(limit=PAGE, before=before, since_us=since_us, until_us=until_us)
        found += page
        if len(page) < PAGE:
            return found
        before = (page[-1].at_us, page[-1].call_id)
