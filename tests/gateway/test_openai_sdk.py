"""OpenAI's own client, unchanged but for its base URL and its key."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest
from openai.types.chat import ChatCompletionToolParam

from farthing.simulator.server import SimulatorServer
from tests.running import PROVIDER_SECRETS, CallKey, RunningGateway

ADD: ChatCompletionToolParam = {
    "type": "function",
    "function": {"name": "add", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}},
}


@pytest.fixture
def key(gateway: RunningGateway) -> CallKey:
    return gateway.key("production")


@pytest.fixture
def client(gateway: RunningGateway, key: CallKey) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.openai_url, api_key=key.secret) as client:
        yield client


def test_a_chat_is_one_entry_that_says_everything(
    gateway: RunningGateway, key: CallKey, client: openai.OpenAI, simulator: SimulatorServer
) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="gpt-4o-mini",
        messages=[
            {"role": "user", "content": "hello [[sim input=1200 cached=1000 output=500 reasoning=64]]"}
        ],
        extra_headers={
            "X-Metering-Tags": json.dumps({"feature": "search", "run": "run-7", "user_id": 42, "beta": True})
        },
    )
    answer = raw.parse()

    entry = gateway.entry(key)
    # 200 fresh × 150 + 1000 cached × 75 + 500 output × 600
    cost = 30_000 + 75_000 + 300_000
    assert answer.usage is not None and answer.usage.total_tokens == 1700
    assert entry | {
        "call_id": raw.headers["x-farthing-call-id"],
        "environment": "production",
        "key": key.label,
        "developer": key.label,
        "labels": {"feature": "search", "user_id": "42", "beta": "true"},
        "run": "run-7",
        "dialect": "openai.chat",
        "provider": "openai",
        "target": "openai",
        "model_asked": "gpt-4o-mini",
        "model_served": "gpt-4o-mini",
        "model_answered": "gpt-4o-mini-2024-07-18",
        "stream": False,
        "outcome": "settled",
        "assumed": False,
        "assumed_rule": None,
        "status": 200,
        "clamped_to": None,
        "usage": entry["usage"] | {
            "input_tokens": 1200, "cached_read": 1000, "output_tokens": 500, "reasoning": 64
        },
        "cost_nanodollars": cost,
        "anomalies": [],
        "error": None,
    } == entry  # fmt: skip
    assert [account.partition("/")[0] for account in entry["accounts"]] == ["production-month"]
    assert raw.headers["x-farthing-cost-usd"] == "0.000405000"
    assert raw.headers["x-farthing-model"] == "gpt-4o-mini"
    assert raw.headers["x-farthing-environment"] == "production"
    assert raw.headers["x-farthing-limit"].endswith("budget=production-month")
    assert simulator.record.received == 1


def test_the_provider_gets_its_own_secret_and_nothing_of_ours(
    key: CallKey, client: openai.OpenAI, simulator: SimulatorServer
) -> None:
    client.chat.completions.create(
        model="gpt-4o-mini",
        messages=[{"role": "user", "content": "hello"}],
        extra_headers={"X-Metering-Tags": '{"feature": "x"}', "X-Farthing-Trick": "1", "Cookie": "a=b"},
    )

    (call,) = simulator.record.calls
    assert call.header("authorization") == f"Bearer {PROVIDER_SECRETS['OPENAI_API_KEY']}"
    names = {name for name, _ in call.headers}
    assert not names & {"x-metering-tags", "x-farthing-trick", "cookie", "x-api-key"}
    assert call.header("accept-encoding") == "identity"
    assert call.header("user-agent") == f"OpenAI/Python {openai.__version__}"
    assert key.secret not in repr(call.shown())


def test_every_plain_endpoint_is_one_entry_with_its_exact_cost(
    gateway: RunningGateway, key: CallKey, client: openai.OpenAI
) -> None:
    client.responses.create(
        model="gpt-5-mini", input="hi [[sim input=900 cached=400 output=300 reasoning=128]]"
    )
    client.completions.create(
        model="gpt-3.5-turbo-instruct", prompt="hi [[sim input=100 output=40]]", max_tokens=50
    )
    client.embeddings.create(model="text-embedding-3-small", input="hi [[sim input=2000]]")

    embedded, completed, responded = gateway.entries(key)
    assert (responded["dialect"], responded["cost_nanodollars"]) == (
        "openai.responses",
        500 * 250 + 400 * 25 + 300 * 2000,
    )
    assert responded["usage"]["reasoning"] == 128
    assert (completed["dialect"], completed["cost_nanodollars"]) == (
        "openai.completions",
        100 * 1500 + 40 * 2000,
    )
    assert (embedded["dialect"], embedded["cost_nanodollars"]) == ("openai.embeddings", 2000 * 20)


def test_counting_input_tokens_costs_nothing_and_is_on_the_ledger(
    gateway: RunningGateway, key: CallKey, client: openai.OpenAI
) -> None:
    client.responses.input_tokens.count(model="gpt-5-mini", input="how many?")

    entry = gateway.entry(key)
    assert (entry["outcome"], entry["cost_nanodollars"]) == ("settled", 0)


def test_every_streamed_endpoint_is_one_entry_with_its_exact_cost(
    gateway: RunningGateway, key: CallKey, client: openai.OpenAI
) -> None:
    says = "hi [[sim input=900 cached=400 output=30]]"
    for _ in client.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": says}], stream=True
    ):
        pass
    with client.responses.stream(model="gpt-5-mini", input=says) as events:
        assert events.get_final_response().usage is not None
    for _ in client.completions.create(
        model="gpt-3.5-turbo-instruct", prompt=says, max_tokens=50, stream=True
    ):
        pass

    completed, responded, chatted = gateway.entries(key)
    assert [row["stream"] for row in (chatted, responded, completed)] == [True] * 3
    assert chatted["cost_nanodollars"] == 500 * 150 + 400 * 75 + 30 * 600
    assert responded["cost_nanodollars"] == 500 * 250 + 400 * 25 + 30 * 2000
    assert completed["cost_nanodollars"] == 900 * 1500 + 30 * 2000
    assert not any(row["assumed"] for row in (chatted, responded, completed))


def test_the_asynchronous_client_is_metered_alike(gateway: RunningGateway, key: CallKey) -> None:
    async def both() -> None:
        async with openai.AsyncOpenAI(base_url=gateway.openai_url, api_key=key.secret) as client:
            await client.chat.completions.create(
                model="gpt-4o-mini", messages=[{"role": "user", "content": "hi [[sim input=10 output=5]]"}]
            )
            stream = await client.chat.completions.create(
                model="gpt-4o-mini",
                messages=[{"role": "user", "content": "hi [[sim input=10 output=5]]"}],
                stream=True,
            )
            assert [chunk.usage async for chunk in stream if chunk.choices]

    asyncio.run(both())

    assert [row["cost_nanodollars"] for row in gateway.entries(key)] == [10 * 150 + 5 * 600] * 2


def test_tools_are_called_through_the_gateway(
    gateway: RunningGateway, key: CallKey, client: openai.OpenAI
) -> None:
    answer = client.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "add [[sim tool]]"}], tools=[ADD]
    )

    assert answer.choices[0].message.tool_calls is not None
    assert gateway.entry(key)["outcome"] == "settled"


def chat_stream(gateway: RunningGateway, key: CallKey, text: str, **members: Any) -> bytes:
    return gateway.chat(key, text, stream=True, **members).body


def direct(simulator: SimulatorServer) -> bytes:
    """What the provider answers when it is asked again, byte for byte, what the gateway asked."""
    (call,) = simulator.record.calls
    response = httpx2.post(
        simulator.url + call.path, content=call.raw_body, headers={"content-type": "application/json"}
    )
    return response.content


def usage_events(stream: bytes) -> list[bytes]:
    return [event for event in stream.split(b"\n\n") if b'"choices":[],' in event]


def test_a_caller_who_did_not_ask_for_usage_sees_every_byte_but_the_usage_chunk(
    gateway: RunningGateway, key: CallKey, simulator: SimulatorServer
) -> None:
    passed = chat_stream(gateway, key, "hi [[sim output=40]]")

    sent = direct(simulator)
    (usage_event,) = usage_events(sent)
    assert passed == sent.replace(usage_event + b"\n\n", b"")
    assert usage_events(passed) == []
    assert gateway.entry(key)["usage"]["output_tokens"] == 40


def test_a_caller_who_asked_for_usage_sees_every_byte(
    gateway: RunningGateway, key: CallKey, simulator: SimulatorServer
) -> None:
    passed = chat_stream(gateway, key, "hi [[sim output=40]]", stream_options={"include_usage": True})

    assert passed == direct(simulator)
    assert len(usage_events(passed)) == 1


@pytest.mark.parametrize("manner", ["crlf", "split=1", "split=7", "pings", "crlf split=3 pings"])
def test_a_stream_passes_byte_for_byte_however_it_is_cut(
    gateway: RunningGateway, key: CallKey, simulator: SimulatorServer, manner: str
) -> None:
    says = f"hi [[sim output=12 {manner}]]"
    passed = chat_stream(gateway, key, says, stream_options={"include_usage": True})

    assert passed == direct(simulator)
    assert gateway.entry(key)["usage"]["output_tokens"] == 12


@pytest.mark.parametrize("manner", ["crlf", "split=1", "pings"])
def test_the_usage_chunk_stays_hidden_however_the_stream_is_cut(
    gateway: RunningGateway, key: CallKey, manner: str
) -> None:
    passed = chat_stream(gateway, key, f"hi [[sim output=12 {manner}]]")

    assert b'"prompt_tokens"' not in passed
    assert b"[DONE]" in passed
    assert gateway.entry(key)["usage"]["output_tokens"] == 12


def test_a_whole_answer_reaches_the_caller_unchanged(
    gateway: RunningGateway, key: CallKey, simulator: SimulatorServer
) -> None:
    heard = gateway.chat(key, "hi [[sim output=12]]", tools=[], seed=7, logit_bias={"1": 2}, unheard_of=[1])

    assert heard.body == direct(simulator)
    (call, _) = simulator.record.calls
    assert json.loads(call.body)["unheard_of"] == [1]


def test_a_settled_call_can_be_asked_for_as_soon_as_its_answer_has_ended(
    gateway: RunningGateway, key: CallKey
) -> None:
    for streamed in (False, True):
        heard = gateway.chat(key, "hi [[sim input=10 output=4]]", stream=streamed)
        entry = gateway.request("GET", f"/api/calls/{heard.header('x-farthing-call-id')}", headers=key.bearer)
        assert entry.json()["cost_nanodollars"] == 10 * 150 + 4 * 600
