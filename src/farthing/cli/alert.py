"""Alerts: which shares of budgets were spent."""

from typing import Annotated

import typer

from farthing.cli import options, screen
from farthing.cli.door import command, noun
from farthing.cli.opening import open_ledger
from farthing.domain.money import dollars
from farthing.domain.period import iso_utc

app = noun("alert", "Alerts: shares of budgets that were spent.")


@command(app, "list", example="farthing alert list --budget dev-month")
def list_alerts(
    budget: Annotated[str | None, typer.Option(help="Those of this budget.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="How many, newest first.")] = 100,
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """List alerts, newest first: each threshold is noted once in each window of a budget.

    They are not sent anywhere yet.
    """
    from farthing.reports.alerts import alert_json

    with open_ledger(ledger, policy, empty=True) as store:
        alerts = store.alerts(budget=budget, limit=limit)
    if as_json:
        screen.print_json({"alerts": [alert_json(alert) for alert in alerts]})
        return
    if not alerts:
        screen.line("No alerts: no budget reached a threshold yet.")
        return
    columns = {
        "at": "left", "budget": "left", "of": "left", "window": "left", "share": "right", "action": "left",
        "spent": "right", "limit": "right", "environment": "left",
    }  # fmt: skip
    screen.table(
        columns,
        [
            (
                iso_utc(alert.at_us)[:19].replace("T", " "), alert.budget, alert.value or "", alert.window,
                f"{alert.threshold_percent} %", alert.action + (", refused" if alert.refused else ""),
                dollars(alert.spent_nanodollars), dollars(alert.limit_nanodollars), alert.environment,
            )
            for alert in alerts
        ],
    )  # fmt: skip
