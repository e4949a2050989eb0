"""Ask gateways to stop while calls are open: every one of them ends and is settled with its true usage."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest

from tests.faults.books import (
    assert_booked_as_billed,
    make_keys,
    owners_known,
    received_by,
    write_policy,
)
from tests.faults.callers import Callers, PlannedCall, Seen, tally
from tests.faults.conftest import FULL, Measured
from tests.faults.processes import Simulator, a_gateway, eventually

CALLS = 60
ROUNDS = 10 if FULL else 1


def _slow_calls(key: str, first: int) -> list[PlannedCall]:
    """Whole answers that take a second to begin, and streams that take a second to end."""
    return [
        PlannedCall(
            number=first + number,
            key=key,
            model=("gpt-4o", "claude-haiku-4-5")[number % 2],
            output_cap=1_000,
            output_tokens=500,
            input_tokens=20,
            stream=number % 3 != 0,
            directives="chunks=20 chunk_ms=50" if number % 3 else "latency_ms=1000",
        )
        for number in range(CALLS)
    ]


async def _stop_when_all_are_open(
    url: str, calls: list[PlannedCall], all_open: Callable[[], bool], stop: Callable[[], None]
) -> list[Seen]:
    async with Callers() as callers:
        answers = asyncio.gather(_leave(url, calls[1]), callers.all_of(url, [calls[0], *calls[2:]]))
        await asyncio.to_thread(eventually, all_open, 30, "every call is open")
        stop()
        _, seen = await answers
    return seen


async def _leave(url: str, planned: PlannedCall) -> None:
    """Begin to read a stream and go away."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(url + planned.path, json=planned.body, headers=planned.headers) as answer,
    ):
        await answer.content.readany()


@pytest.mark.parametrize("workers", [1, 4])
def test_a_stop_under_load_lets_every_open_call_end_and_settles_what_it_cost(
    workers: int, simulator: Simulator, ledger: Path, tmp_path: Path, measured: Measured
) -> None:
    policy = write_policy(tmp_path, simulator.url, limit="$1000")
    (key,) = make_keys(policy, ledger, "development", "alice")
    for number in range(ROUNDS):
        calls = _slow_calls(key, number * CALLS)
        expected = (number + 1) * CALLS
        with a_gateway(policy, ledger, workers=workers) as gateway:
            process = gateway.process
            seen = asyncio.run(
                _stop_when_all_are_open(
                    gateway.url,
                    calls,
                    lambda expected=expected: len(received_by(simulator.log)) == expected,  # type: ignore[misc]
                    lambda process=process: process.send_signal(signal.SIGTERM),  # type: ignore[misc]
                )
            )
            assert process.wait(30) == 0
        assert all(one.served for one in seen), tally(seen)
    booked = assert_booked_as_billed(simulator.log, ledger)
    assert booked == CALLS * ROUNDS
    assert owners_known(ledger) == 0
    measured(f"{ROUNDS} stops with {workers} workers, {CALLS} calls open: all {booked} settled as billed")
