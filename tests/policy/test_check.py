"""What is said about a policy that can be loaded and hardly means what it says."""

from collections.abc import Mapping, Sequence

import msgspec
import pytest

from farthing.domain.period import Period
from farthing.policy.check import Severity, check_policy
from farthing.policy.rules import (
    AtLimit,
    Budget,
    Environment,
    Group,
    Otherwise,
    Policy,
    Route,
    Target,
    Threshold,
    Unpriced,
    Wallet,
)


class Card(msgspec.Struct, frozen=True):
    input: int
    output: int


class ListedPrice(msgspec.Struct, frozen=True):
    cards: tuple[Card, ...]


class PriceList:
    """A price list of a few models, as the check asks for one."""

    def __init__(self, listed: Mapping[str, Mapping[str, int]]) -> None:
        self._listed = listed

    def find(self, provider: str, model: str, at_us: int) -> ListedPrice | None:
        price = self._listed.get(provider, {}).get(model)
        return None if price is None else ListedPrice((Card(price, price),))

    def known(self, model: str) -> tuple[str, ...]:
        return tuple(provider for provider, models in self._listed.items() if model in models)

    def names(self, provider: str | None = None) -> tuple[str, ...]:
        listed = self._listed if provider is None else {provider: self._listed.get(provider, {})}
        return tuple(model for models in listed.values() for model in models)


PRICES = PriceList(
    {
        "openai": {"gpt-4o": 625, "gpt-4o-mini": 38},
        "anthropic": {"claude-opus-4-1": 4500, "claude-haiku-4-5": 300},
    }
)
OPENAI = Target(id="openai", provider="openai", secret_env="OPENAI_API_KEY")
ANTHROPIC = Target(id="anthropic", provider="anthropic", families=("anthropic",))


def a_budget(
    name: str = "b",
    *,
    match: Mapping[str, tuple[str, ...]] | None = None,
    per: str | None = None,
    at_limit: AtLimit | None = None,
) -> Budget:
    return Budget(
        name=name,
        limit_nanodollars=1,
        period=Period.DAILY,
        zone="UTC",
        match=match or {},
        per=per,
        at_limit=at_limit,
    )


ALL = a_budget("all")


def a_policy(
    *environments: Environment,
    budgets: Sequence[Budget] = (ALL,),
    targets: Sequence[Target] = (OPENAI, ANTHROPIC),
    groups: Sequence[Group] = (),
    wallets: Sequence[Wallet] = (),
    cost_tracked: bool = True,
) -> Policy:
    environments = environments or (Environment(name="development"),)
    return Policy(
        digest="0" * 16,
        environments={environment.name: environment for environment in environments},
        budgets=tuple(budgets),
        targets=tuple(targets),
        groups=tuple(groups),
        wallets=tuple(wallets),
        cost_tracked=cost_tracked,
    )


def said(policy: Policy, secrets: Mapping[str, str] | None = None) -> list[str]:
    """Everything that is found, as people read it."""
    return [
        f"{finding.severity} {finding.where}: {finding.message}; {finding.fix}"
        for finding in check_policy(policy, PRICES, secrets=secrets)
    ]


def test_there_is_nothing_to_say_about_a_sound_policy() -> None:
    environment = Environment(
        name="development",
        allow=("gpt-4o-mini", "claude-haiku-4-5"),
        otherwise=Otherwise.DOWNGRADE,
        downgrade=(("gpt-4o", "gpt-4o-mini"), ("claude-*", "claude-haiku-4-5")),
    )
    policy = a_policy(environment, budgets=(ALL, a_budget("branch", per="branch")))
    assert said(policy, {"OPENAI_API_KEY": "set"}) == []


def test_errors_come_first() -> None:
    policy = a_policy(budgets=(a_budget(match={"environment": ("prod",)}),))
    severities = [finding.severity for finding in check_policy(policy, PRICES)]
    assert severities == [Severity.ERROR, Severity.WARNING]


