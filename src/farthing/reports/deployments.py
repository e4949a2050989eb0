"""What each rollout of the software spent, by the label that names it: the tests of staging, for instance."""

from collections.abc import Iterator, Sequence

from farthing.ledger.slices import SpendRow
from farthing.reports.asking import Question
from farthing.reports.environments import environment_place, nothing_yet
from farthing.reports.ranking import NONE, dearest, others_of, top_of
from farthing.reports.sheet import Column, Kind, Sheet, Table, Value, mean_nanodollars, part
from farthing.reports.spend import complete_spend
from farthing.reports.totals import total_of

NAME = "label:deployment"

_EACH = (
    Column("deployment", "Deployment"),
    Column("environment", "Environment"),
    Column("calls", "Calls", Kind.COUNT),
    Column("cost_nanodollars", "Cost", Kind.MONEY),
    Column("cost_percent", "of cost", Kind.SHARE),
    Column("cost_per_call_nanodollars", "Cost per call", Kind.MEAN),
    Column("cached", "Cache hits", Kind.COUNT),
)
_MEANS = (
    Column("environment", "Environment"),
    Column("deployments", "Deployments", Kind.COUNT),
    Column("calls", "Calls", Kind.COUNT),
    Column("calls_per_deployment", "Calls each", Kind.NUMBER),
    Column("cost_nanodollars", "Cost", Kind.MONEY),
    Column("cost_per_deployment_nanodollars", "Cost each", Kind.MEAN),
    Column("dearest_nanodollars", "Dearest", Kind.MONEY),
)


def report(asked: Question) -> Sheet:
    """Tell calls and cost of every rollout, and the mean of each environment."""
    title = "Deployments"
    span = asked.span
    rows = complete_spend(
        asked.store,
        [NAME, "environment"],
        since_us=span.since_us,
        until_us=span.until_us,
        where=asked.where,
    )
    named = [row for row in rows if row.by[NAME] is not None and row.calls]
    if not named:
        return nothing_yet("deployments", title, asked, _WAY_ON)
    # Where nothing names its rollout, as in development, there is none to tell of.
    where = {row.by["environment"] for row in named}
    told = dearest([row for row in rows if row.calls and row.by["environment"] in where])
    tables = (_means(named), _each(told, total_of(told), asked.top))
    return Sheet(name="deployments", title=title, span=span, provisional=asked.is_provisional, tables=tables)


_WAY_ON = (
    "No call in that span names its deployment. Send the label with each call: "
    'X-Metering-Tags: {"deployment": "2026-11-22.1"} through the gateway, or '
    'guard(client, labels={"deployment": "2026-11-22.1"}).'
)


def _each(rows: Sequence[SpendRow], whole: SpendRow, top: int) -> Table:
    return Table(
        name="each",
        title="Every deployment, the dearest first",
        columns=_EACH,
        rows=tuple(
            (
                row.by[NAME] or NONE,
                row.by["environment"],
                row.calls,
                row.cost_nanodollars,
                part(row.cost_nanodollars, whole.cost_nanodollars),
                mean_nanodollars(row.cost_nanodollars, row.calls),
                row.cached,
            )
            for row in top_of(rows, top, others_of)
        ),
        footer=("total", None, whole.calls, whole.cost_nanodollars, None, None, whole.cached),
        chart="cost_nanodollars",
    )


def _means(rows: Sequence[SpendRow]) -> Table:
    return Table(
        name="environments",
        title="What a deployment takes in the mean",
        columns=_MEANS,
        rows=tuple(_means_rows(rows)),
    )


def _means_rows(rows: Sequence[SpendRow]) -> Iterator[tuple[Value, ...]]:
    for environment in sorted({row.by["environment"] for row in rows}, key=environment_place):
        inside = [row for row in rows if row.by["environment"] == environment]
        sums = total_of(inside)
        yield (
            environment,
            len(inside),
            sums.calls,
            part(sums.calls, len(inside)),
            sums.cost_nanodollars,
            mean_nanodollars(sums.cost_nanodollars, len(inside)),
            max(row.cost_nanodollars for row in inside),
        )
