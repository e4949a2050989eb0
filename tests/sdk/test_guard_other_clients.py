"""Anthropic's and Google's clients, Azure's, and the asynchronous ones."""

import asyncio
import pickle
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors, types

from farthing import BudgetExceeded, CallRefused, GuardError, guard
from farthing.simulator.server import SimulatorServer
from tests.sdk.asking import messages, report_of

TEXT = "hello [[sim input=30 output=500]]"
CLAUDE: dict[str, Any] = {"model": "claude-haiku-4-5", "max_tokens": 600, "messages": messages(TEXT)}
GEMINI: dict[str, Any] = {"model": "gemini-2.5-flash-lite", "contents": TEXT}


def claude(simulator: SimulatorServer, budget: Any = 1, **more: Any) -> anthropic.Anthropic:
    return guard(anthropic.Anthropic(base_url=simulator.url, api_key="any"), budget=budget, **more)


def gemini(simulator: SimulatorServer, budget: Any = 1, **more: Any) -> genai.Client:
    client = genai.Client(api_key="any", http_options=types.HttpOptions(base_url=simulator.url))
    return guard(client, budget=budget, **more)


def test_generate_and_stream_of_gemini_are_metered_and_refused(simulator: SimulatorServer) -> None:
    client = gemini(simulator)
    assert type(client) is genai.Client
    client.models.generate_content(**GEMINI)
    list(client.models.generate_content_stream(**GEMINI))
    assert report_of(client).spent == 2 * Decimal("0.000203")
    spent = gemini(simulator, budget=0)
    for entrance in (spent.models.generate_content, spent.models.generate_content_stream):
        with pytest.raises(errors.ClientError) as caught:
            list(entrance(**GEMINI))
        assert isinstance(caught.value, BudgetExceeded)
        assert caught.value.code == 402
        assert pickle.loads(pickle.dumps(caught.value)).refusal == caught.value.refusal
    assert len(simulator.record.calls) == 2


def test_a_live_session_of_gemini_is_closed(simulator: SimulatorServer) -> None:
    client = gemini(simulator)

    async def connect() -> None:
        async with client.aio.live.connect(model="gemini-2.5-flash"):
            pass

    with pytest.raises(CallRefused, match="WebSocket"):
        asyncio.run(connect())


def test_gemini_asynchronously(simulator: SimulatorServer) -> None:
    client = gemini(simulator)

    async def both() -> None:
        await client.aio.models.generate_content(**GEMINI)
        async for _ in await client.aio.models.generate_content_stream(**GEMINI):
            pass

    asyncio.run(both())
    asyncio.run(both())  # on another event loop, as the client itself allows
    assert report_of(client).spent == 4 * Decimal("0.000203")


def test_openai_and_anthropic_asynchronously(simulator: SimulatorServer) -> None:
    ours = guard(openai.AsyncOpenAI(base_url=simulator.openai_url, api_key="any"), budget=1)
    theirs = guard(anthropic.AsyncAnthropic(base_url=simulator.url, api_key="any"), budget=1)
    assert type(ours) is openai.AsyncOpenAI

    async def read(stream: AsyncIterator[object]) -> None:
        async for _ in stream:
            pass

    async def all_of_them() -> None:
        await ours.chat.completions.create(model="gpt-4o-mini", messages=messages(TEXT))
        await read(
            await ours.chat.completions.create(model="gpt-4o-mini", messages=messages(TEXT), stream=True)
        )
        await theirs.messages.create(**CLAUDE)
        async with theirs.messages.stream(**CLAUDE) as stream:
            await read(stream)
        abandoned = await ours.chat.completions.create(
            model="gpt-4o-mini", messages=messages(TEXT), stream=True, max_tokens=600
        )
        await abandoned.__anext__()
        await abandoned.close()
        assert report_of(ours).held == 0
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await ours.chat.completions.create(model="gpt-4o-mini", messages=messages("[[sim hang]]"))
        assert report_of(ours).held == 0
        await ours.close()
        await theirs.close()

    asyncio.run(all_of_them())
    assert report_of(theirs).spent == 2 * Decimal("0.00253")
    assert report_of(ours).calls == 4


def test_a_refusal_is_raised_by_asynchronous_clients(simulator: SimulatorServer) -> None:
    ours = guard(openai.AsyncOpenAI(base_url=simulator.openai_url, api_key="any"), budget=0)

    async def ask() -> None:
        await ours.chat.completions.create(model="gpt-4o-mini", messages=messages("hello"))

    with pytest.raises(openai.RateLimitError):
        asyncio.run(ask())
    assert not simulator.record.calls


def test_azure_keeps_its_class_and_its_paths(simulator: SimulatorServer) -> None:
    client = guard(
        openai.AzureOpenAI(azure_endpoint=simulator.url, api_key="any", api_version="2024-10-21"),
        budget=1,
        downgrade_model="gpt-4o-mini",
    )
    assert type(client) is openai.AzureOpenAI
    with pytest.raises(openai.NotFoundError):  # the simulator has no Azure; what it was asked is the point
        client.chat.completions.create(model="gpt-4o", messages=messages("hello"))
    (received,) = simulator.record.calls
    assert received.path.partition("?")[0] == "/openai/deployments/gpt-4o-mini/chat/completions"


def test_one_budget_over_three_providers_adds_up(simulator: SimulatorServer) -> None:
    shared: dict[str, Any] = {"workflow_id": "three-providers", "ledger": "memory://"}
    ours = guard(openai.OpenAI(base_url=simulator.openai_url, api_key="any"), budget=1, **shared)
    theirs, others = claude(simulator, **shared), gemini(simulator, **shared)
    ours.chat.completions.create(model="gpt-4o-mini", messages=messages(TEXT))
    theirs.messages.create(**CLAUDE)
    others.models.generate_content(**GEMINI)
    spent = Decimal("0.0003045") + Decimal("0.00253") + Decimal("0.000203")
    assert {report_of(client).spent for client in (ours, theirs, others)} == {spent}


def test_anything_else_is_named_and_not_guarded() -> None:
    with pytest.raises(GuardError, match="cannot be guarded"):
        guard(object(), budget=1)


def test_stop_is_a_genuine_answer_marked_as_blocked(simulator: SimulatorServer) -> None:
    ours = guard(openai.OpenAI(base_url=simulator.openai_url, api_key="any"), budget=0, on_limit="stop")
    chat = ours.chat.completions.with_raw_response.create(model="gpt-4o-mini", messages=messages("hi"))
    assert chat.headers["x-farthing-blocked"] == "budget_exceeded"
    assert chat.parse().choices[0].finish_reason == "content_filter"
    chunks = list(ours.chat.completions.create(model="gpt-4o-mini", messages=messages("hi"), stream=True))
    assert [chunk.choices[0].finish_reason for chunk in chunks] == ["content_filter"]
    assert ours.responses.create(model="gpt-4o-mini", input="hi").status == "incomplete"
    message = claude(simulator, budget=0, on_limit="stop").messages.create(**CLAUDE)
    assert (message.stop_reason, message.content) == ("refusal", [])
    blocked = gemini(simulator, budget=0, on_limit="stop").models.generate_content(**GEMINI)
    assert blocked.prompt_feedback is not None and blocked.prompt_feedback.block_reason == "OTHER"
    assert not simulator.record.calls
