"""Kill gateways without warning: no call that reached a provider is lost, none is counted twice."""

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.faults.books import (
    Books,
    holds_open,
    make_keys,
    owners_known,
    planned_number,
    received_by,
    verify,
    write_policy,
)
from tests.faults.callers import Callers, PlannedCall, Seen, random_calls, tally
from tests.faults.conftest import FULL, Measured
from tests.faults.processes import Gateway, Simulator, a_gateway, eventually

KILLS = 100 if FULL else 8
CALLS_A_KILL = 160
KILLED_WITHIN_SECONDS = 0.35
HOLDS_GONE_SECONDS = 5.0
WORKER_CALLS = 1_200 if FULL else 300


async def _under_load(
    url: str, calls: list[PlannedCall], strike: Callable[[], bool], after: float
) -> list[Seen]:
    """Send calls from a few dozen callers, and strike in the middle of it, as soon as that is possible."""
    waiting = iter(calls)
    seen: list[Seen] = []

    async def caller(callers: Callers) -> None:
        for planned in waiting:
            seen.append(await callers.call(url, planned))

    async def striking() -> None:
        await asyncio.sleep(after)
        while not strike():
            await asyncio.sleep(0.005)

    async with Callers() as callers:
        await asyncio.gather(striking(), *[caller(callers) for _ in range(24)])
    return seen


def _books_agree_with(simulator: Simulator, ledger: Path, seen: list[Seen]) -> dict[str, int]:
    """Every call that went upstream is in the books once, at no less than was billed; nothing else is."""
    received = received_by(simulator.log)
    with Books(ledger) as books:
        rows = books.calls()
        assert books.holds() == []
        spent, balance = books.settled_nanodollars(), books.balance("cap")
    assert verify(ledger) == []
    times = Counter(planned_number(row) for row in rows)
    assert set(times.values()) <= {1}, "a call is in the books twice"
    by_number = {planned_number(row): row for row in rows}
    assert {one.call for one in received} <= set(by_number), "a call that went upstream is in no book"
    for one in received:
        row = by_number[one.call]
        if row.assumed:
            assert row.cost_nanodollars == row.ceiling_nanodollars >= one.cost_nanodollars
        else:
            assert row.cost_nanodollars == one.cost_nanodollars
    served = {one.number for one in seen if one.served}
    assert not any(by_number[number].assumed for number in served), "an answer left before its settlement"
    assert spent == balance.settled
    assert spent >= sum(one.cost_nanodollars for one in received)
    return {
        "upstream": len(received),
        "settled": sum(not row.assumed for row in rows),
        "assumed": sum(row.assumed for row in rows),
        "spent": spent,
    }


def test_a_gateway_killed_at_any_moment_loses_nothing_and_counts_nothing_twice(
    simulator: Simulator, ledger: Path, tmp_path: Path, measured: Measured
) -> None:
    policy = write_policy(tmp_path, simulator.url, limit="$1000")
    keys = make_keys(policy, ledger, "development", "alice", "bob")
    dice = random.Random(11)
    seen: list[Seen] = []
    slowest = 0.0
    for kill in range(KILLS):
        calls = random_calls(CALLS_A_KILL, keys, seed=kill, output_tokens=2_000, first=kill * CALLS_A_KILL)
        after = dice.uniform(0.02, KILLED_WITHIN_SECONDS)
        with a_gateway(policy, ledger, workers=1 + kill % 2) as gateway:
            # The holds of those killed before are settled as soon as somebody works on the file again.
            slowest = max(
                slowest,
                eventually(lambda: holds_open(ledger) == 0, HOLDS_GONE_SECONDS, "no hold of the dead"),
            )
            seen += asyncio.run(_under_load(gateway.url, calls, partial(_kill, gateway), after))
    with a_gateway(policy, ledger) as gateway:
        slowest = max(
            slowest, eventually(lambda: holds_open(ledger) == 0, HOLDS_GONE_SECONDS, "no hold of the dead")
        )
        last = random_calls(2, keys, seed=1, first=KILLS * CALLS_A_KILL)
        alive = asyncio.run(_send(gateway.url, last))
        assert all(one.served for one in alive), tally(alive)
        assert gateway.stop() == 0
    told = _books_agree_with(simulator, ledger, seen + alive)
    measured(
        f"{KILLS} kills: {told}; callers saw {tally(seen)}; holds of the dead gone within {slowest:.2f} s"
    )


def test_one_killed_worker_of_four_takes_no_other_call_down(
    simulator: Simulator, ledger: Path, tmp_path: Path, measured: Measured
) -> None:
    policy = write_policy(tmp_path, simulator.url, limit="$1000")
    keys = make_keys(policy, ledger, "development", "alice", "bob")
    calls = random_calls(WORKER_CALLS, keys, seed=3, output_tokens=2_000)
    with a_gateway(policy, ledger, workers=4) as gateway:
        eventually(lambda: owners_known(ledger) == 4, 30, "four workers serve")
        before = gateway.serving_processes()
        seen = asyncio.run(
            _under_load(gateway.url, calls, lambda: _kill_a_worker_with_open_calls(ledger, before), 0.2)
        )
        gone = eventually(lambda: holds_open(ledger) == 0, HOLDS_GONE_SECONDS, "no hold of the dead")
        eventually(
            lambda: owners_known(ledger) == 4 and gateway.serving_processes() != before, 10, "a new worker"
        )
        assert gateway.stop() == 0
    told = _books_agree_with(simulator, ledger, seen)
    broken = [one for one in seen if not one.served]
    assert len(broken) <= 24, tally(seen)  # no more than were open at once
    measured(f"{told}; callers saw {tally(seen)}; holds of the dead gone within {gone:.2f} s")


async def _send(url: str, calls: list[PlannedCall]) -> list[Seen]:
    async with Callers() as callers:
        return await callers.all_of(url, calls)


def _kill(gateway: Gateway) -> bool:
    gateway.kill()
    return True


def _kill_a_worker_with_open_calls(ledger: Path, workers: list[int]) -> bool:
    """Kill whoever holds money just now; False where nobody does."""
    with Books(ledger) as books:
        holding = {hold.owner for hold in books.holds()}
        found = [int(owner.process.partition(":")[0]) for owner in books.owners() if owner.owner in holding]
    if not found:
        return False
    assert found[0] in workers
    os.kill(found[0], signal.SIGKILL)
    return True
