"""A guarded process pays from the wallet of its group, exactly as a key of that group does at the gateway."""

import logging
from decimal import Decimal
from pathlib import Path
from typing import Any

import openai
import pytest

from farthing import BudgetExceeded, guard
from farthing.config.build import clock
from farthing.config.load import load_policy
from farthing.domain.errors import Reason
from farthing.domain.money import nanodollars_from
from farthing.engine.raises import credit
from farthing.ledger.entries import Entry
from farthing.ledger.sqlite import SqliteStore
from farthing.simulator.server import SimulatorServer
from tests.running import CallKey, RunningGateway
from tests.sdk.asking import messages

POLICY = """
organization: acme
environments: {development: {}, production: {}}
consumer_groups:
  - {name: product-dev, environment: development, wallet_team_id: team_dev}
  - {name: product-prod, environment: production, wallet_team_id: team_prod}
wallets:
  - {team_id: team_dev, owner: alice, allocation: $0.01, period: monthly}
budgets:
  - {name: dev-month, match: {environment: development}, limit: $750, period: monthly}
cost_tracking: {wallet_enforcement: true}
providers:
  targets:
    - {id: openai, provider: openai, base_url: SIMULATOR/v1, secret_key_ref: {env: OPENAI_API_KEY}}
prices: {tenth: {input: 0, output: 10}}
"""

SAME = ("outcome", "reason", "cost_nanodollars", "ceiling_nanodollars", "clamped_to", "accounts")


@pytest.fixture
def policy(simulator: SimulatorServer, tmp_path: Path) -> Path:
    file = tmp_path / "policy" / "farthing.yaml"
    file.parent.mkdir()
    file.write_text(POLICY.replace("SIMULATOR", simulator.url), "utf-8")
    return file


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "guard.db"


def guarded(simulator: SimulatorServer, policy: Path, ledger: Path, **more: Any) -> openai.OpenAI:
    client = openai.OpenAI(base_url=f"{simulator.url}/v1", api_key="any", max_retries=0)
    return guard(client, policy=policy, ledger=f"sqlite:///{ledger}", **more)


def ask(client: openai.OpenAI, says: str = "input=30 output=600", cap: int = 600) -> str:
    """Make one call; tell what became of it."""
    try:
        client.chat.completions.create(
            model="tenth", messages=messages(f"[[sim {says}]] hello"), max_tokens=cap
        )
    except openai.RateLimitError as error:
        return error.response.headers.get("x-farthing-refusal") or "429"
    return "answered"


def entries(ledger: Path) -> list[Entry]:
    store = SqliteStore(ledger)
    try:
        assert store.verify() == []
        return store.entries()[::-1]
    finally:
        store.close()


def put_in(policy: Path, ledger: Path, team: str, amount: str) -> None:
    store = SqliteStore(ledger)
    try:
        rules = load_policy([policy], {}).policy
        credit(
            store,
            rules,
            team,
            amount_nanodollars=nanodollars_from(amount),
            by="ana",
            reason="test",
            at_us=clock(),
        )
    finally:
        store.close()


def test_both_doors_debit_the_wallet_of_the_group_alike_and_refuse_when_it_is_empty(
    simulator: SimulatorServer, policy: Path, ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FARTHING_GROUP", "product-dev")
    with RunningGateway(POLICY, tmp_path, simulator) as gateway:
        key: CallKey = gateway.key("development", group="product-dev")
        bare = openai.OpenAI(base_url=gateway.openai_url, api_key=key.secret, max_retries=0)
        at_gateway = [ask(bare) for _ in range(3)]
        bare.close()
    client = guarded(simulator, policy, ledger)
    at_guard = []
    for _ in range(3):
        try:
            at_guard.append(ask(client))
        except BudgetExceeded as exceeded:
            at_guard.append(exceeded.reason.value)

    assert at_gateway == at_guard == ["answered", "answered", "wallet_empty"]
    gateways, guards = entries(tmp_path / "farthing.db"), entries(ledger)
    for one, other in zip(gateways, guards, strict=True):
        assert one.facts.wallet == other.facts.wallet == "team_dev"
        assert one.facts.group == other.facts.group == "product-dev"
        for member in (
            "outcome",
            "reason",
            "cost_nanodollars",
            "ceiling_nanodollars",
            "clamped_to",
            "accounts",
        ):
            assert getattr(one, member) == getattr(other, member), member


def test_a_guard_raises_budget_exceeded_with_the_numbers_of_the_wallet_and_goes_on_after_a_credit(
    simulator: SimulatorServer, policy: Path, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FARTHING_GROUP", "product-prod")
    monkeypatch.setenv("APP_ENV", "production")
    client = guarded(simulator, policy, ledger)

    with pytest.raises(BudgetExceeded, match="wallet team_prod cannot pay") as exceeded:
        client.chat.completions.create(model="tenth", messages=messages("hello"), max_tokens=600)
    assert isinstance(exceeded.value, openai.RateLimitError)
    assert exceeded.value.reason is Reason.WALLET_EMPTY
    assert exceeded.value.budget == "wallet:team_prod"
    assert exceeded.value.limit == Decimal(0)

    put_in(policy, ledger, "team_prod", "$1")

    assert ask(client) == "answered"


def test_a_process_without_a_group_debits_no_wallet(
    simulator: SimulatorServer, policy: Path, ledger: Path
) -> None:
    ask(guarded(simulator, policy, ledger))

    (entry,) = entries(ledger)
    assert (entry.facts.group, entry.facts.wallet) == (None, None)
    assert not any(account.startswith("wallet:") for account in entry.accounts)


@pytest.mark.parametrize(
    ("group", "said"),
    [
        ("product-prod", "group product-prod belongs to production and this process to development"),
        ("prodcut-dev", "FARTHING_GROUP='prodcut-dev' is not a group of the policy"),
    ],
)
def test_no_process_gets_into_another_environment_by_the_name_of_a_group(
    simulator: SimulatorServer,
    policy: Path,
    ledger: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    group: str,
    said: str,
) -> None:
    monkeypatch.setattr("farthing.sdk.runtime._warned", set())
    monkeypatch.setenv("FARTHING_GROUP", group)
    with caplog.at_level(logging.WARNING, "farthing"):
        ask(guarded(simulator, policy, ledger))

    (entry,) = entries(ledger)
    assert (entry.facts.environment, entry.facts.group) == ("development", None)
    assert sum(said in record.getMessage() for record in caplog.records) == 1
