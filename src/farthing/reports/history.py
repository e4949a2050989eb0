"""Read the calls of a ledger in the order in which they were made, however many there are."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from farthing.domain.period import to_microseconds
from farthing.ledger.entries import Entry
from farthing.ledger.grains import DAY_US, HOUR_US
from farthing.ledger.store import Store

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
    for day_us, _ in _busy(store, "day", since_us, until_us, where):
        ends_us = min(day_us + DAY_US, until_us)
        for hour_us, calls in _busy(store, "hour", max(day_us, since_us), ends_us, where):
            parts = min(1 + calls // PAGE, PARTS_MAX)
            for part in range(parts):
                since_part_us = max(hour_us + HOUR_US * part // parts, since_us)
                until_part_us = min(hour_us + HOUR_US * (part + 1) // parts, until_us)
                if since_part_us < until_part_us:
                    yield from reversed(_between(store, since_part_us, until_part_us, environment))


def _busy(
    store: Store, unit: str, since_us: int, until_us: int, where: Mapping[str, str]
) -> list[tuple[int, int]]:
    """When the days or hours with calls begin, and how many calls each has."""
    rows = store.spend(by=[unit], since_us=since_us, until_us=until_us, where=where)
    found = [(datetime.fromisoformat(row.by[unit] or ""), row.calls + row.refused) for row in rows]
    return sorted(
        (to_microseconds(at if at.tzinfo else at.replace(tzinfo=UTC)), calls) for at, calls in found
    )


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
