"""Whatever the policy, a further attempt never reaches what the call may not use."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from farthing.domain.call import Call
from farthing.domain.errors import Refused
from farthing.domain.names import names_model
from farthing.domain.usage import Metered
from farthing.engine.governor import Governor, Grant
from farthing.engine.hops import next_attempt
from farthing.engine.outcomes import Ending, Exchange
from farthing.ledger.entries import Unit
from farthing.ledger.memory import MemoryStore
from farthing.policy.routing import Hop
from farthing.policy.rules import AtLimit, Environment, Otherwise, Policy, Route, Strategy, Target
from tests.builders import Clock, a_book, a_budget, a_call, a_governor

PRICES = {"large": ("8.00", "32.00"), "middle": ("2.00", "8.00"), "small": ("0.10", "0.40")}
BOOK = a_book(**PRICES)
MODELS = tuple(PRICES)
NAMES = ("chat", "t0", "large", "auto")
FAILURES = (
    Exchange(ending=Ending.ANSWERED, status=503),
    Exchange(ending=Ending.ANSWERED, status=429, retry_after_s=1),
    Exchange(ending=Ending.NEVER_CONNECTED),
    Exchange(ending=Ending.TIMED_OUT),
)

models = st.sampled_from(MODELS)
allowlists = st.lists(st.sampled_from([*MODELS, *NAMES, "s*"]), min_size=2, max_size=4).map(tuple)
ids = st.sampled_from([f"t{number}" for number in range(5)])


@st.composite
def targets(draw: st.DrawFn) -> tuple[Target, ...]:
    count = draw(st.integers(3, 5))
    return tuple(
        Target(
            id=f"t{number}",
            provider=draw(st.sampled_from(["vllm", "ollama"])),
            model=draw(models),
            name=draw(st.none() | st.sampled_from(["chat", "large", "deep"])),
            families=draw(st.sampled_from([("openai", "anthropic"), ("openai",), ("anthropic",)])),
            environments=draw(st.sampled_from([(), (), ("development",), ("production",)])),
            weight=draw(st.integers(1, 3)),
        )
        for number in range(count)
    )


@st.composite
def routes(draw: st.DrawFn) -> Route:
    return Route(
        match=draw(st.sampled_from([{}, {"feature": ("search",)}, {"environment": ("production",)}])),
        strategy=draw(st.sampled_from(Strategy)),
        targets=tuple(draw(st.just([]) | st.lists(ids, min_size=2, max_size=5, unique=True))),
        attempts=draw(st.integers(2, 5)),
    )


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    environment = Environment(
        name="development",
        allow=draw(st.none() | allowlists),
        otherwise=draw(st.sampled_from(Otherwise)),
        downgrade=draw(st.lists(st.tuples(models, models), max_size=2).map(tuple)),
        at_limit=draw(st.sampled_from([AtLimit.CLAMP, AtLimit.REFUSE, AtLimit.DOWNGRADE])),
    )
    budgets = [a_budget(draw(st.sampled_from(["$5", "$0.10", "$0.02"])), name="all")]
    for provider in ("vllm", "ollama"):
        budgets.append(
            a_budget(draw(st.sampled_from(["$5", "$0.05", "$0.00"])), name=provider, provider=provider)
        )
    return Policy(
        digest="0" * 16,
        environments={"development": environment, "production": Environment(name="production")},
        budgets=tuple(budgets),
        targets=draw(targets()),
        routes=tuple(draw(st.lists(routes(), max_size=2))),
    )


def failing(governor: Governor, first: Call, failures: list[Exchange]) -> list[Grant]:
    """The grants of a call whose every attempt fails."""
    grants: list[Grant] = []
    try:
        grant = governor.authorize(first)
        while True:
            grants.append(grant)
            exchange = failures[(len(grants) - 1) % len(failures)]
            governor.book(grant, governor.end_of(grant, exchange, Metered(usage=None, complete=False)))
            attempt = next_attempt(first, grant, "it failed", now_us=governor.clock())
            if attempt is None:
                return grants
            grant = governor.authorize(attempt.call, terms=attempt.terms)
    except Refused:
        return grants


@settings(max_examples=400, deadline=None)
@given(
    policy=policies(),
    asked=st.sampled_from([*MODELS, *NAMES]),
    family=st.sampled_from(["openai.chat", "anthropic.messages"]),
    feature=st.sampled_from(["search", "other"]),
    failures=st.lists(st.sampled_from(FAILURES), min_size=1, max_size=3),
)
def test_no_attempt_reaches_a_model_price_budget_or_dialect_that_the_call_may_not_use(
    policy: Policy, asked: str, family: str, feature: str, failures: list[Exchange]
) -> None:
    store, clock = MemoryStore(), Clock()
    governor = a_governor(store, policy, clock=clock, prices=BOOK)
    try:
        first = a_call(asked, dialect=family, labels={"feature": feature}, at_us=clock.at_us)
        grants = failing(governor, first, failures)
        balances = store.balances()
    finally:
        governor.committer.stop()
    allow = policy.environments["development"].allow
    tried = [grant.target.id for grant in grants]
    assert len(set(tried)) == len(tried)
    for number, grant in enumerate(grants, start=1):
        assert grant.call.attempt == number <= grant.route.attempts
        assert grant.call.request_id == first.call_id
        assert family.partition(".")[0] in grant.target.families
        assert grant.target.environments in ((), ("development",))
        assert not grant.route.targets or grant.target.id in grant.route.targets
        assert allow is None or any(names_model(entry, grant.model) for entry in allow)
        if asked in MODELS:
            assert price(grant.model) <= price(asked)
    for balance in balances:
        if balance.unit is Unit.NANODOLLARS:
            assert balance.settled + balance.held <= balance.limit


def price(model: str) -> float:
    return float(PRICES[model][0])


def test_an_attempt_keeps_what_was_asked_and_counts_who_failed() -> None:
    policy = Policy(
        digest="0" * 16,
        environments={"development": Environment(name="development")},
        targets=tuple(Target(id=f"t{number}", provider="vllm", model="small") for number in range(3)),
    )
    clock = Clock()
    governor = a_governor(MemoryStore(), policy, clock=clock, prices=BOOK)
    try:
        first = a_call("small", at_us=clock.at_us)
        grant = governor.authorize(first)
        second = next_attempt(first, grant, "t0 answered 503", now_us=clock.at_us)
        assert second is not None
        assert second.terms.hop == Hop(("t0",), "t0 answered 503")
        assert msgspec.structs.replace(second.call, call_id=first.call_id, attempt=1) == first
        late = clock.at_us + 60_000_000
        assert next_attempt(first, grant, "t0 answered 503", now_us=late) is None
    finally:
        governor.committer.stop()
