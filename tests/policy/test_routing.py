"""The order in which targets are tried, and the route that a call takes."""

from collections import Counter
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.domain.errors import Refusal
from farthing.policy.decide import Proposal, decide
from farthing.policy.routing import Hop, TargetFacts, after, draw_of, order, others_remain, route_of
from farthing.policy.rules import AtLimit, Candidate, Environment, Policy, Route, Strategy, Target
from tests.builders import a_call, a_policy

PRICES = {"gpt-4o": 1_000, "gpt-4o-mini": 75, "gpt-5-nano": 45, "o3": 1_000, "claude-haiku-4-5": 600}


def dearness(_: Target, model: str) -> int | None:
    return PRICES.get(model)


def target(target_id: str, model: str = "gpt-4o", **more: object) -> Target:
    return Target(id=target_id, provider="openai", model=model, **more)  # type: ignore[arg-type]


def candidate(name: str, *, reason: str = "as_asked", model: str = "gpt-4o", **more: object) -> Candidate:
    return Candidate(target=target(name, model, **more), model=model, reason=reason)


def ordered(
    candidates: Sequence[Candidate],
    strategy: Strategy,
    *,
    draw: int = 0,
    costs: Sequence[int] = (),
    facts: Mapping[str, TargetFacts] | None = None,
) -> list[str]:
    known = {one.target.id: (facts or {}).get(one.target.id, TargetFacts()) for one in candidates}
    places = order(candidates, strategy, known, draw=draw, costs=costs or [0] * len(candidates))
    assert sorted(places) == list(range(len(candidates)))
    return [candidates[place].target.id for place in places]


class TestOrder:
    def test_ordered_keeps_the_order_of_the_file(self) -> None:
        assert ordered([candidate("b"), candidate("a")], Strategy.ORDERED) == ["b", "a"]

    def test_weights_of_three_to_one_give_750_and_250_of_1000_within_3_percent(self) -> None:
        candidates = [candidate("a", weight=3), candidate("b", weight=1)]
        first = Counter(
            ordered(candidates, Strategy.WEIGHTED_ROUND_ROBIN, draw=draw_of(turn))[0]
            for turn in range(1, 1_001)
        )
        assert abs(first["a"] - 750) <= 750 * 3 // 100
        assert abs(first["b"] - 250) <= 250 * 3 // 100

    @given(st.integers(0, 10**9), st.lists(st.integers(1, 9), min_size=2, max_size=6))
    def test_weights_are_kept_from_any_turn_on(self, begin: int, weights: list[int]) -> None:
        candidates = [candidate(f"t{place}", weight=weight) for place, weight in enumerate(weights)]
        first = Counter(
            ordered(candidates, Strategy.WEIGHTED_ROUND_ROBIN, draw=draw_of(begin + turn))[0]
            for turn in range(400)
        )
        for one in candidates:
            assert abs(first[one.target.id] - 400 * one.target.weight / sum(weights)) <= 12

    def test_who_takes_over_from_a_weighted_target_is_drawn_by_weight_too(self) -> None:
        candidates = [candidate("a", weight=2), candidate("b", weight=3), candidate("c", weight=1)]
        second = Counter(
            tuple(ordered(candidates, Strategy.WEIGHTED_ROUND_ROBIN, draw=draw_of(turn))[:2])
            for turn in range(1_200)
        )
        assert second[("a", "b")] == pytest.approx(300, abs=15)
        assert second[("a", "c")] == pytest.approx(100, abs=15)

    def test_usage_based_takes_the_lowest_share_of_its_limit(self) -> None:
        candidates = [candidate("a", requests_per_minute=100), candidate("b", requests_per_minute=1_000)]
        facts = {"a": TargetFacts(requests=20), "b": TargetFacts(requests=150)}
        assert ordered(candidates, Strategy.USAGE_BASED, facts=facts) == ["b", "a"]

    def test_the_limit_that_is_closer_to_its_end_decides(self) -> None:
        candidates = [
            candidate(name, requests_per_minute=100, tokens_per_minute=10_000) for name in ("a", "b")
        ]
        facts = {"a": TargetFacts(requests=1, tokens=9_000), "b": TargetFacts(requests=50, tokens=100)}
        assert ordered(candidates, Strategy.USAGE_BASED, facts=facts) == ["b", "a"]

    def test_a_target_without_a_limit_counts_as_large_as_the_largest_beside_it(self) -> None:
        candidates = [candidate("a"), candidate("b", requests_per_minute=100)]
        facts = {"a": TargetFacts(requests=10), "b": TargetFacts(requests=11)}
        assert ordered(candidates, Strategy.USAGE_BASED, facts=facts) == ["a", "b"]

    def test_two_equal_targets_split_evenly(self) -> None:
        used = Counter({"a": 0, "b": 0})
        for _ in range(100):
            facts = {name: TargetFacts(requests=count) for name, count in used.items()}
            used[ordered([candidate("a"), candidate("b")], Strategy.USAGE_BASED, facts=facts)[0]] += 1
        assert used == {"a": 50, "b": 50}

    def test_lowest_cost_goes_by_what_this_very_call_can_cost(self) -> None:
        candidates = [candidate("a"), candidate("b"), candidate("c")]
        assert ordered(candidates, Strategy.LOWEST_COST, costs=[7, 3, 7]) == ["b", "a", "c"]

    def test_lowest_latency_tries_who_is_not_known_first(self) -> None:
        facts = {"a": TargetFacts(latency_us=900), "b": TargetFacts(latency_us=300)}
        candidates = [candidate("a"), candidate("b"), candidate("c")]
        assert ordered(candidates, Strategy.LOWEST_LATENCY, facts=facts) == ["c", "b", "a"]

    @pytest.mark.parametrize("strategy", Strategy)
    def test_a_target_that_rests_is_tried_last(self, strategy: Strategy) -> None:
        facts = {"a": TargetFacts(resting=True), "b": TargetFacts(requests=5, latency_us=9)}
        assert ordered([candidate("a"), candidate("b")], strategy, costs=[1, 2], facts=facts) == ["b", "a"]

    @pytest.mark.parametrize("strategy", Strategy)
    def test_a_cheaper_model_stays_behind_what_was_asked_for(self, strategy: Strategy) -> None:
        candidates = [candidate("a"), candidate("b", reason="cheaper", model="gpt-4o-mini")]
        facts = {"a": TargetFacts(resting=True, requests=9, latency_us=9)}
        assert ordered(candidates, strategy, costs=[9, 1], facts=facts) == ["a", "b"]


