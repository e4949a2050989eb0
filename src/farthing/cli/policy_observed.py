"""farthing policy observed: what would have been stopped or changed, and which keys are used elsewhere."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from farthing.cli import options, screen
from farthing.cli.opening import open_ledger, policy_or_none
from farthing.cli.spend import moment
from farthing.domain.money import dollars
from farthing.domain.period import iso_utc

if TYPE_CHECKING:
    from farthing.reports.claims import Claimed
    from farthing.reports.observed import WouldHave


def observed(
    since: Annotated[str, typer.Option(help="30d, 12h, 2w, or a date such as 2026-11-01.")] = "7d",
    until: Annotated[str | None, typer.Option(help="The same; this moment is not included.")] = None,
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """Show which calls passed only because nothing blocked them: under  at_limit: observe  or  overrun.

    Also which keys were used by callers that claim another environment than the key's.
    """
    from farthing.reports.claims import claims_of
    from farthing.reports.history import calls_in_order
    from farthing.reports.observed import what_would_have_been

    now_us = time.time_ns() // 1_000
    loaded = policy_or_none(policy, ledger)
    zone = loaded.policy.zone if loaded else "UTC"
    since_us, until_us = moment(since, now_us, zone), moment(until, now_us, zone) if until else now_us
    with open_ledger(ledger, policy, empty=True) as store:
        would_have = what_would_have_been(calls_in_order(store, since_us, until_us))
        claims = claims_of(calls_in_order(store, since_us, until_us))
    if as_json:
        screen.print_json(
            {
                "since": iso_utc(since_us),
                "until": iso_utc(until_us),
                "would_have": [_would_have_json(row) for row in would_have],
                "claims": [_claimed_json(row) for row in claims],
            }
        )
        return
    _draw(would_have, claims)


def _draw(would_have: "list[WouldHave]", claims: "list[Claimed]") -> None:
    if would_have:
        columns = {"environment": "left", "would have been stopped or changed": "text", "calls": "right",
                   "cost": "right"}  # fmt: skip
        rows = [
            (row.environment, row.rule, f"{row.calls:,}", dollars(row.cost_nanodollars)) for row in would_have
        ]
        screen.table(columns, rows)
    else:
        screen.line("No call passed that would have been stopped or changed.")
    if claims:
        screen.line("Keys whose callers claim another environment", "bold")
        columns = {"key": "left", "of": "left", "claimed": "left", "calls": "right", "cost": "right"}
        screen.table(
            columns,
            [
                (row.key, row.environment, row.claimed, f"{row.calls:,}", dollars(row.cost_nanodollars))
                for row in claims
            ],
        )


def _would_have_json(row: "WouldHave") -> dict[str, object]:
    return {
        "environment": row.environment,
        "rule": row.rule,
        "calls": row.calls,
        "cost_nanodollars": row.cost_nanodollars,
    }


def _claimed_json(row: "Claimed") -> dict[str, object]:
    return {
        "environment": row.environment,
        "claimed": row.claimed,
        "key": row.key,
        "calls": row.calls,
        "cost_nanodollars": row.cost_nanodollars,
    }
