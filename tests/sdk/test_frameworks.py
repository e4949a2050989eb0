"""Fences around the agents of real frameworks, in the environment that has them, and around what they do."""

from collections.abc import Callable

import anthropic
import openai
import pytest
from google import genai
from google.genai import types

from farthing import BudgetExceeded, Fence
from farthing.simulator.server import SimulatorServer
from tests.sdk.entrances import CHAT, CLAUDE, GEMINI
from tests.sdk.test_other_versions import run_beside

# Frameworks put their own name over the SDK's.
THEIRS = {"User-Agent": "framework/1.0"}


def test_agents_of_frameworks_keep_inside_their_fences() -> None:
    run_beside("frameworks", "tests/sdk/frameworks/fenced_agents.py")


def ask_openai(simulator: SimulatorServer) -> None:
    with openai.OpenAI(base_url=simulator.openai_url, api_key="any", default_headers=THEIRS) as client:
        client.chat.completions.create(**CHAT)


def ask_anthropic(simulator: SimulatorServer) -> None:
    with anthropic.Anthropic(base_url=simulator.url, api_key="any", default_headers=THEIRS) as client:
        client.messages.create(**CLAUDE)


def ask_gemini(simulator: SimulatorServer) -> None:
    options = types.HttpOptions(base_url=simulator.url, headers={"user-agent": "framework/1.0"})
    client = genai.Client(api_key="any", http_options=options)
    client.models.generate_content(**GEMINI)


@pytest.mark.parametrize("ask", [ask_openai, ask_anthropic, ask_gemini])
def test_a_client_that_names_itself_otherwise_is_fenced_too(
    simulator: SimulatorServer, ask: Callable[[SimulatorServer], None]
) -> None:
    with Fence(budget=1, strict=True) as scope:
        ask(simulator)
    assert scope.calls == 1
    assert scope.spent > 0


def test_what_a_framework_makes_of_a_refusal_leaves_a_fence_as_budget_exceeded(
    simulator: SimulatorServer,
) -> None:
    class ModelFailed(Exception):
        """An error of a framework's own."""

    with pytest.raises(BudgetExceeded) as caught, Fence(budget=0):
        try:
            ask_openai(simulator)
        except openai.OpenAIError as error:
            raise ModelFailed("429") from error
    assert isinstance(caught.value.__cause__, ModelFailed)
    assert not simulator.record.calls