class TestRoutes:
    def test_the_first_route_that_matches_is_taken(self) -> None:
        search = Route(name="search", match={"feature": ("search",)})
        dear = Route(name="dear", match={"model": ("gpt-4o",), "environment": ("development",)})
        policy = routed(search, dear)
        assert route_of(a_call(labels={"feature": "search"}), policy).name == "search"
        assert route_of(a_call("gpt-4o-2024-08-06"), policy).name == "dear"
        assert route_of(a_call("gpt-4o-mini"), policy).name == "providers.routing"

    @pytest.mark.parametrize(
        ("match", "matched"),
        [
            ({"developer": ("alice",)}, True),
            ({"key": ("bob", "ali*")}, True),
            ({"group": ("(none)",)}, True),
            ({"run": ("r1",)}, True),
            ({"run": ("r2",)}, False),
            ({"team": ("x",)}, False),
            ({"environment": ("production",)}, False),
        ],
    )
    def test_a_route_matches_what_a_budget_would(
        self, match: dict[str, tuple[str, ...]], *, matched: bool
    ) -> None:
        policy = routed(Route(name="one", match=match))
        assert (route_of(a_call(run="r1"), policy).name == "one") is matched

    def test_a_route_leads_to_its_targets_only_in_its_order(self) -> None:
        policy = routed(Route(targets=("c", "a")), targets=(target("a"), target("b"), target("c")))
        assert went_to(decide(a_call(), policy, dearness=dearness)) == ["c", "a"]

    def test_a_target_of_the_route_may_serve_another_model_that_is_allowed_and_no_dearer(self) -> None:
        targets = (target("big"), target("small", "gpt-4o-mini"), target("odd", "gpt-5-nano"))
        policy = routed(
            Route(name="search", targets=("odd", "small", "big")),
            targets=targets,
            allow=("gpt-4o", "gpt-4o-mini"),
        )
        answer = decide(a_call(), policy, dearness=dearness)
        assert isinstance(answer, Proposal)
        assert [(one.target.id, one.reason) for one in answer.candidates] == [
            ("big", "as_asked"),
            ("small", "routed"),
        ]
        assert "small serves gpt-4o-mini in place of gpt-4o" in answer.candidates[1].rules

    def test_a_route_never_leads_to_a_dearer_model(self) -> None:
        targets = (target("big"), target("small", "gpt-4o-mini"))
        policy = routed(Route(targets=("big",)), targets=targets)
        assert isinstance(decide(a_call("gpt-4o-mini"), policy, dearness=dearness), Refusal)

    def test_a_cheaper_model_at_a_limit_keeps_to_the_route(self) -> None:
        targets = (target("big"), target("small", "gpt-4o-mini"))
        environment = Environment(name="development", at_limit=AtLimit.DOWNGRADE)
        policy = a_policy(environment=environment, targets=targets)
        assert went_to(decide(a_call(), policy, dearness=dearness)) == ["big", "small"]
        only_big = routed(Route(targets=("big",)), targets=targets, at_limit=AtLimit.DOWNGRADE)
        assert went_to(decide(a_call(), only_big, dearness=dearness)) == ["big"]


