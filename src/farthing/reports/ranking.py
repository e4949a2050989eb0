"""Show the dearest few of many, and the others in one row, so that the sums stay whole."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from farthing.ledger.slices import SpendRow
from farthing.reports.sheet import OTHERS, Column, Value
from farthing.reports.totals import total_of

__all__ = ["NONE", "OTHERS", "Cells", "dearest", "others_of", "together", "top_of", "top_spend"]

NONE = "(none)"

_Row = TypeVar("_Row")
Cells = tuple[Value, ...]


def top_of(rows: Sequence[_Row], top: int, together: Callable[[Sequence[_Row]], _Row]) -> list[_Row]:
    """The first few of rows that are in order, and the others together in one row behind them.

    One row more than asked for is shown as it is: it takes no more room than a row that hides it.
    """
    if len(rows) <= top + 1:
        return list(rows)
    return [*rows[:top], together(rows[top:])]


def together(columns: Sequence[Column], *summed: str) -> Callable[[Sequence[Cells]], Cells]:
    """Make one row of many that have these columns: called (others), with sums where they mean something."""

    def one_row(rows: Sequence[Cells]) -> Cells:
        sums = dict.fromkeys(summed, 0)
        for row in rows:
            for column, value in zip(columns, row, strict=True):
                if column.name in sums:
                    sums[column.name] += int(value or 0)
        return (OTHERS, *[sums.get(column.name) for column in columns[1:]])

    return one_row


def top_spend(rows: Sequence[SpendRow], top: int) -> list[SpendRow]:
    """The dearest slices, and the others together: their first dimension is called (others)."""
    return top_of(dearest(rows), top, others_of)


def others_of(rows: Sequence[SpendRow]) -> SpendRow:
    """Slices together in one that is called (others) by its first dimension."""
    first, *further = rows[0].by
    return msgspec.structs.replace(total_of(rows), by={first: OTHERS, **dict.fromkeys(further)})


def dearest(rows: Sequence[SpendRow]) -> list[SpendRow]:
    """Slices by falling cost, then calls, then name."""
    return sorted(
        rows,
        key=lambda row: (-row.cost_nanodollars, -row.calls, [value or "" for value in row.by.values()]),
    )
