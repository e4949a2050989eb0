"""Closed hours are folded into days and months by the batch that closes them: never half, never twice."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from farthing.domain.money import TOKENS_PER_MILLION
from farthing.ledger import sqlite_rollups, sqlite_sums
from farthing.ledger.entries import AtShort, Need, Unit
from farthing.ledger.grains import DAY_HOURS, Part
from farthing.ledger.sqlite import SqliteStore
from tests.ledger.sentences import (
    CENT,
    DOLLAR,
    HOUR_US,
    NOON_US,
    ask,
    assume,
    booked,
    claim,
    held,
    hold,
    offer,
    refuse,
    settle,
    undo_migrations_after,
)

NOON = NOON_US // HOUR_US
ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).with_name("folder.py")


def spent(store: SqliteStore, call_id: str, hour: int, *, cost: int = CENT, **about: object) -> None:
    """One call, so many hours after noon."""
    asked = {"labels": {"feature": "search"}, "developer": "alice", "prompt_hash": "p"} | about
    held(store, hold(call_id, offer(cost, claim()), at_us=NOON_US + hour * HOUR_US, about=asked))
    booked(store, settle(call_id, cost))


def rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path)
    found = connection.execute(sql).fetchall()
    connection.close()
    return found


def test_an_hour_is_folded_when_a_later_one_is_written(ledger_file: Path) -> None:
    store = SqliteStore(ledger_file)
    spent(store, "A", 0)
    spent(store, "B", 0)
    assert rows(ledger_file, "SELECT count(*) FROM spend_sum WHERE grain > 0") == [(0,)]

    spent(store, "C", 1)

    assert rows(ledger_file, "SELECT grain, calls FROM spend_sum ORDER BY 1, period") == [
        (0, 2),
        (0, 1),
        (1, 2),
        (2, 2),
    ]
    assert rows(ledger_file, "SELECT until_hour FROM folded") == [(NOON + 1,)]
    assert store.verify() == []
    store.close()


def test_an_entry_that_comes_late_is_added_to_its_day_and_month(ledger_file: Path) -> None:
    store = SqliteStore(ledger_file)
    held(store, hold("late", offer(CENT, claim()), about={"run": "r", "labels": {"feature": "search"}}))
    spent(store, "A", 0)
    spent(store, "B", 40)

    booked(store, settle("late", 3))

    assert store.verify() == []
    assert rows(ledger_file, "SELECT sum(cost_nanodollars) FROM spend_sum WHERE grain = 1") == [(CENT + 3,)]
    (day, next_day) = store.spend(by=["day"])
    assert (day.by["day"], day.cost_nanodollars) == ("2026-12-10", CENT + 3)
    assert next_day.by["day"] == "2026-12-12"
    store.close()


def test_a_correction_of_a_folded_call_moves_it_in_the_histogram_of_its_month(ledger_file: Path) -> None:
    store = SqliteStore(ledger_file)
    held(store, hold("A", offer(CENT, claim()), about={"run": "r"}))
    booked(store, assume("A", CENT))
    spent(store, "B", 40)

    booked(store, settle("A", 5))

    assert store.verify() == []
    month = "SELECT of, bucket, count FROM cost_count WHERE grain = 2 AND count <> 0 ORDER BY 1, 2"
    assert [row[0] for row in rows(ledger_file, month)] == ["all_calls", "calls", "runs"]
    assert rows(ledger_file, month)[:2] == [("all_calls", 5, 1), ("calls", 5, 1)]
    assert [row.least_nanodollars for row in store.cost_counts(of="runs").rows] == [5]
    spent(store, "C", 41)
    assert rows(ledger_file, month)[2] == ("runs", 5, 1)
    assert store.verify() == []
    store.close()


def test_a_few_hours_are_folded_at_a_time_and_answers_are_whole_meanwhile(
    ledger_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is behind is caught up by the batches that follow; no single one pays for all of it."""
    monkeypatch.setattr(sqlite_rollups, "fold", lambda *_, **__: None)
    store = SqliteStore(ledger_file)
    for hour in range(60):
        spent(store, f"call-{hour}", hour)
    monkeypatch.undo()
    assert [row.calls for row in store.spend(by=["day"])] == [12, 24, 24]

    left = []
    for number in range(25):
        spent(store, f"later-{number}", 60)
        assert [row.calls for row in store.spend(by=["day"])] == [12, 24, 24, number + 1]
        ((until,),) = rows(ledger_file, "SELECT until_hour FROM folded")
        left.append(NOON + 60 - until)

    assert left[0] >= 57
    assert all(before - now <= 3 for before, now in pairwise(left))
    assert left[-1] == 0
    assert store.verify() == []
    store.close()


