"""Files become the rules in force, with what was inferred said aloud."""

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from farthing.config.load import Loaded, load_policy
from farthing.domain.errors import PolicyError
from farthing.domain.period import Period
from farthing.policy.rules import AtLimit, Caching, Counted, Limit, Otherwise

FILES = Path(__file__).parent / "files"


def load(*names: str, environ: Mapping[str, str] | None = None) -> Loaded:
    return load_policy([FILES / name for name in names], environ or {})


def load_text(tmp_path: Path, text: str, environ: Mapping[str, str] | None = None) -> Loaded:
    path = tmp_path / "farthing.yaml"
    path.write_text(text, encoding="utf-8")
    return load_policy([path], environ or {})


class TestFilesOfOthers:
    def test_groups_get_their_environment_from_their_names_with_a_notice(self) -> None:
        loaded = load("groups.yaml")
        assert {group.name: group.environment for group in loaded.policy.groups} == {
            "dev": "development",
            "prod": "production",
        }
        assert any("group dev belongs to development, by its name" in notice for notice in loaded.notices)

    def test_a_key_in_clear_text_is_kept_only_as_its_hash(self) -> None:
        loaded = load("groups.yaml")
        assert loaded.policy.groups[0].key_sha256 == hashlib.sha256(b"kt_cg_dev_abc123").digest()
        assert "kt_cg_dev_abc123" not in repr(loaded)
        assert any("clear text" in notice for notice in loaded.notices)

    def test_action_block_means_refuse_where_an_environment_does_not_say_otherwise(self) -> None:
        assert load("groups.yaml").policy.environments["production"].at_limit is AtLimit.REFUSE

    def test_what_is_not_enforced_yet_is_said(self) -> None:
        told = "\n".join(load("groups.yaml").notices)
        assert "wallet" not in told
        assert "alerts are listed by  farthing alert list  and not yet sent anywhere" in told

    def test_two_files_side_by_side_are_one_policy_and_each_keeps_its_targets(self) -> None:
        loaded = load("policy-config.dev.yaml", "policy-config.prod.yaml")
        assert {target.id: target.environments for target in loaded.policy.targets} == {
            "openai-gpt4o-mini": ("development", "production"),
            "anthropic-haiku": ("development",),
            "openai-gpt4o": ("production",),
        }
        assert [group.environment for group in loaded.policy.groups] == ["development", "production"]
        told = "\n".join(loaded.notices)
        assert "policy-config.dev.yaml speaks for development, by its name" in told
        assert "cache" not in told
        development, production = (policy.caching for policy in loaded.policy.environments.values())
        assert development is not None and production is not None
        assert (development.ttl_seconds, development.entries_max) == (7_200, 5_000)
        assert (production.ttl_seconds, production.entries_max) == (900, 20_000)
        assert "routing" not in told

    def test_a_bare_allowlist_is_a_policy(self) -> None:
        environments = load("allowlist.json").policy.environments
        assert environments["development"].allow == ("gpt-4o-mini", "claude-haiku-4-5", "deepseek-chat")
        assert environments["staging"].allow == environments["production"].allow
        assert environments["production"].otherwise is Otherwise.REFUSE

    def test_an_allowlist_joins_the_files_beside_it(self) -> None:
        loaded = load("allowlist.json", "policy-config.dev.yaml", "policy-config.prod.yaml")
        assert loaded.policy.environments["development"].allow is not None
        assert len(loaded.policy.targets) == 3


