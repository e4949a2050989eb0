"""One thread commits for everyone: batches, deadlines, loops, poison, leases and the dead."""

import asyncio
import multiprocessing
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from farthing.domain.errors import LedgerUnavailable
from farthing.ledger.committer import Committer
from farthing.ledger.entries import Answer, Booked, Done, Held, Operation, Renew, Settle
from farthing.ledger.memory import MemoryStore
from farthing.ledger.owner import LEASE_US
from farthing.ledger.sqlite import SqliteStore
from farthing.ledger.store import BatchPoisoned, Store
from tests.ledger.sentences import CENT, NOON_US, hold, money, offer, settle


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_us = NOON_US

    def __call__(self) -> int:
        return self.now_us


class Gate(MemoryStore):
    """A store that waits before each batch until it is let through, and can be told to fail."""

    def __init__(self) -> None:
        super().__init__()
        self.open = threading.Event()
        self.arrived = threading.Event()
        self.batches: list[list[Operation]] = []
        self.broken = False

    def apply(self, operations: Sequence[Operation]) -> list[Answer]:
        self.batches.append(list(operations))
        self.arrived.set()
        assert self.open.wait(10)
        if self.broken:
            raise LedgerUnavailable("the disk is full")
        for operation in operations:
            if isinstance(operation, Settle) and operation.cost_nanodollars < 0:
                raise BatchPoisoned("a cost below zero")
        return super().apply(operations)


@contextmanager
def committing(store: Store, clock: Clock | None = None, *, inline: bool = False) -> Iterator[Committer]:
    committer = Committer(store, clock or Clock(), inline=inline)
    try:
        yield committer
    finally:
        committer.stop()


class Soon:
    """Collects the answers of operations that were submitted for soon."""

    def __init__(self, committer: Committer) -> None:
        self.committer = committer
        self.answers: list[Answer | LedgerUnavailable] = []
        self.expected = 0
        self.come = threading.Condition()

    def submit(self, operation: Operation) -> None:
        self.expected += 1
        self.committer.submit_soon(operation, self.answered)

    def answered(self, answer: Answer | LedgerUnavailable) -> None:
        with self.come:
            self.answers.append(answer)
            self.come.notify_all()

    def wait(self) -> list[Answer | LedgerUnavailable]:
        with self.come:
            assert self.come.wait_for(lambda: len(self.answers) == self.expected, 10)
        return self.answers


# ── waiting ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("inline", [False, True])
def test_who_submits_gets_the_answer(store: Store, inline: bool) -> None:
    with committing(store, inline=inline) as committer:
        assert isinstance(committer.submit(hold("A")), Held)
        assert isinstance(committer.submit(settle("A")), Booked)
        assert money(store) == (5 * CENT, 0)


@pytest.mark.parametrize("inline", [False, True])
def test_a_task_gets_the_answer(store: Store, inline: bool) -> None:
    async def ask_many() -> list[Answer]:
        return await asyncio.gather(
            *[committer.submit_async(hold(f"call-{number}", offer(CENT))) for number in range(20)]
        )

    with committing(store, inline=inline) as committer:
        answers = asyncio.run(ask_many())

        assert [type(answer) for answer in answers] == [Held] * 20
        assert money(store) == (0, 20 * CENT)


@pytest.mark.parametrize("inline", [False, True])
def test_a_callback_gets_the_answer(store: Store, inline: bool) -> None:
    with committing(store, inline=inline) as committer:
        soon = Soon(committer)
        soon.submit(hold("A"))

        (answer,) = soon.wait()

        assert isinstance(answer, Held)


def test_what_queues_up_during_one_batch_is_the_next() -> None:
    store = Gate()
    with committing(store) as committer:
        soon = Soon(committer)
        soon.submit(hold("A", offer(1)))
        assert store.arrived.wait(10)
        for number in range(30):
            soon.submit(hold(f"call-{number}", offer(1)))
        store.open.set()
        soon.wait()

    without_renewals = [
        [operation for operation in batch if not isinstance(operation, Renew)] for batch in store.batches
    ]
    assert [len(batch) for batch in without_renewals][:2] == [1, 30]


