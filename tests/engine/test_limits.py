"""Limits on requests, tokens and open calls: what they count, when they say no, and that a no is free."""

from collections.abc import Callable, Iterator

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farthing.domain.call import Call
from farthing.domain.errors import Reason, Refusal, Refused
from farthing.domain.period import Period
from farthing.engine.governor import Governor, Grant
from farthing.engine.outcomes import Ending, Exchange
from farthing.ledger.memory import MemoryStore
from farthing.ledger.store import Store
from farthing.policy.rules import AtLimit, Budget, Counted, Environment, Group, Limit, Policy
from tests.builders import NOON_US, Clock, a_budget, a_call, a_governor, a_policy, metered

MINUTE_US = 60_000_000
Make = Callable[..., Governor]


def requests(most: int, period: Period = Period.MINUTE, *, per: str = "key") -> Limit:
    return Limit(counts=Counted.REQUESTS, most=most, period=period, per=per)


def tokens(most: int, period: Period = Period.MINUTE, *, per: str = "key") -> Limit:
    return Limit(counts=Counted.TOKENS, most=most, period=period, per=per)


def open_calls(most: int, *, per: str = "key") -> Limit:
    return Limit(counts=Counted.CALLS_OPEN, most=most, period=Period.TOTAL, per=per)


def development(*limits: Limit, at_limit: AtLimit = AtLimit.CLAMP) -> Environment:
    return Environment(name="development", limits=limits, at_limit=at_limit)


def small(*, key: str = "alice", at_us: int = NOON_US, group: str | None = None, cap: int = 1_000) -> Call:
    """A call that needs at most 1,032 input tokens, which nobody can count, and its cap."""
    call = a_call(
        "claude-3-5-haiku-latest",
        dialect="anthropic.messages",
        key=key,
        at_us=at_us,
        input_bytes=1_000,
        output_cap=cap,
    )
    return msgspec.structs.replace(call, identity=msgspec.structs.replace(call.identity, group=group))


def end(governor: Governor, grant: Grant, *, input_tokens: int = 500, output_tokens: int = 100) -> None:
    exchange = Exchange(ending=Ending.ANSWERED, status=200)
    governor.book(grant, governor.end_of(grant, exchange, metered(input_tokens, output_tokens)))


def no(governor: Governor, call: Call) -> Refusal:
    with pytest.raises(Refused) as refused:
        governor.authorize(call)
    return refused.value.refusal


@pytest.fixture
def make(store: Store) -> Iterator[Make]:
    made: list[Governor] = []

    def governor(environment: Environment, *, groups: tuple[Group, ...] = ()) -> Governor:
        policy = msgspec.structs.replace(a_policy(environment=environment), groups=groups)
        made.append(a_governor(store, policy, clock=Clock()))
        return made[-1]

    yield governor
    for one in made:
        one.committer.stop()


@pytest.mark.parametrize("most", [10, 60])
def test_so_many_requests_a_minute_pass_and_the_next_waits_for_the_minute_to_end(
    make: Make, most: int
) -> None:
    governor = make(development(requests(most)))
    at_us = NOON_US // MINUTE_US * MINUTE_US + 12_345_678
    for _ in range(most):
        end(governor, governor.authorize(small(at_us=at_us)))

    refusal = no(governor, small(at_us=at_us))

    assert (refusal.reason, refusal.unit) == (Reason.RATE_LIMITED, "requests")
    assert (refusal.limit, refusal.spent, refusal.needed) == (most, most, 1)
    assert refusal.retry_after_s == 48
    governor.authorize(small(at_us=at_us + 48_000_000))


def test_tokens_are_held_at_the_most_and_settled_at_what_was_used(make: Make, store: Store) -> None:
    governor = make(development(tokens(10_000)))
    grant = governor.authorize(small())
    held = [balance for balance in grant.balances if balance.unit.value == "tokens"]
    end(governor, grant, input_tokens=500, output_tokens=100)
    after = store.balance(held[0].account)

    assert [(balance.settled, balance.held) for balance in held] == [(0, 2_032)]
    assert after is not None
    assert (after.settled, after.held, after.limit) == (600, 0, 10_000)


def test_where_calls_clamp_an_answer_is_shortened_to_the_tokens_that_are_left(make: Make) -> None:
    governor = make(development(tokens(4_000)))
    end(governor, governor.authorize(small()), input_tokens=2_000, output_tokens=100)

    grant = governor.authorize(small())

    assert grant.clamped
    assert grant.output_cap == 4_000 - 2_100 - 1_032


def test_where_calls_are_refused_tokens_that_are_used_come_back_with_the_next_minute(make: Make) -> None:
    governor = make(development(tokens(4_000), at_limit=AtLimit.REFUSE))
    at_us = NOON_US // MINUTE_US * MINUTE_US
    end(governor, governor.authorize(small(at_us=at_us)), input_tokens=2_000, output_tokens=100)

    refusal = no(governor, small(at_us=at_us))

    assert (refusal.reason, refusal.retry_after_s) == (Reason.RATE_LIMITED, 60)
    assert "2,100 are used and 0 held" in refusal.message
    governor.authorize(small(at_us=at_us + MINUTE_US))


def test_tokens_that_calls_in_flight_hold_may_be_free_again_in_a_moment(make: Make) -> None:
    governor = make(development(tokens(4_000), at_limit=AtLimit.REFUSE))
    first = governor.authorize(small())

    refusal = no(governor, small())
    end(governor, first)

    assert refusal.retry_after_s == 1
    governor.authorize(small())  # at once: what was only held is not remembered as used


