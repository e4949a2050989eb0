"""Budgets: what each has spent, holds and has left; ask for more of one, answer, raise it."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from farthing.cli import budget_requests, options, screen
from farthing.cli.door import CommandError, command, noun
from farthing.cli.opening import did_you_mean, open_ledger, policy_or_none
from farthing.domain.money import dollars
from farthing.ledger.entries import Balance, OpenHold, Unit

if TYPE_CHECKING:
    from farthing.reports.standing import Standing

_BAR = "spent █ held ▒ left ░"

app = noun("budget", "Budgets: list them, show one with its open holds, ask for more, approve, raise.")

_ASK = 'farthing budget request dev-month 50 --reason "demo on Friday"'
command(app, "request", example=_ASK)(budget_requests.request)
command(app, "requests", example="farthing budget requests --open")(budget_requests.requests)
command(app, "approve", example="farthing budget approve req_1f0c22ab")(budget_requests.approve)
command(app, "deny", example='farthing budget deny req_1f0c22ab --reason "wait for December"')(
    budget_requests.say_no
)
command(app, "raise", example='farthing budget raise dev-month 50 --reason "demo on Friday"')(
    budget_requests.raise_limit
)


@command(app, "list", example="farthing budget list --ledger sqlite:///farthing.db")
def list_budgets(
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """Show every budget in its current window: spent, held and left, with a bar."""
    from farthing.reports.standing import standing_json, standings

    now_us = time.time_ns() // 1_000
    loaded = policy_or_none(policy, ledger)
    with open_ledger(ledger, policy, empty=True) as store:
        balances = store.balances(current_at_us=now_us)
    rows = standings(balances, loaded.policy.budgets if loaded else (), now_us)
    if as_json:
        screen.print_json({"budgets": [standing_json(row) for row in rows]})
        return
    if not rows:
        screen.line("No budgets: the policy has none, and the ledger has no accounts.")
        return
    _draw(rows)


@command(app, "show", example="farthing budget show dev-month")
def show(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A budget, or one account such as dev-month/2026-11.")
    ],
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """Show a budget: all its accounts and windows, and the calls in flight that hold money of it."""
    from farthing.reports.budgets import hold_json
    from farthing.reports.standing import standing_json, standings

    now_us = time.time_ns() // 1_000
    loaded = policy_or_none(policy, ledger)
    budgets = loaded.policy.budgets if loaded else ()
    budget = name.partition("/")[0]
    with open_ledger(ledger, policy, empty=True) as store:
        balances = store.balances(budget=budget, at_us=now_us)
        known = {row.budget for row in store.balances()} | {row.name for row in budgets}
        holds = store.open_holds()
    if "/" in name:
        balances = [row for row in balances if row.account == name]
    if budget not in known or ("/" in name and not balances):
        raise _no_such(name, {*known, *(row.account for row in balances)})
    rows = standings(balances, [row for row in budgets if row.name == budget], now_us)
    accounts = {row.account for row in balances}
    holds = [hold for hold in holds if accounts & set(hold.accounts)]
    if as_json:
        told = [hold_json(hold, now_us=now_us) for hold in holds]
        screen.print_json({"budget": budget, "accounts": [standing_json(row) for row in rows], "holds": told})
        return
    _draw(rows)
    _draw_holds(holds, now_us)


def _no_such(name: str, known: set[str]) -> CommandError:
    question = did_you_mean(name, known)
    return CommandError(
        f"there is no budget {name}",
        why=f"the policy and the ledger know: {', '.join(sorted(known))}" if known else "none is known here",
        fix=question or "farthing budget list shows them all",
    )


def _draw(rows: Sequence["Standing"]) -> None:
    columns = {
        "budget": "left", "of": "left", "window": "left", _BAR: "left", "spent": "right", "held": "right",
        "left": "right", "limit": "right",
    }  # fmt: skip
    screen.table(columns, [_cells(row.balance) for row in rows], spare=(_BAR,))


def _cells(balance: Balance) -> tuple[str | Text, ...]:
    used = balance.settled + balance.held
    style = "red" if used >= balance.limit else "yellow" if used * 4 >= balance.limit * 3 else "green"
    return (
        balance.budget,
        balance.value or "",
        balance.window,
        screen.bar([(balance.settled, style), (balance.held, style)], balance.limit),
        amount(balance.settled, balance.unit),
        amount(balance.held, balance.unit),
        Text(amount(balance.remaining, balance.unit), style="red" if balance.remaining < 0 else ""),
        amount(balance.limit, balance.unit),
    )


def _draw_holds(holds: Sequence[OpenHold], now_us: int) -> None:
    if not holds:
        screen.line("No call in flight holds money of it.")
        return
    columns = {"open hold": "left", "age": "right", "environment": "left", "key": "left", "model": "left",
               "holds": "right"}  # fmt: skip
    screen.table(
        columns,
        [
            (
                hold.call_id, screen.age((now_us - hold.at_us) // 1_000), hold.environment, hold.key or "",
                hold.model, dollars(hold.ceiling_nanodollars),
            )
            for hold in holds
        ],
    )  # fmt: skip


def amount(number: int, unit: Unit) -> str:
    """Show an amount of an account in its unit."""
    if unit is Unit.NANODOLLARS:
        return dollars(number)
    return f"{number:,} {unit.value.replace('_', ' ')}"
