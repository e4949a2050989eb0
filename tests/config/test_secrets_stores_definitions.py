"""Secrets stay hidden, ledgers open by URL, and a budget's name keeps its meaning."""

import pickle
from pathlib import Path

import msgspec
import pytest

from farthing.config.definitions import check_definitions
from farthing.config.secrets import resolve_secrets
from farthing.config.stores import open_store
from farthing.domain.errors import LedgerUnavailable, PolicyError
from farthing.domain.period import Period
from farthing.ledger.store import Store
from farthing.policy.rules import AtLimit, Budget, Environment, Group, Policy, Target
from tests.builders import a_book, a_call, a_governor
from tests.builders import a_policy as a_policy_with_targets


def a_policy(*, targets: tuple[Target, ...] = (), budgets: tuple[Budget, ...] = ()) -> Policy:
    environments = {"development": Environment(name="development")}
    return Policy(digest="0" * 16, environments=environments, targets=targets, budgets=budgets)


def count_something(store: Store, budget: str) -> None:
    """Let a call hold money of a budget."""
    paying = Budget(
        name=budget, limit_nanodollars=1, period=Period.DAILY, zone="UTC", at_limit=AtLimit.OVERRUN
    )
    governor = a_governor(store, a_policy_with_targets(paying), prices=a_book())
    governor.committer.start()
    governor.authorize(a_call())
    governor.committer.stop()


class TestSecrets:
    OPENAI = Target(id="openai", provider="openai", secret_env="OPENAI_API_KEY")

    def test_each_target_gets_the_key_its_variable_holds(self) -> None:
        secrets = resolve_secrets(a_policy(targets=(self.OPENAI,)), {"OPENAI_API_KEY": " sk-1 \n"})
        assert dict(secrets) == {"openai": "sk-1"}

    def test_a_target_that_needs_no_key_gets_none(self) -> None:
        assert not resolve_secrets(a_policy(targets=(Target(id="ollama", provider="ollama"),)), {})

    def test_a_key_may_stand_in_a_file(self, tmp_path: Path) -> None:
        path = tmp_path / "key"
        path.write_text("sk-2\n")
        target = Target(id="t", provider="openai", secret_file=str(path))
        assert resolve_secrets(a_policy(targets=(target,)), {})["t"] == "sk-2"

    def test_every_missing_key_is_named_with_its_target_and_variable(self) -> None:
        missing = Target(id="file", provider="openai", secret_file="/nowhere/key")
        with pytest.raises(PolicyError) as caught:
            resolve_secrets(a_policy(targets=(self.OPENAI, missing)), {"OPENAI_API_KEY": "  "})
        first, second = caught.value.problems
        assert str(first) == (
            "environment: target openai: needs OPENAI_API_KEY, which is not set; "
            "export OPENAI_API_KEY=…, or remove the target from the policy"
        )
        assert second.file == "/nowhere/key"

    def test_a_group_whose_key_is_missing_is_named(self) -> None:
        group = Group(name="web", environment="development", key_env="WEB_KEY")
        policy = Policy(digest="0" * 16, environments={}, groups=(group,))
        with pytest.raises(PolicyError, match="group web: needs WEB_KEY"):
            resolve_secrets(policy, {})

    @pytest.mark.parametrize("key", ["two\nlines", "ключ", "tab\tinside"])
    def test_a_key_that_would_break_a_header_is_refused_without_being_shown(self, key: str) -> None:
        with pytest.raises(PolicyError) as caught:
            resolve_secrets(a_policy(targets=(self.OPENAI,)), {"OPENAI_API_KEY": key})
        assert key not in str(caught.value)

    def test_no_key_is_ever_shown_or_pickled(self) -> None:
        secrets = resolve_secrets(a_policy(targets=(self.OPENAI,)), {"OPENAI_API_KEY": "sk-1"})
        assert repr(secrets) == str(secrets) == "Secrets(openai)"
        with pytest.raises(TypeError):
            pickle.dumps(secrets)


