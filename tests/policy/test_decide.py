"""Where a call may go: allowlists, downgrades, targets and their order."""

from collections.abc import Mapping

import pytest

from farthing.domain.call import Call, Identity, RequestFacts
from farthing.domain.errors import Reason, Refusal
from farthing.domain.period import Period
from farthing.policy.decide import Proposal, decide
from farthing.policy.rules import AtLimit, Budget, Environment, Otherwise, Policy, Target

PRICES: Mapping[str, Mapping[str, int]] = {
    "openai": {
        "gpt-4o": 625,
        "gpt-4o-mini": 38,
        "gpt-4o-mini-2024-07-18": 38,
        "gpt-5-nano": 12,
        "o3": 500,
        "text-embedding-3-small": 2,
        "text-embedding-3-large": 13,
    },
    "anthropic": {"claude-opus-4-1": 4500, "claude-haiku-4-5": 300, "claude-sonnet-4-5": 900},
    "google": {"gemini-2.5-flash-lite": 25},
    "deepseek": {"deepseek-chat": 60},
}

OPENAI = Target(id="openai", provider="openai")
ANTHROPIC = Target(id="anthropic", provider="anthropic", families=("anthropic",))
GOOGLE = Target(id="google", provider="google", families=("gemini",))
DEEPSEEK = Target(id="deepseek", provider="deepseek")
MINI = Target(id="openai-mini", provider="openai", model="gpt-4o-mini")


def dearness(target: Target, model: str) -> int | None:
    return PRICES.get(target.billed_as, {}).get(model)


def a_call(model: str, *, dialect: str = "openai.chat", environment: str = "development") -> Call:
    generates = dialect != "openai.embeddings"
    return Call(
        call_id="c1",
        request_id="r1",
        at_us=1_790_000_000_000_000,
        identity=Identity(environment=environment, key="alice"),
        facts=RequestFacts(dialect=dialect, model=model, generates=generates),
    )


def a_policy(
    *,
    allow: tuple[str, ...] | None = None,
    otherwise: Otherwise = Otherwise.REFUSE,
    downgrade: Mapping[str, str] | None = None,
    at_limit: AtLimit = AtLimit.CLAMP,
    targets: tuple[Target, ...] = (OPENAI, ANTHROPIC, GOOGLE, DEEPSEEK),
    budgets: tuple[Budget, ...] = (),
) -> Policy:
    environment = Environment(
        name="development",
        allow=allow,
        otherwise=otherwise,
        downgrade=tuple((downgrade or {}).items()),
        at_limit=at_limit,
    )
    return Policy(
        digest="0" * 16, environments={"development": environment}, targets=targets, budgets=budgets
    )


def went_to(answer: Proposal | Refusal) -> list[tuple[str, str, str]]:
    """What was proposed, as (target, model, reason) in order."""
    assert isinstance(answer, Proposal), answer
    return [(one.target.id, one.model, one.reason) for one in answer.candidates]


def refused(answer: Proposal | Refusal) -> Refusal:
    assert isinstance(answer, Refusal), answer
    assert answer.reason is Reason.MODEL_NOT_ALLOWED
    return answer


DEVELOPMENT = ("gpt-4o-mini", "claude-haiku-4-5", "deepseek-chat")


class TestAllowed:
    def test_an_allowed_model_goes_where_it_was_asked_for(self) -> None:
        answer = decide(a_call("gpt-4o-mini"), a_policy(allow=DEVELOPMENT), dearness=dearness)
        assert went_to(answer) == [("openai", "gpt-4o-mini", "as_asked")]

    def test_without_an_allowlist_every_model_may_be_asked_for(self) -> None:
        assert went_to(decide(a_call("gpt-4o"), a_policy(), dearness=dearness)) == [
            ("openai", "gpt-4o", "as_asked")
        ]

    def test_a_dated_snapshot_of_an_allowed_model_is_allowed_and_sent_as_asked(self) -> None:
        answer = decide(a_call("gpt-4o-mini-2024-07-18"), a_policy(allow=("gpt-4o-mini",)), dearness=dearness)
        assert went_to(answer) == [("openai", "gpt-4o-mini-2024-07-18", "as_asked")]

    def test_a_model_off_the_list_is_refused_and_the_allowed_ones_are_named(self) -> None:
        refusal = refused(decide(a_call("gpt-4o"), a_policy(allow=DEVELOPMENT), dearness=dearness))
        assert refusal.message == "gpt-4o is not allowed in development"
        assert "gpt-4o-mini, claude-haiku-4-5, deepseek-chat" in refusal.fix

    def test_a_misspelt_model_is_refused_with_the_one_that_was_meant(self) -> None:
        refusal = refused(decide(a_call("gpt-4o-minii"), a_policy(allow=DEVELOPMENT), dearness=dearness))
        assert "did you mean gpt-4o-mini?" in refusal.fix

    def test_an_empty_allowlist_allows_nothing(self) -> None:
        refusal = refused(decide(a_call("gpt-4o"), a_policy(allow=()), dearness=dearness))
        assert "environments.development.models.allow" in refusal.fix

    def test_an_empty_allowlist_leaves_nothing_to_downgrade_to(self) -> None:
        policy = a_policy(allow=(), otherwise=Otherwise.DOWNGRADE)
        refused(decide(a_call("gpt-4o"), policy, dearness=dearness))

    def test_an_environment_that_the_policy_does_not_know_is_refused(self) -> None:
        call = a_call("gpt-4o", environment="developmnt")
        refusal = refused(decide(call, a_policy(), dearness=dearness))
        assert "did you mean development?" in refusal.fix