class TestModels:
    def test_a_policy_without_targets_refuses_everything(self) -> None:
        assert said(a_policy(targets=())) == [
            "error providers.targets: there is no target, so every call is refused; add a target"
        ]

    def test_a_key_that_is_not_set_keeps_the_gateway_from_starting(self) -> None:
        (found,) = said(a_policy(), {})
        assert found.startswith("warning target openai: OPENAI_API_KEY is not set here")

    def test_a_misspelt_model_of_a_target_has_no_price(self) -> None:
        target = Target(id="t", provider="openai", model="gpt-4o-mini-mini")
        (found,) = said(a_policy(targets=(target,)))
        assert found == (
            "warning target t: gpt-4o-mini-mini has no price, so its calls are refused in development; "
            "did you mean gpt-4o-mini? Or give the target a  pricing:"
        )

    def test_an_unpriced_model_is_fine_where_it_is_charged_as_the_dearest(self) -> None:
        target = Target(id="t", provider="openai", model="gpt-99")
        assert said(a_policy(Environment(name="d", unpriced=Unpriced.DEAREST), targets=(target,))) == []

    def test_a_mock_needs_no_price(self) -> None:
        assert said(a_policy(targets=(Target(id="m", provider="mock", model="any", mock=True),))) == []

    def test_a_target_that_no_environment_allows_is_never_reached(self) -> None:
        target = Target(id="t", provider="openai", model="gpt-4o")
        environment = Environment(name="development", allow=("gpt-4o-mini",))
        found = said(a_policy(environment, targets=(OPENAI, target)))
        assert found == [
            "warning target t: no environment allows gpt-4o, so nothing ever goes there; "
            "add the model to an allowlist, or remove the target"
        ]

    @pytest.mark.parametrize(
        ("allow", "expected"),
        [
            ((), "the allowlist is empty, so every call is refused; name the models to allow"),
            (
                ("gpt-4o-minii",),
                "nobody has a price for gpt-4o-minii, and no target serves it; "
                "did you mean gpt-4o-mini? Or declare what it costs under prices",
            ),
        ],
    )
    def test_an_allowlist_that_allows_nothing_is_noticed(self, allow: tuple[str, ...], expected: str) -> None:
        found = said(a_policy(Environment(name="development", allow=allow)))
        assert f"warning environments.development.models: {expected}" in found

    def test_an_allowed_model_without_a_target_is_noticed(self) -> None:
        environment = Environment(name="development", allow=("gpt-4o-mini", "claude-haiku-4-5"))
        assert said(a_policy(environment, targets=(OPENAI,))) == [
            "warning environments.development.models: no target serves claude-haiku-4-5; "
            "add a target for it, or remove it"
        ]


class TestDowngrades:
    def downgrading(self, pattern: str, model: str, allow: tuple[str, ...] | None = None) -> list[str]:
        environment = Environment(
            name="development",
            allow=allow,
            otherwise=Otherwise.DOWNGRADE,
            downgrade=((pattern, model),),
        )
        return said(a_policy(environment))

    def test_to_a_model_that_is_not_allowed(self) -> None:
        assert self.downgrading("gpt-4o", "gpt-4o-mini", allow=("claude-haiku-4-5",)) == [
            "error environments.development.downgrade.gpt-4o: gpt-4o-mini is not allowed itself; "
            "add gpt-4o-mini to the allowlist, or name another"
        ]

    def test_to_a_dearer_model(self) -> None:
        (found,) = self.downgrading("gpt-4o-mini", "gpt-4o")
        assert "gpt-4o is dearer than gpt-4o-mini, and a downgrade never picks a dearer model" in found

    def test_to_a_model_of_another_dialect(self) -> None:
        (found,) = self.downgrading("claude-opus-4-1", "gpt-4o-mini")
        assert "gpt-4o-mini is not spoken to in the same dialect, and nothing is translated" in found

    def test_to_a_model_of_another_dialect_by_a_pattern(self) -> None:
        (found,) = self.downgrading("claude-*", "gpt-4o-mini")
        assert "not spoken to in the same dialect" in found

    def test_to_a_model_that_nobody_serves(self) -> None:
        (found,) = self.downgrading("gpt-4o", "gpt-9")
        assert "no target serves gpt-9 at a known price" in found

    def test_a_pattern_that_also_covers_cheaper_models_is_fine(self) -> None:
        assert self.downgrading("*", "claude-haiku-4-5") == []

    def test_a_map_that_is_never_used(self) -> None:
        environment = Environment(name="development", downgrade=(("gpt-4o", "gpt-4o-mini"),))
        (found,) = said(a_policy(environment))
        assert "is never used" in found
        at_limit = msgspec.structs.replace(environment, at_limit=AtLimit.DOWNGRADE)
        assert said(a_policy(at_limit)) == []