class TestStores:
    def test_a_relative_url_and_a_path_name_the_same_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        first = open_store("sqlite:///ledger.db")
        first.remember("who", "the same")
        first.close()
        for name in ("ledger.db", f"sqlite:///{tmp_path}/ledger.db"):
            store = open_store(name)
            assert store.remember("who", "another") == "the same"
            store.close()

    def test_a_ledger_in_memory_is_new_each_time(self) -> None:
        assert open_store("memory://").remember("a", "1") == "1"
        assert open_store("memory://").remember("a", "2") == "2"

    @pytest.mark.parametrize(
        ("url", "said"),
        [
            ("postgresql://host/db", "no PostgreSQL store yet"),
            ("mysql://host/db", "mysql:// is not a ledger known here"),
            ("sqlite:///", "sqlite:// is not a ledger known here"),
            ("", "no ledger was named"),
        ],
    )
    def test_any_other_ledger_is_refused_by_name(self, url: str, said: str) -> None:
        with pytest.raises(LedgerUnavailable, match=said):
            open_store(url)


class TestDefinitions:
    def test_the_limit_of_a_budget_may_change(self) -> None:
        store = open_store("memory://")
        for dollars in (1, 2):
            budget = Budget(name="b", limit_nanodollars=dollars, period=Period.DAILY, zone="UTC")
            check_definitions(a_policy(budgets=(budget,)), store)

    def test_the_order_of_what_it_matches_may_change(self) -> None:
        store = open_store("memory://")
        for match in ({"key": ("a", "b"), "group": ("g",)}, {"group": ("g",), "key": ("b", "a")}):
            budget = Budget(name="b", limit_nanodollars=1, period=Period.DAILY, zone="UTC", match=match)
            check_definitions(a_policy(budgets=(budget,)), store)

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            (
                Budget(name="b", limit_nanodollars=1, period=Period.WEEKLY, zone="UTC"),
                'period was "daily" and is "weekly"',
            ),
            (
                Budget(name="b", limit_nanodollars=1, period=Period.DAILY, zone="Europe/London"),
                'timezone was "UTC" and is "Europe/London"',
            ),
            (
                Budget(name="b", limit_nanodollars=1, period=Period.DAILY, zone="UTC", per="key"),
                'per was not set and is "key"',
            ),
            (
                Budget(name="b", limit_nanodollars=1, period=Period.DAILY, zone="UTC", match={"key": ("a",)}),
                'match was not set and is {"key":["a"]}',
            ),
        ],
    )
    def test_what_a_budget_counts_may_not_change_under_its_name(self, changed: Budget, said: str) -> None:
        store = open_store("memory://")
        before = Budget(name="b", limit_nanodollars=1, period=Period.DAILY, zone="UTC")
        check_definitions(a_policy(budgets=(before,)), store)
        count_something(store, "b")
        with pytest.raises(PolicyError) as caught:
            check_definitions(a_policy(budgets=(changed,)), store)
        assert said in str(caught.value)
        assert "give the changed budget a new name" in str(caught.value)

    def test_until_a_budget_has_counted_anything_all_of_it_may_change(self, tmp_path: Path) -> None:
        for store in (open_store("memory://"), open_store(f"sqlite:///{tmp_path}/ledger.db")):
            for period in (Period.DAILY, Period.WEEKLY):
                budget = Budget(name="b", limit_nanodollars=1, period=period, zone="UTC")
                check_definitions(a_policy(budgets=(budget,)), store)
            count_something(store, "b")
            with pytest.raises(PolicyError, match='period was "weekly" and is "daily"'):
                check_definitions(
                    a_policy(
                        budgets=(Budget(name="b", limit_nanodollars=1, period=Period.DAILY, zone="UTC"),)
                    ),
                    store,
                )
            store.close()

    def test_a_policy_that_is_refused_leaves_no_definition_behind(self) -> None:
        store = open_store("memory://")
        known, new = (
            Budget(name=name, limit_nanodollars=1, period=Period.DAILY, zone="UTC") for name in ("b", "new")
        )
        check_definitions(a_policy(budgets=(known,)), store)
        count_something(store, "b")
        changed = msgspec.structs.replace(known, period=Period.WEEKLY)
        with pytest.raises(PolicyError):
            check_definitions(a_policy(budgets=(new, changed)), store)
        assert store.recall("budget:new") is None
