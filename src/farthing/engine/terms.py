"""What a caller adds to the policy for its own calls: budgets, cheaper models, patience."""

import os
import threading
import time
import weakref
from asyncio import AbstractEventLoop, Future, get_running_loop, timeout
from collections.abc import Mapping

import msgspec

from farthing.policy.routing import Hop
from farthing.policy.rules import Payer
from farthing.policy.steering import Steering

# Other processes free money too, and cannot wake us; who waits long asks less and less often.
LOOK_AGAIN_S = 0.1
LOOK_AGAIN_MOST_S = 1.6


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """The caller's own limits on top of the policy's.

    payers: budgets that must pay besides those of the policy.
    patience_s: how long to wait for money that calls in flight hold, instead of clamping or refusing.
    keeps: what the caller itself keeps held in each account while it waits, and so does not wait for.
    hop: for a further attempt of a call, the targets that failed it.
    host: the only one that the caller's own client speaks to; None where the door may choose.
    """

    payers: tuple[Payer, ...] = ()
    steering: Steering | None = None
    patience_s: float = 0.0
    keeps: Mapping[str, int] = {}
    hop: Hop | None = None
    host: str | None = None


NO_TERMS = Terms()


class Freed:
    """Wakes those who wait for held money whenever a call of this process has ended."""

    def __init__(self) -> None:
        self._forget()
        _all.add(self)

    def _forget(self) -> None:
        self.count = 0
        self._changed = threading.Condition()
        self._sleepers: list[tuple[AbstractEventLoop, Future[None]]] = []

    def tell(self) -> None:
        """Say that a call has ended."""
        with self._changed:
            self.count += 1
            self._changed.notify_all()
            sleepers, self._sleepers = self._sleepers, []
        for loop, future in sleepers:
            try:
                loop.call_soon_threadsafe(_wake, future)
            except RuntimeError:  # the loop was closed; nobody waits any more
                continue

    def wait(self, seen: int, until: float, asked: int) -> bool:
        """Wait until a call has ended since count was seen, or for a moment; False when time is up.

        asked: how often the ledger has been asked already.
        """
        left = until - time.monotonic()
        if left <= 0:
            return False
        with self._changed:
            if self.count == seen:
                self._changed.wait(min(left, _pause_s(asked)))
        return True

    async def wait_async(self, seen: int, until: float, asked: int) -> bool:
        """Do as wait does, without blocking the event loop."""
        left = until - time.monotonic()
        if left <= 0:
            return False
        loop = get_running_loop()
        future: Future[None] = loop.create_future()
        with self._changed:
            if self.count != seen:
                return True
            self._sleepers.append((loop, future))
        try:
            async with timeout(min(left, _pause_s(asked))):
                await future
        except TimeoutError:
            with self._changed:
                self._sleepers = [one for one in self._sleepers if one[1] is not future]
        return True


def _pause_s(asked: int) -> float:
    pause: float = min(LOOK_AGAIN_S * 2 ** min(asked, 8), LOOK_AGAIN_MOST_S)
    return pause


def _wake(future: "Future[None]") -> None:
    if not future.done():
        future.set_result(None)


_all: weakref.WeakSet[Freed] = weakref.WeakSet()


def _forget_all() -> None:
    for freed in list(_all):
        freed._forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
