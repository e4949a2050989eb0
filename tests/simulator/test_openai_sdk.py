"""OpenAI's own Python client understands every answer."""

import asyncio
from collections.abc import Iterator

import openai
import pytest
from openai.types.chat import ChatCompletionToolParam
from openai.types.responses import FunctionToolParam
from pydantic import BaseModel

from farthing.simulator.server import SimulatorServer


class Weather(BaseModel):
    city: str
    degrees: int


ADD: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "add",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}},
    },
}
ADD_FOR_RESPONSES: FunctionToolParam = {
    "type": "function",
    "name": "add",
    "strict": False,
    "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
}


@pytest.fixture
def client(simulator: SimulatorServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=simulator.openai_url, api_key="any", max_retries=0) as client:
        yield client


def test_a_chat_names_its_snapshot_and_its_usage(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="gpt-4o-mini",
        messages=[
            {"role": "user", "content": "hello [[sim input=1200 cached=1000 output=500 reasoning=64]]"}
        ],
    )

    assert answer.model == "gpt-4o-mini-2024-07-18"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (1200, 500)
    assert answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.cached_tokens == 1000
    assert answer.usage.completion_tokens_details is not None
    assert answer.usage.completion_tokens_details.reasoning_tokens == 64


def test_a_chat_stream_ends_with_usage_when_it_was_asked_for(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="gpt-4o-mini",
        messages=[{"role": "user", "content": "hello [[sim output=7]]"}],
        stream=True,
        stream_options={"include_usage": True},
    )

    chunks = list(stream)

    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 7


def test_a_chat_streams_no_more_than_its_cap(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="gpt-4o-mini",
            messages=[{"role": "user", "content": "hello [[sim output=9]]"}],
            max_completion_tokens=5,
            stream=True,
        )
    )

    assert chunks[-1].choices[0].finish_reason == "length"
    assert len("".join(chunk.choices[0].delta.content or "" for chunk in chunks)) == 5 * 4


def test_the_stream_helper_collects_the_whole_message(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "hello [[sim output=9]]"}]
    ) as stream:
        message = stream.get_final_completion().choices[0].message

    assert len(message.content or "") == 9 * 4


def test_several_choices_are_one_usage(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "[[sim output=10]]"}], n=3, max_tokens=4
    )

    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert {choice.finish_reason for choice in answer.choices} == {"length"}
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 12


def test_tools_are_called_with_arguments_that_fit_their_schema(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "add [[sim tool=2]]"}], tools=[ADD]
    )

    calls = answer.choices[0].message.tool_calls
    assert answer.choices[0].finish_reason == "tool_calls"
    assert calls is not None
    assert len({call.id for call in calls}) == 2
    assert calls[0].type == "function"
    assert (calls[0].function.name, calls[0].function.arguments) == ("add", '{"a":1,"b":1}')


def test_tools_are_called_in_a_stream(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(
        model="gpt-4o", messages=[{"role": "user", "content": "add"}], tools=[ADD], tool_choice="required"
    ) as stream:
        message = stream.get_final_completion().choices[0].message

    assert message.tool_calls is not None
    assert message.tool_calls[0].function.arguments == '{"a":1,"b":1}'


def test_the_result_of_a_tool_is_answered_in_words(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="gpt-4o",
        messages=[
            {"role": "user", "content": "add [[sim tool]]"},
            {
                "role": "assistant",
                "tool_calls": [
                    {"id": "c", "type": "function", "function": {"name": "add", "arguments": "{}"}}
                ],
            },
            {"role": "tool", "tool_call_id": "c", "content": "2"},
        ],
        tools=[ADD],
    )

    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].message.content


def test_a_structured_answer_parses(client: openai.OpenAI) -> None:
    chat = client.chat.completions.parse(
        model="gpt-4o", messages=[{"role": "user", "content": "weather"}], response_format=Weather
    )
    response = client.responses.parse(model="gpt-5", input="weather", text_format=Weather)

    assert chat.choices[0].message.parsed == Weather(city="sun", degrees=1)
    assert response.output_parsed == Weather(city="sun", degrees=1)


def test_a_response_reports_in_its_own_names(client: openai.OpenAI) -> None:
    answer = client.responses.create(
        model="gpt-5-mini", input="hello [[sim input=90 cached=40 output=30 reasoning=20]]"
    )

    assert answer.status == "completed"
    assert answer.output[0].type == "reasoning"
    assert answer.service_tier == "default"
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens) == (90, 30, 120)
    assert answer.usage.input_tokens_details.cached_tokens == 40
    assert answer.usage.output_tokens_details.reasoning_tokens == 20


