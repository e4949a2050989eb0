"""Streams that nobody reads to the end and nobody closes: settled by a thread of their own.

The garbage collector finds them, in any thread and in the middle of anything, so it only notes them.
"""

import logging
import os
import threading
from queue import SimpleQueue
from typing import Protocol

from farthing.domain.errors import LedgerUnavailable

_log = logging.getLogger("farthing")


class Abandoned(Protocol):
    """A call whose reader is gone."""

    def settle_abandoned(self) -> None:
        """Settle it; a second time changes nothing."""
        ...


class _Here(threading.local):
    """How deep this thread is inside the ledger; tasks of one loop come and go in any order."""

    depth = 0

    def __enter__(self) -> None:
        self.depth += 1

    def __exit__(self, *_: object) -> None:
        self.depth -= 1


# Marks that this thread is inside the ledger, where nothing else may enter it.
our_own_work = _Here()


def in_our_own_work() -> bool:
    """Whether this thread is inside the ledger now."""
    return our_own_work.depth > 0


class _Sweeper:
    """The thread that settles what was noted; started when the first stream opens."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """In a forked child: the thread and what it had to do belong to the parent."""
        self._noted: SimpleQueue[Abandoned] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def note(self, call: Abandoned) -> None:
        """Take note of a call; may be called from anywhere at any moment."""
        self._noted.put(call)

    def watch(self) -> None:
        """See to it that the thread runs."""
        if self._thread is not None:
            return
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="farthing-abandoned", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            call = self._noted.get()
            try:
                call.settle_abandoned()
            except LedgerUnavailable as error:
                _log.warning("farthing: an abandoned stream could not be settled: %s", error)
            del call


_sweeper = _Sweeper()
settle_later = _sweeper.note
watch = _sweeper.watch

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_sweeper.forget)