class TestTargets:
    def test_a_target_made_for_the_model_comes_before_one_that_serves_any(self) -> None:
        policy = a_policy(targets=(OPENAI, MINI))
        assert [
            target for target, _, _ in went_to(decide(a_call("gpt-4o-mini"), policy, dearness=dearness))
        ] == [
            "openai-mini",
            "openai",
        ]

    def test_a_target_may_be_asked_for_by_its_id(self) -> None:
        answer = decide(
            a_call("openai-mini"), a_policy(allow=DEVELOPMENT, targets=(MINI,)), dearness=dearness
        )
        assert went_to(answer) == [("openai-mini", "gpt-4o-mini", "as_asked")]

    def test_asking_by_id_does_not_get_past_the_allowlist(self) -> None:
        policy = a_policy(allow=("gpt-5-nano",), targets=(MINI,))
        refused(decide(a_call("openai-mini"), policy, dearness=dearness))

    def test_a_target_for_one_model_serves_its_snapshot_under_its_own_name(self) -> None:
        answer = decide(a_call("gpt-4o-mini-2024-07-18"), a_policy(targets=(MINI,)), dearness=dearness)
        assert went_to(answer) == [("openai-mini", "gpt-4o-mini", "as_asked")]

    def test_a_snapshot_is_not_sent_as_a_name_that_is_not_allowed(self) -> None:
        policy = a_policy(allow=("gpt-4o-mini-2024-07-18",), targets=(MINI,))
        refused(decide(a_call("gpt-4o-mini-2024-07-18"), policy, dearness=dearness))

    def test_a_model_goes_to_the_provider_that_has_a_price_for_it(self) -> None:
        answer = decide(a_call("deepseek-chat"), a_policy(), dearness=dearness)
        assert went_to(answer) == [("deepseek", "deepseek-chat", "as_asked")]

    def test_a_model_without_a_price_is_left_to_the_rule_on_unpriced_models(self) -> None:
        answer = decide(a_call("gpt-99"), a_policy(targets=(OPENAI, MINI)), dearness=dearness)
        assert went_to(answer) == [("openai", "gpt-99", "as_asked")]

    def test_a_call_goes_only_to_targets_that_speak_its_dialect(self) -> None:
        refusal = refused(
            decide(
                a_call("gpt-4o", dialect="anthropic.messages"), a_policy(targets=(OPENAI,)), dearness=dearness
            )
        )
        assert "anthropic dialect" in refusal.message
        assert "providers.targets" in refusal.fix

    def test_a_path_that_names_a_provider_reaches_only_its_targets(self) -> None:
        policy = a_policy(targets=(OPENAI, DEEPSEEK))
        asked = a_call("deepseek-chat")
        assert went_to(decide(asked, policy, dearness=dearness, provider_hint="deepseek")) == [
            ("deepseek", "deepseek-chat", "as_asked")
        ]
        assert "groq" in refused(decide(asked, policy, dearness=dearness, provider_hint="groq")).message

    def test_google_may_be_named_gemini_in_a_path(self) -> None:
        call = a_call("gemini-2.5-flash-lite", dialect="gemini.generate")
        answer = decide(call, a_policy(), dearness=dearness, provider_hint="gemini")
        assert went_to(answer) == [("google", "gemini-2.5-flash-lite", "as_asked")]

    def test_a_simulator_that_stands_for_a_provider_is_reached_by_its_path(self) -> None:
        stand_in = Target(id="openai", provider="simulator", simulated=True, stands_for="openai")
        policy = a_policy(targets=(stand_in,))
        answer = decide(a_call("gpt-4o"), policy, dearness=dearness, provider_hint="openai")
        assert went_to(answer) == [("openai", "gpt-4o", "as_asked")]
        refused(decide(a_call("gpt-4o"), policy, dearness=dearness, provider_hint="deepseek"))

    def test_a_target_of_another_environment_is_out_of_reach(self) -> None:
        production_only = Target(id="big", provider="openai", model="gpt-4o", environments=("production",))
        refusal = refused(decide(a_call("gpt-4o"), a_policy(targets=(production_only,)), dearness=dearness))
        assert "no target serves gpt-4o" in refusal.message

    def test_auto_is_the_cheapest_allowed_model(self) -> None:
        answer = decide(a_call("auto"), a_policy(allow=DEVELOPMENT), dearness=dearness)
        assert went_to(answer) == [("openai", "gpt-4o-mini", "as_asked")]

    def test_auto_with_nothing_priced_says_what_to_do(self) -> None:
        refusal = refused(decide(a_call("auto"), a_policy(targets=(OPENAI,)), dearness=dearness))
        assert "name a model" in refusal.fix