def test_a_response_streams_to_the_same_end(client: openai.OpenAI) -> None:
    with client.responses.stream(model="gpt-5-mini", input="hello [[sim output=40 reasoning=8]]") as stream:
        numbers = [event.sequence_number for event in stream]
        final = stream.get_final_response()

    assert numbers == list(range(len(numbers)))
    assert final.status == "completed"
    assert final.usage is not None
    assert final.usage.output_tokens == 40
    assert len(final.output_text) == 32 * 4


def test_a_response_that_meets_its_cap_is_incomplete(client: openai.OpenAI) -> None:
    last = list(
        client.responses.create(
            model="gpt-5-mini", input="hello [[sim output=40]]", max_output_tokens=20, stream=True
        )
    )[-1]

    assert last.type == "response.incomplete"
    assert last.response.incomplete_details is not None
    assert last.response.incomplete_details.reason == "max_output_tokens"
    assert last.response.usage is not None
    assert last.response.usage.output_tokens == 20


def test_a_response_streams_a_function_call(client: openai.OpenAI) -> None:
    with client.responses.stream(
        model="gpt-5", input="add [[sim tool]]", tools=[ADD_FOR_RESPONSES]
    ) as stream:
        (item,) = stream.get_final_response().output

    assert item.type == "function_call"
    assert item.arguments == '{"a":1}'


def test_counting_the_input_gives_what_the_call_would_report(client: openai.OpenAI) -> None:
    counted = client.responses.input_tokens.count(model="gpt-5", input="how long is this?")
    answer = client.responses.create(model="gpt-5", input="how long is this?")

    assert answer.usage is not None
    assert counted.input_tokens == answer.usage.input_tokens


def test_the_older_completions_are_answered_whole_and_streamed(client: openai.OpenAI) -> None:
    prompt = "once [[sim output=8]]"
    whole = client.completions.create(model="gpt-3.5-turbo-instruct", prompt=prompt, n=2, max_tokens=6)
    streamed = list(
        client.completions.create(
            model="gpt-3.5-turbo-instruct", prompt=prompt, stream=True, stream_options={"include_usage": True}
        )
    )

    assert whole.usage is not None
    assert whole.usage.completion_tokens == 12
    assert whole.choices[1].finish_reason == "length"
    assert streamed[-1].usage is not None
    assert streamed[-1].usage.completion_tokens == 8
    assert "".join(chunk.choices[0].text for chunk in streamed[:-1]).endswith(".")


def test_embeddings_have_the_dimensions_asked_for(client: openai.OpenAI) -> None:
    packed = client.embeddings.create(model="text-embedding-3-small", input=["a", "b"], dimensions=64)
    plain = client.embeddings.create(
        model="text-embedding-3-small", input=["a", "b"], dimensions=64, encoding_format="float"
    )

    assert [len(one.embedding) for one in packed.data] == [64, 64]
    assert packed.data[0].embedding != packed.data[1].embedding
    assert plain.usage.prompt_tokens == plain.usage.total_tokens == len('["a","b"]') // 4


def test_models_are_listed_and_retrieved(client: openai.OpenAI) -> None:
    assert "gpt-4o-mini" in [model.id for model in client.models.list()]
    assert client.models.retrieve("gpt-4o-mini").id == "gpt-4o-mini"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (529, openai.InternalServerError),
    ],
)
def test_errors_become_the_clients_own(
    client: openai.OpenAI, status: int, kind: type[openai.APIStatusError]
) -> None:
    with pytest.raises(kind) as raised:
        client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": f"[[sim status={status}]]"}]
        )

    assert isinstance(raised.value.body, dict)
    assert raised.value.body["message"]
    assert raised.value.request_id


def test_a_stream_that_tells_of_an_error_raises(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIError, match="had an error"):
        list(
            client.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": "[[sim error_mid=3]]"}], stream=True
            )
        )


def test_the_asynchronous_client_streams(simulator: SimulatorServer) -> None:
    async def ask() -> list[str]:
        async with openai.AsyncOpenAI(base_url=simulator.openai_url, api_key="any") as client:
            stream = await client.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": "[[sim chunks=3]]"}], stream=True
            )
            texts = [chunk.choices[0].delta.content async for chunk in stream]
            response = await client.responses.create(model="gpt-5", input="hello")
            return [text for text in [*texts, response.output_text] if text]

    assert len(asyncio.run(ask())) == 4
