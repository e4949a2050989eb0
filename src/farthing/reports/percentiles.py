"""What a call costs: the usual, the dear and the very dear ones, by environment and feature."""

from collections.abc import Sequence

from farthing.ledger.report_store import CostCount
from farthing.reports.asking import Question
from farthing.reports.environments import environment_place, nothing_yet
from farthing.reports.quantiles import grouped, how_exact, percentiles
from farthing.reports.ranking import NONE, OTHERS, top_of
from farthing.reports.sheet import Column, Kind, Sheet, Table, Value, part

_FEATURE = "label:feature"
TITLE = "Cost per call, in percentiles"

COST_COLUMNS = (
    Column("p50_nanodollars", "P50", Kind.MEAN),
    Column("p95_nanodollars", "P95", Kind.MEAN),
    Column("p99_nanodollars", "P99", Kind.MEAN),
    Column("p99_times_p50", "P99 over P50", Kind.TIMES),
)
_ENVIRONMENTS = (
    Column("environment", "Environment"),
    Column("calls", "Paid calls", Kind.COUNT),
    *COST_COLUMNS,
)
_FEATURES = (_ENVIRONMENTS[0], Column("feature", "Feature"), *_ENVIRONMENTS[1:])

_Slice = tuple[tuple[str, str], list[CostCount]]


def report(asked: Question) -> Sheet:
    """The cost per call that half of all calls, 95 and 99 in a hundred do not exceed."""
    counts = asked.store.cost_counts(
        of="calls",
        by=["environment", _FEATURE],
        since_us=asked.span.since_us,
        until_us=asked.span.until_us,
        where=asked.where,
    )
    if not counts.rows:
        return nothing_yet("percentiles", TITLE, asked)
    notes = [
        how_exact(counts, "calls"),
        "Counted are calls that were paid for; answers from the cache and calls that never reached a "
        "provider are not.",
    ]
    if not any(row.by[_FEATURE] for row in counts.rows):
        notes.append(
            'No call says its feature: send the header  X-Metering-Tags: {"feature": "search"}  with calls.'
        )
    return Sheet(
        name="percentiles",
        title=TITLE,
        span=asked.span,
        provisional=asked.is_provisional,
        tables=(by_environment(counts.rows), _by_feature(counts.rows, asked.top)),
        notes=tuple(notes),
    )


def by_environment(rows: Sequence[CostCount]) -> Table:
    """The percentiles of each environment."""
    groups = grouped(rows, lambda row: row.by["environment"] or NONE)
    return Table(
        name="environments",
        title="By environment",
        columns=_ENVIRONMENTS,
        rows=tuple((name, *cost_cells(groups[name])) for name in sorted(groups, key=environment_place)),
        chart="p95_nanodollars",
    )


def _by_feature(rows: Sequence[CostCount], top: int) -> Table:
    """The features with most calls; the others together, for a percentile of percentiles means nothing."""
    groups = grouped(rows, lambda row: (row.by["environment"] or NONE, row.by[_FEATURE] or NONE))
    slices: list[_Slice] = sorted(groups.items(), key=lambda one: (-_calls(one[1]), one[0]))
    shown = top_of(slices, top, _together)
    shown.sort(key=lambda one: (one[0][1] == OTHERS, environment_place(one[0][0])))
    return Table(
        name="features",
        title="By environment and feature",
        columns=_FEATURES,
        rows=tuple((*names, *cost_cells(counts)) for names, counts in shown),
        chart="p95_nanodollars",
    )


def cost_cells(counts: Sequence[CostCount]) -> tuple[Value, ...]:
    """How many there are, and what they cost."""
    half, most, nearly_all = percentiles(counts)
    times = part(nearly_all, half) if half is not None and nearly_all is not None else None
    return _calls(counts), half, most, nearly_all, times


def _calls(counts: Sequence[CostCount]) -> int:
    return sum([count.count for count in counts])


def _together(slices: Sequence[_Slice]) -> _Slice:
    counts = [count for _, of_slice in slices for count in of_slice]
    return ("", OTHERS), sorted(counts, key=lambda count: count.least_nanodollars)
