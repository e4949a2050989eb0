"""Put a new policy in force between two calls; a wrong one leaves the old one in force and is told."""

import asyncio
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from typing import Protocol

import msgspec

from farthing.config.build import Running
from farthing.config.reload import (
    Following,
    put_in_force,
    put_on_record,
    read_following,
    watched_files,
)
from farthing.config.source import stamp_of
from farthing.domain.errors import LedgerUnavailable, PolicyError, Problem
from farthing.domain.period import iso_utc
from farthing.engine.governor import Governor
from farthing.ledger.auditing import policy_act

log = logging.getLogger("farthing.gateway")

# A file is read once it has looked the same twice, so that no half of one is.
LOOK_SECONDS = 0.5
# For so long a call may still begin that came in before its policy was succeeded.
FORMER_SECONDS = 60


class Door(Protocol):
    """What must follow a policy besides its governor."""

    def ready_for(self, following: Following) -> Callable[[], None]:
        """Make ready for a policy; answers what puts it in use. Raises PolicyError where it cannot be."""
        ...


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """Why the files as they stand are not in force."""

    at_us: int
    problems: tuple[Problem, ...]


class Reloader:
    """Watches the files of the policy for one worker.

    refused: what is wrong with the files; None while they are what is in force.
    """

    def __init__(self, running: Running, door: Door) -> None:
        self._running = running
        self._door = door
        self._one_at_a_time = asyncio.Lock()
        self._asked = asyncio.Event()
        self._formers: list[tuple[Governor, int]] = []
        self.refused: Refused | None = None
        keys = watched_files(running)[len(running.policy_paths) :]
        self._seen = self._read = (*running.policy_seen, *stamp_of(keys))

    def heed_signal(self) -> None:
        """Read the files when told by SIGHUP, where signals reach this thread."""
        if threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGHUP"):
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._asked.set)

    def tell_the_others(self) -> None:
        """Have the other workers read the files too: their parent passes the signal on to all."""
        parent = multiprocessing.parent_process()
        if parent is not None and parent.pid is not None and parent.is_alive():
            os.kill(parent.pid, signal.SIGHUP)

    async def watch(self) -> None:
        """Read the files whenever they have changed, or when asked; runs until it is cancelled."""
        while True:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._asked.wait()
            except TimeoutError:
                if not await asyncio.to_thread(self._is_changed):
                    continue
            self._asked.clear()
            await self.reload()

    def _is_changed(self) -> bool:
        before, self._seen = self._seen, stamp_of(watched_files(self._running))
        return self._seen == before and self._seen != self._read

    async def reload(self, by: str = "the files") -> None:
        """Read the files now; what they say is in force afterwards, or ``refused`` says why not.

        by: who asked for it; the files themselves where they changed.
        """
        async with self._one_at_a_time:
            stamp = await asyncio.to_thread(stamp_of, watched_files(self._running))
            try:
                former = await self._take_over(by)
            except PolicyError as error:
                self._keep(error.problems)
            except LedgerUnavailable as error:
                self._keep((_ledger_away(error),))
                return  # the files are looked at again at the next turn
            else:
                self.refused = None
                log.info("policy %s is in force", self._running.policy.digest)
                await asyncio.to_thread(former.finish)
            self._read = stamp

    async def _take_over(self, by: str) -> Governor:
        running = self._running
        following = await asyncio.to_thread(read_following, running)
        put_in_use = self._door.ready_for(following)
        await asyncio.to_thread(put_on_record, following, running)
        before = running.policy.digest
        act = policy_act(following.loaded.policy.digest, at_us=running.clock(), by=by, before=before)
        await asyncio.to_thread(running.store.add_act, act)
        # From here on nothing waits: a call is decided by the one policy or the other.
        former = put_in_force(following, running)
        put_in_use()
        self._formers.append((former, running.clock() + FORMER_SECONDS * 1_000_000))
        return former

    def _keep(self, problems: tuple[Problem, ...]) -> None:
        self.refused = Refused(at_us=self._running.clock(), problems=problems)
        told = "".join(f"\n  {problem}" for problem in problems)
        log.warning(
            "the changed policy is not used, and %s stays in force:%s", self._running.policy.digest, told
        )

    def tell_in_force(self) -> None:
        """Have the audit tell which policy the gateway starts with, where that is news."""
        running = self._running
        running.store.add_act(policy_act(running.policy.digest, at_us=running.clock(), by="the start"))

    def tick(self) -> None:
        """Have every governor that may still decide do what waits for a moment to pass."""
        now_us = self._running.clock()
        self._formers = [former for former in self._formers if former[1] > now_us]
        for governor, _ in self._formers:
            governor.tick()
        self._running.governor.tick()

    def in_short(self) -> dict[str, str]:
        """What anybody may know: nothing, unless the files say something that is not in force."""
        return {} if self.refused is None else {"policy": "the files are not in force: see /api/policy"}

    def standing(self) -> dict[str, object]:
        """The policy in force, and what is wrong with the files where they say something else."""
        running, refused = self._running, self.refused
        return {
            "digest": running.policy.digest,
            "in_force_since": iso_utc(running.in_force_since_us),
            "worker": os.getpid(),
            "files": [msgspec.to_builtins(file) for file in running.files],
            "notices": list(running.notices),
            "refused": None
            if refused is None
            else {
                "at": iso_utc(refused.at_us),
                "problems": [msgspec.to_builtins(problem) for problem in refused.problems],
            },
        }


def _ledger_away(error: LedgerUnavailable) -> Problem:
    return Problem(
        file="ledger",
        line=None,
        key="ledger",
        message=f"cannot answer ({error}), and budgets cannot be held to what they meant",
        fix="nothing: it is tried again",
    )
