"""Anthropic's own Python client understands every answer."""

import asyncio
from collections.abc import Iterator

import anthropic
import pytest
from anthropic.types import ToolParam

from farthing.simulator.server import SimulatorServer

ADD: ToolParam = {
    "name": "add",
    "input_schema": {"type": "object", "properties": {"a": {"type": "integer"}}},
}


@pytest.fixture
def client(simulator: SimulatorServer) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=simulator.url, api_key="any", max_retries=0) as client:
        yield client


def test_cached_tokens_stand_beside_the_input(client: anthropic.Anthropic) -> None:
    text = "hello [[sim input=2000 cached=1000 cache_write=300 cache_write_1h=200 output=50]]"
    answer = client.messages.create(
        model="claude-haiku-4-5", max_tokens=100, messages=[{"role": "user", "content": text}]
    )

    assert answer.model == "claude-haiku-4-5-20251001"
    assert answer.stop_reason == "end_turn"
    assert answer.usage.input_tokens == 500
    assert answer.usage.cache_read_input_tokens == 1000
    assert answer.usage.cache_creation_input_tokens == 500
    assert answer.usage.cache_creation is not None
    assert answer.usage.cache_creation.ephemeral_1h_input_tokens == 200
    assert answer.usage.output_tokens == 50


def test_a_stream_reports_input_at_its_start_and_all_at_its_end(client: anthropic.Anthropic) -> None:
    stream = client.messages.create(
        model="claude-haiku-4-5",
        max_tokens=20,
        messages=[{"role": "user", "content": "hello [[sim input=70 output=30]]"}],
        stream=True,
    )

    events = {event.type: event for event in stream}

    start, delta = events["message_start"], events["message_delta"]
    assert start.type == "message_start"
    assert (start.message.usage.input_tokens, start.message.usage.output_tokens) == (70, 1)
    assert delta.type == "message_delta"
    assert delta.delta.stop_reason == "max_tokens"
    assert (delta.usage.input_tokens, delta.usage.output_tokens) == (70, 20)


def test_thinking_comes_first_and_is_counted_inside_the_output(client: anthropic.Anthropic) -> None:
    with client.messages.stream(
        model="claude-haiku-4-5",
        max_tokens=2000,
        messages=[{"role": "user", "content": "hello [[sim output=100 reasoning=60]]"}],
    ) as stream:
        message = stream.get_final_message()

    assert [block.type for block in message.content] == ["thinking", "text"]
    assert message.usage.output_tokens == 100
    assert message.usage.output_tokens_details is not None
    assert message.usage.output_tokens_details.thinking_tokens == 60


def test_tools_are_used_whole_and_streamed(client: anthropic.Anthropic) -> None:
    whole = client.messages.create(
        model="claude-haiku-4-5",
        max_tokens=100,
        messages=[{"role": "user", "content": "add [[sim tool]]"}],
        tools=[ADD],
    )
    with client.messages.stream(
        model="claude-haiku-4-5",
        max_tokens=100,
        messages=[{"role": "user", "content": "add"}],
        tools=[ADD],
        tool_choice={"type": "any"},
    ) as stream:
        streamed = stream.get_final_message()

    for message in (whole, streamed):
        (block,) = message.content
        assert message.stop_reason == "tool_use"
        assert block.type == "tool_use"
        assert (block.name, block.input) == ("add", {"a": 1})


def test_the_result_of_a_tool_is_answered_in_words(client: anthropic.Anthropic) -> None:
    answer = client.messages.create(
        model="claude-haiku-4-5",
        max_tokens=100,
        messages=[
            {"role": "user", "content": "add [[sim tool]]"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "add", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "2"}]},
        ],
        tools=[ADD],
    )

    assert [block.type for block in answer.content] == ["text"]


def test_counting_gives_what_the_call_would_report(client: anthropic.Anthropic) -> None:
    counted = client.messages.count_tokens(
        model="claude-haiku-4-5", system="be brief", messages=[{"role": "user", "content": "hello"}]
    )
    answer = client.messages.create(
        model="claude-haiku-4-5",
        system="be brief",
        max_tokens=9,
        messages=[{"role": "user", "content": "hello"}],
    )

    assert counted.input_tokens == answer.usage.input_tokens


def test_models_are_listed_in_the_shape_of_the_caller(client: anthropic.Anthropic) -> None:
    assert "claude-haiku-4-5" in [model.id for model in client.models.list()]


@pytest.mark.parametrize(
    ("status", "kind", "type_"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (401, anthropic.AuthenticationError, "authentication_error"),
        (404, anthropic.NotFoundError, "not_found_error"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (500, anthropic.InternalServerError, "api_error"),
        (529, anthropic.APIStatusError, "overloaded_error"),
    ],
)
def test_errors_become_the_clients_own(
    client: anthropic.Anthropic, status: int, kind: type[anthropic.APIStatusError], type_: str
) -> None:
    with pytest.raises(kind) as raised:
        client.messages.create(
            model="claude-haiku-4-5",
            max_tokens=9,
            messages=[{"role": "user", "content": f"[[sim status={status}]]"}],
        )

    assert isinstance(raised.value.body, dict)
    assert raised.value.body["error"]["type"] == type_


def test_a_stream_that_tells_of_an_error_raises(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
        list(
            client.messages.create(
                model="claude-haiku-4-5",
                max_tokens=9,
                messages=[{"role": "user", "content": "[[sim error_mid=4]]"}],
                stream=True,
            )
        )


def test_the_asynchronous_client_streams(simulator: SimulatorServer) -> None:
    async def ask() -> str:
        async with (
            anthropic.AsyncAnthropic(base_url=simulator.url, api_key="any") as client,
            client.messages.stream(
                model="claude-haiku-4-5", max_tokens=9, messages=[{"role": "user", "content": "hello"}]
            ) as stream,
        ):
            return await stream.get_final_text()

    assert len(asyncio.run(ask())) == 9 * 4
