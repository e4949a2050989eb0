"""What only the store in memory does: forget old calls one by one, and outlive a fork."""

import multiprocessing
import threading

from farthing.ledger.entries import Unknown
from farthing.ledger.memory import MemoryStore
from tests.ledger.sentences import CENT, DOLLAR, ask, assume, booked, claim, hold, money, offer, settle


def test_old_calls_live_on_in_the_sums() -> None:
    store = MemoryStore(entries_kept=3)
    for number in range(10):
        ask(store, hold(f"call-{number}", offer(CENT, claim("team", DOLLAR)), about={"run": "r"}))
        booked(store, assume(f"call-{number}", CENT))
        booked(store, settle(f"call-{number}", 2))

    assert len(store.entries()) <= 3
    assert isinstance(ask(store, settle("call-0")), Unknown)
    assert money(store) == (20, 0)
    (row,) = store.spend(by=["run"])
    assert (row.calls, row.cost_nanodollars) == (10, 20)
    assert store.verify() == []


def test_a_fork_in_the_middle_of_a_batch_leaves_the_child_a_working_store() -> None:
    store = MemoryStore()
    ask(store, hold("A"))
    locked, forked = threading.Event(), threading.Event()

    def keep_locked() -> None:
        with store._lock:
            locked.set()
            forked.wait(10)

    keeper = threading.Thread(target=keep_locked)
    keeper.start()
    locked.wait(10)
    child = multiprocessing.get_context("fork").Process(target=lambda: money(store))
    child.start()
    child.join(10)
    forked.set()
    keeper.join()

    assert child.exitcode == 0