class TestDowngrade:
    def test_the_map_names_the_replacement(self) -> None:
        policy = a_policy(
            allow=(*DEVELOPMENT, "gpt-5-nano"),
            otherwise=Otherwise.DOWNGRADE,
            downgrade={"gpt-4o": "gpt-4o-mini"},
        )
        assert went_to(decide(a_call("gpt-4o"), policy, dearness=dearness)) == [
            ("openai", "gpt-4o-mini", "downgraded")
        ]

    def test_the_first_pattern_that_matches_decides(self) -> None:
        policy = a_policy(
            allow=("claude-haiku-4-5", "claude-sonnet-4-5"),
            otherwise=Otherwise.DOWNGRADE,
            downgrade={"claude-opus-*": "claude-sonnet-4-5", "claude-*": "claude-haiku-4-5"},
        )
        call = a_call("claude-opus-4-1", dialect="anthropic.messages")
        assert went_to(decide(call, policy, dearness=dearness)) == [
            ("anthropic", "claude-sonnet-4-5", "downgraded")
        ]

    def test_a_model_that_the_map_does_not_mention_goes_to_the_cheapest_allowed(self) -> None:
        policy = a_policy(allow=DEVELOPMENT, otherwise=Otherwise.DOWNGRADE)
        assert went_to(decide(a_call("o3"), policy, dearness=dearness)) == [
            ("openai", "gpt-4o-mini", "downgraded")
        ]

    def test_an_entry_for_another_dialect_is_passed_over(self) -> None:
        policy = a_policy(allow=DEVELOPMENT, otherwise=Otherwise.DOWNGRADE, downgrade={"*": "gpt-4o-mini"})
        call = a_call("claude-opus-4-1", dialect="anthropic.messages")
        assert went_to(decide(call, policy, dearness=dearness)) == [
            ("anthropic", "claude-haiku-4-5", "downgraded")
        ]

    def test_a_downgrade_never_picks_a_dearer_model(self) -> None:
        policy = a_policy(allow=("gpt-4o",), otherwise=Otherwise.DOWNGRADE)
        refused(decide(a_call("gpt-5-nano"), policy, dearness=dearness))

    def test_a_map_entry_to_a_dearer_model_refuses_and_says_so(self) -> None:
        policy = a_policy(
            allow=("gpt-4o",), otherwise=Otherwise.DOWNGRADE, downgrade={"gpt-5-nano": "gpt-4o"}
        )
        assert "dearer" in refused(decide(a_call("gpt-5-nano"), policy, dearness=dearness)).message

    def test_a_map_entry_to_a_model_that_is_not_allowed_refuses_and_says_so(self) -> None:
        policy = a_policy(allow=("o3",), otherwise=Otherwise.DOWNGRADE, downgrade={"gpt-4o": "gpt-4o-mini"})
        refusal = refused(decide(a_call("gpt-4o"), policy, dearness=dearness))
        assert "gpt-4o-mini, is not allowed either" in refusal.message

    def test_a_price_at_a_reseller_does_not_lead_to_another_dialect(self) -> None:
        policy = a_policy(allow=("claude-haiku-4-5",), otherwise=Otherwise.DOWNGRADE)
        call = a_call("gemini-2.5-pro", dialect="gemini.generate")
        refused(decide(call, policy, dearness=lambda target, model: 1))

    def test_a_simulator_in_the_place_of_one_provider_does_not_serve_another_ones_models(self) -> None:
        stand_in = Target(id="openai", provider="simulator", simulated=True, stands_for="openai")
        policy = a_policy(allow=("claude-haiku-4-5",), otherwise=Otherwise.DOWNGRADE, targets=(stand_in,))
        refused(decide(a_call("gpt-4o"), policy, dearness=lambda target, model: 1))
        asked = refused(decide(a_call("claude-haiku-4-5"), policy, dearness=lambda target, model: 1))
        assert "no target serves claude-haiku-4-5 in the openai dialect" in asked.message

    def test_a_chat_is_never_downgraded_to_an_embedding_model(self) -> None:
        policy = a_policy(allow=("text-embedding-3-small", "gpt-4o-mini"), otherwise=Otherwise.DOWNGRADE)
        assert went_to(decide(a_call("gpt-4o"), policy, dearness=dearness)) == [
            ("openai", "gpt-4o-mini", "downgraded")
        ]

    def test_an_embedding_is_downgraded_only_to_an_embedding_model(self) -> None:
        policy = a_policy(allow=("gpt-5-nano", "text-embedding-3-small"), otherwise=Otherwise.DOWNGRADE)
        call = a_call("text-embedding-3-large", dialect="openai.embeddings")
        assert went_to(decide(call, policy, dearness=dearness)) == [
            ("openai", "text-embedding-3-small", "downgraded")
        ]

    def test_observing_lets_it_pass_and_writes_down_what_would_have_happened(self) -> None:
        policy = a_policy(allow=DEVELOPMENT, otherwise=Otherwise.DOWNGRADE, at_limit=AtLimit.OBSERVE)
        answer = decide(a_call("gpt-4o"), policy, dearness=dearness)
        assert went_to(answer) == [("openai", "gpt-4o", "as_asked")]
        assert isinstance(answer, Proposal)
        assert any("would be downgraded to gpt-4o-mini" in rule for rule in answer.candidates[0].rules)


