"""Calls of the past, decided again: by the same policy nothing changes, by another one what it says."""

from collections.abc import Callable, Iterator

import msgspec
import pytest

from farthing.domain.period import Period
from farthing.engine.governor import Governor
from farthing.engine.replay import Replay, Replayed, earliest_window_us
from farthing.engine.simulation import Simulation
from farthing.ledger.entries import Entry, Outcome
from farthing.ledger.memory import MemoryStore
from farthing.ledger.store import Store
from farthing.policy.rules import AtLimit, Counted, Environment, Limit, Otherwise, Policy
from tests.builders import Clock, a_book, a_budget, a_call, a_governor, a_policy, metered
from tests.engine.lives import BEGINNING_US, a_life

ALLOWED = ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "text-embedding-3-small", "no-such-model")
BOOK = a_book()


def busy(at_limit: AtLimit = AtLimit.CLAMP, limit: str = "$0.40") -> Policy:
    """A policy under which something is refused, downgraded and clamped all the time."""
    return a_policy(
        a_budget(limit, name="dev-hour", period=Period.HOURLY, environment="development"),
        a_budget("$9", name="per-feature", per="feature", period=Period.DAILY, environment="development"),
        a_budget("$2", name="per-run", per="run", period=Period.RUN),
        a_budget("$1", name="prod-hour", period=Period.HOURLY, environment="production"),
        environment=Environment(
            name="development",
            allow=ALLOWED,
            otherwise=Otherwise.DOWNGRADE,
            at_limit=at_limit,
            limits=(Limit(counts=Counted.REQUESTS, most=3, period=Period.MINUTE),),
        ),
    )


@pytest.fixture
def live(store: Store) -> Iterator[Callable[..., list[Entry]]]:
    """Let a policy rule a while over the store; answers what its ledger says, oldest first."""
    governors: list[Governor] = []

    def entries(policy: Policy, *, calls: int = 400, seed: int = 7) -> list[Entry]:
        clock = Clock(BEGINNING_US)
        governor = a_governor(store, policy, clock=clock, prices=BOOK)
        governor.committer.start()
        governors.append(governor)
        a_life(governor, clock, calls=calls, seed=seed)
        governor.finish()
        governor.committer.stop()
        return store.entries(limit=1_000_000)[::-1]

    yield entries
    for governor in governors:
        governor.committer.stop()


def again(policy: Policy, entries: list[Entry], *, before: list[Entry] | None = None) -> list[Replayed]:
    replay = Replay(policy, BOOK, MemoryStore())
    for entry in before or ():
        replay.book(entry)
    return [replay.decide(entry) for entry in entries]


@pytest.mark.parametrize("at_limit", list(AtLimit))
def test_the_running_policy_over_its_own_ledger_changes_nothing(
    live: Callable[..., list[Entry]], at_limit: AtLimit
) -> None:
    policy = busy(at_limit)
    entries = live(policy)
    outcomes = {entry.outcome for entry in entries}
    assert {Outcome.SETTLED, Outcome.REFUSED, Outcome.VOID} <= outcomes

    found = again(policy, entries)

    assert [(one.change, one.entry.reason, one.was, one.now) for one in found if one.change] == []
    assert sum(one.now.cost_nanodollars for one in found) == sum(row.cost_nanodollars for row in entries)
    simulation = Simulation()
    for one in found:
        simulation.add(one)
    assert simulation.changes == []
    assert simulation.changed_calls == 0
    assert {row.saved_nanodollars for row in simulation.totals.values()} == {0}


def test_it_changes_nothing_either_when_it_begins_in_the_middle_of_a_window(
    live: Callable[..., list[Entry]],
) -> None:
    policy = busy()
    entries = live(policy)
    middle = len(entries) // 2
    began_us = earliest_window_us(policy, entries[middle].at_us)
    assert began_us == entries[middle].at_us - 7 * 86_400_000_000, "a run may have begun days before"
    found = again(policy, entries[middle:], before=entries[:middle])
    changed = [one for one in found if one.change is not None]
    # What was open at that moment held a little more or less than it cost.
    assert len(changed) <= 2, [(one.was, one.now) for one in changed]


def test_a_policy_without_limits_lets_through_what_was_refused(live: Callable[..., list[Entry]]) -> None:
    entries = live(busy(AtLimit.REFUSE))
    refused = [
        entry for entry in entries if entry.reason in ("budget_exceeded", "rate_limited", "budget_held")
    ]
    assert refused

    found = again(a_policy(), entries)

    let_through = {one.entry.call_id for one in found if one.change == "let through"}
    assert let_through >= {entry.call_id for entry in refused}
    for one in found:
        if one.change == "let through":
            assert one.now.assumed
            assert one.now.cost_nanodollars > 0


def test_a_stricter_policy_refuses_downgrades_and_clamps_and_names_the_rule(
    live: Callable[..., list[Entry]],
) -> None:
    entries = live(a_policy(), calls=300)
    stricter = a_policy(
        a_budget("$0.05", name="tight", period=Period.HOURLY, environment="development"),
        environment=Environment(
            name="development", allow=("gpt-4o-mini", "text-embedding-3-small"), otherwise=Otherwise.DOWNGRADE
        ),
    )

    simulation = Simulation()
    for one in again(stricter, entries):
        simulation.add(one)

    by_change = {(row.environment, row.change): row for row in simulation.changes}
    assert by_change["development", "refused"].rule == "tight"
    assert by_change["development", "downgraded"].saved_nanodollars > 0
    assert not any(row.environment == "production" for row in simulation.changes)
    total = simulation.totals["development"]
    assert total.would_cost_nanodollars < total.cost_nanodollars
    assert total.cost_nanodollars == sum(
        entry.cost_nanodollars for entry in entries if entry.facts.environment == "development"
    )


def test_a_smaller_budget_clamps_what_fitted(live: Callable[..., list[Entry]]) -> None:
    entries = live(a_policy(), calls=200)
    smaller = a_policy(a_budget("$0.15", name="small", period=Period.HOURLY, environment="production"))
    clamped = [one for one in again(smaller, entries) if one.change == "clamped"]
    assert clamped
    for one in clamped:
        assert one.now.rule == "small"
        assert one.now.cost_nanodollars <= one.was.cost_nanodollars


def test_an_allowlist_that_refuses_is_named_with_its_words(store: Store) -> None:
    clock = Clock()
    governor = a_governor(store, a_policy(), clock=clock, prices=BOOK)
    governor.committer.start()
    from farthing.engine.outcomes import Ending, Exchange

    grant = governor.authorize(a_call("gpt-4o"))
    governor.book(grant, governor.end_of(grant, Exchange(ending=Ending.ANSWERED, status=200), metered()))
    governor.committer.stop()
    strict = a_policy(environment=Environment(name="development", allow=("gpt-4o-mini",)))

    (one,) = again(strict, store.entries())

    assert one.change == "refused"
    assert one.now.rule == "gpt-4o is not allowed in development"


def test_calls_that_do_not_say_enough_stay_as_they_were(live: Callable[..., list[Entry]]) -> None:
    entries = [
        msgspec.structs.replace(entry, facts=msgspec.structs.replace(entry.facts, request=None))
        for entry in live(busy(), calls=30)
    ]
    assert {
        one.change for one in again(a_policy(environment=Environment(name="development", allow=())), entries)
    } == {None}