class TestBudgets:
    @pytest.mark.parametrize("per", ["branch", "user_id", "run"])
    def test_callers_slip_past_a_budget_per_label_of_theirs(self, per: str) -> None:
        (found,) = said(a_policy(budgets=(a_budget(per=per),)))
        assert f"callers choose {per} themselves" in found

    @pytest.mark.parametrize(
        "above",
        [
            a_budget("above"),
            a_budget("above", match={"environment": ("dev*",)}),
            a_budget("above", per="developer"),
        ],
    )
    def test_a_budget_above_it_holds_them(self, above: Budget) -> None:
        below = a_budget("below", per="branch", match={"environment": ("development",)})
        found = said(a_policy(budgets=(below, above)))
        assert not any("callers choose" in line for line in found)

    @pytest.mark.parametrize(
        "beside",
        [
            a_budget("beside", match={"environment": ("production",)}),
            a_budget("beside", match={"provider": ("openai",)}),
            a_budget("beside", match={"team": ("search",)}),
            a_budget("beside", per="user_id"),
        ],
    )
    def test_a_budget_beside_it_does_not(self, beside: Budget) -> None:
        below = a_budget("below", per="branch", match={"environment": ("development",)})
        policy = a_policy(
            Environment(name="development"), Environment(name="production"), budgets=(below, beside)
        )
        assert any("budgets.below.per: callers choose branch" in line for line in said(policy))

    @pytest.mark.parametrize(
        ("match", "expected"),
        [
            (
                {"environment": ("developmnt",)},
                "there is no environment developmnt; did you mean development?",
            ),
            ({"provider": ("mistral",)}, "there is no provider mistral; use one of: openai, anthropic"),
            ({"group": ("wob",)}, "there is no group wob; use one of: web"),
        ],
    )
    def test_a_budget_that_matches_nothing(self, match: Mapping[str, tuple[str, ...]], expected: str) -> None:
        group = Group(name="web", environment="development")
        (found,) = said(a_policy(budgets=(ALL, a_budget(match=match)), groups=(group,)))
        assert expected in found

    def test_an_environment_that_no_budget_covers(self) -> None:
        half = a_budget(match={"provider": ("openai",)})
        (found,) = said(a_policy(budgets=(half,)))
        assert "environments.development: no budget covers all of it" in found

    def test_an_environment_whose_budgets_all_let_calls_pass(self) -> None:
        (found,) = said(a_policy(budgets=(a_budget(at_limit=AtLimit.OVERRUN),)))
        assert "lets calls pass at its limit" in found

    def test_production_with_fewer_limits_than_development(self) -> None:
        development = a_budget("d", match={"environment": ("development",)})
        policy = a_policy(
            Environment(name="development"), Environment(name="production"), budgets=(ALL, development)
        )
        (found,) = said(policy)
        assert "environments.production: limits that stop a call: 1 here, 2 in development" in found

    def test_costs_that_are_not_tracked(self) -> None:
        (found,) = said(a_policy(cost_tracked=False))
        assert "no limit in money holds" in found