def test_a_call_that_needs_more_than_the_whole_limit_is_not_told_to_try_again(make: Make) -> None:
    governor = make(development(tokens(2_000), at_limit=AtLimit.REFUSE))

    refusal = no(governor, small())

    assert refusal.retry_after_s is None
    assert "this call alone needs up to 2,032" in refusal.message
    governor.authorize(small(cap=500))  # a smaller one is not answered from memory


def test_the_ninth_call_at_once_is_refused_until_one_of_eight_has_ended(make: Make) -> None:
    governor = make(development(open_calls(8)))
    grants = [governor.authorize(small()) for _ in range(8)]

    refusal = no(governor, small())
    end(governor, grants[0])

    assert (refusal.reason, refusal.unit, refusal.retry_after_s) == (Reason.RATE_LIMITED, "calls_open", 1)
    governor.authorize(small())
    no(governor, small())
    governor.authorize(small(key="bob"))


def test_a_limit_of_the_environment_counts_all_its_keys_together(make: Make) -> None:
    governor = make(development(requests(2, per="environment"), requests(10)))
    governor.authorize(small(key="alice"))
    governor.authorize(small(key="bob"))

    refusal = no(governor, small(key="carol"))

    assert refusal.budget == "rate:development:environment"


def test_a_limit_of_a_group_holds_for_its_calls_alone(make: Make) -> None:
    search = Group(name="search", environment="development", limits=(requests(1, per="group"),))
    governor = make(development(), groups=(search,))
    governor.authorize(small(group="search"))

    refusal = no(governor, small(key="bob", group="search"))

    assert refusal.budget == "rate:group:search:group"
    governor.authorize(small(group="other"))
    governor.authorize(small())


def test_several_limits_hold_at_once_and_the_one_that_lasts_longest_is_named(make: Make) -> None:
    governor = make(development(requests(1), requests(1, Period.HOURLY)))
    at_us = NOON_US // (60 * MINUTE_US) * 60 * MINUTE_US
    governor.authorize(small(at_us=at_us))

    refusal = no(governor, small(at_us=at_us))

    assert refusal.retry_after_s == 3_600


def test_observing_lets_all_pass_and_says_which_limit_would_have_refused(make: Make) -> None:
    governor = make(development(requests(1), open_calls(1), at_limit=AtLimit.OBSERVE))
    governor.authorize(small())

    grant = governor.authorize(small())

    assert [account.partition("/")[0] for account in grant.would_refuse] == [
        "rate:development",
        "open:development",
    ]


# ── a refused call consumes nothing of any limit ────────────────────────────────────────────────

some_limits = st.lists(
    st.one_of(
        st.builds(requests, st.integers(1, 4), st.sampled_from([Period.MINUTE, Period.HOURLY])),
        st.builds(tokens, st.integers(500, 8_000), st.sampled_from([Period.MINUTE, Period.DAILY])),
        st.builds(open_calls, st.integers(1, 3)),
    ),
    max_size=4,
    unique_by=lambda limit: (limit.counts, limit.period),
)
some_budgets = st.lists(
    st.tuples(
        st.integers(0, 3_000_000),
        st.sampled_from([Period.HOURLY, Period.MONTHLY, Period.TOTAL]),
        st.sampled_from([None, "developer", "model", "feature"]),
        st.sampled_from(list(AtLimit)),
    ),
    max_size=3,
)
some_calls = st.lists(
    st.tuples(
        st.sampled_from(["alice", "bob"]),
        st.sampled_from(["gpt-4o", "gpt-4o-mini", "claude-haiku-4-5"]),
        st.none() | st.integers(1, 4_000),
        st.sampled_from(["left open", "answered", "void"]),
    ),
    max_size=12,
)


def generated_policy(
    limits: list[Limit], budgets: list[tuple[int, Period, str | None, AtLimit]], at_limit: AtLimit
) -> Policy:
    made: list[Budget] = [
        msgspec.structs.replace(
            a_budget("$1", name=f"b{number}", period=period, per=per, at_limit=manner),
            limit_nanodollars=nanodollars,
        )
        for number, (nanodollars, period, per, manner) in enumerate(budgets)
    ]
    return a_policy(*made, environment=development(*limits, at_limit=at_limit))


@settings(max_examples=150, deadline=None)
@given(limits=some_limits, budgets=some_budgets, at_limit=st.sampled_from(list(AtLimit)), calls=some_calls)
def test_a_refused_call_consumes_nothing_of_any_limit_or_budget(
    limits: list[Limit],
    budgets: list[tuple[int, Period, str | None, AtLimit]],
    at_limit: AtLimit,
    calls: list[tuple[str, str, int | None, str]],
) -> None:
    store = MemoryStore()
    governor = a_governor(store, generated_policy(limits, budgets, at_limit))
    for key, model, cap, outcome in calls:
        dialect = "anthropic.messages" if model.startswith("claude") else "openai.chat"
        before = {row.account: (row.settled, row.held) for row in store.balances()}
        try:
            grant = governor.authorize(a_call(model, key=key, dialect=dialect, output_cap=cap))
        except Refused:
            after = {row.account: (row.settled, row.held) for row in store.balances()}
            assert after == before
            continue
        if outcome != "left open":
            ending = Ending.ANSWERED if outcome == "answered" else Ending.NEVER_CONNECTED
            exchange = Exchange(ending=ending, status=200 if outcome == "answered" else None)
            governor.book(grant, governor.end_of(grant, exchange, metered(100, 50)))
    assert store.verify() == []
    governor.committer.stop()
