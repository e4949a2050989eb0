"""What a run costs: one execution of an agent or workflow, with all of its calls."""

from collections.abc import Mapping, Sequence

from farthing.ledger.report_store import CostCount, RunSums
from farthing.ledger.slices import SpendRow
from farthing.reports.asking import Question
from farthing.reports.environments import environment_place, nothing_yet
from farthing.reports.percentiles import COST_COLUMNS, cost_cells
from farthing.reports.quantiles import grouped, how_exact
from farthing.reports.ranking import NONE
from farthing.reports.sheet import Column, Kind, Sheet, Table, Value, mean_nanodollars, part

_TITLE = "Cost per run"
_ENVIRONMENTS = (
    Column("environment", "Environment"),
    Column("runs", "Runs", Kind.COUNT),
    *COST_COLUMNS,
    Column("cost_per_run_nanodollars", "Mean", Kind.MEAN),
    Column("calls_per_run", "Calls per run", Kind.NUMBER),
    Column("cost_nanodollars", "Cost", Kind.MONEY),
)
_DEAREST = (
    Column("run", "Run"),
    Column("environment", "Environment"),
    Column("calls", "Calls", Kind.COUNT),
    Column("refused", "Refused", Kind.COUNT),
    Column("cost_nanodollars", "Cost", Kind.MONEY),
    Column("cost_per_call_nanodollars", "Cost per call", Kind.MEAN),
    Column("cost_percent", "of all runs", Kind.SHARE),
)


def report(asked: Question) -> Sheet:
    """The cost per run in percentiles, by environment, and the dearest runs."""
    span = asked.span
    counts = asked.store.cost_counts(
        of="runs", by=["environment"], since_us=span.since_us, until_us=span.until_us, where=asked.where
    )
    if not counts.rows:
        return nothing_yet(
            "runs",
            _TITLE,
            asked,
            "No run began in that span. Give the calls of one task the same run: X-Metering-Tags: "
            '{"run": "..."} '
            "at the gateway, run= at the guard.",
        )
    found = asked.store.dear_runs(
        top=asked.top, since_us=span.since_us, until_us=span.until_us, where=asked.where
    )
    whole = sum(row.cost_nanodollars for row in found.environments)
    return Sheet(
        name="runs",
        title=_TITLE,
        span=span,
        provisional=asked.is_provisional,
        tables=(_by_environment(counts.rows, found.environments), _dearest(found.dearest, whole)),
        notes=(
            how_exact(counts, "runs"),
            "A run counts where it began, with all of its calls, also those after the span.",
        ),
    )


def _by_environment(counts: Sequence[CostCount], sums: Sequence[RunSums]) -> Table:
    groups: Mapping[str, list[CostCount]] = grouped(counts, lambda row: row.by["environment"] or NONE)
    by_name = {row.environment: row for row in sums}
    runs = sum(row.runs for row in sums)
    cost = sum(row.cost_nanodollars for row in sums)
    calls = sum(row.calls for row in sums)
    return Table(
        name="environments",
        title="By environment",
        columns=_ENVIRONMENTS,
        rows=tuple(
            (name, *cost_cells(groups[name]), *_means(by_name[name]))
            for name in sorted(groups, key=environment_place)
            if name in by_name
        ),
        footer=(
            "total", runs, None, None, None, None, mean_nanodollars(cost, runs), part(calls, runs), cost,
        ),
        chart="p95_nanodollars",
    )  # fmt: skip


def _means(row: RunSums) -> tuple[Value, ...]:
    return mean_nanodollars(row.cost_nanodollars, row.runs), part(row.calls, row.runs), row.cost_nanodollars


def _dearest(rows: Sequence[SpendRow], whole_nanodollars: int) -> Table:
    return Table(
        name="dearest",
        title="The dearest runs",
        columns=_DEAREST,
        rows=tuple(
            (
                row.by["run"],
                row.by["environment"],
                row.calls,
                row.refused,
                row.cost_nanodollars,
                mean_nanodollars(row.cost_nanodollars, row.calls),
                part(row.cost_nanodollars, whole_nanodollars),
            )
            for row in rows
        ),
        chart="cost_nanodollars",
    )
