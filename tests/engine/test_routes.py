"""What a process learns of its targets from how calls end."""

import msgspec

from farthing.domain.usage import Metered, Usage
from farthing.engine.foreseeing import foresee
from farthing.engine.governor import Governor, Grant
from farthing.engine.outcomes import Ending, Exchange
from farthing.engine.routes import (
    FAILURES_BEFORE_REST,
    REST_SECONDS,
    REST_SECONDS_MAX,
    Routes,
    why_failed,
)
from farthing.ledger.store import Store
from farthing.policy.rules import Policy, Route, Strategy, Target
from tests.builders import NOON_US, Clock, a_book, a_call, a_governor, a_policy, metered

SECOND = 1_000_000
ANSWERED = Exchange(ending=Ending.ANSWERED, status=200)
FAILED = Exchange(ending=Ending.ANSWERED, status=503)


def call(routes: Routes, at_us: int, exchange: Exchange = ANSWERED, *, read: Metered | None = None) -> None:
    routes.began("a", at_us)
    routes.ended("a", exchange, read or metered(), began_us=at_us, now_us=at_us)


def is_resting(routes: Routes, at_us: int) -> bool:
    (standing,) = routes.standing(at_us)
    return standing.resting


class TestRest:
    def test_a_target_rests_after_a_few_failures_in_a_row(self) -> None:
        routes = Routes()
        for number in range(FAILURES_BEFORE_REST):
            assert number == 0 or not is_resting(routes, NOON_US)
            call(routes, NOON_US, FAILED)
        assert is_resting(routes, NOON_US)
        assert not is_resting(routes, NOON_US + REST_SECONDS * SECOND)

    def test_a_success_between_failures_keeps_it_awake(self) -> None:
        routes = Routes()
        for exchange in (FAILED, FAILED, ANSWERED, FAILED, FAILED):
            call(routes, NOON_US, exchange)
        assert not is_resting(routes, NOON_US)

    def test_after_its_rest_one_call_finds_out_while_others_stay_away(self) -> None:
        routes = resting()
        later = NOON_US + REST_SECONDS * SECOND
        assert not is_resting(routes, later)
        routes.began("a", later)
        assert is_resting(routes, later)
        routes.ended("a", ANSWERED, metered(), began_us=later, now_us=later)
        assert not is_resting(routes, later)

    def test_each_further_failure_makes_the_rest_longer_up_to_a_bound(self) -> None:
        routes, now = resting(), NOON_US
        length = REST_SECONDS
        for _ in range(10):
            now += length * SECOND
            assert not is_resting(routes, now)
            call(routes, now, FAILED)
            length = min(2 * length, REST_SECONDS_MAX)
            assert is_resting(routes, now + (length - 1) * SECOND)
        assert length == REST_SECONDS_MAX

    def test_failures_of_calls_that_began_before_the_rest_do_not_lengthen_it(self) -> None:
        routes = resting()
        for _ in range(20):
            call(routes, NOON_US + SECOND, FAILED)
        assert not is_resting(routes, NOON_US + REST_SECONDS * SECOND)

    def test_it_rests_for_as_long_as_the_provider_asks(self) -> None:
        routes = Routes()
        call(routes, NOON_US, Exchange(ending=Ending.ANSWERED, status=429, retry_after_s=42))
        assert is_resting(routes, NOON_US + 41 * SECOND)
        assert not is_resting(routes, NOON_US + 42 * SECOND)

    def test_a_call_that_fails_after_such_a_rest_keeps_nobody_away(self) -> None:
        routes, later = Routes(), NOON_US + SECOND
        call(routes, NOON_US, Exchange(ending=Ending.ANSWERED, status=429, retry_after_s=1))
        call(routes, later, FAILED)
        assert not is_resting(routes, later)

    def test_no_provider_is_left_alone_for_days(self) -> None:
        routes = Routes()
        call(routes, NOON_US, Exchange(ending=Ending.ANSWERED, status=429, retry_after_s=10**9))
        assert not is_resting(routes, NOON_US + REST_SECONDS_MAX * SECOND)

    def test_what_a_caller_broke_off_says_nothing_of_the_target(self) -> None:
        routes = Routes()
        for ending in (Ending.CANCELLED, Ending.DRAIN_EXPIRED, Ending.SHUTDOWN):
            call(routes, NOON_US, Exchange(ending=ending, status=200))
        assert routes.standing(NOON_US)[0].failures == 0


