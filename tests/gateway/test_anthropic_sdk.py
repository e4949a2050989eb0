"""Anthropic's own client, unchanged but for its base URL and its key."""

import asyncio
from collections.abc import Iterator

import anthropic
import httpx2
import pytest
from anthropic.types import MessageParam, ToolParam

from farthing.simulator.server import SimulatorServer
from tests.running import PROVIDER_SECRETS, CallKey, RunningGateway

ADD: ToolParam = {"name": "add", "input_schema": {"type": "object", "properties": {"a": {"type": "integer"}}}}
MODEL = "claude-haiku-4-5"


def saying(text: str) -> list[MessageParam]:
    return [{"role": "user", "content": text}]


@pytest.fixture
def key(gateway: RunningGateway) -> CallKey:
    return gateway.key("production")


@pytest.fixture
def client(gateway: RunningGateway, key: CallKey) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gateway.url, api_key=key.secret) as client:
        yield client


def test_a_message_is_one_entry_with_its_classes_apart(
    gateway: RunningGateway, key: CallKey, client: anthropic.Anthropic
) -> None:
    says = "hi [[sim input=5000 cached=3000 cache_write=1000 cache_write_1h=500 output=200]]"
    client.messages.create(model=MODEL, max_tokens=1000, messages=saying(says))

    entry = gateway.entry(key)
    assert (entry["dialect"], entry["target"], entry["stream"]) == ("anthropic.messages", "anthropic", False)
    assert (
        entry["usage"]
        | {
            "input_tokens": 5000,
            "cached_read": 3000,
            "cached_write_5m": 1000,
            "cached_write_1h": 500,
            "output_tokens": 200,
        }
        == entry["usage"]
    )
    # 500 fresh × 1000 + 3000 read × 100 + 1000 × 1250 + 500 × 2000 + 200 output × 5000
    assert entry["cost_nanodollars"] == 500_000 + 300_000 + 1_250_000 + 1_000_000 + 1_000_000


def test_a_stream_is_one_entry_and_passes_byte_for_byte(
    gateway: RunningGateway, key: CallKey, client: anthropic.Anthropic, simulator: SimulatorServer
) -> None:
    with client.messages.stream(
        model=MODEL, max_tokens=1000, messages=saying("hi [[sim input=40 output=30]]")
    ) as stream:
        assert stream.get_final_message().usage.output_tokens == 30

    entry = gateway.entry(key)
    assert (entry["stream"], entry["assumed"]) == (True, False)
    assert entry["cost_nanodollars"] == 40 * 1000 + 30 * 5000
    (call,) = simulator.record.calls
    body = call.raw_body
    passed = gateway.post("/v1/messages", body, key)
    assert passed.body == httpx2.post(f"{simulator.url}/v1/messages", content=body).content


def test_counting_tokens_costs_nothing_and_is_on_the_ledger(
    gateway: RunningGateway, key: CallKey, client: anthropic.Anthropic
) -> None:
    assert client.messages.count_tokens(model=MODEL, messages=saying("how many?")).input_tokens > 0

    entry = gateway.entry(key)
    assert (entry["outcome"], entry["cost_nanodollars"]) == ("settled", 0)


def test_tools_are_called_through_the_gateway(
    gateway: RunningGateway, key: CallKey, client: anthropic.Anthropic
) -> None:
    answer = client.messages.create(
        model=MODEL, max_tokens=1000, messages=saying("add [[sim tool]]"), tools=[ADD]
    )

    assert answer.stop_reason == "tool_use"
    assert gateway.entry(key)["outcome"] == "settled"


def test_the_asynchronous_client_is_metered_alike(gateway: RunningGateway, key: CallKey) -> None:
    async def both() -> None:
        async with anthropic.AsyncAnthropic(base_url=gateway.url, api_key=key.secret) as client:
            says = saying("hi [[sim input=10 output=5]]")
            await client.messages.create(model=MODEL, max_tokens=100, messages=says)
            async with client.messages.stream(model=MODEL, max_tokens=100, messages=says) as stream:
                await stream.get_final_message()

    asyncio.run(both())

    assert [row["cost_nanodollars"] for row in gateway.entries(key)] == [10 * 1000 + 5 * 5000] * 2


def test_version_and_beta_headers_pass_and_the_secret_is_the_providers(
    key: CallKey, client: anthropic.Anthropic, simulator: SimulatorServer
) -> None:
    client.messages.create(
        model=MODEL, max_tokens=100, messages=saying("hi"), extra_headers={"anthropic-beta": "some-beta"}
    )

    (call,) = simulator.record.calls
    assert call.header("anthropic-version") is not None
    assert call.header("anthropic-beta") == "some-beta"
    assert call.header("x-api-key") == PROVIDER_SECRETS["ANTHROPIC_API_KEY"]
    assert call.header("authorization") is None
    assert key.secret not in repr(call.shown())
