"""Google's own Python client understands every answer."""

import asyncio
import json
from collections.abc import Iterator

import pytest
from google import genai
from google.genai import errors, types
from pydantic import BaseModel

from farthing.simulator.server import SimulatorServer

MODEL = "gemini-2.5-flash"


class Weather(BaseModel):
    city: str
    degrees: int


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@pytest.fixture
def client(simulator: SimulatorServer) -> Iterator[genai.Client]:
    options = types.HttpOptions(base_url=simulator.url)
    client = genai.Client(api_key="any", vertexai=False, http_options=options)
    yield client
    client.close()


def test_thoughts_are_outside_the_candidates_count(client: genai.Client) -> None:
    answer = client.models.generate_content(
        model=MODEL, contents="hello [[sim input=3520 cached=3512 output=44 reasoning=42]]"
    )

    usage = answer.usage_metadata
    assert usage is not None
    assert (usage.prompt_token_count, usage.cached_content_token_count) == (3520, 3512)
    assert (usage.candidates_token_count, usage.thoughts_token_count) == (2, 42)
    assert usage.total_token_count == 3564
    assert answer.model_version == MODEL


def test_a_stream_reports_in_every_event_and_the_last_one_counts(client: genai.Client) -> None:
    events = list(
        client.models.generate_content_stream(model=MODEL, contents="hello [[sim output=9 chunks=3]]")
    )

    assert len(events) == 3
    assert all(event.usage_metadata is not None for event in events)
    assert events[0].usage_metadata is not None
    assert events[0].usage_metadata.candidates_token_count is None
    assert events[-1].usage_metadata is not None
    assert events[-1].usage_metadata.candidates_token_count == 9
    assert len("".join(event.text or "" for event in events)) == 9 * 4


def test_the_output_cap_is_honoured(client: genai.Client) -> None:
    answer = client.models.generate_content(
        model=MODEL,
        contents="hello [[sim output=900]]",
        config=types.GenerateContentConfig(max_output_tokens=10, candidate_count=2),
    )

    assert answer.candidates is not None
    assert [one.finish_reason for one in answer.candidates] == [types.FinishReason.MAX_TOKENS] * 2
    assert answer.usage_metadata is not None
    assert answer.usage_metadata.candidates_token_count == 20


def test_a_function_is_called_and_its_result_answered(
    client: genai.Client, simulator: SimulatorServer
) -> None:
    answer = client.models.generate_content(
        model=MODEL,
        contents="add [[sim tool]]",
        config=types.GenerateContentConfig(tools=[add]),
    )

    assert answer.text
    assert simulator.record.received == 2  # the client itself ran the function and called again
    (told,) = json.loads(simulator.record.calls[-1].body)["contents"][-1]["parts"]
    assert told["functionResponse"]["response"] == {"result": 2}


def test_a_structured_answer_parses(client: genai.Client) -> None:
    answer = client.models.generate_content(
        model=MODEL,
        contents="weather",
        config=types.GenerateContentConfig(response_mime_type="application/json", response_schema=Weather),
    )

    assert answer.parsed == Weather(city="sun", degrees=1)


def test_counting_gives_what_the_call_would_report(client: genai.Client) -> None:
    counted = client.models.count_tokens(model=MODEL, contents="hello")
    answer = client.models.generate_content(model=MODEL, contents="hello")

    assert answer.usage_metadata is not None
    assert counted.total_tokens == answer.usage_metadata.prompt_token_count


def test_embeddings_have_the_dimensions_asked_for(client: genai.Client) -> None:
    answer = client.models.embed_content(
        model="gemini-embedding-001",
        contents=["a", "b"],
        config=types.EmbedContentConfig(output_dimensionality=8),
    )

    assert answer.embeddings is not None
    assert [len(one.values or ()) for one in answer.embeddings] == [8, 8]


def test_models_are_listed(client: genai.Client) -> None:
    assert f"models/{MODEL}" in [model.name for model in client.models.list()]


@pytest.mark.parametrize(("status", "name"), [(400, "INVALID_ARGUMENT"), (429, "RESOURCE_EXHAUSTED")])
def test_errors_become_the_clients_own(client: genai.Client, status: int, name: str) -> None:
    with pytest.raises(errors.ClientError) as raised:
        client.models.generate_content(model=MODEL, contents=f"[[sim status={status}]]")

    assert (raised.value.code, raised.value.status) == (status, name)


def test_a_server_error_becomes_the_clients_own(client: genai.Client) -> None:
    with pytest.raises(errors.ServerError):
        client.models.generate_content(model=MODEL, contents="[[sim status=503]]")


def test_a_stream_that_tells_of_an_error_raises(client: genai.Client) -> None:
    with pytest.raises(errors.APIError, match="overloaded"):
        list(client.models.generate_content_stream(model=MODEL, contents="[[sim error_mid=1]]"))


@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")
def test_the_asynchronous_client_streams(simulator: SimulatorServer) -> None:
    async def ask() -> list[str | None]:
        options = types.HttpOptions(base_url=simulator.url)
        client = genai.Client(api_key="any", vertexai=False, http_options=options)
        stream = await client.aio.models.generate_content_stream(
            model=MODEL, contents="hello [[sim chunks=4]]"
        )
        texts = [event.text async for event in stream]
        await client.aio.aclose()
        return texts

    assert len(asyncio.run(ask())) == 4