def resting() -> Routes:
    routes = Routes()
    for _ in range(FAILURES_BEFORE_REST):
        call(routes, NOON_US, FAILED)
    return routes


def test_a_failure_is_named() -> None:
    assert why_failed("a", Ending.ANSWERED, 529) == "a answered 529"
    assert why_failed("a", Ending.NEVER_CONNECTED, None) == "a could not be reached"
    assert why_failed("a", Ending.BROKEN, 200) == "a broke the connection"
    assert why_failed("a", Ending.TIMED_OUT, None) == "a kept silent for too long"
    for status in (200, 302, 400, 401, 404, 422):
        assert why_failed("a", Ending.ANSWERED, status) is None


class TestGovernor:
    def governor(self, store: Store, clock: Clock, strategy: Strategy, **limits: int) -> Governor:
        targets = tuple(
            Target(id=name, provider="openai", model="gpt-4o-mini", **limits)  # type: ignore[arg-type]
            for name in "ab"
        )
        policy = a_policy(targets=targets)
        return a_governor(store, policy_with(policy, Route(strategy=strategy)), clock=clock)

    def test_tokens_used_in_the_last_minute_count_and_older_ones_do_not(self, store: Store) -> None:
        clock = Clock()
        governor = self.governor(store, clock, Strategy.USAGE_BASED, tokens_per_minute=100_000)
        assert self.ask(governor, clock, tokens=50_000) == "a"
        assert [self.ask(governor, clock, tokens=1_000) for _ in range(3)] == ["b", "b", "b"]
        clock.at_us += 61 * SECOND
        assert self.ask(governor, clock, tokens=10) == "a"

    def test_calls_in_flight_are_spread_before_any_of_them_has_ended(self, store: Store) -> None:
        clock = Clock()
        governor = self.governor(store, clock, Strategy.USAGE_BASED)
        grants = [governor.authorize(a_call("gpt-4o-mini", at_us=clock.at_us)) for _ in range(10)]
        assert [grant.target.id for grant in grants].count("a") == 5

    def test_how_fast_a_target_was_is_forgotten_after_a_minute(self, store: Store) -> None:
        clock = Clock()
        governor = self.governor(store, clock, Strategy.LOWEST_LATENCY)
        assert self.ask(governor, clock, took_us=900_000) == "a"
        assert self.ask(governor, clock, took_us=100_000) == "b"
        assert self.ask(governor, clock, took_us=100_000) == "b"
        clock.at_us += 30 * SECOND
        assert self.ask(governor, clock, took_us=100_000) == "b"
        clock.at_us += 40 * SECOND
        assert self.ask(governor, clock, took_us=50_000) == "a"

    def test_the_next_policy_knows_what_was_learnt(self, store: Store) -> None:
        clock = Clock()
        governor = self.governor(store, clock, Strategy.ORDERED)
        governor.routes.began("a", clock.at_us)
        assert governor.succeeded_by(governor.policy, governor.prices).routes is governor.routes

    def test_the_order_can_be_asked_for_without_a_call(self, store: Store) -> None:
        targets = (
            Target(id="dear", provider="vllm", model="large", name="chat"),
            Target(id="cheap", provider="vllm", model="small", name="chat"),
        )
        policy = policy_with(a_policy(targets=targets), Route(strategy=Strategy.LOWEST_COST))
        book = a_book(large=("8.00", "32.00"), small=("0.10", "0.40"))
        seen = foresee(a_call("chat"), policy, book, store)
        assert [offer.target for offer in seen.offers] == ["cheap", "dear"]
        assert "routing: lowest_cost" in seen.offers[0].rules

    def ask(self, governor: Governor, clock: Clock, *, tokens: int = 10, took_us: int = 1_000) -> str:
        grant: Grant = governor.authorize(a_call("gpt-4o-mini", at_us=clock.at_us))
        clock.at_us += took_us
        exchange = Exchange(ending=Ending.ANSWERED, status=200, first_byte_at_us=clock.at_us)
        read = Metered(usage=Usage(input_tokens=tokens, output_tokens=0), complete=True)
        governor.book(grant, governor.end_of(grant, exchange, read))
        return grant.target.id


def policy_with(policy: Policy, *routes: Route) -> Policy:
    return msgspec.structs.replace(policy, routes=routes)
