"""Which budgets pay for a call, and which rate limit counts it."""

from collections.abc import Mapping

import pytest

from farthing.domain.call import Call, Identity, RequestFacts
from farthing.domain.period import Period
from farthing.policy.decide import limits, payers
from farthing.policy.rules import (
    AtLimit,
    Budget,
    Candidate,
    Counted,
    Environment,
    Group,
    Limit,
    Policy,
    Target,
)

# 2026-11-22T00:30:00Z: still the 21st in New York.
AT_US = 1_795_307_400_000_000

OPENAI = Target(id="openai", provider="openai")


def a_call(
    *, labels: Mapping[str, str] | None = None, run: str | None = None, key: str | None = "alice"
) -> Call:
    return Call(
        call_id="c1",
        request_id="r1",
        at_us=AT_US,
        identity=Identity(environment="development", key=key, group="product-dev", developer="alice"),
        facts=RequestFacts(dialect="openai.chat", model="gpt-4o"),
        labels=labels or {},
        run=run,
    )


def a_budget(
    name: str = "b",
    *,
    match: Mapping[str, tuple[str, ...]] | None = None,
    per: str | None = None,
    period: Period = Period.MONTHLY,
    zone: str = "UTC",
    at_limit: AtLimit | None = None,
) -> Budget:
    return Budget(
        name=name,
        limit_nanodollars=1_000_000_000,
        period=period,
        zone=zone,
        match=match or {},
        per=per,
        at_limit=at_limit,
    )


def a_policy(*budgets: Budget, at_limit: AtLimit = AtLimit.CLAMP) -> Policy:
    development = Environment(name="development", at_limit=at_limit)
    return Policy(digest="0" * 16, environments={"development": development}, budgets=budgets)


def paying(policy: Policy, call: Call, *, model: str = "gpt-4o-mini", target: Target = OPENAI) -> list[str]:
    """The accounts that pay, as budget/value/window."""
    return [
        "/".join(filter(None, (payer.budget.name, payer.value, payer.window.key)))
        for payer in payers(call, policy, Candidate(target=target, model=model))
    ]


@pytest.mark.parametrize(
    "match",
    [
        {},
        {"environment": ("development",)},
        {"environment": ("staging", "dev*")},
        {"group": ("product-dev",)},
        {"key": ("alice",)},
        {"developer": ("al*",)},
        {"provider": ("openai",)},
        {"model": ("gpt-4o-mini",)},
        {"model": ("gpt-4o-*",)},
        {"run": ("nightly-*",)},
        {"feature": ("search",)},
        {"feature": ("search",), "environment": ("development",)},
        {"team": ("(none)",)},
    ],
)
def test_a_budget_pays_when_all_of_its_match_holds(match: Mapping[str, tuple[str, ...]]) -> None:
    call = a_call(labels={"feature": "search"}, run="nightly-7")
    assert paying(a_policy(a_budget(match=match)), call) == ["b/2026-11"]


@pytest.mark.parametrize(
    "match",
    [
        {"environment": ("production",)},
        {"group": ("product",)},
        {"key": ("bob",)},
        {"provider": ("anthropic",)},
        {"model": ("gpt-4o",)},
        {"run": ("weekly-*",)},
        {"feature": ("chat",)},
        {"feature": ("search",), "environment": ("production",)},
        {"team": ("backend",)},
    ],
)
def test_a_budget_does_not_pay_when_any_of_its_match_fails(match: Mapping[str, tuple[str, ...]]) -> None:
    call = a_call(labels={"feature": "search"}, run="nightly-7")
    assert paying(a_policy(a_budget(match=match)), call) == []


def test_a_label_cannot_pretend_to_be_a_fact_of_the_key() -> None:
    policy = a_policy(a_budget(match={"environment": ("production",)}), a_budget("per", per="developer"))
    call = a_call(labels={"environment": "production", "developer": "mallory"})
    assert paying(policy, call) == ["per/alice/2026-11"]


