"""Ceilings stay true upper bounds in the corners, and nothing escapes a budget by being odd."""

from collections.abc import Iterator

import pytest

from farthing.domain.errors import BadRequest, Reason, Refused
from farthing.domain.period import MICROSECONDS, Period
from farthing.domain.usage import Metered, Usage
from farthing.engine.counting import count_input
from farthing.engine.governor import Governor, Grant
from farthing.engine.offers import HIDDEN_TOKENS, LABEL_VALUES_MAX, offer_of, quotes_of
from farthing.engine.outcomes import Ending, Exchange
from farthing.engine.relay import Relay
from farthing.ledger.entries import Claim
from farthing.ledger.memory import MemoryStore
from farthing.policy.decide import Proposal
from farthing.policy.rules import (
    AtLimit,
    Budget,
    Candidate,
    Environment,
    Otherwise,
    Policy,
    Target,
    Unbounded,
)
from farthing.prices.override import Override
from farthing.wire.surfaces import find
from tests.builders import NOON_US, Clock, a_book, a_budget, a_call, a_governor, a_policy, metered

PROMPT = b'"' + b"an old farthing bought a loaf of bread. " * 200 + b'"'
DECEMBER_US = 1_796_904_000_000_000  # 2026-12-10; the book knows service tiers since October 2026


@pytest.fixture
def store() -> Iterator[MemoryStore]:
    opened = MemoryStore()
    yield opened
    assert opened.verify() == []


def governed(store: MemoryStore, *budgets: Budget, **more: object) -> Governor:
    clock = more.pop("clock", None)
    prices = more.pop("prices", None)
    return a_governor(store, a_policy(*budgets, **more), clock=clock, prices=prices)  # type: ignore[arg-type]


def claims_of(policy: Policy, **labels: str) -> dict[str, Claim]:
    """The claims of one call of alice, by the name of their budget."""
    call, environment = a_call(labels=labels), policy.environments["development"]
    proposal = Proposal(
        environment=environment, candidates=(Candidate(target=policy.targets[0], model="gpt-4o"),)
    )
    quotes = quotes_of(call, proposal, policy, a_book())
    assert isinstance(quotes, list)
    return {claim.budget: claim for claim in offer_of(call, quotes[0], environment, policy).claims}


def settle(governor: Governor, grant: Grant, read: Metered) -> int:
    booked = governor.book(grant, governor.end_of(grant, Exchange(ending=Ending.ANSWERED, status=200), read))
    assert booked is not None
    return booked.cost_nanodollars


# ── values that callers make up ─────────────────────────────────────────────────────────────────


def test_only_values_that_callers_make_up_are_limited_in_number() -> None:
    policy = a_policy(
        a_budget("$5", name="per-branch", per="branch"),
        a_budget("$5", name="per-run", per="run", period=Period.DAILY),
        a_budget("$5", name="per-developer", per="developer"),
        a_budget("$5", name="all"),
    )

    claims = claims_of(policy, branch="main")

    assert {name: claim.values_max for name, claim in claims.items()} == {
        "per-branch": LABEL_VALUES_MAX,
        "per-run": LABEL_VALUES_MAX,
        "per-developer": None,
        "all": None,
    }


# ── bounds of the input ─────────────────────────────────────────────────────────────────────────


def test_each_candidate_is_counted_in_its_own_vocabulary(store: MemoryStore) -> None:
    targets = tuple(
        Target(id=name, provider=name, model=model, base_url="http://127.0.0.1:1/v1")
        for name, model in (("openai", "gpt-4o"), ("deepseek", "deepseek-chat"))
    )
    governor = governed(store, a_budget("$0.02", at_limit=AtLimit.DOWNGRADE), targets=targets)

    grant = governor.authorize(a_call("gpt-4o", input_bytes=len(PROMPT), output_cap=4_000), prompt=PROMPT)

    assert grant.model == "deepseek-chat"
    assert grant.quote.facts.vocabulary is None
    assert grant.quote.input_tokens >= len(PROMPT)


