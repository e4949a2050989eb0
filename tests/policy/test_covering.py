"""Budgets found by what they want are those that asking each of them finds; and that costs no more."""

import sys
from collections.abc import Mapping
from types import FrameType

from hypothesis import given, settings
from hypothesis import strategies as st

from farthing.domain.call import Call, Identity, RequestFacts
from farthing.domain.names import matches, names_model
from farthing.domain.period import Period
from farthing.policy.decide import payers
from farthing.policy.rules import Budget, Candidate, Environment, Group, Policy, Target

AT_US = 1_795_307_400_000_000
NAMES = ("a", "b", "ab")
PATTERNS = st.sampled_from((*NAMES, "a*", "*", "(none)"))
VALUES = st.sampled_from((*NAMES, None))
FACTS = ("environment", "group", "key", "developer", "provider", "model", "feature", "team", "run")
MATCHES = st.dictionaries(st.sampled_from(FACTS), st.lists(PATTERNS, min_size=1, max_size=3), max_size=3)


def a_policy(matched: list[dict[str, list[str]]]) -> Policy:
    return Policy(
        digest="0" * 16,
        environments={name: Environment(name=name) for name in NAMES},
        budgets=tuple(
            Budget(
                name=f"b{number}",
                limit_nanodollars=1,
                period=Period.DAILY,
                zone="UTC",
                match={fact: tuple(values) for fact, values in match.items()},
            )
            for number, match in enumerate(matched)
        ),
    )


def a_call(facts: Mapping[str, str | None], labels: Mapping[str, str], run: str | None) -> Call:
    return Call(
        call_id="c1",
        request_id="r1",
        at_us=AT_US,
        identity=Identity(
            environment=facts["environment"] or "a",
            group=facts["group"],
            key=facts["key"],
            developer=facts["developer"],
        ),
        facts=RequestFacts(dialect="openai.chat", model=facts["model"] or "a"),
        labels=labels,
        run=run,
    )


def asked_one_by_one(policy: Policy, call: Call, candidate: Candidate) -> list[str]:
    """The budgets that match, as docs/policy.md defines it."""
    who = call.identity
    has: dict[str, str | None] = {
        **call.labels,
        "environment": who.environment,
        "group": who.group,
        "key": who.key,
        "developer": who.developer,
        "provider": candidate.target.provider,
        "model": candidate.model,
        "run": call.run,
    }
    return [
        budget.name
        for budget in policy.budgets
        if all(
            any(
                (names_model if fact == "model" else matches)(pattern, has.get(fact) or "(none)")
                for pattern in patterns
            )
            for fact, patterns in budget.match.items()
        )
    ]


@settings(max_examples=300, deadline=None)
@given(
    matched=st.lists(MATCHES, max_size=12),
    callers=st.lists(
        st.tuples(
            st.fixed_dictionaries({fact: VALUES for fact in FACTS[:6]}),
            st.dictionaries(st.sampled_from(("feature", "team")), st.sampled_from(NAMES)),
            VALUES,
        ),
        min_size=1,
        max_size=6,
    ),
)
def test_budgets_that_pay_are_those_that_match_in_the_order_of_the_policy(
    matched: list[dict[str, list[str]]],
    callers: list[tuple[dict[str, str | None], dict[str, str], str | None]],
) -> None:
    policy = a_policy(matched)
    for facts, labels, run in callers * 2:  # what is remembered is the same as what is found
        call = a_call(facts, labels, run)
        target = Target(id="t", provider=facts["provider"] or "a")
        candidate = Candidate(target=target, model=call.facts.model)
        found = [payer.budget.name for payer in payers(call, policy, candidate)]
        assert found == asked_one_by_one(policy, call, candidate)


def steps_of(policy: Policy) -> int:
    """How many functions of ours it takes to find who pays for calls of many callers, once known."""
    steps = 0

    def count(frame: FrameType, event: str, _: object) -> None:
        nonlocal steps
        steps += event == "call" and "farthing" in frame.f_code.co_filename

    candidate = Candidate(target=Target(id="t", provider="openai"), model="gpt-4o")
    made = [
        a_call(
            {
                "environment": "a",
                "group": f"g{number}",
                "key": f"k{number}",
                "developer": None,
                "model": None,
            },
            {"feature": f"f{number}"},
            None,
        )
        for number in range(20)
    ]
    for call in made:
        assert len(payers(call, policy, candidate)) == 3
    sys.setprofile(count)
    try:
        for call in made:
            payers(call, policy, candidate)
    finally:
        sys.setprofile(None)
    return steps


def test_five_hundred_budgets_take_no_more_steps_than_three() -> None:
    few = a_policy([{}, {"environment": ["a"]}, {"provider": ["openai"]}])
    many = a_policy(
        [
            {},
            *({"group": [f"g{number}"]} for number in range(250)),
            *({"feature": [f"f{number}"]} for number in range(250)),
        ]
    )
    many = Policy(
        digest=many.digest,
        environments=many.environments,
        budgets=many.budgets,
        groups=tuple(Group(name=f"g{number}", environment="a") for number in range(100)),
    )
    assert steps_of(many) <= 2 * steps_of(few)
