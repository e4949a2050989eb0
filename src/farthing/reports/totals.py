"""Make slices of spend add up: their total, and what no slice of a label or run holds."""

from collections.abc import Sequence

import msgspec

from farthing.ledger.slices import SpendRow

_FIGURES = tuple(name for name in SpendRow.__struct_fields__ if name != "by")


def total_of(rows: Sequence[SpendRow]) -> SpendRow:
    """The sum of slices, figure by figure."""
    return SpendRow(by={}, **{name: sum(getattr(row, name) for row in rows) for name in _FIGURES})


def with_rest(rows: Sequence[SpendRow], whole: Sequence[SpendRow], missing: str) -> list[SpendRow]:
    """Add the calls that have no value of a dimension, so that the slices sum to the whole.

    rows: slices by some dimensions and the one called missing.
    whole: all calls, by the same dimensions without it.
    """
    complete = list(rows)
    for every in whole:
        inside = total_of([row for row in rows if every.by.items() <= row.by.items()])
        figures = {name: getattr(every, name) - getattr(inside, name) for name in _FIGURES}
        if any(figures.values()):
            complete.append(SpendRow(by={**every.by, missing: None}, **figures))
    return complete


def dearest_first(rows: Sequence[SpendRow]) -> list[SpendRow]:
    """Slices by falling cost; those of an hour stay in the order of time."""
    if rows and "hour" in rows[0].by:
        return sorted(rows, key=lambda row: (row.by["hour"] or "", -row.cost_nanodollars))
    return sorted(rows, key=lambda row: (-row.cost_nanodollars, -row.calls, msgspec.json.encode(row.by)))
