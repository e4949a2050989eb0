"""Premium passes: a dearer model on purpose, for a while and with money of its own."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from farthing.cli import options, screen
from farthing.cli.author import By, author
from farthing.cli.door import ANSWER_IS_NO, CommandError, command
from farthing.cli.opening import open_ledger, read_policy
from farthing.cli.spans import after

if TYPE_CHECKING:
    from farthing.domain.premium_pass import PremiumPass

app = typer.Typer()
passes = typer.Typer(help="Let one caller use a dearer model for a while, with money of its own.")
app.add_typer(passes, name="pass")


@command(
    passes,
    "grant",
    example='farthing pass grant --key alice --model gpt-4o --budget 2 --for 2h --reason "check, then merge"',
)
def grant(
    model: Annotated[str, typer.Option(help="The model, with its dated names; gpt-4o* works.")],
    budget: Annotated[str, typer.Option(metavar="AMOUNT", help="What it may spend: 2 or '$2'.")],
    span: Annotated[str, typer.Option("--for", metavar="SPAN", help="For how long: 2h, 1d.")],
    reason: Annotated[str, typer.Option(help="Why; it is kept for good.")],
    key: Annotated[str | None, typer.Option(metavar="LABEL|ID", help="For calls of this key.")] = None,
    developer: Annotated[str | None, typer.Option(help="For calls of this developer.")] = None,
    environment: Annotated[
        str | None, typer.Option(help="In this environment; a key that has one needs none.")
    ] = None,
    by: By = None,
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """Let a key or a developer ask for a model past the allowlist and the downgrades, within a second.

    Such calls pay from all their usual budgets and from the pass. Once it is spent or over, the rule of
    the environment holds again.
    """
    from farthing.domain.money import BadAmount, dollars, nanodollars_from
    from farthing.domain.period import iso_utc
    from farthing.domain.premium_pass import BadPass
    from farthing.engine.passes import grant_pass
    from farthing.reports.passes import pass_json

    rules, now_us = read_policy(policy).policy, time.time_ns() // 1_000
    with open_ledger(ledger, policy, make=True) as store:
        try:
            row = grant_pass(
                store, rules, model=model, budget_nanodollars=nanodollars_from(budget), at_us=now_us,
                until_us=after(now_us, span) or now_us, by=author(by), reason=reason, environment=environment,
                key=key, developer=developer,
            )  # fmt: skip
        except (BadPass, BadAmount) as error:
            raise CommandError(str(error), fix="see  farthing pass grant --help") from error
        told = pass_json(store, row, now_us)
    if as_json:
        screen.print_json(told)
        return
    screen.line(
        f"Until {iso_utc(row.until_us)}, {row.holder} may ask for {row.model} and spend "
        f"{dollars(row.budget_nanodollars)} on it. End it:  farthing pass end {row.pass_id}"
    )


@command(passes, "list", example="farthing pass list --all")
def list_passes(
    everything: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """List passes, with what is left of them."""
    from farthing.reports.passes import pass_json

    now_us = time.time_ns() // 1_000
    with open_ledger(ledger, policy, empty=True) as store:
        if any(not row.is_live(now_us) for row in store.passes(only_open=True)):
            store.note_lapses(now_us)
        rows = [row for row in store.passes() if everything or row.is_live(now_us)]
        told = [pass_json(store, row, now_us) for row in rows]
    if as_json:
        screen.print_json({"passes": told})
        return
    if not rows:
        screen.line("Nobody holds a pass." if not everything else "Nobody ever held a pass.")
        return
    columns = dict.fromkeys(("pass", "who", "model", "until", "by"), "left")
    columns |= {"left": "right", "why": "text", "state": "left"}
    screen.table(
        columns, [_cells(row, str(one["left"]), now_us) for row, one in zip(rows, told, strict=True)]
    )


@command(passes, "end", example='farthing pass end 1f0c22ab --reason "checked"')
def end(
    pass_id: Annotated[str, typer.Argument(metavar="PASS_ID", help="The pass, as pass list shows it.")],
    reason: Annotated[str, typer.Option(help="Why; it is kept for good.")] = "",
    by: By = None,
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """End a pass before its time. It stays in the list."""
    from farthing.reports.passes import pass_json

    now_us = time.time_ns() // 1_000
    with open_ledger(ledger, policy) as store:
        if not store.end_pass(pass_id, at_us=now_us, by=author(by), reason=reason):
            raise CommandError(
                f"no pass {pass_id} is live",
                fix="farthing pass list --all shows every pass",
                exit_code=ANSWER_IS_NO,
            )
        row = next(row for row in store.passes() if row.pass_id == pass_id)
        told = pass_json(store, row, now_us)
    if as_json:
        screen.print_json(told)
        return
    screen.line(f"Ended the pass of {row.holder} for {row.model}.")


def _cells(row: "PremiumPass", left: str, now_us: int) -> tuple[str, ...]:
    from farthing.domain.period import iso_utc

    until = iso_utc(row.until_us)[:16].replace("T", " ")
    ended = f"ended by {row.ended_by}" if row.ended_by not in (None, "farthing") else "lapsed"
    state = "live" if row.is_live(now_us) else ended
    return row.pass_id, row.holder, row.model, until, row.by, left, row.reason, state
