"""Look answers up and keep them, in one thread, so that nobody waits for a disk; what fails is a miss."""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from farthing.cache.kept import Answers, CacheBusy, CacheUnavailable

# A place that failed is left alone for a while: calls need not pay for finding out again.
TRY_AGAIN_S = 30.0
# Work that nobody waits for; beyond this an answer is not kept.
WAITING_MOST = 1_000

log = logging.getLogger("farthing.cache")
Found = TypeVar("Found")


class ResponseCache:
    """The answers that this process can use. Opens nothing before the first question; never raises.

    Everything happens in the order it was asked for, so what was kept is found by whoever asks next.
    """

    def __init__(
        self, open_answers: Callable[[], Answers], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._open_answers = open_answers
        self._monotonic = monotonic
        self._forget()

    def _forget(self) -> None:
        self._process = os.getpid()
        self._thread: ThreadPoolExecutor | None = None
        self._answers: Answers | None = None
        self._again_at = 0.0
        self._warned = ""
        self._waiting = 0
        self._changing = threading.Lock()

    def ask(self, question: Callable[[Answers], Found]) -> Found | None:
        """Ask the place where answers are kept; None where it cannot say."""
        return self._submit(question).result()

    async def ask_async(self, question: Callable[[Answers], Found]) -> Found | None:
        """Do as ask does, without blocking the event loop."""
        return await asyncio.wrap_future(self._submit(question))

    def soon(self, work: Callable[[Answers], None]) -> None:
        """Do something that nobody waits for; not at all where too much is waiting already."""
        self._belong_here()
        with self._changing:
            if self._waiting >= WAITING_MOST:
                return
            self._waiting += 1
        self._submit(work).add_done_callback(self._one_less)

    def _one_less(self, _: "Future[None]") -> None:
        with self._changing:
            self._waiting -= 1

    def close(self) -> None:
        """Finish what is waiting, and let go of the file."""
        if self._process != os.getpid() or self._thread is None:
            return
        try:
            self._thread.submit(self._close_answers).result()
        except RuntimeError:  # the interpreter is ending, and has waited for the thread already
            self._close_answers()
        self._thread.shutdown()
        self._thread = None

    # ── in the thread ───────────────────────────────────────────────────────────────────────────

    def _submit(self, question: Callable[[Answers], Found]) -> "Future[Found | None]":
        self._belong_here()
        with self._changing:
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, thread_name_prefix="farthing-cache")
            try:
                return self._thread.submit(self._answered, question)
            except RuntimeError:  # the interpreter is ending; calls can still be made, without a cache
                nothing: Future[Found | None] = Future()
                nothing.set_result(None)
                return nothing

    def _belong_here(self) -> None:
        """In a forked child: begin anew, for neither the thread nor the open file came along."""
        if self._process != os.getpid():
            self._forget()

    def _answered(self, question: Callable[[Answers], Found]) -> Found | None:
        if self._answers is None and self._monotonic() < self._again_at:
            return None
        try:
            if self._answers is None:
                self._answers = self._open_answers()
            return question(self._answers)
        except CacheBusy:
            return None
        except CacheUnavailable as error:
            self._fail(error)
            return None

    def _fail(self, error: CacheUnavailable) -> None:
        """Go without for a while, and say so once."""
        self._again_at = self._monotonic() + TRY_AGAIN_S
        if str(error) != self._warned:
            self._warned = str(error)
            log.warning("farthing: %s; calls are made without it (farthing cache clear makes it anew)", error)
        self._close_answers()

    def _close_answers(self) -> None:
        answers, self._answers = self._answers, None
        try:
            if answers is not None:
                answers.close()
        except CacheUnavailable as error:
            log.info("farthing: %s", error)
