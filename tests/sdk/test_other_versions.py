"""The same tests with SDKs of other years, each set of them in an environment and a process of its own."""

import os
import subprocess
from pathlib import Path

import anthropic
import openai
import pytest

from farthing import GuardError, guard

ROOT = Path(__file__).parents[2]
BESIDE = ROOT / ".venv" / "beside"
# What the SDKs of that year do not have yet.
NOT_IN_OLDEST = (
    "not gemini and not responses and not (with_streaming_response and streamed) and not count_tokens"
    " and not beta.messages and not messages.batches"
    " and (beta.chat or not (completions.parse or completions.stream))"
)
NOT_IN_EARLY = "gemini and not interactions and not batches and not aiohttp"
# Gemini's own words about a part of it that is new.
TOLD = ("-W", "ignore:Async interactions client:UserWarning", "-W", "ignore:Interactions usage:UserWarning")


def run_beside(environment: str, *arguments: str) -> str:
    """Run pytest with another environment's packages; what it printed is the failure's message."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    ended = subprocess.run(
        [BESIDE / environment / "bin" / "python", "-m", "pytest", "--tb=short", *arguments],
        cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert ended.returncode == 0, f"with the SDKs of requirements/{environment}.lock:\n{ended.stdout[-8000:]}"
    return ended.stdout


@pytest.mark.parametrize("environment", ["older", "middle"])
def test_every_entrance_of_the_last_of_each_major_is_metered_and_refused(environment: str) -> None:
    run_beside(environment, *TOLD, "tests/sdk/test_entrances.py")


@pytest.mark.parametrize(("environment", "there"), [("oldest", NOT_IN_OLDEST), ("early", NOT_IN_EARLY)])
def test_every_entrance_of_the_oldest_sdks_is_metered_and_refused(environment: str, there: str) -> None:
    run_beside(environment, *TOLD, "tests/sdk/test_entrances.py", "-k", there)


@pytest.mark.parametrize("environment", ["older", "middle"])
def test_clients_of_the_last_of_each_major_keep_their_manners(environment: str) -> None:
    names = ("guard_openai", "guard_other_clients", "fence")
    run_beside(environment, *(f"tests/sdk/test_{name}.py" for name in names))


GEMINI_OF_OLD = """
from google import genai
from farthing import GuardError, guard
try:
    guard(genai.Client(api_key="any"), budget=1)
except GuardError as error:
    print(error)
"""


def test_an_sdk_older_than_the_oldest_is_named_and_not_guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    python = BESIDE / "oldest" / "bin" / "python"
    ended = subprocess.run([python, "-c", GEMINI_OF_OLD], capture_output=True, text=True, check=True)
    assert ended.stdout.startswith(
        "google.genai 1.0.0 cannot be guarded: 1.10 is the oldest that can; upgrade"
    )
    monkeypatch.setattr(openai, "__version__", "1.39.0")
    with pytest.raises(GuardError, match=r"openai 1\.39\.0 .* 1\.40 is the oldest"):
        guard(openai.OpenAI(api_key="any"), budget=1)
    monkeypatch.setattr(anthropic, "__version__", "0.33.1")
    with pytest.raises(GuardError, match=r"anthropic 0\.33\.1 .* 0\.34 is the oldest"):
        guard(anthropic.Anthropic(api_key="any"), budget=1)
