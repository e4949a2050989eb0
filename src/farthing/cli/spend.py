"""What was spent: by environment, model, key, label and time."""

import re
import time
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer
from rich.text import Text

from farthing.cli import options, screen
from farthing.cli.door import CommandError, command
from farthing.cli.opening import ledger_in_use, open_ledger, policy_or_none
from farthing.domain.money import dollars
from farthing.domain.period import MICROSECONDS, iso_utc, to_microseconds
from farthing.ledger.slices import SpendRow

if TYPE_CHECKING:
    from farthing.ledger.store import Store

app = typer.Typer()

_SPAN = re.compile(r"(\d{1,5})\s*(min|h|d|w)")
_SECONDS = {"min": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_FIGURES = {
    "calls": "right", "refused": "right", "assumed": "right", "input tokens": "right",
    "output tokens": "right", "cost": "right", "share": "right", "": "left",
}  # fmt: skip


@command(app, "spend", example="farthing spend --by environment --by model --since 30d")
def spend(
    by: Annotated[
        list[str] | None,
        typer.Option(
            help="environment, key, model, provider, group, developer, run, hour or label:NAME; repeatable.",
            show_default="environment",
        ),
    ] = None,
    since: Annotated[str | None, typer.Option(help="30d, 12h, 2w, or a date such as 2026-11-01.")] = None,
    until: Annotated[str | None, typer.Option(help="The same; this moment is not included.")] = None,
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """Show what was spent, with tokens, shares and the total.

    Sums are kept by the hour: the hour that --since falls into is counted whole. A date begins at
    midnight in the time zone of the policy.
    """
    from farthing.reports.spend import BadDimension, check_dimensions, dearer_staging, spend_json
    from farthing.reports.totals import dearest_first, total_of

    now_us = time.time_ns() // 1_000
    loaded = policy_or_none(policy, ledger)
    zone = loaded.policy.zone if loaded else "UTC"
    since_us, until_us = (moment(text, now_us, zone) if text else None for text in (since, until))
    try:
        dimensions = check_dimensions(by or ["environment"])
    except BadDimension as error:
        raise CommandError(str(error), fix="farthing spend --by environment --by model") from error
    with open_ledger(ledger, policy, empty=True) as store:
        rows = dearest_first(_slices(store, dimensions, since_us, until_us))
    total = total_of(rows)
    flag = dearer_staging(rows) if dimensions == ("environment",) else None
    if as_json:
        screen.print_json(
            {
                "by": list(dimensions),
                "since": iso_utc(since_us) if since_us is not None else None,
                "until": iso_utc(until_us) if until_us is not None else None,
                "spend": [spend_json(row) for row in rows],
                "total": spend_json(total),
                "flags": [] if flag is None else [flag],
            }
        )
        return
    if not rows:
        screen.line(f"Nothing was spent: no call is on {ledger_in_use(ledger, policy)} in that time.")
        return
    columns = {**dict.fromkeys(dimensions, "left"), **_FIGURES}
    footer = [
        "total",
        *[""] * (len(dimensions) - 1),
        *_numbers(total),
        "100.0 %" if total.cost_nanodollars else "",
        "",
    ]
    drawn = [_cells(row, dimensions, total) for row in rows]
    screen.table(columns, drawn, footer=footer, spare=("share", ""))
    if flag is not None:
        screen.remark(f"{flag[0].upper()}{flag[1:]}: look at its models and its cache.")


def _slices(
    store: "Store", dimensions: Sequence[str], since_us: int | None, until_us: int | None
) -> list[SpendRow]:
    """Ask for the slices, and say where they are not the whole."""
    from farthing.reports.spend import complete_spend

    try:
        rows = complete_spend(store, dimensions, since_us=since_us, until_us=until_us)
    except ValueError as error:
        raise CommandError(str(error), fix="ask for fewer dimensions at once") from error
    if "run" in dimensions and (since_us is not None or until_us is not None):
        screen.remark("Runs count whole, by the moment they began; calls without a run are left out.")
    return rows


def _cells(row: SpendRow, dimensions: Sequence[str], total: SpendRow) -> tuple[str | Text, ...]:
    cost = row.cost_nanodollars
    drawn = screen.bar([(cost, "cyan")], total.cost_nanodollars) if cost > 0 else ""
    values = [row.by.get(name) or "(none)" for name in dimensions]
    return (*values, *_numbers(row), screen.share(cost, total.cost_nanodollars), drawn)


def _numbers(row: SpendRow) -> tuple[str, ...]:
    counts = (row.calls, row.refused, row.assumed, row.input_tokens, row.output_tokens)
    return (*(f"{count:,}" for count in counts), dollars(row.cost_nanodollars))


def moment(text: str, now_us: int, zone: str) -> int:
    """Read "30d" as that long ago, and a date or time as itself, in a zone unless it names its own."""
    span = _SPAN.fullmatch(text.strip())
    if span is not None:
        return max(now_us - int(span[1]) * _SECONDS[span[2]] * MICROSECONDS, 0)
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise CommandError(
            f"{text!r} is not a moment", fix="write 30d, 12h, 45min, 2w, or a date such as 2026-11-01"
        ) from error
    return to_microseconds(at if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone)))
