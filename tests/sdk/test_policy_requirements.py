"""What teams ask of the policy in their own process, by the number of the requirement."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from farthing.config.stores import open_store
from farthing.reports.calls import call_json
from farthing.simulator.server import SimulatorServer

POLICY = """
environments:
  development: {models: {allow: [gpt-4o-mini], otherwise: downgrade}, output_bound: 500}
  staging: {models: {allow: [gpt-4o, gpt-4o-mini]}, output_bound: 1000}
  production: {models: {allow: [gpt-4o, gpt-4o-mini]}, output_bound: 4000}
budgets:
  - {name: dev, match: {environment: development}, limit: $750, period: monthly}
  - {name: staging, match: {environment: staging}, limit: $500, period: monthly}
  - {name: production, match: {environment: production}, limit: "$3,750", period: monthly}
providers:
  targets:
    - {id: openai, provider: openai}
"""
# The very same file in every environment: nothing in it says where it runs.
CODE = """
import sys, openai
from pathlib import Path
from farthing import guard
with openai.OpenAI(base_url=sys.argv[1], api_key="any") as bare:
    client = guard(bare, policy=Path(sys.argv[2]), labels={"feature": "search"})
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hello"}])
"""


def run(simulator: SimulatorServer, folder: Path, environment: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run the code in one environment; what the provider was sent, and what the ledger says of it."""
    simulator.record.reset()
    policy, ledger = folder / "farthing.yaml", f"sqlite:///{folder / environment}.db"
    policy.write_text(POLICY, encoding="utf-8")
    program = folder / "program.py"
    program.write_text(CODE, encoding="utf-8")
    subprocess.run(
        [sys.executable, program, simulator.openai_url, policy],
        env={**os.environ, "APP_ENV": environment, "FARTHING_LEDGER": ledger},
        check=True, timeout=60,
    )  # fmt: skip
    (sent,) = simulator.record.calls
    store = open_store(ledger)
    try:
        (entry,) = store.entries()
    finally:
        store.close()
    return msgspec.json.decode(sent.body), call_json(entry)


def test_r3_the_same_code_in_three_environments_differs_in_model_and_cap_only(
    simulator: SimulatorServer, tmp_path: Path
) -> None:
    runs = {name: run(simulator, tmp_path, name) for name in ("development", "staging", "production")}

    sent = {name: (body.pop("model"), body.pop("max_completion_tokens")) for name, (body, _) in runs.items()}
    assert sent == {
        "development": ("gpt-4o-mini", 500),
        "staging": ("gpt-4o", 1000),
        "production": ("gpt-4o", 4000),
    }
    bodies = [body for body, _ in runs.values()]
    assert bodies[0] == bodies[1] == bodies[2]
    for name, (_, entry) in runs.items():
        assert (entry["environment"], entry["labels"]) == (name, {"feature": "search"})
        assert entry["model_asked"] == "gpt-4o"
