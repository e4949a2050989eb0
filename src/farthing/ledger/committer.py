"""One thread for each process that commits what is queued, together: durability costs a wait, not work."""

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue

from farthing.domain.errors import LedgerUnavailable
from farthing.ledger.entries import Answer, Held, Hold, Operation, SettleDead, Void
from farthing.ledger.owner import Identity, is_gone, this_process
from farthing.ledger.store import BatchPoisoned, Store

BATCH_MAX = 256
DEADLINE_S = 15.0

_RENEW_EVERY_US = 5_000_000
_LOOK_EVERY_US = 1_000_000
_LOOK_EVERY_S = 1.0

Outcome = Answer | LedgerUnavailable


class Committer:
    """The way into a store for everyone in a process.

    Callers queue operations; one thread takes all that are there and applies them in one
    transaction. It also renews the lease of this process and settles what dead processes left behind.
    A forked child gets a thread and an owner of its own.

    clock: microseconds since 1970, UTC.
    inline: apply at once, in the caller's thread; for a store that never waits and dies with us.
    """

    def __init__(self, store: Store, clock: Callable[[], int], *, inline: bool = False) -> None:
        self._store = store
        self._clock = clock
        self._inline = inline
        self._lines: dict[int, _Line] = {}

    @property
    def owner(self) -> str:
        """The name under which this process holds money."""
        return self._line().identity.owner

    def start(self) -> None:
        """Make this process known to others as an owner, before its first operation."""
        self.submit(self._line().identity.renew(self._clock()))

    def submit(self, operation: Operation, *, deadline_s: float = DEADLINE_S) -> Answer:
        """Apply an operation and wait until it is durable.

        Raises LedgerUnavailable when it cannot be, or not before the deadline. A hold that was given
        up like this is dropped if it is granted after all.
        """
        if self._inline:
            return self._store.apply([operation])[0]
        ticket = _ThreadTicket(operation)
        self._line().put(ticket)
        outcome = ticket.wait(deadline_s)
        if isinstance(outcome, LedgerUnavailable):
            raise outcome
        return outcome

    def submit_soon(self, operation: Operation, answered: Callable[[Outcome], None]) -> None:
        """Apply an operation soon; answered is called once, in the committer's thread, and never raises."""
        if self._inline:
            answered(_apply_alone(self._store, operation))
        else:
            self._line().put(_CallbackTicket(operation, answered))

    async def submit_async(self, operation: Operation, *, deadline_s: float = DEADLINE_S) -> Answer:
        """Apply an operation and wait until it is durable, without holding up the event loop.

        Raises LedgerUnavailable as submit does. A hold whose waiting task is cancelled is dropped.
        """
        if self._inline:
            return self._store.apply([operation])[0]
        loop = asyncio.get_running_loop()
        line = self._line()
        ticket = _LoopTicket(operation, loop)
        timer = loop.call_later(deadline_s, ticket.expire, deadline_s)
        line.put_after_turn(ticket)
        try:
            return await ticket.future
        except asyncio.CancelledError:
            if not ticket.claim():
                line.take_back(ticket.outcome)
            raise
        finally:
            timer.cancel()

    def look_for_the_dead(self) -> int:
        """Settle the holds of every owner that is gone; answer how many holds there were."""
        return _bury_the_dead(self._store, self._clock())

    def stop(self) -> None:
        """Commit what is queued, settle what this process still holds as assumed, and end the thread.

        What is asked for later is refused at once: a thread started while Python shuts down never runs.
        """
        self._line().stop()

    def _line(self) -> "_Line":
        line = self._lines.get(os.getpid())
        if line is None:
            # Only one of two threads that race here is heard by setdefault; no lock can be stuck after fork.
            line = self._lines.setdefault(os.getpid(), _Line(self._store, self._clock))
        return line


# ── tickets: an operation, and who waits for its answer ─────────────────────────────────────────


class _Ticket:
    """An operation in the line. Its answer and whoever gives up waiting race for the claim."""

    __slots__ = ("_claim", "operation", "outcome")

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self.outcome: Outcome | None = None
        self._claim = threading.Lock()

    @property
    def wanted(self) -> bool:
        """Whether to ask for it; a hold that nobody waits for any more is not asked for."""
        return not self._claim.locked() or not isinstance(self.operation, Hold)

    def claim(self) -> bool:
        """Decide what becomes of the ticket; only the first one may."""
        return self._claim.acquire(blocking=False)

    def answer(self, outcome: Outcome) -> bool:
        """Give the answer; False when nobody waits for it any more."""
        self.outcome = outcome  # before the claim: who finds it claimed finds the answer
        return self.claim()


