"""What the store in memory forgets: accounts that ended, with their last entry, and the oldest sums."""

import tracemalloc

import pytest

from farthing.ledger.forgetting import KEPT_AFTER_US, Folded
from farthing.ledger.memory import MemoryStore
from tests.ledger.sentences import (
    CENT,
    DOLLAR,
    NOON_US,
    ask,
    assume,
    booked,
    claim,
    hold,
    offer,
    settle,
)


def run(store: MemoryStore, number: int, *, cost: int = 2) -> str:
    """One run with a budget of its own, as a fence makes one; answer its account."""
    name = f"fence#{number}"
    about = {"run": name, "labels": {"user": str(number)}}
    ask(store, hold(f"call-{number}", offer(CENT, claim(name, DOLLAR)), about=about))
    booked(store, settle(f"call-{number}", cost))
    (balance,) = store.balances(budget=name)
    return balance.account


def test_an_account_that_ended_is_forgotten_with_its_last_entry() -> None:
    store = MemoryStore(entries_kept=3)
    first = run(store, 0)
    store.retire(first)
    run(store, 1)
    assert store.balance(first) is not None
    for number in range(2, 6):
        run(store, number)
    assert store.balance(first) is None
    assert store.verify() == []


def test_an_account_that_may_still_be_used_is_kept_without_entries() -> None:
    store = MemoryStore(entries_kept=3)
    first = run(store, 0)
    for number in range(1, 50):
        store.retire(run(store, number))
    balance = store.balance(first)
    assert balance is not None and balance.settled == 2
    assert store.verify() == []


def test_an_account_that_holds_something_is_kept_until_it_is_settled() -> None:
    store = MemoryStore(entries_kept=3)
    first = run(store, 0)
    ask(store, hold("late", offer(CENT, claim("fence#0", DOLLAR))))
    store.retire(first)
    for number in range(1, 20):
        run(store, number)
    assert booked(store, settle("late", 5)).balances[0].settled == 7
    for number in range(20, 40):
        run(store, number)
    assert store.balance(first) is None
    assert store.verify() == []


def test_a_correction_finds_the_account_of_its_entry() -> None:
    store = MemoryStore(entries_kept=3)
    ask(store, hold("A", offer(CENT, claim("fence#0", DOLLAR))))
    booked(store, assume("A", CENT))
    (balance,) = store.balances(budget="fence#0")
    store.retire(balance.account)
    run(store, 1)
    assert booked(store, settle("A", 3)).balances[0].settled == 3
    assert store.verify() == []


def test_the_account_of_a_window_is_forgotten_some_time_after_it() -> None:
    store = MemoryStore(entries_kept=3)

    def minute(number: int) -> str:
        start_us = NOON_US + number * 60_000_000
        window = f"minute-{number}"
        asked = claim(window, DOLLAR, window=window, ends_at_us=start_us + 60_000_000)
        ask(store, hold(f"call-{number}", offer(CENT, asked), at_us=start_us))
        answer = booked(store, settle(f"call-{number}", 2, at_us=start_us))
        return answer.balances[0].account

    first = minute(0)
    minutes = KEPT_AFTER_US // 60_000_000
    for number in range(1, minutes):
        minute(number)
    assert store.balance(first) is not None
    for number in range(minutes, minutes + 200):
        minute(number)
    assert store.balance(first) is None
    assert len(store.balances()) < minutes + 20
    assert store.verify() == []


def test_marks_go_with_their_account() -> None:
    store = MemoryStore(entries_kept=1)
    first = run(store, 0)
    assert store.first_to_note(first, "alert:0.8", at_us=NOON_US)
    store.retire(first)
    run(store, 1)
    run(store, 2)
    assert first not in store._marks.noted


@pytest.mark.parametrize("kept", [0, 3])
def test_the_oldest_rows_go_and_the_sums_stay_true(kept: int) -> None:
    store = MemoryStore(entries_kept=3)
    store._folded = Folded(rows_kept=kept)
    for number in range(30):
        run(store, number)
        assert store.verify() == []
    rows = store.spend(by=["run"])
    assert len(rows) == 3 + kept
    assert {row.by["run"] for row in rows} >= {f"fence#{number}" for number in (27, 28, 29)}


def test_a_row_that_new_entries_add_to_is_not_forgotten() -> None:
    store = MemoryStore(entries_kept=3)
    store._folded = Folded(rows_kept=0)
    for number in range(10):
        ask(store, hold(f"call-{number}", offer(CENT, claim("team", DOLLAR)), about={"run": "r"}))
        booked(store, settle(f"call-{number}", 2))
    (row,) = store.spend(by=["run"])
    assert (row.calls, row.cost_nanodollars) == (10, 20)
    assert store.verify() == []


def test_a_hundred_thousand_runs_need_no_more_memory_than_ten_thousand() -> None:
    store = MemoryStore(entries_kept=100)
    store._folded = Folded(rows_kept=100)
    tracemalloc.start()
    try:
        for number in range(2_000):
            store.retire(run(store, number))
        before, _ = tracemalloc.get_traced_memory()
        for number in range(2_000, 12_000):
            store.retire(run(store, number))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 1_000_000  # kept, they would be 20 MB
    assert store.verify() == []
