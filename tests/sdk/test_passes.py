"""A premium pass at the guard: for a developer, in every process on the same ledger file."""

from pathlib import Path

import openai
import pytest

from farthing import guard
from farthing.config.build import clock
from farthing.config.stores import open_store
from farthing.domain.money import nanodollars_from
from farthing.domain.premium_pass import PremiumPass, new_pass
from farthing.ledger.store import Store
from farthing.simulator.server import SimulatorServer
from tests.running import wait_until

POLICY = """
environments:
  development:
    models: {allow: [gpt-4o-mini], otherwise: downgrade}
    downgrade: {gpt-4o: gpt-4o-mini}
providers:
  targets:
    - {id: openai, provider: openai}
"""


def granted(store: Store, *, key: str | None = None, developer: str | None = None) -> PremiumPass:
    now_us = clock()
    made = new_pass(
        model="gpt-4o",
        environment="development",
        key=key,
        developer=developer,
        budget_nanodollars=nanodollars_from("2"),
        at_us=now_us,
        until_us=now_us + 3_600_000_000,
        by="ana",
        reason="check",
    )
    store.add_pass(made)
    return made


def test_a_pass_of_the_developer_counts_in_a_running_process_and_that_of_a_key_does_not(
    simulator: SimulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_ENV", "development")
    monkeypatch.setenv("FARTHING_DEVELOPER", "alice")
    rules, ledger = tmp_path / "farthing.yaml", f"sqlite:///{tmp_path / 'farthing.db'}"
    rules.write_text(POLICY, encoding="utf-8")
    with openai.OpenAI(base_url=simulator.openai_url, api_key="any", max_retries=0) as bare:
        client = guard(bare, budget=5, workflow_id="alice", policy=rules, ledger=ledger)

        def model() -> str:
            answer = client.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": "hello"}], max_tokens=50
            )
            return str(answer.model).partition("-20")[0]

        assert model() == "gpt-4o-mini"
        store = open_store(ledger)
        try:
            granted(store, key="alice")
            held = granted(store, developer="alice")
            wait_until(lambda: model() == "gpt-4o")
            (balance,) = store.balances(budget=held.account)
            assert balance.settled > 0
            assert store.end_pass(held.pass_id, at_us=clock(), by="ben", reason="checked")
            wait_until(lambda: model() == "gpt-4o-mini")
            assert [row.developer for row in store.passes(only_open=True)] == [None]
        finally:
            store.close()
