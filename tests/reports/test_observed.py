"""Visibility before restrictions: all is evaluated, nothing is blocked, and what would have been is told."""

import msgspec
import pytest

from farthing.domain.period import Period
from farthing.ledger.entries import Entry, Outcome
from farthing.ledger.memory import MemoryStore
from farthing.policy.rules import AtLimit, Counted, Environment, Limit, Otherwise, Unbounded
from farthing.reports.claims import claims_of
from farthing.reports.observed import what_would_have_been
from tests.builders import Clock, a_book, a_budget, a_governor, a_policy
from tests.engine.lives import BEGINNING_US, a_life


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    """A life under rules that would stop nearly everything, observed."""
    strict = Environment(
        name="development",
        allow=("gpt-4o-mini", "text-embedding-3-small", "no-such-model"),
        otherwise=Otherwise.REFUSE,
        at_limit=AtLimit.OBSERVE,
        unbounded=Unbounded.REFUSE,
        limits=(Limit(counts=Counted.REQUESTS, most=1, period=Period.HOURLY),),
        call_limit_nanodollars=1,
    )
    policy = a_policy(a_budget("$0.0001", name="tiny", environment="development"), environment=strict)
    production = msgspec.structs.replace(strict, name="production", otherwise=Otherwise.DOWNGRADE)
    policy = msgspec.structs.replace(policy, environments={**policy.environments, "production": production})
    clock, store = Clock(BEGINNING_US), MemoryStore()
    governor = a_governor(store, policy, clock=clock, prices=a_book())
    governor.committer.start()
    a_life(governor, clock, calls=300)
    governor.finish()
    governor.committer.stop()
    return store.entries(limit=10_000)


def test_nothing_is_refused_downgraded_or_clamped(entries: list[Entry]) -> None:
    assert len(entries) == 300
    assert {entry.outcome for entry in entries} == {Outcome.SETTLED, Outcome.VOID}
    assert all(entry.model_served == entry.facts.model_asked for entry in entries)
    assert all(entry.clamped_to is None for entry in entries)


def test_every_rule_that_would_have_blocked_is_told_with_its_calls_and_their_cost(
    entries: list[Entry],
) -> None:
    found = {(row.environment, row.rule): row for row in what_would_have_been(entries)}
    told = "\n".join(rule for environment, rule in found if environment == "development")
    for rule in (
        "beyond the limit of tiny",
        "beyond the limit of rate:development",
        "beyond the limit of call:development",
        "gpt-4o is not allowed in development and would be refused",
        "no-such-model has no price and would be refused",
        "billed input of this call is not in its body (web_search) and would be refused",
    ):
        assert rule in told
    downgraded = "\n".join(rule for environment, rule in found if environment == "production")
    assert "gpt-4o is not allowed in production and would be downgraded to gpt-4o-mini" in downgraded
    row = found["development", "gpt-4o is not allowed in development and would be refused"]
    alike = [
        entry
        for entry in entries
        if (entry.facts.environment, entry.facts.model_asked) == ("development", "gpt-4o")
    ]
    assert row.calls == len(alike)
    assert row.cost_nanodollars == sum(entry.cost_nanodollars for entry in alike)


def test_a_key_that_is_used_where_it_does_not_belong_is_a_row(entries: list[Entry]) -> None:
    claiming = [
        msgspec.structs.replace(
            entry, facts=msgspec.structs.replace(entry.facts, claimed_environment="development")
        )
        for entry in entries
    ]
    rows = claims_of(claiming)
    assert {(row.environment, row.claimed) for row in rows} == {("production", "development")}
    assert {row.key for row in rows} == {"alice", "bob"}
    assert sum(row.calls for row in rows) == sum(entry.facts.environment == "production" for entry in entries)
    assert claims_of(entries) == []
