"""Reports: what people want to know besides the spend itself, each from its row in the catalog."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from farthing.cli import options, screen
from farthing.cli.door import CommandError, command, noun
from farthing.cli.opening import open_ledger, policy_or_none
from farthing.cli.report_command import add_report
from farthing.cli.spend import moment
from farthing.domain.money import dollars
from farthing.reports.catalog import REPORTS

if TYPE_CHECKING:
    from farthing.reports.outcomes import OutcomeCost

app = noun("report", "Reports: who spends what, on which models, for what, and what stands out.")
for one in REPORTS:
    add_report(app, one)


@command(app, "outcomes", example="farthing report outcomes --name resolved --by label:feature --since 30d")
def outcomes(
    by: Annotated[
        list[str] | None, typer.Option(help="group, key, developer, run or label:NAME; repeatable.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Only outcomes of this name.")] = None,
    environment: Annotated[str | None, typer.Option(help="Only this environment.")] = None,
    since: Annotated[str | None, typer.Option(help="30d, 12h, 2w, or a date such as 2026-11-01.")] = None,
    until: Annotated[str | None, typer.Option(help="The same; this moment is not included.")] = None,
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """Show what an outcome cost: all calls of its environment, or of its label, over how many there were.

    Programs tell outcomes with record_outcome() or /api/outcomes. Whole hours are counted.
    """
    from farthing.reports.outcomes import outcome_cost_json, outcome_costs
    from farthing.reports.spend import BadDimension

    now_us = time.time_ns() // 1_000
    loaded = policy_or_none(policy, ledger)
    zone = loaded.policy.zone if loaded else "UTC"
    since_us, until_us = (moment(text, now_us, zone) if text else None for text in (since, until))
    dimensions = tuple(by or ())
    with open_ledger(ledger, policy, empty=True) as store:
        try:
            rows = outcome_costs(
                store, dimensions, name=name, environment=environment, since_us=since_us, until_us=until_us
            )
        except BadDimension as error:
            raise CommandError(str(error), fix="farthing report outcomes --by label:feature") from error
    if as_json:
        screen.print_json({"by": list(dimensions), "outcomes": [outcome_cost_json(row) for row in rows]})
        return
    if not rows:
        screen.line("No outcomes in that time; programs tell them with record_outcome() or /api/outcomes.")
        return
    names = ("name", "environment", *dimensions)
    figures = ("outcomes", "true", "false", "total", "cost", "per outcome", "per true")
    columns = {**dict.fromkeys(names, "left"), **dict.fromkeys(figures, "right")}
    screen.table(columns, [_cells(row, names) for row in rows])


def _cells(row: "OutcomeCost", names: tuple[str, ...]) -> tuple[str, ...]:
    sums = row.sums
    per_true = row.per_true_nanodollars
    return (
        *(sums.by[name] or "(none)" for name in names),
        f"{sums.outcomes:,}",
        f"{sums.true:,}",
        f"{sums.false:,}",
        f"{sums.total:,f}" if sums.numbers else "",
        dollars(row.cost_nanodollars),
        dollars(row.per_outcome_nanodollars),
        "" if per_true is None else dollars(per_true),
    )