def test_an_event_loop_is_woken_once_for_a_batch() -> None:
    store = Gate()
    wakings = 0

    async def ask_many() -> None:
        nonlocal wakings
        loop = asyncio.get_running_loop()
        call_soon_threadsafe = loop.call_soon_threadsafe

        def counted(*arguments: object) -> asyncio.Handle:
            nonlocal wakings
            wakings += 1
            return call_soon_threadsafe(*arguments)  # type: ignore[arg-type]

        loop.call_soon_threadsafe = counted  # type: ignore[method-assign, assignment]
        first = asyncio.create_task(committer.submit_async(hold("A", offer(1))))
        await asyncio.to_thread(store.arrived.wait, 10)
        wakings = 0
        rest = [
            asyncio.create_task(committer.submit_async(hold(f"{number}", offer(1)))) for number in range(30)
        ]
        await asyncio.gather(*[asyncio.sleep(0) for _ in range(3)])
        store.open.set()
        await asyncio.gather(first, *rest)
        assert wakings == 2  # one for the first call, one for the thirty

    with committing(store) as committer:
        asyncio.run(ask_many())


# ── failing ─────────────────────────────────────────────────────────────────────────────────────


def test_when_a_batch_fails_everyone_who_waits_is_told_and_the_next_goes_on() -> None:
    store = Gate()
    store.broken = True
    with committing(store) as committer:
        soon = Soon(committer)
        for number in range(5):
            soon.submit(hold(f"call-{number}", offer(1)))
        store.open.set()
        answers = soon.wait()
        assert [str(answer) for answer in answers] == ["the disk is full"] * 5

        store.broken = False
        assert isinstance(committer.submit(hold("A")), Held)


def test_one_poisoned_operation_does_not_spoil_the_batch() -> None:
    store = Gate()
    with committing(store) as committer:
        soon = Soon(committer)
        soon.submit(hold("first", offer(1)))
        assert store.arrived.wait(10)
        for number in range(9):
            soon.submit(hold(f"call-{number}", offer(1)))
        soon.submit(settle("first", -1))
        store.open.set()
        answers = soon.wait()

    assert [type(answer) for answer in answers] == [Held] * 10 + [BatchPoisoned]


def test_who_waits_in_vain_is_told_and_the_hold_is_dropped_when_it_comes_after_all() -> None:
    store = Gate()
    with committing(store) as committer:
        with pytest.raises(LedgerUnavailable, match=r"within 0\.01 s"):
            committer.submit(hold("A"), deadline_s=0.01)
        store.open.set()
        committer.submit(hold("B", offer(1)))  # the batch after the one that granted A
        committer.submit(hold("C", offer(1)))  # and the one after that dropped it

        assert {open_hold.call_id for open_hold in store.open_holds()} == {"B", "C"}
        assert store.entry("A") is None


def test_a_hold_that_nobody_waits_for_any_more_is_not_even_asked_for() -> None:
    store = Gate()
    with committing(store) as committer:
        soon = Soon(committer)
        soon.submit(hold("first", offer(1)))
        assert store.arrived.wait(10)
        with pytest.raises(LedgerUnavailable):
            committer.submit(hold("late"), deadline_s=0.01)
        store.open.set()
        soon.wait()
        committer.submit(hold("B", offer(1)))

    asked = {getattr(operation, "call_id", "") for batch in store.batches for operation in batch}
    assert "late" not in asked


def test_a_task_that_waits_in_vain_is_told() -> None:
    store = Gate()

    async def ask_once() -> None:
        with pytest.raises(LedgerUnavailable, match=r"within 0\.01 s"):
            await committer.submit_async(hold("A"), deadline_s=0.01)
        store.open.set()

    with committing(store) as committer:
        asyncio.run(ask_once())
        committer.submit(hold("B", offer(1)))
        committer.submit(hold("C", offer(1)))
        assert "A" not in {open_hold.call_id for open_hold in store.open_holds()}