class TestEverySection:
    def test_the_whole_format_is_read(self) -> None:
        loaded = load("every-section.yaml", environ={"FARTHING_KEY_DEV": "k"})
        policy = loaded.policy
        development = policy.environments["development"]
        assert development.otherwise is Otherwise.DOWNGRADE
        assert development.downgrade == (("gpt-4o", "gpt-4o-mini"), ("claude-*", "claude-haiku-4-5"))
        assert development.limits == (Limit(counts=Counted.REQUESTS, most=10, period=Period.MINUTE),)
        assert development.output_bound == 16_000
        assert development.at_limit is AtLimit.CLAMP
        assert [budget.name for budget in policy.budgets] == [
            "dev-month",
            "per-developer",
            "per-branch",
            "ci-run",
            "openai",
        ]
        assert policy.budgets[4].limit_nanodollars == 20_000_000_000_000
        assert {budget.zone for budget in policy.budgets} == {"Europe/London"}
        assert policy.wallets[0].allocation_nanodollars == 500_000_000_000
        assert policy.groups[0].key_sha256 == hashlib.sha256(b"k").digest()
        assert loaded.prices["my-finetune"].rates == {"input": 3_000_000_000, "output": 12_000_000_000}

    @pytest.mark.parametrize(
        ("written", "nanodollars"),
        [
            ("$5", 5_000_000_000),
            ("5.00", 5_000_000_000),
            ("0.1", 100_000_000),
            ("$1,000.00", 1_000_000_000_000),
            ('"$0.000000001"', 1),
            ("1e3", 1_000_000_000_000),
            ("0.30000000000000000", 300_000_000),
            ("0", 0),
        ],
    )
    def test_money_is_read_from_the_very_text(self, tmp_path: Path, written: str, nanodollars: int) -> None:
        loaded = load_text(
            tmp_path,
            f"budgets:\n  - {{name: b, period: daily, limit: {written}}}\n".replace(
                "$1,000.00", '"$1,000.00"'
            ),
        )
        assert loaded.policy.budgets[0].limit_nanodollars == nanodollars

    def test_a_cache_is_said_for_an_environment_a_file_or_all(self, tmp_path: Path) -> None:
        text = (
            "cache: {enabled: true, ttl_seconds: 60, temperature_max: 0.70, tools: true, max_bytes: 1000}\n"
            "environments:\n  development: {}\n  staging: {cache: {enabled: false}}\n"
            "  production: {cache: {enabled: true, max_entries: 7}}\n"
        )
        kept = {name: one.caching for name, one in load_text(tmp_path, text).policy.environments.items()}
        own = Caching(
            ttl_seconds=60, entries_max=1_000, bytes_max=1_000, temperature_max=Decimal("0.70"), tools=True
        )
        assert (kept["development"], kept["staging"]) == (own, None)
        assert kept["production"] == Caching(
            ttl_seconds=3_600, entries_max=7, bytes_max=268_435_456, temperature_max=Decimal(1), tools=False
        )
        assert load_text(tmp_path, "environments: {development: {}}\n").policy.environments[
            "development"
        ].caching is None  # fmt: skip

    def test_two_files_may_not_say_different_things_of_one_cache(self, tmp_path: Path) -> None:
        files = [tmp_path / "one.yaml", tmp_path / "other.yaml"]
        for file, seconds in zip(files, (60, 61), strict=True):
            file.write_text(f"cache: {{enabled: true, ttl_seconds: {seconds}}}\n")
        with pytest.raises(PolicyError, match="says something else of the cache of every environment"):
            load_policy(files, {})

    @pytest.mark.parametrize("written", ["-0.1", "2.1", "hot", "true", ".nan", ".inf", "null"])
    def test_a_temperature_is_a_number_from_0_to_2(self, tmp_path: Path, written: str) -> None:
        with pytest.raises(PolicyError, match="temperature"):
            load_text(tmp_path, f"cache: {{enabled: true, temperature_max: {written}}}\n")

    def test_months_are_read_by_name_or_number_and_are_part_of_what_the_policy_is_named_by(
        self, tmp_path: Path
    ) -> None:
        text = "budgets:\n  - {name: b, limit: $1, period: monthly, months: {December: $9, 1: 2}}\n"
        loaded = load_text(tmp_path, text)
        other = load_text(tmp_path, text.replace("$9", "$8"))
        assert loaded.policy.budgets[0].months == ((1, 2_000_000_000), (12, 9_000_000_000))
        assert loaded.policy.digest != other.policy.digest

    @pytest.mark.parametrize(
        ("manner", "at_limit"),
        [
            ("hard: true", AtLimit.REFUSE),
            ("hard: false", AtLimit.OVERRUN),
            ("at_limit: downgrade", AtLimit.DOWNGRADE),
        ],
    )
    def test_hard_and_at_limit_say_what_happens(self, tmp_path: Path, manner: str, at_limit: AtLimit) -> None:
        text = f"budgets:\n  - name: b\n    limit: $1\n    period: daily\n    {manner}\n"
        assert load_text(tmp_path, text).policy.budgets[0].at_limit is at_limit

    def test_an_environment_that_says_what_happens_is_not_overruled_by_block(self, tmp_path: Path) -> None:
        loaded = load_text(
            tmp_path,
            "environments:\n  development: {at_limit: clamp}\n  staging: {}\n"
            "budget_alerts: [{threshold_percent: 100, action: block}]\n",
        )
        at_limits = {name: rule.at_limit for name, rule in loaded.policy.environments.items()}
        assert at_limits == {"development": AtLimit.CLAMP, "staging": AtLimit.REFUSE}

    def test_match_takes_a_name_a_number_or_a_list(self, tmp_path: Path) -> None:
        loaded = load_text(
            tmp_path,
            "budgets:\n  - {name: b, limit: 1, period: daily, match: {feature: [a, chat-*], pull: 12}}\n",
        )
        assert loaded.policy.budgets[0].match == {"feature": ("a", "chat-*"), "pull": ("12",)}

    def test_without_any_environment_all_calls_are_development(self, tmp_path: Path) -> None:
        loaded = load_text(tmp_path, "organization: acme\n")
        assert list(loaded.policy.environments) == ["development"]
        assert any("no environment is declared" in notice for notice in loaded.notices)


