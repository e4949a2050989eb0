"""Every example runs to its end against a real gateway, and what it did is on the ledger."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from farthing.simulator.server import SimulatorServer
from tests.running import CallKey, RunningGateway, wait_until

EXAMPLES = Path(__file__).parents[2] / "examples"
POLICY = """
environments:
  development:
    models: {allow: [gpt-4o-mini, claude-haiku-4-5, gemini-2.5-flash-lite], otherwise: refuse}
budgets:
  - {name: development-month, match: {environment: development}, limit: $10, period: monthly}
providers:
  targets:
    - {id: openai, provider: openai, base_url: SIMULATOR/v1}
    - {id: anthropic, provider: anthropic, base_url: SIMULATOR}
    - {id: google, provider: google, base_url: SIMULATOR}
"""
EXAMPLE_SECONDS_MAX = 60.0


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with (
        SimulatorServer() as simulator,
        RunningGateway(POLICY, tmp_path_factory.mktemp("gateway"), simulator) as running,
    ):
        yield running


def run(example: str, gateway: RunningGateway, key: CallKey) -> str:
    """Run an example as a user would; return what it printed."""
    command = [sys.executable] if example.endswith(".py") else ["bash"]
    ended = subprocess.run(
        [*command, str(EXAMPLES / example)],
        env=os.environ | {"FARTHING_URL": gateway.url, "FARTHING_KEY": key.secret},
        capture_output=True,
        text=True,
        timeout=EXAMPLE_SECONDS_MAX,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.parametrize(
    "example", ["quickstart_openai.py", "quickstart_anthropic.py", "quickstart_gemini.py"]
)
def test_a_quickstart_calls_streams_and_is_refused(gateway: RunningGateway, example: str) -> None:
    key = gateway.key("development")

    told = run(example, gateway, key)

    assert "answer: " in told
    assert "stream: " in told
    assert "cost in USD: 0.000" in told
    assert "is not allowed" in told if "gemini" in example else "refused: model_not_allowed" in told
    wait_until(lambda: len(gateway.entries(key)) == 3)  # nobody is made to wait for the row of a refusal
    refused, streamed, answered = gateway.entries(key)
    assert refused["outcome"] == "refused"
    assert (answered["stream"], streamed["stream"]) == (False, True)
    assert answered["labels"] == {"feature": "quickstart"}
    assert all(entry["outcome"] == "settled" and not entry["assumed"] for entry in (answered, streamed))


def test_the_quickstart_with_curl_shows_a_cost_a_refusal_and_an_entry(gateway: RunningGateway) -> None:
    told = run("quickstart_curl.sh", gateway, gateway.key("development"))

    assert "x-farthing-cost-usd: 0.000" in told
    assert "x-farthing-refusal: model_not_allowed" in told
    assert '"calls":[{"call_id":"call_' in told


def test_a_guard_downgrades_and_stops(gateway: RunningGateway) -> None:
    told = run_without_gateway("guard_openai.py", gateway)

    assert "served by: gpt-4o-mini" in told
    assert "refused: budget_exceeded True" in told


def test_a_fence_stops_a_runaway_loop(gateway: RunningGateway) -> None:
    told = run_without_gateway("guard_fence.py", gateway)

    assert "answer: " in told
    assert "stopped: budget_exceeded" in told


def test_tests_have_budgets_and_say_what_they_spent(gateway: RunningGateway, tmp_path: Path) -> None:
    told = run_without_gateway(
        "pytest_budgets.py", gateway, "-m", "pytest", "-c", os.devnull, "-q", XDG_STATE_HOME=str(tmp_path)
    )

    assert "2 passed, 1 xfailed" in told
    assert "test_that_runs_away" in told and "budget reached" in told


def run_without_gateway(example: str, gateway: RunningGateway, *with_: str, **more: str) -> str:
    """Run an example whose client asks the provider itself; here the simulated one."""
    variables = {
        "OPENAI_BASE_URL": gateway.simulator.openai_url,
        "OPENAI_API_KEY": "any",
        "FARTHING_ENV": "development",
        **more,
    }
    ended = subprocess.run(
        [sys.executable, *with_, str(EXAMPLES / example)],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=EXAMPLE_SECONDS_MAX,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_every_example_is_run_here() -> None:
    """An example that no test runs would rot."""
    written = {file.name for file in EXAMPLES.iterdir() if file.suffix in (".py", ".sh", ".mjs")}

    assert written == {
        "quickstart_openai.py",
        "quickstart_anthropic.py",
        "quickstart_gemini.py",
        "quickstart_curl.sh",
        "guard_openai.py",
        "guard_fence.py",
        "pytest_budgets.py",
    }