@pytest.mark.parametrize("already_answered", [False, True])
def test_the_hold_of_a_cancelled_task_is_dropped(already_answered: bool) -> None:
    store = Gate()

    async def ask_and_leave() -> None:
        task = asyncio.create_task(committer.submit_async(hold("A")))
        await asyncio.to_thread(store.arrived.wait, 10)
        if already_answered:
            granted = threading.Event()
            store.open.set()
            # The answer to the second operation comes after the first has been given to the loop.
            committer.submit_soon(settle("unknown"), lambda _: granted.set())
            assert granted.wait(10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        store.open.set()
        await committer.submit_async(hold("B", offer(1)))
        await committer.submit_async(hold("C", offer(1)))

    with committing(store) as committer:
        asyncio.run(ask_and_leave())

        assert {open_hold.call_id for open_hold in store.open_holds()} == {"B", "C"}


def test_a_defect_of_the_store_is_told_to_those_who_wait_and_the_thread_starts_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[type[BaseException]] = []
    monkeypatch.setattr(threading, "excepthook", lambda happened: seen.append(happened.exc_type))

    class Defect(MemoryStore):
        wrong = True

        def apply(self, operations: Sequence[Operation]) -> list[Answer]:
            if self.wrong:
                self.wrong = False
                raise ZeroDivisionError
            return super().apply(operations)

    with committing(Defect()) as committer:
        with pytest.raises(LedgerUnavailable, match="failed"):
            committer.submit(hold("A"))
        assert isinstance(committer.submit(hold("A")), Held)
    assert seen == [ZeroDivisionError]


# ── stopping ────────────────────────────────────────────────────────────────────────────────────


def test_stopping_commits_what_is_queued_and_leaves_nothing_held(store: Store) -> None:
    committer = Committer(store, Clock())
    soon = Soon(committer)
    for number in range(50):
        soon.submit(msgspec.structs.replace(hold(f"call-{number}", offer(1)), owner=committer.owner))
    soon.submit(settle("call-0", 0))

    committer.stop()

    assert len(soon.answers) == 51
    assert store.open_holds() == []
    assert store.owners() == []
    assert money(store) == (49, 0)
    entry = store.entry("call-1")
    assert entry is not None
    assert entry.assumed_rule == "owner_stopped"


def test_stopping_what_never_started_is_fine() -> None:
    Committer(MemoryStore(), Clock()).stop()


# ── leases and the dead ─────────────────────────────────────────────────────────────────────────


def test_an_owner_is_known_before_its_first_hold(store: Store) -> None:
    with committing(store) as committer:
        committer.start()

        (owner,) = store.owners()

        assert (owner.owner, owner.until_us) == (committer.owner, NOON_US + LEASE_US)


def test_the_lease_is_renewed_as_time_passes(store: Store) -> None:
    clock = Clock()
    with committing(store, clock) as committer:
        committer.submit(hold("A", offer(1)))
        clock.now_us += 6_000_000
        committer.submit(hold("B", offer(1)))

        (owner,) = store.owners()

        assert owner.renewed_at_us == NOON_US + 6_000_000


def leave_a_hold(store: Store, owner: str, *, host: str = "elsewhere", until_us: int = NOON_US) -> None:
    store.apply(
        [
            Renew(owner=owner, at_us=NOON_US - 1, until_us=until_us, host=host, process="1:1"),
            msgspec.structs.replace(hold(f"call-of-{owner}", offer(CENT)), owner=owner),
        ]
    )


def test_what_the_dead_left_is_settled_at_the_start(store: Store) -> None:
    leave_a_hold(store, "dead")
    leave_a_hold(store, "alive", until_us=NOON_US + 1)
    with committing(store) as committer:
        assert committer.look_for_the_dead() == 1
        assert committer.look_for_the_dead() == 0

        assert [open_hold.owner for open_hold in store.open_holds()] == ["alive"]


def test_what_the_dead_left_is_settled_as_time_passes(store: Store) -> None:
    clock = Clock()
    leave_a_hold(store, "mortal", until_us=NOON_US + 10_000_000)
    with committing(store, clock) as committer:
        committer.submit(hold("A", offer(1)))
        assert money(store) == (0, CENT + 1)
        clock.now_us += 11_000_000
        committer.submit(hold("B", offer(1)))
        committer.submit(hold("C", offer(1)))  # the house is kept between batches

        assert money(store) == (CENT, 3)


# ── forks ───────────────────────────────────────────────────────────────────────────────────────


def test_a_forked_child_has_a_thread_and_an_owner_of_its_own(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "ledger.db")
    with committing(store) as committer:
        committer.submit(hold("A", offer(CENT)))
        context = multiprocessing.get_context("fork")
        told = context.SimpleQueue()

        def in_child() -> None:
            answer = committer.submit(hold("B", offer(CENT)), deadline_s=10)
            told.put((isinstance(answer, Held), committer.owner))
            committer.stop()
            store.close()

        child = context.Process(target=in_child)
        child.start()
        child.join()

        granted, owner = told.get()
        assert granted
        assert owner != committer.owner
        assert money(store) == (0, 2 * CENT)
        assert isinstance(committer.submit(hold("C", offer(CENT))), Held)
        assert committer.submit(msgspec.structs.replace(settle("A"), call_id="B")) != Done()
    store.close()