class TestTargets:
    def test_a_provider_known_here_needs_only_its_name(self, tmp_path: Path) -> None:
        text = "providers:\n  targets:\n" + "".join(
            f"    - {{id: {name}, provider: {name}}}\n"
            for name in ("openai", "anthropic", "gemini", "deepseek", "mistral", "groq", "ollama", "mock")
        )
        found = {target.id: target for target in load_text(tmp_path, text).policy.targets}
        assert found["openai"].base_url == "https://api.openai.com/v1"
        assert found["openai"].secret_env == "OPENAI_API_KEY"
        assert found["anthropic"].base_url == "https://api.anthropic.com"
        assert found["anthropic"].families == ("anthropic",)
        assert found["gemini"].provider == "google"
        assert found["gemini"].families == ("gemini",)
        assert found["ollama"].base_url == "http://localhost:11434/v1"
        assert found["ollama"].secret_env is None
        assert found["mock"].mock
        assert found["mock"].families == ("openai", "anthropic", "gemini")

    def test_a_dialect_brings_the_address_at_which_it_is_spoken(self, tmp_path: Path) -> None:
        text = "providers: {targets: [{id: a, provider: deepseek, dialects: [anthropic]}]}\n"
        target = load_text(tmp_path, text).policy.targets[0]
        assert target.families == ("anthropic",)
        assert target.base_url == "https://api.deepseek.com/anthropic"

    STAND_IN = (
        "providers:\n  targets:\n"
        "    - {id: real, provider: openai, secret_key_ref: {env: OPENAI_API_KEY}}\n"
        "    - {id: fake, provider: simulator, when_missing: OPENAI_API_KEY}\n"
    )

    def test_a_simulator_stands_in_while_the_key_is_missing(self, tmp_path: Path) -> None:
        loaded = load_text(tmp_path, self.STAND_IN, {"OPENAI_API_KEY": ""})
        (target,) = loaded.policy.targets
        assert (target.id, target.simulated, target.billed_as) == ("fake", True, "openai")
        assert target.families == ("openai",)
        assert "OPENAI_API_KEY is not set: target fake is simulated" in loaded.notices

    def test_the_provider_answers_once_the_key_is_there(self, tmp_path: Path) -> None:
        loaded = load_text(tmp_path, self.STAND_IN, {"OPENAI_API_KEY": "sk"})
        assert [target.id for target in loaded.policy.targets] == ["real"]
        assert loaded.notices == ("no environment is declared: all calls are development",)

    def test_a_price_on_a_target_holds_for_its_provider(self, tmp_path: Path) -> None:
        loaded = load_text(
            tmp_path,
            "providers: {targets: [{id: t, provider: openai, model: mine, "
            "pricing: {input: 1, output: 2.5}}]}\n",
        )
        price = loaded.prices["mine"]
        assert (price.provider, price.rates) == ("openai", {"input": 1_000_000_000, "output": 2_500_000_000})


class TestDigest:
    RULES = "timezone: UTC\nbudgets:\n  - {name: a, limit: $5, period: daily}\n"

    def test_comments_white_space_and_ways_to_write_money_do_not_change_it(self, tmp_path: Path) -> None:
        other = (
            "# ours\n\nbudgets:\n  -   name: a\n      period: daily   # each day\n      limit: 5.00\n"
            "timezone: UTC\n"
        )
        assert load_text(tmp_path, self.RULES).policy.digest == load_text(tmp_path, other).policy.digest

    def test_any_rule_changes_it(self, tmp_path: Path) -> None:
        digests = {
            load_text(tmp_path, text).policy.digest
            for text in (
                self.RULES,
                self.RULES.replace("$5", "$6"),
                self.RULES.replace("daily", "weekly"),
                self.RULES.replace("UTC", "Europe/London"),
                self.RULES + "prices: {m: {input: 1}}\n",
                self.RULES + "environments: {development: {at_limit: refuse}}\n",
            )
        }
        assert len(digests) == 6

    def test_it_does_not_depend_on_which_keys_are_set(self, tmp_path: Path) -> None:
        without = load_text(tmp_path, TestTargets.STAND_IN).policy.digest
        assert without == load_text(tmp_path, TestTargets.STAND_IN, {"OPENAI_API_KEY": "sk"}).policy.digest
        assert len(without) == 16


def test_a_policy_that_cannot_be_loaded_loads_nothing() -> None:
    with pytest.raises(PolicyError, match="no policy file was named"):
        load_policy([], {})
