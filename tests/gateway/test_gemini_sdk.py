"""Google's own client, unchanged but for its base URL and its key."""

import asyncio
import json
from collections.abc import Iterator

import httpx2
import pytest
from google import genai
from google.genai import types

from farthing.simulator.server import SimulatorServer
from tests.running import PROVIDER_SECRETS, CallKey, RunningGateway

MODEL = "gemini-2.5-flash"


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@pytest.fixture
def key(gateway: RunningGateway) -> CallKey:
    return gateway.key("production")


@pytest.fixture
def client(gateway: RunningGateway, key: CallKey) -> Iterator[genai.Client]:
    options = types.HttpOptions(
        base_url=gateway.url, headers={"X-Metering-Tags": json.dumps({"feature": "search"})}
    )
    client = genai.Client(api_key=key.secret, vertexai=False, http_options=options)
    yield client
    client.close()


def test_a_call_is_one_entry_with_its_thoughts_inside_the_output(
    gateway: RunningGateway, key: CallKey, client: genai.Client
) -> None:
    client.models.generate_content(
        model=MODEL, contents="hello [[sim input=3520 cached=3000 output=44 reasoning=42]]"
    )

    entry = gateway.entry(key)
    assert (entry["dialect"], entry["target"], entry["stream"]) == ("gemini.generate", "google", False)
    assert (entry["model_asked"], entry["labels"]) == (MODEL, {"feature": "search"})
    assert entry["usage"] | {
        "input_tokens": 3520, "cached_read": 3000, "output_tokens": 44, "reasoning": 42
    } == entry["usage"]  # fmt: skip
    assert entry["cost_nanodollars"] == 520 * 300 + 3000 * 30 + 44 * 2500


def test_a_stream_is_one_entry(gateway: RunningGateway, key: CallKey, client: genai.Client) -> None:
    says = "hello [[sim input=100 output=9 chunks=3]]"
    assert len(list(client.models.generate_content_stream(model=MODEL, contents=says))) >= 3

    entry = gateway.entry(key)
    assert (entry["stream"], entry["assumed"], entry["cost_nanodollars"]) == (True, False, 30_000 + 22_500)


@pytest.mark.parametrize("query", ["?alt=sse", ""])
def test_a_stream_passes_byte_for_byte(
    gateway: RunningGateway, key: CallKey, simulator: SimulatorServer, query: str
) -> None:
    path = f"/v1beta/models/{MODEL}:streamGenerateContent{query}"
    body = {"contents": [{"role": "user", "parts": [{"text": "hi [[sim output=9 chunks=3]]"}]}]}
    passed = gateway.post(path, body, key)

    (call,) = simulator.record.calls
    assert passed.body == httpx2.post(simulator.url + path, content=call.raw_body).content
    entry = gateway.entry(key)
    assert (entry["stream"], entry["assumed"], entry["usage"]["output_tokens"]) == (True, False, 9)


def test_counting_costs_nothing_and_embedding_costs_its_input(
    gateway: RunningGateway, key: CallKey, client: genai.Client
) -> None:
    client.models.count_tokens(model=MODEL, contents="how many?")
    client.models.embed_content(model="gemini-embedding-001", contents="hello")

    embedded, counted = gateway.entries(key)
    assert (counted["outcome"], counted["cost_nanodollars"]) == ("settled", 0)
    assert embedded["dialect"] == "gemini.embeddings"
    assert embedded["cost_nanodollars"] > 0


def test_a_function_is_called_and_its_result_sent_back(
    gateway: RunningGateway, key: CallKey, client: genai.Client
) -> None:
    client.models.generate_content(
        model=MODEL,
        contents="add 1 and 2 [[sim tool]]",
        config=types.GenerateContentConfig(tools=[add]),
    )

    assert [row["outcome"] for row in gateway.entries(key)] == ["settled", "settled"]


@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")
def test_the_asynchronous_client_is_metered_alike(
    gateway: RunningGateway, key: CallKey, client: genai.Client
) -> None:
    async def both() -> None:
        says = "hi [[sim input=10 output=5]]"
        await client.aio.models.generate_content(model=MODEL, contents=says)
        async for _ in await client.aio.models.generate_content_stream(model=MODEL, contents=says):
            pass
        await client.aio.aclose()

    asyncio.run(both())

    assert [row["cost_nanodollars"] for row in gateway.entries(key)] == [10 * 300 + 5 * 2500] * 2


def test_the_key_in_the_address_is_cut_and_the_rest_of_the_query_stays(
    gateway: RunningGateway, key: CallKey, simulator: SimulatorServer
) -> None:
    path = f"/v1beta/models/{MODEL}:streamGenerateContent?key={key.secret}&alt=sse"
    body = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    assert gateway.post(path, body, None).status == 200

    (call,) = simulator.record.calls
    assert call.query == "alt=sse"
    assert call.header("x-goog-api-key") == PROVIDER_SECRETS["GEMINI_API_KEY"]
    assert key.secret not in repr(call.shown())
    assert gateway.entry(key)["outcome"] == "settled"


def test_a_key_cannot_hide_in_the_address_behind_an_escape(
    gateway: RunningGateway, key: CallKey, simulator: SimulatorServer
) -> None:
    path = f"/v1beta/models/{MODEL}:streamGenerateContent?k%65y={key.secret}&alt=sse"
    body = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    assert gateway.post(path, body, None).status == 200

    (call,) = simulator.record.calls
    assert call.query == "alt=sse"
