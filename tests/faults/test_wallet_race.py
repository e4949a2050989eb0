"""Sixty-four threads of four processes spend from one wallet while it is filled: never below zero."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from farthing.config.build import clock
from farthing.domain.money import nanodollars_from
from farthing.engine.raises import credit
from farthing.ledger.committer import Committer
from farthing.ledger.entries import Balance
from farthing.ledger.sqlite import SqliteStore
from farthing.policy.wallets import wallet_name
from tests.faults.conftest import FULL, Measured
from tests.faults.wallet_spender import TEAM, policy

ROOT = Path(__file__).parents[2]
SPENDER = Path(__file__).with_name("wallet_spender.py")
PROCESSES = 4
CALLS = 400 if FULL else 60  # of each of sixteen threads
CREDITS = 20
CREDIT = "$1.50"
TENTH_OF_A_DOLLAR = nanodollars_from("$0.10")


@contextmanager
def spenders(ledger: Path, folder: Path, calls: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that spend; each says into a file of its own what it settled."""
    started = []
    try:
        for number in range(PROCESSES):
            said = (folder / f"said-{number}").open("wb")
            command = [sys.executable, str(SPENDER), str(ledger), f"p{number}", str(calls)]
            with said:
                started.append(
                    subprocess.Popen(command, stdout=said, env=os.environ | {"PYTHONPATH": str(ROOT)})
                )
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()


def said(folder: Path) -> list[tuple[str, str, int]]:
    """What all processes said; a line cut by a kill is none."""
    lines = b"".join((folder / f"said-{number}").read_bytes() for number in range(PROCESSES)).splitlines(True)
    split = [line.decode().split() for line in lines if line.endswith(b"\n")]
    return [(what, call_id, int(cost)) for what, call_id, cost in split]


def put_in(store: SqliteStore, amount: int, credit_id: str) -> None:
    credit(
        store,
        policy(),
        TEAM,
        amount_nanodollars=amount,
        by="ana",
        reason="race",
        at_us=clock(),
        credit_id=credit_id,
    )


def in_wallet(store: SqliteStore) -> Balance:
    (balance,) = store.balances(budget=wallet_name(TEAM))
    return balance


def test_a_wallet_is_never_below_zero_while_64_threads_race_for_what_is_put_in(
    ledger: Path, tmp_path: Path, measured: Measured
) -> None:
    store = SqliteStore(ledger)
    put_in(store, nanodollars_from(CREDIT), "credit-0")
    least, looks = in_wallet(store).remaining, 0
    with spenders(ledger, tmp_path, CALLS) as processes:
        put = 1
        while any(process.poll() is None for process in processes):
            balance = in_wallet(store)
            least, looks = min(least, balance.remaining), looks + 1
            if put < CREDITS and balance.remaining < TENTH_OF_A_DOLLAR:
                put_in(store, nanodollars_from(CREDIT), f"credit-{put}")
                put_in(store, nanodollars_from(CREDIT), f"credit-{put}")  # sent again: still one credit
                put += 1
            time.sleep(0.005)  # a pace for the looks, not something waited for
        assert [process.wait() for process in processes] == [0] * PROCESSES
    told = said(tmp_path)
    settled = [cost for what, _, cost in told if what == "settled"]
    balance = in_wallet(store)
    measured(
        f"{len(settled)} calls settled, {len(told) - len(settled)} refused; {put} credits; {looks} looks"
    )

    assert least >= 0
    assert balance.limit == put * nanodollars_from(CREDIT)
    assert (balance.settled, balance.held) == (sum(settled), 0)
    assert balance.settled <= balance.limit
    assert balance.settled >= balance.limit * 9 // 10 or put < CREDITS
    assert {what for what, _, _ in told} >= {"settled"}
    assert {what for what, _, _ in told} <= {"settled", "wallet_empty", "budget_held"}
    assert len(store.raises()) == put
    assert store.verify() == []
    store.close()


def test_processes_killed_while_they_spend_leave_a_wallet_that_adds_up(
    ledger: Path, tmp_path: Path, measured: Measured
) -> None:
    store = SqliteStore(ledger)
    put_in(store, nanodollars_from("$20"), "credit-0")
    with spenders(ledger, tmp_path, 100_000) as processes:
        number = 0
        while sum(what == "settled" for what, _, _ in said(tmp_path)) < 40:
            number += 1
            put_in(store, nanodollars_from("$0.01"), f"cent-{number}")
            assert number < 10_000
        for process in processes:
            process.send_signal(signal.SIGKILL)
        assert {process.wait() for process in processes} == {-signal.SIGKILL}
    assert store.verify() == []
    open_holds = len(store.open_holds())

    committer = Committer(store, clock)
    assert committer.look_for_the_dead() == open_holds

    settled = {call_id: cost for what, call_id, cost in said(tmp_path) if what == "settled"}
    rows = {row.call_id: row for row in store.entries(limit=100_000)}
    assert all(rows[call_id].cost_nanodollars == cost for call_id, cost in settled.items())
    balance = in_wallet(store)
    assert balance.held == 0
    assert balance.remaining >= 0
    assert balance.settled == sum(row.cost_nanodollars for row in rows.values())
    assert balance.limit == nanodollars_from("$20") + number * nanodollars_from("$0.01")
    assert store.verify() == []
    measured(f"killed with {open_holds} calls open, {len(settled)} settled and told, {number} credits beside")
    store.close()
