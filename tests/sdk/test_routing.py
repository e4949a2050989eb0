"""A guarded client speaks to one host: routing chooses among the targets that are there."""

from pathlib import Path
from typing import Any

import openai
import pytest

from farthing import guard
from farthing.config.stores import open_store
from farthing.simulator.server import SimulatorServer

POLICY = """
environments:
  development: {}
providers:
  routing: {strategy: STRATEGY}
  targets:
    - {id: elsewhere, provider: openai, name: chat, model: gpt-4.1-nano, base_url: "http://models.invalid/v1"}
    - {id: large, provider: openai, name: chat, model: gpt-4o, base_url: HERE}
    - {id: small, provider: openai, name: chat, model: gpt-4o-mini, base_url: HERE}
    - {id: far, provider: openai, model: gpt-5-nano, base_url: "http://one.invalid/v1"}
    - {id: farther, provider: openai, model: gpt-5-nano, base_url: "http://two.invalid/v1", weight: 100}
"""


def ask(simulator: SimulatorServer, folder: Path, strategy: str, model: str, times: int = 1) -> list[str]:
    """Ask a guarded client, and answer the targets on the ledger, oldest first."""
    policy, ledger = folder / "farthing.yaml", f"sqlite:///{folder / 'guard.db'}"
    text = POLICY.replace("STRATEGY", strategy).replace("HERE", f'"{simulator.openai_url}"')
    policy.write_text(text, encoding="utf-8")
    client = guard(
        openai.OpenAI(base_url=simulator.openai_url, api_key="any", max_retries=0),
        policy=policy, environment="development", ledger=ledger,
    )  # fmt: skip
    messages: Any = [{"role": "user", "content": "hi"}]
    for _ in range(times):
        client.chat.completions.create(model=model, messages=messages, max_tokens=100)
    store = open_store(ledger)
    try:
        return [str(entry.target) for entry in store.entries()][::-1]
    finally:
        store.close()


@pytest.mark.parametrize(("strategy", "target"), [("ordered", "large"), ("lowest_cost", "small")])
def test_a_name_leads_to_the_targets_at_the_clients_own_host(
    simulator: SimulatorServer, tmp_path: Path, strategy: str, target: str
) -> None:
    assert ask(simulator, tmp_path, strategy, "chat") == [target]


def test_where_no_target_is_at_the_clients_host_the_first_of_the_policy_pays(
    simulator: SimulatorServer, tmp_path: Path
) -> None:
    assert ask(simulator, tmp_path, "weighted_round_robin", "gpt-5-nano", 3) == ["far"] * 3
