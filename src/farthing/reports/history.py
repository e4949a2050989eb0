"""Read the calls of a ledger in the order in which they were made, however many there are."""

from collections.abc import Iterator
from datetime import datetime

from farthing.domain.period import MICROSECONDS, to_microseconds
from farthing.ledger.entries import Entry
from farthing.ledger.store import Store

HOUR_US = 3_600 * MICROSECONDS
PAGE = 1_000
# One entry may stand for many refusals, so an hour may count more calls than it has entries.
PARTS_MAX = 360


def calls_in_order(
    store: Store, since_us: int, until_us: int, environment: str | None = None
) -> Iterator[Entry]:
    """Calls from one moment on and before another, oldest first; a page of them or two is in memory at once.

    A busy hour is read in parts. Calls of one and the same moment are in the order of their ids.
    """
    if since_us >= until_us:
        return
    where = {} if environment is None else {"environment": environment}
    rows = store.spend(by=["hour"], since_us=since_us, until_us=until_us, where=where)
    for row in sorted(rows, key=lambda row: row.by["hour"] or ""):
        begins_us = to_microseconds(datetime.fromisoformat(row.by["hour"] or ""))
        parts = min(1 + (row.calls + row.refused) // PAGE, PARTS_MAX)
        for part in range(parts):
            since_part_us = max(begins_us + HOUR_US * part // parts, since_us)
            until_part_us = min(begins_us + HOUR_US * (part + 1) // parts, until_us)
            if since_part_us < until_part_us:
                yield from reversed(_between(store, since_part_us, until_part_us, environment))


def count_of_calls(store: Store, since_us: int, until_us: int) -> int:
    """How many calls there are, to the hour."""
    rows = store.spend(by=["environment"], since_us=since_us, until_us=until_us)
    return sum(row.calls + row.refused for row in rows)


def _between(store: Store, since_us: int, until_us: int, environment: str | None) -> list[Entry]:
    found: list[Entry] = []
    before: tuple[int, str] | None = None
    while True:
        page = store.entries(
            limit=PAGE, before=before, environment=environment, since_us=since_us, until_us=until_us
        )
        found += page
        if len(page) < PAGE:
            return found
        before = (page[-1].at_us, page[-1].call_id)
