"""Limits and thresholds of a policy file hold for calls of a guard as they do at the gateway."""

from pathlib import Path
from typing import Any

import openai
import pytest

from farthing import BudgetExceeded, guard
from farthing.config.stores import open_store
from farthing.domain.errors import Reason
from farthing.simulator.server import SimulatorServer

POLICY = """
environments:
  development: {call_limit: $0.0001}
  staging: {token_limit: 3000/day, at_limit: refuse}
  production: {}
cost_tracking:
  budget_alerts:
    - {threshold_percent: 50, action: downgrade}
    - {threshold_percent: 100, action: block}
budgets:
  - {name: production-month, match: {environment: production}, limit: $0.05, period: monthly}
providers:
  targets:
    - {id: openai, provider: openai}
    - {id: mini, provider: openai, model: gpt-4o-mini}
"""


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "farthing.yaml"
    path.write_text(POLICY, encoding="utf-8")
    return path


def guarded(simulator: SimulatorServer, policy: Path, environment: str, **more: Any) -> openai.OpenAI:
    client = openai.OpenAI(base_url=simulator.openai_url, api_key="any", max_retries=0)
    ledger = f"sqlite:///{policy.parent / 'guard.db'}"
    return guard(client, policy=policy, environment=environment, ledger=ledger, **more)


def ask(client: openai.OpenAI, model: str = "gpt-4o-mini", cap: int = 100) -> Any:
    messages: Any = [{"role": "user", "content": "hi"}]
    return client.chat.completions.create(model=model, messages=messages, max_tokens=cap)


def test_a_guarded_call_may_cost_no_more_than_one_call_may(simulator: SimulatorServer, policy: Path) -> None:
    client = guarded(simulator, policy, "development")

    with pytest.raises(BudgetExceeded) as refused:
        ask(client, cap=100_000)

    assert refused.value.refusal.budget == "call:development"
    ask(client)


def test_tokens_of_a_day_run_out_in_a_guard_too(simulator: SimulatorServer, policy: Path) -> None:
    client = guarded(simulator, policy, "staging")
    ask(client, cap=1_000)

    with pytest.raises(BudgetExceeded) as refused:
        ask(client, cap=3_000)

    assert refused.value.refusal.reason is Reason.RATE_LIMITED
    ask(client, cap=500)


def test_a_share_of_a_budget_leads_guarded_calls_to_the_next_cheaper_model_and_is_noted(
    simulator: SimulatorServer, policy: Path
) -> None:
    client = guarded(simulator, policy, "production")
    asked: list[str] = []
    while "gpt-4o-mini" not in asked:
        assert len(asked) < 200
        asked.append(ask(client, "gpt-4o", cap=200).model.removesuffix("-2024-07-18"))
    store = open_store(f"sqlite:///{policy.parent / 'guard.db'}")
    alerts = store.alerts()
    store.close()

    assert asked[0].startswith("gpt-4o")
    assert [(alert.threshold_percent, alert.action) for alert in alerts] == [(50, "downgrade")]
    assert alerts[0].spent_nanodollars >= 25_000_000