class TestWallets:
    GROUP = Group(name="web", environment="production", wallet="team")

    def test_a_wallet_that_no_file_declares(self) -> None:
        policy = a_policy(Environment(name="production"), groups=(self.GROUP,))
        unowned, unknown = said(policy)
        assert "no file declares the wallet team, so its balance is 0 until it is credited" in unknown
        assert "error wallets.team: pays for production and has no owner" in unowned

    def test_a_wallet_of_production_without_an_owner(self) -> None:
        wallet = Wallet(team_id="team")
        policy = a_policy(Environment(name="production"), groups=(self.GROUP,), wallets=(wallet,))
        assert said(policy) == ["error wallets.team: pays for production and has no owner; add  owner: NAME"]

    def test_a_wallet_that_two_environments_share(self) -> None:
        policy = a_policy(
            Environment(name="development"),
            Environment(name="production"),
            groups=(self.GROUP, Group(name="try", environment="development", wallet="team")),
            wallets=(Wallet(team_id="team", owner="alice"),),
        )
        (found,) = said(policy)
        assert "is shared by development and production" in found

    def test_a_provider_key_that_two_environments_share(self) -> None:
        targets = [
            Target(id=name, provider="openai", secret_env="KEY", environments=(name,))
            for name in ("development", "production")
        ]
        policy = a_policy(Environment(name="development"), Environment(name="production"), targets=targets)
        (found,) = said(policy)
        assert "development and production use the same provider key, KEY" in found

    def test_two_variables_that_hold_one_provider_key(self) -> None:
        targets = [
            Target(id=name, provider="openai", secret_env=f"KEY_{name[:3].upper()}", environments=(name,))
            for name in ("development", "production")
        ]
        policy = a_policy(Environment(name="development"), Environment(name="production"), targets=targets)
        (found,) = said(policy, {"KEY_DEV": "sk-same", "KEY_PRO": "sk-same"})
        assert "development and production use the same provider key, KEY_DEV and KEY_PRO" in found
        assert "sk-same" not in found
        assert said(policy, {"KEY_DEV": "sk-one", "KEY_PRO": "sk-two"}) == []

    def test_a_key_that_stands_in_the_file(self) -> None:
        group = Group(name="try", environment="development", key_sha256=b"hash", key_in_clear_text=True)
        (found,) = said(a_policy(Environment(name="development"), groups=(group,)))
        assert found.startswith(
            "warning consumer_groups.try.api_key: the key stands in the file in clear text"
        )


class TestCare:
    def test_a_budget_of_production_without_an_owner(self) -> None:
        unowned = a_budget("prod", match={"environment": ("prod*",)})
        (found,) = said(a_policy(Environment(name="production"), budgets=(ALL, unowned)))
        assert found == (
            "error budgets.prod: limits production and has no owner to ask when it is spent; add  owner: NAME"
        )
        owned = msgspec.structs.replace(unowned, owner="ana")
        assert said(a_policy(Environment(name="production"), budgets=(ALL, owned))) == []

    def test_percentages_that_apply_to_nothing(self) -> None:
        halves = (Threshold(percent=50),)
        environment = Environment(name="development", thresholds=halves)
        group = Group(name="try", environment="development", wallet="team", thresholds=halves)
        bare = Wallet(team_id="team")
        found = [
            line
            for line in said(a_policy(environment, groups=(group,), wallets=(bare,), budgets=()))
            if "percentages" in line
        ]
        assert [line.partition(":")[0] for line in found] == [
            "warning budget_alerts",
            "warning consumer_groups.try.budget_alerts",
        ]
        allocated = msgspec.structs.replace(bare, allocation_nanodollars=1)
        for policy in (
            a_policy(environment, groups=(group,), wallets=(allocated,), budgets=()),
            a_policy(environment, groups=(group,), wallets=(bare,), budgets=(ALL,)),
        ):
            assert not any("percentages" in line for line in said(policy))

    def test_a_rule_of_routing_that_no_call_reaches_or_matches(self) -> None:
        routes = (
            Route(name="rules.0", match={"environment": ("develpment",)}),
            Route(name="rules.1"),
            Route(name="rules.2", match={"feature": ("search",)}),
        )
        policy = msgspec.structs.replace(a_policy(Environment(name="development")), routes=routes)
        assert said(policy) == [
            "error rules.0.match.environment: matches nothing: there is no environment develpment; "
            "did you mean development?",
            "warning rules.2: no call comes so far: rules.1 before it takes every call; "
            "put the rule for all calls last",
        ]

    @pytest.mark.parametrize("here", ["development", "production", None])
    def test_a_policy_of_production_on_a_laptop(self, here: str | None) -> None:
        alone, both = (
            a_policy(Environment(name="production")),
            a_policy(Environment(name="development"), Environment(name="production")),
        )
        found = check_policy(alone, PRICES, process_environment=here)
        assert bool(found) == (here == "development")
        assert all("this machine is development" in finding.message for finding in found)
        assert check_policy(both, PRICES, process_environment=here) == ()