@pytest.mark.parametrize(
    ("per", "value"),
    [
        ("developer", "alice"),
        ("environment", "development"),
        ("provider", "openai"),
        ("model", "gpt-4o-mini"),
        ("branch", "main"),
        ("run", "nightly-7"),
        ("user_id", "(none)"),
    ],
)
def test_per_makes_one_account_for_each_value_and_one_for_calls_without(per: str, value: str) -> None:
    call = a_call(labels={"branch": "main"}, run="nightly-7")
    assert paying(a_policy(a_budget(per=per)), call) == [f"b/{value}/2026-11"]


def test_a_key_without_a_label_of_its_own_shares_the_account_of_those_without() -> None:
    assert paying(a_policy(a_budget(per="key")), a_call(key=None)) == ["b/(none)/2026-11"]


def test_a_budget_per_run_lasts_for_the_run() -> None:
    policy = a_policy(a_budget(per="run", period=Period.RUN))
    assert paying(policy, a_call(run="nightly-7")) == ["b/nightly-7/run:nightly-7"]


def test_without_a_run_a_budget_per_run_is_daily() -> None:
    assert paying(a_policy(a_budget(period=Period.RUN)), a_call()) == ["b/2026-11-22"]


def test_a_budget_begins_anew_at_midnight_of_its_own_zone() -> None:
    policy = a_policy(
        a_budget("london", period=Period.DAILY, zone="Europe/London"),
        a_budget("new-york", period=Period.DAILY, zone="America/New_York"),
    )
    assert paying(policy, a_call()) == ["london/2026-11-22", "new-york/2026-11-21"]


def test_a_budget_that_says_nothing_does_at_its_limit_what_the_environment_does() -> None:
    policy = a_policy(a_budget("a"), a_budget("b", at_limit=AtLimit.OVERRUN), at_limit=AtLimit.REFUSE)
    found = payers(a_call(), policy, Candidate(target=OPENAI, model="gpt-4o"))
    assert [payer.at_limit for payer in found] == [AtLimit.REFUSE, AtLimit.OVERRUN]


def test_a_simulator_that_stands_for_a_provider_spends_its_budget() -> None:
    stand_in = Target(id="s", provider="simulator", simulated=True, stands_for="openai")
    policy = a_policy(a_budget(match={"provider": ("openai",)}, per="provider"))
    assert paying(policy, a_call(), target=stand_in) == ["b/openai/2026-11"]


def test_an_edited_policy_is_never_answered_from_the_memory_of_the_old_one() -> None:
    for number in range(20):
        assert paying(a_policy(a_budget(f"b{number}")), a_call()) == [f"b{number}/2026-11"]


def a_limited_policy(*limits: Limit, of_group: tuple[Limit, ...] = ()) -> Policy:
    return Policy(
        digest="0" * 16,
        environments={"development": Environment(name="development", limits=limits)},
        groups=(Group(name="product-dev", environment="development", limits=of_group),),
    )


def test_a_limit_counts_each_key_in_its_calendar_minute() -> None:
    limit = Limit(counts=Counted.REQUESTS, most=10, period=Period.MINUTE)
    (kept,) = limits(a_call(), a_limited_policy(limit))
    assert (kept.limit, kept.name, kept.value) == (limit, "rate:development", "alice")
    assert kept.window.starts_at_us == AT_US
    assert kept.window.ends_at_us == AT_US + 60_000_000


def test_limits_of_environment_and_group_are_all_kept_and_never_share_an_account() -> None:
    per = ("key", "developer", "group", "environment")
    every = tuple(
        Limit(counts=counts, most=5, period=period, per=one)
        for counts in Counted
        for period in ((Period.TOTAL,) if counts is Counted.CALLS_OPEN else (Period.MINUTE, Period.DAILY))
        for one in per
    )
    kept = limits(a_call(), a_limited_policy(*every, of_group=every))
    assert [one.limit for one in kept] == [*every, *every]
    assert len({(one.name, one.value, one.window.key) for one in kept}) == 2 * len(every)
    values = {one.limit.per: one.value for one in kept}
    assert values == {
        "key": "alice", "developer": "alice", "group": "product-dev", "environment": "development",
    }  # fmt: skip


def test_an_environment_without_a_limit_counts_nothing() -> None:
    assert limits(a_call(), a_limited_policy()) == ()
