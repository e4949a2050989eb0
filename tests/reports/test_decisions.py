"""Every entry says why its call was decided as it was, in sentences, from itself alone."""

from collections.abc import Iterator

import pytest

from farthing.domain.call import Call
from farthing.domain.errors import Refused
from farthing.domain.stop import new_stop
from farthing.engine.governor import Governor
from farthing.engine.outcomes import Ending, Exchange
from farthing.ledger.entries import Entry, Outcome
from farthing.ledger.memory import MemoryStore
from farthing.policy.rules import AtLimit, Budget, Environment, Otherwise, Policy
from farthing.reports.decisions import why
from farthing.reports.history import calls_in_order, count_of_calls
from tests.builders import NOON_US, Clock, a_book, a_budget, a_call, a_governor, a_policy, metered
from tests.engine.lives import BEGINNING_US, a_life

BOOK = a_book()


class Books:
    """A ledger in memory, and what one call after the other says on it."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.clock = Clock()

    def governor(self, policy: Policy) -> Governor:
        governor = a_governor(self.store, policy, clock=self.clock, prices=BOOK)
        governor.committer.start()
        return governor

    def told(self, policy: Policy, call: Call, *, ending: Ending = Ending.ANSWERED) -> str:
        """Make a call under a policy; all that is said about it."""
        governor = self.governor(policy)
        try:
            grant = governor.authorize(call)
            read = metered(complete=ending is Ending.ANSWERED)
            governor.book(grant, governor.end_of(grant, Exchange(ending=ending, status=200), read))
        except Refused:
            pass
        governor.committer.stop()
        entry = self.store.entry(call.call_id)
        assert entry is not None
        return "\n".join(why(entry))


@pytest.fixture
def books() -> Iterator[Books]:
    found = Books()
    yield found
    found.store.close()


def limited(limit: str, at_limit: AtLimit = AtLimit.CLAMP) -> Budget:
    return a_budget(limit, name="dev-month", at_limit=at_limit)


def test_a_model_that_is_not_allowed_says_so_and_what_is(books: Books) -> None:
    policy = a_policy(environment=Environment(name="development", allow=("gpt-4o-mini",)))
    told = books.told(policy, a_call("gpt-4o"))
    assert "gpt-4o was refused (model_not_allowed)" in told
    assert "rule: gpt-4o is not allowed in development" in told


def test_a_downgrade_names_both_models_the_rule_and_what_was_saved(books: Books) -> None:
    environment = Environment(
        name="development",
        allow=("gpt-4o-mini",),
        otherwise=Otherwise.DOWNGRADE,
        downgrade=(("gpt-4o", "gpt-4o-mini"),),
    )
    told = books.told(a_policy(environment=environment), a_call("gpt-4o"))
    assert "gpt-4o went to gpt-4o-mini at target openai (openai): another model took the place" in told
    assert "rule: downgrade gpt-4o: gpt-4o-mini" in told
    assert "it cost $0.00045; the model asked for would have cost $0.0075" in told


def test_money_that_is_spent_is_told_with_the_numbers_of_that_moment(books: Books) -> None:
    call = a_call("gpt-4o", output_cap=1_000)
    told = books.told(a_policy(limited("$0.01", AtLimit.REFUSE)), call)
    assert "gpt-4o was refused (budget_exceeded)" in told
    assert "dev-month was short: $0.00 spent and $0.00 held of $0.01 in 2026-09" in told
    assert "it needed at least $0.01008" in told
    assert "waiting could not help" in told


def test_a_clamp_a_soft_budget_and_the_next_cheaper_model_are_told(books: Books) -> None:
    clamped = books.told(a_policy(limited("$0.01")), a_call("gpt-4o"))
    assert "its output was capped at 992 tokens: the most that fitted every budget" in clamped
    soft = books.told(a_policy(limited("$0.001", AtLimit.OVERRUN)), a_call("gpt-4o"))
    assert "it did not fit dev-month/2026-09, which lets calls pass" in soft
    cheaper = books.told(
        a_policy(
            a_budget("$0.001", name="small", at_limit=AtLimit.DOWNGRADE),
            environment=Environment(name="development", allow=("gpt-4o", "gpt-4o-mini")),
        ),
        a_call("gpt-4o"),
    )
    assert "did not fit the money, so the next cheaper one was taken" in cheaper


def test_a_stop_says_who_and_why(books: Books) -> None:
    books.store.add_stop(new_stop({"key": "alice"}, reason="runaway", by="ana", at_us=NOON_US))
    told = books.told(a_policy(), a_call("gpt-4o"))
    assert "refused (stopped)" in told
    assert "stopped by ana" in told
    assert "runaway" in told


def test_how_a_call_ended_says_what_was_booked(books: Books) -> None:
    broken = books.told(a_policy(), a_call("gpt-4o"), ending=Ending.BROKEN)
    assert "its ceiling was booked" in broken
    void = books.told(a_policy(), a_call("gpt-4o"), ending=Ending.NEVER_CONNECTED)
    assert "never_connected" in void


def test_every_entry_of_a_busy_ledger_is_explained_without_looking_elsewhere(books: Books) -> None:
    environment = Environment(
        name="development", allow=("gpt-4o", "gpt-4o-mini"), otherwise=Otherwise.DOWNGRADE
    )
    governor = books.governor(
        a_policy(a_budget("$0.30", name="hour", at_limit=AtLimit.CLAMP), environment=environment)
    )
    books.clock.at_us = BEGINNING_US
    a_life(governor, books.clock, calls=300)
    governor.finish()
    governor.committer.stop()

    entries = books.store.entries(limit=10_000)
    assert {entry.outcome for entry in entries} >= {Outcome.SETTLED, Outcome.REFUSED, Outcome.VOID}
    for entry in entries:
        _is_explained(entry)


def _is_explained(entry: Entry) -> None:
    told = why(entry)
    asked = entry.facts.model_asked
    served = f"{asked} went to {entry.model_served} at target {entry.target}"
    assert told[0].startswith((f"{asked} was refused ({entry.reason})", served))
    if entry.outcome is Outcome.REFUSED:
        assert len(told) >= 2, "a refusal has a rule or a limit behind it"
    if entry.reason in ("downgraded", "cheaper"):
        assert any(sentence.startswith("rule: ") for sentence in told)
    if entry.clamped_to is not None:
        assert any("was capped at" in sentence for sentence in told)


def test_history_is_told_in_order_and_whole(books: Books) -> None:
    governor = books.governor(a_policy())
    books.clock.at_us = BEGINNING_US
    made = a_life(governor, books.clock, calls=200, step_seconds=300)
    governor.finish()
    governor.committer.stop()
    middle_us = made[100].at_us

    everything = list(calls_in_order(books.store, 0, books.clock.at_us + 1))
    assert [entry.at_us for entry in everything] == sorted(entry.at_us for entry in everything)
    assert {entry.call_id for entry in everything} == {
        entry.call_id for entry in books.store.entries(limit=1_000)
    }
    before = list(calls_in_order(books.store, 0, middle_us))
    after = list(calls_in_order(books.store, middle_us, books.clock.at_us + 1))
    assert before + after == everything
    assert count_of_calls(books.store, 0, books.clock.at_us + 1) == sum(entry.count for entry in everything)
