"""Percentiles of counted costs by nearest rank, and how exact they are."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from farthing.ledger.report_store import CostCount, CostCounts

PERCENTS = (50, 95, 99)

_Group = TypeVar("_Group", bound=Hashable)


def nearest_rank(count: int, percent: int) -> int:
    """Which of so many, counted from one, is the least that so many percent of them do not exceed."""
    return -(-percent * count // 100)


def percentile(counts: Sequence[CostCount], percent: int) -> int | None:
    """The cost that so many percent do not exceed; None of none.

    counts: the cheapest first. By nearest rank: it is the cost of one of them, nothing between two.
    Where costs are known by bucket, the middle of the bucket stands for all in it.
    """
    rank = nearest_rank(sum([count.count for count in counts]), percent)
    for count in counts:
        rank -= count.count
        if rank <= 0:
            return (count.least_nanodollars + count.most_nanodollars + 1) // 2
    return None


def percentiles(counts: Sequence[CostCount]) -> tuple[int | None, ...]:
    """The cost of half of them, of 95 and of 99 percent."""
    return tuple([percentile(counts, percent) for percent in PERCENTS])


def grouped(rows: Iterable[CostCount], key: Callable[[CostCount], _Group]) -> dict[_Group, list[CostCount]]:
    """Counts by group, the cheapest first in each."""
    groups: dict[_Group, list[CostCount]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    for counts in groups.values():
        counts.sort(key=lambda count: count.least_nanodollars)
    return groups


def how_exact(counts: CostCounts, what: str) -> str:
    """Say whether percentiles are exact, for the foot of a sheet; what: calls or runs."""
    number = sum([row.count for row in counts.rows])
    if counts.exact:
        return f"Percentiles are exact: nearest rank over {number:,} {what}."
    return (
        f"Percentiles are within 1 % of the exact cost: nearest rank in a histogram of {number:,} {what}. "
        f"They are exact where all environments together have no more than 10,000 {what} in a span, and no "
        "entries of it were deleted."
    )
