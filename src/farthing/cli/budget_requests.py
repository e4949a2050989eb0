"""Ask for more of a budget, answer who asked, raise a limit."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from farthing.cli import options, screen
from farthing.cli.author import By, author
from farthing.cli.door import ANSWER_IS_NO, CommandError
from farthing.cli.opening import did_you_mean, open_ledger, read_policy
from farthing.cli.spans import until as moment_of
from farthing.domain.money import BadAmount, dollars, nanodollars_from

_NAME = Annotated[str, typer.Argument(metavar="NAME", help="A budget of the policy.")]
_AMOUNT = Annotated[str, typer.Argument(metavar="AMOUNT", help="Dollars, such as 50 or '$12.50'.")]
_REASON = Annotated[str, typer.Option(help="Why; it is kept for good.")]
_VALUE = Annotated[
    str | None, typer.Option(help="Which account, where the budget has one for each value: alice.")
]
_RUN = Annotated[str | None, typer.Option(help="Which run, where the budget is for each run.")]
_UNTIL = Annotated[
    str | None,
    typer.Option(
        metavar="MOMENT", help="When it ends, such as 2026-12-24 or 3d; with the window at the latest."
    ),
]
_REQUEST = Annotated[
    str, typer.Argument(metavar="REQUEST_ID", help="The request, as budget requests shows it.")
]


def request(
    name: _NAME,
    amount: _AMOUNT,
    reason: _REASON = "",
    value: _VALUE = None,
    run: _RUN = None,
    until: _UNTIL = None,
    by: By = None,
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """Ask for more of a budget in its current window; somebody else approves or denies it."""
    from farthing.engine.requests import ask_for_more
    from farthing.reports.requests import request_json

    rules, now_us = read_policy(policy).policy, time.time_ns() // 1_000
    with open_ledger(ledger, policy, make=True) as store, _explained():
        row = ask_for_more(
            store, rules, name, amount_nanodollars=nanodollars_from(amount), by=author(by), reason=reason,
            at_us=now_us, value=value, run=run, until_us=moment_of(now_us, until),
        )  # fmt: skip
    if as_json:
        screen.print_json(request_json(row))
        return
    screen.line(
        f"Asked for {dollars(row.amount_nanodollars)} more of {name} in {row.window}. Somebody else answers:"
        f"  farthing budget approve {row.request_id}"
    )


def requests(
    only_open: Annotated[bool, typer.Option("--open", help="Only those that nobody answered.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 100,
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """List requests for more of a budget, with who asked, why, and what was answered."""
    from farthing.domain.period import iso_utc
    from farthing.reports.requests import request_json

    with open_ledger(ledger, policy, empty=True) as store:
        rows = store.requests(only_open=only_open, limit=limit)
    if as_json:
        screen.print_json({"requests": [request_json(row) for row in rows]})
        return
    if not rows:
        screen.line("Nobody asked for more.")
        return
    columns = {
        "request": "left", "at": "left", "by": "left", "budget": "left", "of": "left", "window": "left",
        "amount": "right", "state": "left", "why": "text",
    }  # fmt: skip
    screen.table(
        columns,
        [
            (
                row.request_id, iso_utc(row.at_us)[:16].replace("T", " "), row.by, row.budget,
                row.value or "", row.window, dollars(row.amount_nanodollars),
                f"{row.state} by {row.answered_by}" if row.answered_by else row.state, row.reason,
            )
            for row in rows
        ],
    )  # fmt: skip


def approve(
    request_id: _REQUEST,
    amount: Annotated[str | None, typer.Option(help="Another amount than what was asked.")] = None,
    until: _UNTIL = None,
    reason: Annotated[str, typer.Option(help="Why; it is kept for good.")] = "",
    by: By = None,
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """Approve a request of somebody else: the limit is raised at once, until its window ends."""
    from farthing.engine.requests import approve as approve_request
    from farthing.reports.requests import request_json

    rules, now_us = read_policy(policy).policy, time.time_ns() // 1_000
    with open_ledger(ledger, policy) as store, _explained():
        row = approve_request(
            store, rules, request_id, by=author(by), at_us=now_us, reason=reason,
            amount_nanodollars=None if amount is None else nanodollars_from(amount),
            until_us=moment_of(now_us, until),
        )  # fmt: skip
    if as_json:
        screen.print_json(request_json(row))
        return
    screen.line(f"{row.budget} has {dollars(row.granted_nanodollars or 0)} more in {row.window}.")


def say_no(
    request_id: _REQUEST,
    reason: Annotated[str, typer.Option(help="Why; whoever asked is told.")] = "",
    by: By = None,
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """Deny a request of somebody else, and tell why."""
    from farthing.engine.requests import say_no as answer_no
    from farthing.reports.requests import request_json

    with open_ledger(ledger, policy) as store, _explained():
        row = answer_no(store, request_id, by=author(by), at_us=time.time_ns() // 1_000, reason=reason)
    if as_json:
        screen.print_json(request_json(row))
        return
    screen.line(f"{row.by} is told no: {row.answer}")


def raise_limit(
    name: _NAME,
    amount: _AMOUNT,
    reason: _REASON = "",
    value: _VALUE = None,
    run: _RUN = None,
    until: _UNTIL = None,
    lower: Annotated[bool, typer.Option("--lower", help="Lower the limit by the amount instead.")] = False,
    by: By = None,
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """Raise the limit of a budget in its current window, in every process on this ledger."""
    from farthing.engine.requests import raise_budget
    from farthing.reports.raises import raise_json

    rules, now_us = read_policy(policy).policy, time.time_ns() // 1_000
    with open_ledger(ledger, policy, make=True) as store, _explained():
        nanodollars = nanodollars_from(amount)
        row = raise_budget(
            store, rules, name, amount_nanodollars=-nanodollars if lower else nanodollars, by=author(by),
            reason=reason, at_us=now_us, value=value, run=run, until_us=moment_of(now_us, until),
        ).row  # fmt: skip
    if as_json:
        screen.print_json(raise_json(row))
        return
    screen.line(f"{row.account}: from {dollars(row.limit_before)} to {dollars(row.limit_after)}.")


@contextmanager
def _explained() -> Iterator[None]:
    """Say what cannot be done, and how to go on."""
    from farthing.engine.raises import BadRaise
    from farthing.engine.requests import BadRequest, NoSuchRequest, OwnRequest, UnknownBudget
    from farthing.ledger.store import BatchPoisoned

    try:
        yield
    except UnknownBudget as error:
        question = did_you_mean(error.name, error.known)
        raise CommandError(str(error), fix=question or "farthing budget list shows them all") from error
    except NoSuchRequest as error:
        raise CommandError(
            str(error), fix="farthing budget requests shows them all", exit_code=ANSWER_IS_NO
        ) from error
    except OwnRequest as error:
        raise CommandError(
            str(error), fix="ask an approver; --by says who does it", exit_code=ANSWER_IS_NO
        ) from error
    except BatchPoisoned as error:
        raise CommandError("that is more than the ledger can remember", fix="take less") from error
    except BadAmount as error:
        raise CommandError(str(error), fix="write it like 50 or '$12.50'") from error
    except (BadRaise, BadRequest) as error:
        raise CommandError(str(error), fix="see the command's --help") from error
