"""Who did what: stops, keys, tokens, requests, raises, credits and policies that came in force."""

import time
from typing import Annotated

import typer

from farthing.cli import options, screen
from farthing.cli.door import command, noun
from farthing.cli.opening import open_ledger
from farthing.cli.spans import after

app = noun("audit", "Who did what, when, from what to what, and why.")


@command(app, "list", example="farthing audit list --action key --since 30d")
def list_acts(
    action: Annotated[
        str | None, typer.Option(help="Only acts such as stop, raise, key, or 'key revoke'.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="Only what this one did.")] = None,
    about: Annotated[str | None, typer.Option(help="Only what was done to this id or account.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="SPAN", help="Only what was done in the last 30d, 2h, …")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 100,
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """List what people did to keys, tokens, limits, wallets, stops and policies, newest first."""
    from farthing.ledger.auditing import WantedActs
    from farthing.reports.audit import act_json

    now_us = time.time_ns() // 1_000
    ahead_us = after(now_us, since)
    since_us = None if ahead_us is None else 2 * now_us - ahead_us
    with open_ledger(ledger, policy, empty=True) as store:
        rows = store.acts(WantedActs(action=action, by=by, about=about, since_us=since_us), limit=limit)
    told = [act_json(row) for row in rows]
    if as_json:
        screen.print_json({"audit": told})
        return
    if not told:
        screen.line("Nobody did anything of the kind.")
        return
    columns = {"at": "left", "by": "left", "action": "left", "about": "left", "from": "left", "to": "left",
               "why": "text"}  # fmt: skip
    screen.table(
        columns,
        [
            (
                str(row["at"])[:16].replace("T", " "), str(row["by"]), str(row["action"]), str(row["about"]),
                str(row["from"] or ""), str(row["to"] or ""), str(row["reason"]),
            )
            for row in told
        ],
    )  # fmt: skip
