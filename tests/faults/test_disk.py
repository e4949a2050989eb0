"""Fill the disk under a running gateway: it closes, loses nothing, and goes on when there is space again."""

import asyncio
import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.books import (
    Books,
    assert_booked_as_billed,
    holds_open,
    make_keys,
    planned_number,
    received_by,
    verify,
    write_policy,
)
from tests.faults.callers import Callers, PlannedCall, Seen, tally
from tests.faults.conftest import FULL, Measured
from tests.faults.processes import Gateway, Simulator, a_gateway, eventually

ROUNDS = 10 if FULL else 1
OPEN = 12
SPACE_AGAIN_SECONDS_MAX = 5.0


@contextmanager
def _no_space(process: int) -> Iterator[None]:
    """Let every write of a process to a file fail, as on a full disk."""
    before, most = resource.prlimit(process, resource.RLIMIT_FSIZE)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (0, most))
    try:
        yield
    finally:
        resource.prlimit(process, resource.RLIMIT_FSIZE, (before, most))


def _calls(key: str, first: int, count: int, directives: str = "") -> list[PlannedCall]:
    return [
        PlannedCall(
            number=first + number, key=key, model="gpt-4o", output_cap=1_000, output_tokens=500,
            input_tokens=20, stream=number % 2 == 0, directives=directives,
        )
        for number in range(count)
    ]  # fmt: skip


async def _fill_the_disk(
    gateway: Gateway, key: str, first: int, arrived: Callable[[], int]
) -> tuple[list[Seen], list[Seen]]:
    """Open calls, fill the disk, let them end, and try some more; the disk stays full meanwhile."""
    before = arrived()
    async with Callers() as callers:
        answers = asyncio.ensure_future(
            callers.all_of(gateway.url, _calls(key, first, OPEN, "latency_ms=800"))
        )
        await asyncio.to_thread(eventually, lambda: arrived() == before + OPEN, 20, "every call is open")
        with _no_space(gateway.process.pid):
            opened = await answers
            closed = await callers.all_of(gateway.url, _calls(key, first + OPEN, OPEN))
    return opened, closed


async def _send(url: str, calls: list[PlannedCall]) -> list[Seen]:
    async with Callers() as callers:
        return await callers.all_of(url, calls)


def test_a_full_disk_closes_the_gateway_loses_nothing_and_is_forgotten_once_there_is_space(
    simulator: Simulator, ledger: Path, tmp_path: Path, measured: Measured
) -> None:
    policy = write_policy(tmp_path, simulator.url, limit="$1000")
    (key,) = make_keys(policy, ledger, "development", "alice")
    slowest = 0.0

    def arrived() -> int:
        return len(received_by(simulator.log))

    with a_gateway(policy, ledger) as gateway:
        for number in range(ROUNDS):
            first = number * 3 * OPEN
            before = arrived()
            opened, closed = asyncio.run(_fill_the_disk(gateway, key, first, arrived))
            # What was open is answered: the provider has been paid. What comes then goes nowhere.
            assert all(one.served for one in opened), tally(opened)
            assert tally(closed) == {"503 ledger_unavailable": OPEN}
            assert arrived() == before + OPEN
            again = asyncio.run(_send(gateway.url, _calls(key, first + 2 * OPEN, OPEN)))
            assert all(one.served for one in again), tally(again)
            slowest = max(
                slowest, eventually(lambda: holds_open(ledger) == 0, SPACE_AGAIN_SECONDS_MAX, "all settled")
            )
        assert gateway.stop() == 0
    assert_booked_as_billed(simulator.log, ledger)
    measured(f"{ROUNDS} times full: late settlements on the ledger {slowest:.2f} s after there was space")


def test_settlements_that_waited_for_space_are_written_by_a_stop(
    simulator: Simulator, ledger: Path, tmp_path: Path
) -> None:
    policy = write_policy(tmp_path, simulator.url, limit="$1000")
    (key,) = make_keys(policy, ledger, "development", "alice")
    with a_gateway(policy, ledger) as gateway:
        opened, _ = asyncio.run(_fill_the_disk(gateway, key, 0, lambda: len(received_by(simulator.log))))
        assert gateway.stop() == 0
    assert all(one.served for one in opened), tally(opened)
    assert_booked_as_billed(simulator.log, ledger)


def test_settlements_that_found_no_space_until_the_end_are_assumed_by_the_next_process(
    simulator: Simulator, ledger: Path, tmp_path: Path
) -> None:
    policy = write_policy(tmp_path, simulator.url, limit="$1000")
    (key,) = make_keys(policy, ledger, "development", "alice")

    async def fill_and_kill(gateway: Gateway) -> None:
        async with Callers() as callers:
            answers = asyncio.ensure_future(
                callers.all_of(gateway.url, _calls(key, 0, OPEN, "latency_ms=800"))
            )
            opened = lambda: len(received_by(simulator.log)) == OPEN  # noqa: E731
            await asyncio.to_thread(eventually, opened, 20, "every call is open")
            with _no_space(gateway.process.pid):
                await answers
                os.killpg(gateway.process.pid, signal.SIGKILL)

    with a_gateway(policy, ledger) as gateway:
        asyncio.run(fill_and_kill(gateway))
    with a_gateway(policy, ledger) as gateway:
        eventually(lambda: holds_open(ledger) == 0, SPACE_AGAIN_SECONDS_MAX, "no hold of the dead")
        assert gateway.stop() == 0
    received = {one.call: one.cost_nanodollars for one in received_by(simulator.log)}
    with Books(ledger) as books:
        rows = {planned_number(row): row for row in books.calls()}
    assert set(rows) == set(received)
    assert all(row.assumed and row.cost_nanodollars >= received[number] for number, row in rows.items())
    assert verify(ledger) == []