def test_a_question_reads_few_rows_however_many_hours_there_are(
    ledger_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqliteStore(ledger_file)
    for day in range(70):
        spent(store, f"call-{day}", day * DAY_HOURS)
    asked: list[str] = []
    as_json = sqlite_sums._as_json

    def noted(parts: Iterable[Part], told: Callable[[Part], int | str | None]) -> str:
        asked.append(as_json(parts, told))
        return asked[-1]

    monkeypatch.setattr(sqlite_sums, "_as_json", noted)

    assert sum(row.calls for row in store.spend(by=["month", "environment"])) == 70

    assert asked[0].count("[") < 40  # not 70 days, nor 1,680 hours
    store.close()


def test_an_older_file_is_brought_to_days_and_months_without_loss(ledger_file: Path) -> None:
    before = SqliteStore(ledger_file)
    pair = {"user_id": "u1", "tier": "free", "feature": "search"}
    for hour in (0, 1, 13, 40, 700):
        spent(before, f"call-{hour}", hour, run=f"run-{hour % 2}", labels=pair)
    held(before, hold("assumed", offer(CENT, claim()), about={"developer": "bob"}))
    booked(before, assume("assumed"))
    booked(before, settle("assumed", 7))
    booked(before, refuse("R", count=3))
    ask(before, hold("short", offer(DOLLAR, claim("tiny", 1))))
    held(before, hold("open", offer(CENT, claim())))
    answers = everything(before)
    before.close()
    undo_migrations_after(12, ledger_file)

    after = SqliteStore(ledger_file)

    assert after.verify() == []
    assert everything(after) == answers
    booked(after, settle("open", 3))
    spent(after, "later", 800)
    assert after.verify() == []
    after.close()


def test_an_older_file_tells_which_calls_were_clamped(ledger_file: Path) -> None:
    before = SqliteStore(ledger_file)
    needs = {Unit.NANODOLLARS: Need(0, TOKENS_PER_MILLION)}
    half = offer(0, claim(limit=50, at_short=AtShort.CLAMP), needs=needs, output_full=100)
    assert held(before, hold("A", half, about={"run": "r"})).clamped
    booked(before, settle("A", 1))
    before.close()
    undo_migrations_after(12, ledger_file)

    after = SqliteStore(ledger_file)

    assert [row.clamped for row in after.spend(by=["run"])] == [1]
    assert [row.clamped for row in after.spend(by=["month"])] == [1]
    assert after.verify() == []
    after.close()


def everything(store: SqliteStore) -> list[object]:
    """All answers of a store to reports, but for what older files did not keep."""
    return [
        *[
            [(row.by, row.calls, row.refused, row.cost_nanodollars) for row in store.spend(by=by)]
            for by in (["month"], ["day"], ["hour"], ["run"], ["label:user_id", "label:tier", "month"])
        ],
        store.cost_counts(of="calls", by=["label:feature"]),
        store.cost_counts(of="runs"),
        store.reasons(by=["reason", "account", "month"]),
        store.activity(since_us=0, until_us=2 * NOON_US),
        store.prompts(least=3, since_us=0, until_us=2 * NOON_US),
    ]


def test_processes_that_fold_at_once_fold_each_hour_once(ledger_file: Path) -> None:
    processes = [start(ledger_file, name, hours=60) for name in ("one", "two")]

    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    store = SqliteStore(ledger_file)
    assert store.verify() == []
    assert sum(row.calls for row in store.spend(by=["month"])) == 2 * 60
    store.close()


@pytest.mark.parametrize("after_lines", [3, 30, 90])
def test_a_process_killed_at_any_moment_leaves_no_hour_half_folded(
    ledger_file: Path, after_lines: int
) -> None:
    process = start(ledger_file, "victim", hours=100_000)
    assert process.stdout is not None
    for said, _ in enumerate(process.stdout, start=1):
        if said == after_lines:
            process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=60) == -signal.SIGKILL

    store = SqliteStore(ledger_file)
    assert store.verify() == []
    assert sum(row.calls for row in store.spend(by=["month"])) >= after_lines
    store.close()


def start(ledger_file: Path, name: str, *, hours: int) -> "subprocess.Popen[str]":
    """Start a process that settles a call in each of so many hours, and says so."""
    return subprocess.Popen(
        [sys.executable, str(FOLDER), str(ledger_file), name, str(hours)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def test_threads_that_ask_while_hours_are_folded_see_every_call_once(ledger_file: Path) -> None:
    store = SqliteStore(ledger_file)
    spent(store, "first", 0)
    wrong: list[int] = []
    done = threading.Event()

    def keep_asking() -> None:
        seen = 1
        while not done.is_set():
            calls = sum(row.calls for row in store.spend(by=["month"]))
            if calls < seen:
                wrong.append(calls)
            seen = calls

    asking = threading.Thread(target=keep_asking)
    asking.start()
    try:
        for hour in range(1, 80):
            spent(store, f"call-{hour}", hour)
    finally:
        done.set()
        asking.join()
    assert wrong == []
    store.close()
