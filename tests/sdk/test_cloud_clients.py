"""Clients of clouds: metered where their requests can be read, else refused with the way on."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from google import genai
from google.genai import types
from google.oauth2.credentials import Credentials

from farthing import BudgetExceeded, CallRefused, guard
from farthing.domain.errors import Reason
from farthing.simulator.server import SimulatorServer
from tests.sdk.asking import entries_of, report_of
from tests.sdk.entrances import CHAT, CLAUDE, GEMINI

VERTEX: dict[str, Any] = {"region": "us-east5", "project_id": "project", "access_token": "any"}
BEDROCK: dict[str, Any] = {"aws_region": "us-east-1", "api_key": "any"}
CLAUDES: dict[str, Callable[[str], Any]] = {
    "AnthropicBedrock": lambda url: anthropic.AnthropicBedrock(base_url=url, **BEDROCK),
    "AsyncAnthropicBedrock": lambda url: anthropic.AsyncAnthropicBedrock(base_url=url, **BEDROCK),
    "AnthropicVertex": lambda url: anthropic.AnthropicVertex(base_url=url, **VERTEX),
    "AsyncAnthropicVertex": lambda url: anthropic.AsyncAnthropicVertex(base_url=url, **VERTEX),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("kind", CLAUDES)
def test_claude_in_a_cloud_is_refused_with_the_way_on(
    simulator: SimulatorServer, kind: str, stream: bool
) -> None:
    client = guard(CLAUDES[kind](simulator.url), budget=1)
    assert type(client).__name__ == kind

    async def ask() -> None:
        async with client:
            await client.messages.create(**CLAUDE, stream=stream)

    with pytest.raises(anthropic.PermissionDeniedError, match=r"anthropic\.Anthropic\(\)") as caught:
        if kind.startswith("Async"):
            asyncio.run(ask())
        else:
            client.messages.create(**CLAUDE, stream=stream)
    assert isinstance(caught.value, CallRefused) and caught.value.reason is Reason.UNMETERED_PATH
    assert not simulator.record.calls


class Cloud:
    """A cloud, as far as a client of it can tell: the same answer at any address."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.asked: list[str] = []
        self.client = httpx2.Client(transport=httpx2.MockTransport(self._answer))
        self._body = answer

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(str(request.url))
        return httpx2.Response(200, json=self._body)


def test_gemini_on_vertex_is_metered_and_refused() -> None:
    vertex = Cloud(
        {
            "candidates": [
                {"content": {"role": "model", "parts": [{"text": "hello"}]}, "finishReason": "STOP"}
            ],
            "usageMetadata": {"promptTokenCount": 30, "candidatesTokenCount": 500, "totalTokenCount": 530},
        }
    )

    def client(budget: int) -> genai.Client:
        options = types.HttpOptions(httpx_client=vertex.client)
        token: Any = Credentials
        given = {"project": "project", "location": "us-central1", "credentials": token(token="any")}
        return guard(genai.Client(vertexai=True, http_options=options, **given), budget=budget)

    ours = client(budget=1)
    ours.models.generate_content(**GEMINI)
    assert report_of(ours).spent == Decimal("0.000203")
    with pytest.raises(genai.errors.ClientError) as caught:
        client(budget=0).models.generate_content(**GEMINI)
    assert isinstance(caught.value, BudgetExceeded)
    (asked,) = vertex.asked
    assert "/publishers/google/models/gemini-2.5-flash-lite:generateContent" in asked


def test_openai_on_azure_is_metered_at_azures_prices_and_refused() -> None:
    azure = Cloud(
        {
            "id": "one",
            "object": "chat.completion",
            "created": 0,
            "model": "gpt-4o-mini-2024-07-18",
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}
            ],
            "usage": {"prompt_tokens": 30, "completion_tokens": 500, "total_tokens": 530},
        }
    )

    def client(budget: int) -> openai.AzureOpenAI:
        return guard(
            openai.AzureOpenAI(
                azure_endpoint="https://ours.openai.azure.com",
                api_key="any",
                api_version="2024-10-21",
                http_client=azure.client,
            ),
            budget=budget,
        )

    ours = client(budget=1)
    ours.chat.completions.create(**CHAT)
    (entry,) = entries_of(ours)
    assert (entry.provider, entry.assumed) == ("azure", False)
    assert entry.cost_nanodollars == 30 * 150 + 500 * 600
    with pytest.raises(openai.RateLimitError) as caught:
        client(budget=0).chat.completions.create(**CHAT)
    assert isinstance(caught.value, BudgetExceeded)
    (asked,) = azure.asked
    assert "/openai/deployments/gpt-4o-mini/chat/completions" in asked
