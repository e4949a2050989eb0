"""Many calls at once on little money: the limit holds to the nanodollar, and nearly all of it can be used."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from farthing.domain.money import decimal_text
from tests.faults.books import Books, make_keys, planned_number, received_by, verify, write_policy
from tests.faults.callers import Callers, PlannedCall, Seen, random_calls, tally
from tests.faults.conftest import FULL, Measured
from tests.faults.processes import Simulator, a_gateway

CALLS = 1_000 if FULL else 300
# What all calls together may cost is about three times the budget.
OUTPUT_TOKENS = 3_000 if FULL else 10_000
BESIDE = 200 if FULL else 60
LIMIT_NANODOLLARS = 5_000_000_000
FLOODS = 100 if FULL else 5


async def _race(url: str, calls: Sequence[PlannedCall], beside: Sequence[PlannedCall]) -> list[list[Seen]]:
    async with Callers() as callers:
        return list(
            await asyncio.gather(callers.all_of(url, calls, insist=True), callers.all_of(url, beside))
        )


@pytest.mark.parametrize("at_limit", ["clamp", "refuse"])
def test_a_budget_is_never_passed_and_nearly_used_up_by_calls_that_race_for_it(
    at_limit: str, simulator: Simulator, ledger: Path, tmp_path: Path, measured: Measured
) -> None:
    policy = write_policy(tmp_path, simulator.url, limit="$5", at_limit=at_limit)
    keys = make_keys(policy, ledger, "development", "alice", "bob", "carol")
    (production,) = make_keys(policy, ledger, "production", "shop")
    calls = random_calls(CALLS, keys, seed=5, output_tokens=OUTPUT_TOKENS)
    beside = random_calls(BESIDE, [production], seed=6, output_tokens=1_000)
    with a_gateway(policy, ledger, workers=4) as gateway:
        racing, in_production = asyncio.run(_race(gateway.url, calls, beside))
        with Books(ledger) as books:
            cap, spent = books.balance("cap"), books.settled_nanodollars()
            settled = {
                planned_number(row): row for row in books.calls() if row.facts.environment != "production"
            }
            assert books.holds() == []
        assert gateway.stop() == 0
    received = received_by(simulator.log)
    billed = sum(one.cost_nanodollars for one in received)
    measured(f"${decimal_text(spent)} of $5 spent; {tally(racing)}; beside {tally(in_production)}")

    assert cap.settled == spent <= LIMIT_NANODOLLARS
    assert spent >= LIMIT_NANODOLLARS * 9 // 10
    assert cap.held == 0
    assert all(one.served for one in in_production), tally(in_production)
    assert {one.number for one in racing if one.served} == set(settled)
    assert all(one.served or one.refusal == "budget_exceeded" for one in racing), tally(racing)
    assert not any(row.assumed or row.overrun_nanodollars for row in settled.values())
    with Books(ledger) as books:
        assert billed == spent + books.settled_nanodollars("production")
    assert verify(ledger) == []


def test_of_fifty_calls_at_twenty_cents_on_half_a_dollar_two_go_through(
    simulator: Simulator, ledger: Path, tmp_path: Path
) -> None:
    policy = write_policy(tmp_path, simulator.url, limit="$0.50", at_limit="refuse", per="developer")
    developers = [f"developer-{number}" for number in range(FLOODS)]
    keys = make_keys(policy, ledger, "development", *developers)

    async def flood(url: str) -> None:
        async with Callers() as callers:
            for round_number, key in enumerate(keys):
                seen = await callers.all_of(url, _calls_at_twenty_cents(key, round_number), insist=True)
                assert tally(seen) == {"200 whole": 2, "429 budget_exceeded": 48}

    with a_gateway(policy, ledger, workers=4) as gateway:
        asyncio.run(flood(gateway.url))
        assert gateway.stop() == 0
    assert len(received_by(simulator.log)) == 2 * FLOODS
    with Books(ledger) as books:
        assert {balance.settled for balance in books.balances("cap")} == {400_000_000}
    assert verify(ledger) == []


def _calls_at_twenty_cents(key: str, round_number: int) -> list[PlannedCall]:
    """Fifty calls whose ceiling is exactly what they cost."""
    return [
        PlannedCall(
            number=round_number * 50 + number,
            key=key,
            model="dear-model",
            output_cap=1_000,
            output_tokens=1_000,
            input_tokens=1,
            stream=number % 3 == 0,
        )
        for number in range(50)
    ]