class _CallbackTicket(_Ticket):
    """Nobody waits; a function is called."""

    __slots__ = ("answered",)

    def __init__(self, operation: Operation, answered: Callable[[Outcome], None]) -> None:
        super().__init__(operation)
        self.answered = answered

    def answer(self, outcome: Outcome) -> bool:
        self.answered(outcome)
        return True


class _ThreadTicket(_Ticket):
    """A thread waits."""

    __slots__ = ("_woken",)

    def __init__(self, operation: Operation) -> None:
        super().__init__(operation)
        self._woken = threading.Lock()
        self._woken.acquire()

    def answer(self, outcome: Outcome) -> bool:
        is_first = super().answer(outcome)
        if is_first:
            self._woken.release()
        return is_first

    def wait(self, deadline_s: float) -> Outcome:
        """The answer, or that it did not come in time."""
        if not self._woken.acquire(timeout=deadline_s) and self.claim():
            return _too_late(deadline_s)
        return self.outcome or _too_late(deadline_s)


class _LoopTicket(_Ticket):
    """A task of an event loop waits; the loop itself is woken by the line, once for many tickets."""

    __slots__ = ("future", "loop")

    def __init__(self, operation: Operation, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(operation)
        self.loop = loop
        self.future: asyncio.Future[Answer] = loop.create_future()

    def wake(self) -> None:
        """Hand the answer to the task, in the thread of its loop."""
        if self.future.done():  # cancelled in the meantime: who cancelled has seen to it
            return
        if isinstance(self.outcome, LedgerUnavailable):
            self.future.set_exception(self.outcome)
        elif self.outcome is not None:
            self.future.set_result(self.outcome)

    def expire(self, deadline_s: float) -> None:
        """Give up at the deadline, unless the answer is on its way."""
        if self.claim() and not self.future.done():
            self.future.set_exception(_too_late(deadline_s))


def _wake_together(tickets: Sequence[_LoopTicket]) -> None:
    for ticket in tickets:
        ticket.wake()


# ── the line and its thread ─────────────────────────────────────────────────────────────────────


class _Line:
    """The queue of one process, its thread, and its name as an owner."""

    def __init__(self, store: Store, clock: Callable[[], int]) -> None:
        self.identity: Identity = this_process()
        self._store = store
        self._clock = clock
        self._queue: SimpleQueue[_Ticket | None] = SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._renew_at_us = 0
        self._look_at_us = 0
        self._unreturned: list[Operation] = []
        self._gathered: dict[asyncio.AbstractEventLoop, list[_LoopTicket]] = {}

    def put(self, ticket: _Ticket) -> None:
        """Queue an operation; the thread is started by the first one."""
        if self._stopped:
            raise LedgerUnavailable("the ledger's committer was stopped")
        self._queue.put(ticket)
        if self._thread is None or not self._thread.is_alive():
            with self._starting:
                if self._thread is None or not self._thread.is_alive():
                    self._thread = threading.Thread(target=self._run, name="farthing-committer", daemon=True)
                    self._thread.start()

    def put_after_turn(self, ticket: "_LoopTicket") -> None:
        """Queue an operation once its loop has served all that is ready now.

        What calls of one turn of the loop ask for then goes together: one wake-up, one transaction.
        """
        gathered = self._gathered.get(ticket.loop)
        if gathered is None:
            self._gathered[ticket.loop] = [ticket]
            ticket.loop.call_soon(self._put_gathered, ticket.loop)
        else:
            gathered.append(ticket)

    def _put_gathered(self, loop: asyncio.AbstractEventLoop) -> None:
        for ticket in self._gathered.pop(loop):
            try:
                self.put(ticket)
            except LedgerUnavailable as error:
                if ticket.answer(error):
                    ticket.wake()

    def take_back(self, outcome: Outcome | None) -> None:
        """Drop a hold that was granted to someone who no longer waits, as if it had not been asked for."""
        if isinstance(outcome, Held):
            at_us = self._clock()
            self._void_later(Void(call_id=outcome.call_id, at_us=at_us, rule="given_up", forget=True))

    def stop(self) -> None:
        """Commit what is queued, leave nothing held, end the thread."""
        self._stopped = True
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join()
            self._serve([])  # what the last batch left to take back
            farewell = SettleDead(owner=self.identity.owner, at_us=self._clock(), rule="owner_stopped")
            _apply_alone(self._store, farewell)

    def _run(self) -> None:
        while True:
            tickets, is_last = self._wait_for_work()
            if tickets or self._clock() >= self._renew_at_us:
                is_last = self._serve(tickets) or is_last
            if is_last:
                return
            self._keep_house()

    def _serve(self, tickets: list[_Ticket]) -> bool:
        """Wait for our turn, commit what is queued by then, answer; whether to end."""
        is_last = False
        outcomes: Sequence[Outcome] | None = None
        try:
            with self._store.turn():
                is_last = self._take(tickets)
                tickets[:] = [ticket for ticket in tickets if ticket.wanted]
                outcomes = self._commit(tickets)
        except LedgerUnavailable as error:
            outcomes = [error] * len(tickets)
        finally:
            # Whatever happens, even what should not, everyone who waits is told; not in our turn,
            # which other processes are waiting for.
            failed = LedgerUnavailable("the ledger's committer failed")
            self._answer(tickets, [failed] * len(tickets) if outcomes is None else outcomes)
        return is_last

    def _wait_for_work(self) -> tuple[list[_Ticket], bool]:
        """The first thing in the queue, or nothing when none came for a while; and whether to end."""
        try:
            ticket = self._queue.get(timeout=_LOOK_EVERY_S)
        except Empty:
            return [], False
        return ([], True) if ticket is None else ([ticket], False)

    def _take(self, tickets: list[_Ticket]) -> bool:
        """Take what else is queued; whether to end."""
        try:
            while len(tickets) < BATCH_MAX:
                ticket = self._queue.get_nowait()
                if ticket is None:
                    return True
                tickets.append(ticket)
        except Empty:
            pass
        return False

    def _commit(self, tickets: Sequence[_Ticket]) -> Sequence[Outcome]:
        """Apply operations together, with a renewal of our lease when it is time."""
        operations = [ticket.operation for ticket in tickets]
        now_us = self._clock()
        if now_us < self._renew_at_us:
            return _apply_together(self._store, operations)
        outcomes = _apply_together(self._store, [*operations, self.identity.renew(now_us)])
        if not isinstance(outcomes[-1], LedgerUnavailable):
            self._renew_at_us = now_us + _RENEW_EVERY_US
        return outcomes[:-1]

    def _answer(self, tickets: Sequence[_Ticket], outcomes: Sequence[Outcome]) -> None:
        """Tell everyone who waits; an event loop is woken once, however many of its tasks wait."""
        by_loop: dict[asyncio.AbstractEventLoop, list[_LoopTicket]] = {}
        for ticket, outcome in zip(tickets, outcomes, strict=True):
            if not ticket.answer(outcome):
                self.take_back(outcome)
            elif isinstance(ticket, _LoopTicket):
                by_loop.setdefault(ticket.loop, []).append(ticket)
        for loop, waiting in by_loop.items():
            try:
                loop.call_soon_threadsafe(_wake_together, waiting)
            except RuntimeError:  # the loop was closed; nobody waits any more
                for ticket in waiting:
                    self.take_back(ticket.outcome)

    def _keep_house(self) -> None:
        now_us = self._clock()
        if now_us < self._look_at_us:
            return
        self._look_at_us = now_us + _LOOK_EVERY_US
        unreturned, self._unreturned = self._unreturned, []
        for operation in unreturned:
            self._void_later(operation)
        try:
            _bury_the_dead(self._store, now_us, but=self.identity.owner)
        except LedgerUnavailable:
            return  # those who wait for the ledger are told; the dead can wait

    def _void_later(self, void: Operation) -> None:
        def answered(outcome: Outcome) -> None:
            if isinstance(outcome, LedgerUnavailable):
                self._unreturned.append(void)

        self._queue.put(_CallbackTicket(void, answered))


def _bury_the_dead(store: Store, now_us: int, *, but: str | None = None) -> int:
    dead = [owner.owner for owner in store.owners() if owner.owner != but and is_gone(owner, now_us)]
    answers = store.apply([SettleDead(owner=owner, at_us=now_us) for owner in dead]) if dead else []
    return sum([getattr(answer, "count", 0) for answer in answers])


def _apply_together(store: Store, operations: Sequence[Operation]) -> Sequence[Outcome]:
    """Apply a batch; where one operation cannot be written, find it and let the others pass."""
    try:
        return store.apply(operations)
    except BatchPoisoned as error:
        if len(operations) == 1:
            return [error]
        middle = len(operations) // 2
        return [
            *_apply_together(store, operations[:middle]),
            *_apply_together(store, operations[middle:]),
        ]
    except LedgerUnavailable as error:
        return [error] * len(operations)


def _apply_alone(store: Store, operation: Operation) -> Outcome:
    return _apply_together(store, [operation])[0]


def _too_late(deadline_s: float) -> LedgerUnavailable:
    return LedgerUnavailable(f"the ledger did not answer within {deadline_s:g} s")