def test_what_is_assumed_is_booked_by_an_exact_count_though_bytes_were_held(store: MemoryStore) -> None:
    governor = governed(store, a_budget("$100"))
    ample = governor.authorize(a_call("gpt-4o", input_bytes=len(PROMPT), output_cap=100), prompt=PROMPT)
    operation = governor.end_of(ample, Exchange(ending=Ending.BROKEN), Metered())
    booked = governor.book(ample, operation)
    entry = store.entry(ample.call.call_id)
    tokens = count_input(PROMPT, "o200k_base")

    assert tokens is not None
    assert booked is not None
    assert entry is not None
    most = (tokens + HIDDEN_TOKENS) * 2_500 + 100 * 10_000
    assert booked.cost_nanodollars == most < ample.ceiling_nanodollars
    assert (entry.cost_nanodollars, entry.ceiling_nanodollars, entry.overrun_nanodollars) == (most, most, 0)
    assert store.verify() == []


def test_text_is_not_held_at_the_rate_of_sound(store: MemoryStore) -> None:
    governor = governed(store, a_budget("$100"))
    of_text, of_any = (
        governor.authorize(a_call("gemini-2.5-flash", dialect="gemini.generate", media=media))
        for media in (False, True)
    )
    hidden = governor.authorize(
        a_call("gemini-2.5-flash", dialect="gemini.generate", media=False, unbounded=("cached_content",))
    )

    assert of_text.ceiling_nanodollars < of_any.ceiling_nanodollars
    assert hidden.ceiling_nanodollars > of_any.ceiling_nanodollars * 100


def test_searches_are_held_before_they_are_billed(store: MemoryStore) -> None:
    governor = governed(store, a_budget("$100"))
    plain, searching = (
        governor.authorize(a_call("claude-haiku-4-5", dialect="anthropic.messages", fees=fees))
        for fees in ({}, {"web_search": 3})
    )

    assert searching.ceiling_nanodollars - plain.ceiling_nanodollars == 30_000_000


# ── bounds of the output ────────────────────────────────────────────────────────────────────────


def test_a_downgraded_call_gets_a_cap_that_its_model_accepts(store: MemoryStore) -> None:
    environment = Environment(name="development", allow=("gpt-4o-mini",), otherwise=Otherwise.DOWNGRADE)
    governor = governed(
        store, a_budget("$100"), environment=environment, prices=a_book(**{"big": ("200", "600")})
    )

    grant = governor.authorize(a_call("big", output_cap=100_000))

    assert (grant.model, grant.output_cap) == ("gpt-4o-mini", 16_384)


def test_the_callers_own_cap_for_the_model_it_asked_for_is_not_touched(store: MemoryStore) -> None:
    grant = governed(store, a_budget("$100")).authorize(a_call("gpt-4o-mini", output_cap=100_000))

    assert grant.output_cap is None
    assert grant.ceiling_nanodollars > 100_000 * 600


@pytest.mark.parametrize("at_limit", list(AtLimit))
def test_a_request_that_could_cost_a_fortune_is_a_mistake_of_the_caller(
    store: MemoryStore, at_limit: AtLimit
) -> None:
    governor = governed(store, a_budget("$5", at_limit=at_limit))

    with pytest.raises(BadRequest, match="output cap"):
        governor.authorize(a_call("gpt-4o", output_cap=10**14, choices=128))

    assert store.balances() == []


# ── nothing is free that was not declared free ──────────────────────────────────────────────────


def test_a_model_without_token_rates_but_with_a_fee_is_paid_by_the_budget(store: MemoryStore) -> None:
    prices = a_book().with_overrides(
        {"searcher": Override(rates={"input": 0, "output": 0}, fees={"web_search": 10_000_000})}
    )
    target = Target(id="own", provider="own", model="searcher", base_url="http://127.0.0.1:1/v1")
    governor = governed(store, a_budget("$1"), targets=(target,), prices=prices)

    grant = governor.authorize(a_call("searcher"))
    usage = Usage(input_tokens=10, output_tokens=10, requests={"web_search": 2})
    cost = settle(governor, grant, Metered(usage=usage, complete=True))
    balance = store.balance("dev-month/2026-09")

    assert cost == 20_000_000
    assert balance is not None
    assert balance.settled == 20_000_000


def test_a_model_spelt_in_capitals_is_paid_by_the_budget_of_that_model(store: MemoryStore) -> None:
    governor = governed(store, a_budget("$0.0001", name="dear", model="gpt-4o", at_limit=AtLimit.REFUSE))

    with pytest.raises(Refused) as refused:
        governor.authorize(a_call("GPT-4o"))

    assert refused.value.refusal.budget == "dear"


