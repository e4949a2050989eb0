"""Stop a process for a while and let it go on: it is not taken for dead, and books everything once."""

import asyncio
import os
import signal
from pathlib import Path

from tests.faults.books import (
    assert_booked_as_billed,
    holds_open,
    make_keys,
    owners_known,
    received_by,
    write_policy,
)
from tests.faults.callers import Callers, PlannedCall, Seen, random_calls, tally
from tests.faults.conftest import FULL, Measured
from tests.faults.processes import Simulator, a_gateway, eventually

# A lease lasts 30 s; a process that is stopped for longer is still not dead while it can be seen.
PAUSE_SECONDS = 35.0 if FULL else 2.5
# The master replaces a worker that keeps silent for 5 s.
WORKER_PAUSE_SECONDS = 2.0
PAUSES = 10 if FULL else 1
OPEN = 20


def test_the_holds_of_a_stopped_process_stay_until_it_goes_on_and_settles_them(
    simulator: Simulator, ledger: Path, tmp_path: Path, measured: Measured
) -> None:
    policy = write_policy(tmp_path, simulator.url, limit="$1000")
    (key,) = make_keys(policy, ledger, "development", "alice")
    waiting = [
        PlannedCall(
            number=number, key=key, model="gpt-4o", output_cap=1_000, output_tokens=500, input_tokens=20,
            stream=number % 2 == 0, directives="latency_ms=1000",
        )
        for number in range(OPEN)
    ]  # fmt: skip
    others = random_calls(40, [key], seed=1, output_tokens=1_000, first=OPEN)

    async def run(paused_url: str, paused: int, other_url: str) -> tuple[list[Seen], list[Seen]]:
        async with Callers() as callers:
            open_calls = asyncio.ensure_future(callers.all_of(paused_url, waiting))
            await asyncio.to_thread(
                eventually, lambda: len(received_by(simulator.log)) == OPEN, 20, "every call is open"
            )
            os.kill(paused, signal.SIGSTOP)
            beside = await callers.all_of(other_url, others)
            await asyncio.sleep(PAUSE_SECONDS)
            assert holds_open(ledger) == OPEN
            os.kill(paused, signal.SIGCONT)
            return await open_calls, beside

    with a_gateway(policy, ledger) as first, a_gateway(policy, ledger) as second:
        paused, beside = asyncio.run(run(first.url, first.process.pid, second.url))
        assert (first.stop(), second.stop()) == (0, 0)
    assert all(one.served for one in paused + beside), tally(paused + beside)
    assert_booked_as_billed(simulator.log, ledger)
    measured(f"stopped for {PAUSE_SECONDS} s with {OPEN} calls open: {tally(paused)}; beside {tally(beside)}")


def test_a_worker_that_is_stopped_for_a_while_under_load_books_nothing_twice(
    simulator: Simulator, ledger: Path, tmp_path: Path, measured: Measured
) -> None:
    policy = write_policy(tmp_path, simulator.url, limit="$1000")
    keys = make_keys(policy, ledger, "development", "alice", "bob")
    seen: list[Seen] = []

    async def run(url: str, worker: int, calls: list[PlannedCall]) -> list[Seen]:
        async with Callers(at_once=24) as callers:
            answers = asyncio.ensure_future(callers.all_of(url, calls))
            before = len(received_by(simulator.log))
            await asyncio.to_thread(
                eventually, lambda: len(received_by(simulator.log)) > before, 20, "calls arrive"
            )
            os.kill(worker, signal.SIGSTOP)
            await asyncio.sleep(WORKER_PAUSE_SECONDS)
            os.kill(worker, signal.SIGCONT)
            return await answers

    with a_gateway(policy, ledger, workers=4) as gateway:
        eventually(lambda: owners_known(ledger) == 4, 30, "four workers serve")
        workers = gateway.serving_processes()
        for pause in range(PAUSES):
            calls = random_calls(200, keys, seed=pause, output_tokens=1_000, first=pause * 200)
            seen += asyncio.run(run(gateway.url, workers[pause % 4], calls))
        assert gateway.serving_processes() == workers
        assert gateway.stop() == 0
    assert all(one.served for one in seen), tally(seen)
    assert_booked_as_billed(simulator.log, ledger)
    measured(f"{PAUSES} pauses of a worker for {WORKER_PAUSE_SECONDS} s: {tally(seen)}")
