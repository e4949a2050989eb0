"""Wallets in policy files: those of the documents, who enforces them, and what a name keeps meaning."""

from pathlib import Path

import pytest

from farthing.config.definitions import check_definitions
from farthing.config.load import Loaded, load_policy
from farthing.domain.errors import PolicyError
from farthing.engine.raises import credit
from farthing.ledger.memory import MemoryStore
from farthing.policy.check import check_policy
from farthing.policy.rules import Policy
from farthing.policy.wallets import wallets_of
from farthing.prices.book import load_book
from tests.builders import NOON_US

FILES = Path(__file__).with_name("files")
SECRETS = {"OPENAI_API_KEY": "sk", "ANTHROPIC_API_KEY": "sk-ant"}


def documents(*names: str) -> Loaded:
    return load_policy([FILES / name for name in names], SECRETS)


def written(folder: Path, **files: str) -> Policy:
    """A policy of several files, by the name of each."""
    paths = []
    for name, text in files.items():
        path = folder / f"{name.replace('_', '.')}.yaml"
        path.write_text(text, "utf-8")
        paths.append(path)
    return load_policy(paths, {}).policy


def enforced(policy: Policy) -> dict[str, bool]:
    return {name: rule.wallets_enforced for name, rule in policy.environments.items()}


class TestTheFilesOfTheDocuments:
    @pytest.mark.parametrize(
        ("names", "wallets"),
        [
            (("groups.yaml",), {"development": "team_dev", "production": "team_prod"}),
            (
                ("policy-config.dev.yaml", "policy-config.prod.yaml"),
                {"development": "team_product_dev", "production": "team_product_prod"},
            ),
        ],
    )
    def test_r75_r77_each_group_has_one_environment_and_one_wallet_that_is_hard(
        self, names: tuple[str, ...], wallets: dict[str, str]
    ) -> None:
        policy = documents(*names).policy

        assert {group.environment: group.wallet for group in policy.groups} == wallets
        assert enforced(policy) == dict.fromkeys(wallets, True)
        assert [wallet.team_id for wallet in wallets_of(policy)] == list(wallets.values())

    @pytest.mark.parametrize("name", ["policy-config.dev.yaml", "policy-config.prod.yaml"])
    def test_r11_each_of_the_two_files_loads_alone(self, name: str) -> None:
        (rule,) = documents(name).policy.environments.values()

        assert rule.wallets_enforced

    def test_wallets_that_the_documents_only_name_have_nothing_in_them_and_check_says_so(self) -> None:
        policy = documents("policy-config.dev.yaml", "policy-config.prod.yaml").policy

        said = [str(finding) for finding in check_policy(policy, load_book())]

        for team in ("team_product_dev", "team_product_prod"):
            assert any(f"no file declares the wallet {team}, so its balance is 0" in one for one in said)

    def test_nothing_about_wallets_is_left_unenforced(self) -> None:
        for names in (("groups.yaml",), ("policy-config.dev.yaml",), ("policy-config.prod.yaml",)):
            assert not any("wallet" in notice for notice in documents(*names).notices)


class TestEnforcement:
    ENVIRONMENTS = "environments: {development: {}, production: {}}\n"

    def test_without_a_word_wallets_are_not_enforced(self, tmp_path: Path) -> None:
        assert enforced(written(tmp_path, all=self.ENVIRONMENTS)) == {
            "development": False,
            "production": False,
        }

    def test_a_file_for_one_environment_speaks_for_that_one(self, tmp_path: Path) -> None:
        policy = written(
            tmp_path,
            policy_dev="cost_tracking: {wallet_enforcement: true}\n",
            policy_prod="cost_tracking: {wallet_enforcement: false}\n",
        )

        assert enforced(policy) == {"development": True, "production": False}

    def test_a_file_for_all_speaks_where_no_other_does(self, tmp_path: Path) -> None:
        policy = written(
            tmp_path,
            all=self.ENVIRONMENTS + "cost_tracking: {wallet_enforcement: true}\n",
            policy_dev="cost_tracking: {wallet_enforcement: false}\n",
        )

        assert enforced(policy) == {"development": False, "production": True}

    def test_two_files_that_speak_for_the_same_must_agree(self, tmp_path: Path) -> None:
        with pytest.raises(
            PolicyError, match=r"wallet_enforcement: is false here and not so in another file"
        ):
            written(
                tmp_path,
                one="cost_tracking: {wallet_enforcement: true}\n",
                two="cost_tracking: {wallet_enforcement: false}\n",
            )


class TestWhatAWalletMeans:
    NAMED = "consumer_groups: [{name: product-dev, wallet_team_id: team}]\n"
    MONTHLY = NAMED + "wallets: [{team_id: team, allocation: $5, period: monthly}]\n"

    def put_in(self, policy: Policy, store: MemoryStore) -> None:
        credit(store, policy, "team", amount_nanodollars=1, by="ana", reason="test", at_us=NOON_US)

    def test_a_wallet_may_be_declared_in_any_way_until_it_holds_something(self, tmp_path: Path) -> None:
        store = MemoryStore()
        check_definitions(written(tmp_path, policy_dev=self.NAMED), store)

        check_definitions(written(tmp_path, policy_dev=self.MONTHLY), store)

    def test_a_wallet_with_money_in_it_keeps_its_period(self, tmp_path: Path) -> None:
        store = MemoryStore()
        named = written(tmp_path, policy_dev=self.NAMED)
        check_definitions(named, store)
        self.put_in(named, store)

        with pytest.raises(PolicyError, match=r'wallet:team.*period was "total" and is "monthly"'):
            check_definitions(written(tmp_path, policy_dev=self.MONTHLY), store)

    def test_an_amount_and_an_owner_may_change_at_any_time(self, tmp_path: Path) -> None:
        store = MemoryStore()
        before = written(tmp_path, policy_dev=self.MONTHLY)
        check_definitions(before, store)
        self.put_in(before, store)

        check_definitions(written(tmp_path, policy_dev=self.MONTHLY.replace("$5", "$7, owner: alice")), store)

    def test_what_is_put_in_once_has_no_zone_that_could_change(self, tmp_path: Path) -> None:
        store = MemoryStore()
        before = written(tmp_path, policy_dev=self.NAMED)
        check_definitions(before, store)
        self.put_in(before, store)

        check_definitions(written(tmp_path, policy_dev="timezone: Europe/London\n" + self.NAMED), store)