class TestNames:
    TARGETS = (
        target("x", "gpt-4o", name="chat"),
        target("y", "gpt-4o-mini", name="chat"),
        target("z", "o3", name="deep"),
    )

    def test_a_name_stands_for_all_targets_that_have_it(self) -> None:
        answer = decide(a_call("chat"), routed(targets=self.TARGETS), dearness=dearness)
        assert went_to(answer) == ["x", "y"]

    def test_a_name_does_not_get_past_the_allowlist(self) -> None:
        policy = routed(targets=self.TARGETS, allow=("gpt-4o-mini",))
        assert went_to(decide(a_call("chat"), policy, dearness=dearness)) == ["y"]
        assert isinstance(decide(a_call("deep"), policy, dearness=dearness), Refusal)

    @pytest.mark.parametrize("entry", ["chat", "c*", "gpt-4o*"])
    def test_allowing_the_name_allows_no_model(self, entry: str) -> None:
        targets = (target("x", "o3", name="chat"), target("y", "o3", name="gpt-4o-large"))
        policy = routed(targets=targets, allow=(entry,))
        assert isinstance(decide(a_call("chat"), policy, dearness=dearness), Refusal)
        assert isinstance(decide(a_call("gpt-4o-large"), policy, dearness=dearness), Refusal)

    def test_a_model_of_the_same_name_comes_first(self) -> None:
        targets = (target("x", "o3", name="gpt-4o"), target("y", "gpt-4o"))
        assert went_to(decide(a_call(), routed(targets=targets), dearness=dearness)) == ["y"]


class TestAfterAFailure:
    def test_targets_that_failed_are_out_and_the_reason_is_told(self) -> None:
        left = after((candidate("a"), candidate("b")), Hop(("a",), "a answered 503"))
        assert [(one.target.id, one.rules) for one in left] == [("b", ("fallback: a answered 503",))]

    def test_cheaper_models_do_not_stand_by_for_a_failure(self) -> None:
        asked, cheaper = candidate("a"), candidate("b", reason="cheaper", model="gpt-4o-mini")
        assert not others_remain([asked, cheaper], asked)
        assert others_remain([asked, candidate("c"), cheaper], asked)
        assert not others_remain([asked, candidate("a", model="gpt-4o-mini")], asked)


def routed(*routes: Route, targets: tuple[Target, ...] = (), **environment: object) -> Policy:
    return Policy(
        digest="0" * 16,
        environments={"development": Environment(name="development", **environment)},  # type: ignore[arg-type]
        targets=targets or (target("a"), target("b")),
        routes=routes,
    )


def went_to(answer: Proposal | Refusal) -> list[str]:
    assert isinstance(answer, Proposal), answer
    return [one.target.id for one in answer.candidates]
