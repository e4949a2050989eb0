"""What holds of every decision, whatever the policy and the prices."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from farthing.domain.call import Call, Identity, RequestFacts
from farthing.domain.errors import Refusal
from farthing.domain.names import names_model
from farthing.policy.decide import Proposal, decide
from farthing.policy.rules import AtLimit, Environment, Otherwise, Policy, Target

MODELS = ("gpt-4o", "gpt-4o-mini", "gpt-4o-mini-2024-07-18", "o3", "claude-opus-4-1", "claude-haiku-4-5")
ENTRIES = (*MODELS, "gpt-*", "claude-*", "*")
FAMILIES = ("openai", "anthropic")
PROVIDERS = ("openai", "anthropic", "azure")

models = st.sampled_from(MODELS)
target_facts = st.tuples(
    st.sampled_from(PROVIDERS), st.none() | models, st.sets(st.sampled_from(FAMILIES), min_size=1)
)
price_lists = st.dictionaries(st.tuples(st.sampled_from(PROVIDERS), models), st.integers(0, 20))


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    targets = tuple(
        Target(id=f"t{number}", provider=provider, model=model, families=tuple(sorted(families)))
        for number, (provider, model, families) in enumerate(draw(st.lists(target_facts, max_size=5)))
    )
    environment = Environment(
        name="development",
        allow=draw(st.none() | st.lists(st.sampled_from(ENTRIES), max_size=4).map(tuple)),
        otherwise=draw(st.sampled_from(Otherwise)),
        downgrade=draw(st.lists(st.tuples(st.sampled_from(ENTRIES), models), max_size=3).map(tuple)),
        at_limit=draw(st.sampled_from([AtLimit.CLAMP, AtLimit.DOWNGRADE])),
    )
    return Policy(digest="0" * 16, environments={"development": environment}, targets=targets)


@given(policy=policies(), prices=price_lists, asked=models, family=st.sampled_from(FAMILIES))
def test_every_candidate_is_allowed_speaks_the_dialect_and_is_never_dearer_than_what_was_asked_for(
    policy: Policy, prices: dict[tuple[str, str], int], asked: str, family: str
) -> None:
    def dearness(target: Target, model: str) -> int | None:
        return prices.get((target.provider, model))

    call = Call(
        call_id="c",
        request_id="r",
        at_us=0,
        identity=Identity(environment="development"),
        facts=RequestFacts(dialect=f"{family}.chat", model=asked),
    )
    answer = decide(call, policy, dearness=dearness)
    assert answer == decide(call, policy, dearness=dearness)
    if isinstance(answer, Refusal):
        assert answer.message
        assert answer.fix
        return
    assert isinstance(answer, Proposal)
    assert answer.candidates
    allow = policy.environments["development"].allow
    asked_prices = [price for target in policy.targets if (price := dearness(target, asked)) is not None]
    for candidate in answer.candidates:
        assert family in candidate.target.families
        assert candidate.target.model in (None, candidate.model)
        assert allow is None or any(names_model(entry, candidate.model) for entry in allow)
        if candidate.reason == "downgraded" and asked_prices:
            price = dearness(candidate.target, candidate.model)
            assert price is not None
            assert price <= min(asked_prices)
    if answer.candidates[0].reason == "as_asked":
        assert names_model(answer.candidates[0].model, asked)


@given(policy=policies(), prices=price_lists, asked=models)
def test_at_the_limit_every_further_candidate_is_cheaper_than_the_first(
    policy: Policy, prices: dict[tuple[str, str], int], asked: str
) -> None:
    def dearness(target: Target, model: str) -> int | None:
        return prices.get((target.provider, model))

    call = Call(
        call_id="c",
        request_id="r",
        at_us=0,
        identity=Identity(environment="development"),
        facts=RequestFacts(dialect="openai.chat", model=asked),
    )
    answer = decide(call, policy, dearness=dearness)
    if isinstance(answer, Refusal):
        return
    first = dearness(answer.candidates[0].target, answer.candidates[0].model)
    cheaper = list(itertools.dropwhile(lambda candidate: candidate.reason != "cheaper", answer.candidates))
    for candidate in cheaper:
        assert candidate.reason == "cheaper"
        price = dearness(candidate.target, candidate.model)
        assert price is not None
        assert first is not None
        assert price < first
