"""farthing policy simulate: decide the calls of the past again under another policy."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from farthing.cli import options, screen
from farthing.cli.opening import ledger_in_use, open_ledger, policy_or_none, read_policy, read_prices
from farthing.cli.progress import calls_passing
from farthing.cli.spend import moment
from farthing.domain.money import dollars
from farthing.domain.period import iso_utc

if TYPE_CHECKING:
    from farthing.config.load import Loaded
    from farthing.engine.simulation import Changed, Simulation
    from farthing.ledger.entries import Balance
    from farthing.ledger.raising import RaiseRow
    from farthing.ledger.store import Store

_RAISES_MAX = 100_000


def simulate(
    new: Annotated[list[Path], typer.Argument(metavar="NEW.yaml…", help="The policy to try: its files.")],
    since: Annotated[str, typer.Option(help="30d, 12h, 2w, or a date such as 2026-11-01.")] = "30d",
    until: Annotated[str | None, typer.Option(help="The same; this moment is not included.")] = None,
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """Replay the ledger against another policy: what would have been refused, downgraded, clamped, saved.

    Nothing is sent and nothing on the ledger changes. A call that was refused and would be let through
    counts at the most that it can cost.
    """
    from farthing.config.stores import open_store
    from farthing.engine.replay import Replay, earliest_window_us
    from farthing.engine.simulation import Simulation
    from farthing.reports.history import calls_in_order, count_of_calls

    loaded = read_policy(new)
    running = policy_or_none(policy, ledger)
    zone = (running or loaded).policy.zone
    now_us = time.time_ns() // 1_000
    since_us, until_us = moment(since, now_us, zone), moment(until, now_us, zone) if until else now_us
    simulation, booked, left_out = Simulation(), 0, 0
    with open_ledger(ledger, policy) as store:
        began_us = earliest_window_us(loaded.policy, since_us)
        books = open_store("memory://")
        replay = Replay(
            loaded.policy, read_prices(loaded), books, raises=_raises(store), passes=store.passes()
        )
        with calls_passing(count_of_calls(store, began_us, until_us)) as passing:
            for entry in passing(calls_in_order(store, began_us, since_us)):
                replay.book(entry)
                booked += entry.count
            for entry in passing(calls_in_order(store, since_us, until_us)):
                left_out += entry.count * (entry.facts.request is None)
                simulation.add(replay.decide(entry))
    if as_json:
        screen.print_json(_simulation_json(simulation, loaded, since_us, until_us))
        return
    _draw(simulation, loaded, ledger_in_use(ledger, policy))
    if booked:
        screen.remark(
            f"{screen.count(booked, 'call')} before that were booked to budgets that still counted them."
        )
    if left_out:
        screen.remark(
            f"{screen.count(left_out, 'call')} of an older version do not say enough, and stay as they were."
        )


def _raises(store: "Store") -> "Iterator[tuple[RaiseRow, Balance]]":
    """The raises that were made, each with its account."""
    for row in store.raises(limit=_RAISES_MAX):
        balance = store.balance(row.account)
        if balance is not None:
            yield row, balance


# ── what is shown ───────────────────────────────────────────────────────────────────────────────


def _simulation_json(
    simulation: "Simulation", loaded: "Loaded", since_us: int, until_us: int
) -> dict[str, object]:
    return {
        "digest": loaded.policy.digest,
        "since": iso_utc(since_us),
        "until": iso_utc(until_us),
        "changed_calls": simulation.changed_calls,
        "environments": [_row_json(row) for row in simulation.totals.values()],
        "changes": [_row_json(row) for row in simulation.changes],
    }


def _row_json(row: "Changed") -> dict[str, object]:
    return {
        "environment": row.environment,
        "change": row.change,
        "rule": row.rule or None,
        "calls": row.calls,
        "cost_nanodollars": row.cost_nanodollars,
        "would_cost_nanodollars": row.would_cost_nanodollars,
        "saved_nanodollars": row.saved_nanodollars,
        "assumed_nanodollars": row.assumed_nanodollars,
    }


def _draw(simulation: "Simulation", loaded: "Loaded", ledger: str) -> None:
    if not simulation.totals:
        screen.line(f"There is nothing to decide again: no call is on {ledger} in that time.")
        return
    calls = sum(row.calls for row in simulation.totals.values())
    what = (
        f"{screen.count(simulation.changed_calls, 'call')} of {calls:,} would have been decided differently"
    )
    screen.line(f"Policy {loaded.policy.digest}: {what}.")
    figures = ("calls", "cost", "would cost", "saved")
    columns = {"environment": "left", "": "left", "rule": "text", **dict.fromkeys(figures, "right")}
    rows = [*simulation.changes, *simulation.totals.values()]
    screen.table(columns, [_cells(row) for row in sorted(rows, key=lambda row: row.environment)])
    if any(row.assumed_nanodollars for row in rows):
        screen.remark("Calls that were never made count at the most that they can cost.")


def _cells(row: "Changed") -> tuple[str, ...]:
    amounts = (row.cost_nanodollars, row.would_cost_nanodollars, row.saved_nanodollars)
    return row.environment, row.change, row.rule, f"{row.calls:,}", *(dollars(one) for one in amounts)