class TestAtTheLimit:
    LADDER = ("gpt-4o", "o3", "gpt-4o-mini", "gpt-5-nano", "text-embedding-3-small")

    def test_cheaper_models_follow_from_the_dearest_down(self) -> None:
        policy = a_policy(allow=self.LADDER, at_limit=AtLimit.DOWNGRADE)
        assert went_to(decide(a_call("gpt-4o"), policy, dearness=dearness)) == [
            ("openai", "gpt-4o", "as_asked"),
            ("openai", "o3", "cheaper"),
            ("openai", "gpt-4o-mini", "cheaper"),
            ("openai", "gpt-5-nano", "cheaper"),
        ]

    def test_the_map_is_asked_first(self) -> None:
        policy = a_policy(allow=self.LADDER, at_limit=AtLimit.DOWNGRADE, downgrade={"gpt-4o": "gpt-5-nano"})
        assert [model for _, model, _ in went_to(decide(a_call("gpt-4o"), policy, dearness=dearness))] == [
            "gpt-4o",
            "gpt-5-nano",
            "o3",
            "gpt-4o-mini",
        ]

    def test_one_budget_that_downgrades_is_enough(self) -> None:
        budget = Budget(
            name="dev-day",
            limit_nanodollars=1,
            period=Period.DAILY,
            zone="UTC",
            match={"environment": ("development",)},
            at_limit=AtLimit.DOWNGRADE,
        )
        policy = a_policy(allow=("gpt-4o", "gpt-4o-mini"), budgets=(budget,))
        assert [reason for _, _, reason in went_to(decide(a_call("gpt-4o"), policy, dearness=dearness))] == [
            "as_asked",
            "cheaper",
        ]

    def test_a_budget_of_others_that_downgrades_changes_nothing(self) -> None:
        budget = Budget(
            name="bobs-day",
            limit_nanodollars=1,
            period=Period.DAILY,
            zone="UTC",
            match={"key": ("bob",)},
            at_limit=AtLimit.DOWNGRADE,
        )
        policy = a_policy(allow=("gpt-4o", "gpt-4o-mini"), budgets=(budget,))
        assert len(went_to(decide(a_call("gpt-4o"), policy, dearness=dearness))) == 1

    @pytest.mark.parametrize("at_limit", [AtLimit.CLAMP, AtLimit.REFUSE, AtLimit.OVERRUN, AtLimit.OBSERVE])
    def test_any_other_manner_proposes_only_what_was_asked_for(self, at_limit: AtLimit) -> None:
        policy = a_policy(allow=self.LADDER, at_limit=at_limit)
        assert len(went_to(decide(a_call("gpt-4o"), policy, dearness=dearness))) == 1