def test_input_beyond_its_bound_is_booked_as_overrun_where_the_policy_accepts_it(store: MemoryStore) -> None:
    environment = Environment(name="development", unbounded=Unbounded.OVERRUN)
    governor = governed(store, a_budget("$0.01"), environment=environment)

    grant = governor.authorize(a_call("gpt-4o-mini", unbounded=("web_search",), output_cap=500))
    cost = settle(governor, grant, metered(100_000, 500))
    entry = store.entry(grant.call.call_id)

    assert entry is not None
    assert cost == 100_000 * 150 + 500 * 600 > 10_000_000
    assert entry.overrun_nanodollars == cost - grant.ceiling_nanodollars
    with pytest.raises(Refused) as refused:
        governor.authorize(a_call("gpt-4o-mini", unbounded=("web_search",), output_cap=500))
    assert refused.value.refusal.reason is Reason.BUDGET_EXCEEDED


# ── the memory of refusals ──────────────────────────────────────────────────────────────────────


def test_a_refusal_of_one_service_tier_is_not_remembered_for_another(store: MemoryStore) -> None:
    governor = governed(store, a_budget("$0.02", at_limit=AtLimit.REFUSE))
    with pytest.raises(Refused):
        governor.authorize(a_call("gpt-4o", at_us=DECEMBER_US, output_cap=1_400, service_tier="priority"))

    assert governor.authorize(a_call("gpt-4o", at_us=DECEMBER_US, output_cap=1_400)).model == "gpt-4o"


def test_a_refusal_by_the_path_of_one_provider_is_not_remembered_for_all(store: MemoryStore) -> None:
    governor = governed(store, a_budget("$1"))
    with pytest.raises(Refused) as refused:
        governor.authorize(a_call("gpt-4o"), provider_hint="mistral")

    assert refused.value.refusal.reason is Reason.MODEL_NOT_ALLOWED
    assert governor.authorize(a_call("gpt-4o")).model == "gpt-4o"


def test_a_refusal_is_forgotten_when_the_window_turns(store: MemoryStore) -> None:
    # The last moment of an hour; the month goes on.
    clock = Clock(NOON_US - NOON_US % (3_600 * MICROSECONDS) + 3_599 * MICROSECONDS + 900_000)
    budget = a_budget("$0.01", period=Period.HOURLY, at_limit=AtLimit.REFUSE)
    governor = governed(store, budget, a_budget("$1", name="month"), clock=clock)
    first = governor.authorize(a_call("gpt-4o-mini", at_us=clock.at_us, output_cap=10_000))
    settle(governor, first, metered(1_000, 16_000))
    with pytest.raises(Refused):
        governor.authorize(a_call("gpt-4o-mini", at_us=clock.at_us, output_cap=10_000))

    later = clock.at_us + 100_000

    assert governor.authorize(a_call("gpt-4o-mini", at_us=later, output_cap=10_000)).call.at_us == later


# ── a caller that left ──────────────────────────────────────────────────────────────────────────

_STREAM = b"".join(
    b"data: " + event + b"\n\n"
    for event in (
        b'{"choices":[{"index":0,"delta":{"content":"hello there"}}]}',
        b'{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}',
        b'{"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":3}}',
    )
)


@pytest.mark.parametrize(("events", "assumed"), [(1, True), (3, False)])
def test_a_cancelled_stream_whose_usage_had_come_is_settled_by_it(
    store: MemoryStore, events: int, assumed: bool
) -> None:
    governor = governed(store, a_budget("$1"))
    grant = governor.authorize(a_call("gpt-4o-mini", stream=True))
    surface = find("POST", "/v1/chat/completions")
    assert surface is not None
    meter = surface.dialect.meter(
        grant.call.facts, streamed=True, content_type="text/event-stream", collect_text=True
    )
    relay = Relay(governor, grant, meter)
    relay.status = 200

    relay.feed(b"".join(part + b"\n\n" for part in _STREAM.split(b"\n\n")[:events]))
    booked = relay.end(Ending.CANCELLED)
    entry = store.entry(grant.call.call_id)

    assert booked is not None
    assert entry is not None
    assert entry.assumed is assumed
    if not assumed:
        assert entry.cost_nanodollars == 10 * 150 + 3 * 600
