"""Several processes on one file: races end exactly at the limit, and a kill at any moment loses nothing."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from farthing.ledger.committer import Committer
from farthing.ledger.sqlite import SqliteStore
from tests.ledger.sentences import CENT, DOLLAR, NOON_US, money

ROOT = Path(__file__).parents[2]
SPENDER = Path(__file__).with_name("spender.py")


def start(ledger_file: Path, name: str, *, calls: int, limit: int) -> subprocess.Popen[str]:
    """Start a process of eight threads that hold ten cents and settle five, again and again."""
    return subprocess.Popen(
        [sys.executable, str(SPENDER), str(ledger_file), name, str(calls), str(limit)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def lines(process: subprocess.Popen[str]) -> Iterator[list[str]]:
    """What the process says: held NAME, settled NAME, refused NAME; a line cut by a kill is none."""
    assert process.stdout is not None
    return (line.split() for line in process.stdout if line.endswith("\n"))


def test_four_processes_race_for_one_budget_and_end_exactly_at_its_limit(ledger_file: Path) -> None:
    limit = 5 * DOLLAR
    processes = [start(ledger_file, f"p{number}", calls=120, limit=limit) for number in range(4)]
    said = [line for process in processes for line in lines(process)]

    assert [process.wait() for process in processes] == [0] * 4
    store = SqliteStore(ledger_file)
    settled, held = money(store)
    assert held == 0
    assert limit * 9 // 10 <= settled <= limit
    assert settled == 5 * CENT * sum(line[0] == "settled" for line in said)
    assert any(line[0] == "refused" for line in said)
    assert store.verify() == []
    assert store.owners() == []
    store.close()


@pytest.mark.parametrize("after", [1, 7, 60, 200])
def test_a_process_killed_at_any_moment_loses_nothing_that_was_acknowledged(
    ledger_file: Path, after: int
) -> None:
    process = start(ledger_file, "victim", calls=100_000, limit=10**6 * DOLLAR)
    said = []
    for line in lines(process):
        said.append(line)
        if len(said) == after:
            process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL

    store = SqliteStore(ledger_file)
    assert store.verify() == []
    before = {hold.call_id for hold in store.open_holds()}
    settled = {line[1] for line in said if line[0] == "settled"}
    held = {line[1] for line in said if line[0] == "held"}
    for call_id in settled:
        entry = store.entry(call_id)
        assert entry is not None
        assert (entry.cost_nanodollars, entry.assumed) == (5 * CENT, False)
    booked = {entry.call_id for entry in store.entries(limit=100_000)}
    assert held <= before | booked

    committer = Committer(store, lambda: NOON_US)
    assert committer.look_for_the_dead() == len(before)
    assert committer.look_for_the_dead() == 0
    for call_id in before:
        entry = store.entry(call_id)
        assert entry is not None
        assert (entry.cost_nanodollars, entry.assumed_rule) == (10 * CENT, "owner_died")
    assert store.open_holds() == []
    assert store.owners() == []
    assert money(store)[1] == 0
    assert store.verify() == []
    store.close()


def test_a_survivor_settles_what_a_killed_process_held(ledger_file: Path) -> None:
    victim = start(ledger_file, "victim", calls=100_000, limit=10**6 * DOLLAR)
    said = lines(victim)
    for _ in range(20):
        next(said)
    victim.send_signal(signal.SIGKILL)
    for _ in said:
        pass
    victim.wait()

    survivor = start(ledger_file, "survivor", calls=50, limit=10**6 * DOLLAR)
    assert sum(line[0] == "settled" for line in lines(survivor)) == 8 * 50
    assert survivor.wait() == 0

    store = SqliteStore(ledger_file)
    assert store.open_holds() == []
    assert store.owners() == []
    assert store.verify() == []
    store.close()
