"""The kill switch is above all: no manner at the limit, no price and no missing budget gets around it."""

import asyncio

import pytest

from farthing.domain.errors import LedgerUnavailable, Reason, Refused
from farthing.domain.stop import Stop, new_stop
from farthing.engine.outcomes import Ending, Exchange
from farthing.engine.terms import Terms
from farthing.ledger.store import Store
from farthing.policy.rules import AtLimit, Environment, OnLedgerFailure, Target
from tests.builders import NOON_US, Clock, a_budget, a_call, a_governor, a_policy, metered
from tests.engine.test_governor import Make, end, make, refusal

__all__ = ["make"]


def stop(store: Store, **match: str) -> Stop:
    made = new_stop(match, reason="runaway agent", by="ana", at_us=NOON_US)
    store.add_stop(made)
    return made


@pytest.mark.parametrize("at_limit", list(AtLimit))
def test_a_stop_refuses_whatever_happens_at_the_limit(make: Make, store: Store, at_limit: AtLimit) -> None:
    governor = make(a_budget("$1", at_limit=at_limit))
    made = stop(store)

    refused = refusal(governor)

    assert refused.refusal.reason is Reason.STOPPED
    assert refused.refusal.message == str(made)
    assert refused.refusal.fix.startswith(f"farthing resume {made.stop_id}")
    assert refused.refusal.retry_after_s is None
    assert store.balances() == []


def test_a_stop_refuses_where_there_is_no_budget_at_all(make: Make, store: Store) -> None:
    stop(store)

    assert refusal(make()).refusal.reason is Reason.STOPPED


def test_a_stop_refuses_calls_that_are_free(make: Make, store: Store) -> None:
    mock = Target(
        id="mock", provider="simulator", families=("openai",), base_url="http://127.0.0.1:1", mock=True
    )
    governor = make(a_budget("$1"), targets=(mock,))
    governor.authorize(a_call())
    stop(store, workflow="dev-month")

    assert refusal(governor).refusal.reason is Reason.STOPPED


def test_a_stop_refuses_calls_whose_costs_are_not_tracked(make: Make, store: Store) -> None:
    stop(store, environment="development")

    assert refusal(make(a_budget("$1"), cost_tracked=False)).refusal.reason is Reason.STOPPED


def test_a_call_that_waits_patiently_is_told_at_once(make: Make, store: Store) -> None:
    governor = make(a_budget("$1"))
    stop(store)

    with pytest.raises(Refused) as refused:
        governor.authorize(a_call(), terms=Terms(patience_s=30))
    with pytest.raises(Refused) as refused_too:
        asyncio.run(governor.authorize_async(a_call(key="bob"), terms=Terms(patience_s=30)))

    assert refused.value.refusal.reason is refused_too.value.refusal.reason is Reason.STOPPED


def test_what_is_in_flight_settles_and_a_lifted_stop_lets_calls_pass(make: Make, store: Store) -> None:
    clock = Clock()
    governor = make(a_budget("$1"), clock=clock)
    grant = governor.authorize(a_call("gpt-4o-mini"))
    made = stop(store)

    assert end(governor, grant, metered(1_000, 500)).cost_nanodollars > 0
    refusal(governor)
    store.resume(made.stop_id, at_us=NOON_US, by="ben", reason="")
    clock.at_us += 1_000_000  # repeats within a second are answered from memory

    governor.authorize(a_call(at_us=clock.at_us))


def test_what_went_out_while_the_ledger_was_away_is_booked_in_spite_of_a_stop(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = Environment(name="development", on_ledger_failure=OnLedgerFailure.OPEN)
    governor = a_governor(store, a_policy(a_budget("$1"), environment=environment))
    with monkeypatch.context() as away:

        def unavailable(*_: object, **__: object) -> None:
            raise LedgerUnavailable("away")

        away.setattr(governor.committer, "submit", unavailable)
        grant = governor.authorize(a_call("gpt-4o-mini"))
    stop(store)
    operation = governor.end_of(grant, Exchange(ending=Ending.ANSWERED, status=200), metered(1_000, 500))
    assert governor.book(grant, operation) is None
    governor.write_late()

    entry = store.entry(grant.call.call_id)
    assert entry is not None and entry.cost_nanodollars > 0
    assert governor.settlements_waiting == 0
    governor.committer.stop()
