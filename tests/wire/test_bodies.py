"""What every dialect refuses to read, and why a member that slipped in cannot slip out."""

import json
from decimal import Decimal

import msgspec
import pytest

from farthing.domain.errors import BadRequest
from tests.wire import streams
from tests.wire.streams import CHAT, COMPLETIONS, EMBEDDINGS, GENERATE, MESSAGES, RESPONSES, read

BY_BODY = [CHAT, COMPLETIONS, RESPONSES, EMBEDDINGS, MESSAGES]


@pytest.mark.parametrize("path", [*BY_BODY, GENERATE])
@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b'"text"', b"null", b"12", b"{} {}", b'{"model":"gpt-4o",}',
        b'{"model":"gpt-4o","temperature":NaN}', b'{"model":"gpt-4o","temperature":-Infinity}',
        b'{"model":"gpt-4o","user":"\xff"}', b'{"model":"gpt-4o","\xff":1}',
        b'{"model":"gpt-4o","user":"\\ud800"}', b'\xef\xbb\xbf{"model":"gpt-4o"}',
        b'{"model":"gpt-4o","a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)  # fmt: skip
def test_what_is_not_one_json_object_is_refused(path: str, body: bytes) -> None:
    with pytest.raises(BadRequest):
        read(path, body)


@pytest.mark.parametrize("path", BY_BODY)
@pytest.mark.parametrize("model", [None, "", 7, ["gpt-4o"], True])
def test_a_model_that_is_no_name_is_refused_by_name(path: str, model: object) -> None:
    with pytest.raises(BadRequest) as caught:
        read(path, json.dumps({"model": model}).encode())

    assert caught.value.param == "model"


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS, RESPONSES, MESSAGES])
@pytest.mark.parametrize("stream", ["yes", 1, [], {}])
def test_a_stream_flag_that_is_no_flag_is_refused_by_name(path: str, stream: object) -> None:
    with pytest.raises(BadRequest) as caught:
        read(path, {"stream": stream})

    assert caught.value.param == "stream"


@pytest.mark.parametrize(
    ("path", "cap"),
    [
        (CHAT, "max_tokens"), (CHAT, "max_completion_tokens"), (COMPLETIONS, "max_tokens"),
        (RESPONSES, "max_output_tokens"), (MESSAGES, "max_tokens"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("value", [-1, True, 1.5, 10.0, "100", [100], 10**30])
def test_an_output_cap_that_is_no_count_is_refused_by_name(path: str, cap: str, value: object) -> None:
    with pytest.raises(BadRequest) as caught:
        read(path, {cap: value})

    assert caught.value.param == cap


@pytest.mark.parametrize("value", [0, -1, 129, 1.0, True, "2"])
@pytest.mark.parametrize(("path", "name"), [(CHAT, "n"), (COMPLETIONS, "n"), (COMPLETIONS, "best_of")])
def test_a_number_of_choices_out_of_range_is_refused_by_name(path: str, name: str, value: object) -> None:
    with pytest.raises(BadRequest) as caught:
        read(path, {name: value})

    assert caught.value.param == name


@pytest.mark.parametrize("path", BY_BODY)
def test_the_last_of_two_equal_keys_is_judged_and_alone_is_sent(path: str) -> None:
    request = read(path, b'{"model":"cheap","input":"a","model":"dear"}')

    sent = request.render(model=request.facts.model)

    assert request.facts.model == "dear"
    assert sent.count(b'"model"') == 1
    assert b"cheap" not in sent


def test_a_key_written_with_escapes_is_the_same_key() -> None:
    request = read(CHAT, b'{"model":"cheap","mod\\u0065l":"dear"}')

    assert request.facts.model == "dear"
    assert request.render(model="dear") == b'{"model":"dear"}'


@pytest.mark.parametrize("twin", ["Model", "MODEL", "Max_Tokens", "\u017ftream"])
def test_a_key_that_a_careless_server_takes_for_a_judged_one_is_refused(twin: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(CHAT, {"model": "cheap", twin: "dear"})

    assert caught.value.param == twin


def test_members_nobody_here_knows_pass_untouched_and_in_order() -> None:
    body = b'{"zebra": {"b": 1.0, "a": [1e5, "\\u00e9"]}, "model": "m", "apple": -0}'

    sent = read(CHAT, body).render(model="m")

    assert sent == b'{"zebra":{"b": 1.0, "a": [1e5, "\\u00e9"]},"model":"m","apple":-0}'


@pytest.mark.parametrize("path", [CHAT, RESPONSES, MESSAGES])
def test_the_prompt_is_what_the_model_reads_and_not_the_settings(path: str) -> None:
    calm = read(path, {"messages": "hello", "input": "hello", "temperature": 0})
    wild = read(path, {"messages": "hello", "input": "hello", "temperature": 1, "metadata": {"a": "b"}})
    other = read(path, {"messages": "goodbye", "input": "goodbye", "temperature": 0})

    assert calm.prompt == wild.prompt
    assert calm.prompt != other.prompt
    assert b"hello" in calm.prompt


def test_an_unknown_member_counts_as_prompt_because_it_may_be_one() -> None:
    assert b"new words" in read(CHAT, {"messages": [], "context": "new words"}).prompt


def test_every_byte_of_the_body_counts_towards_the_bound() -> None:
    body = json.dumps({"model": "gpt-4o", "messages": "x" * 1_000}).encode()

    assert read(CHAT, body).facts.input_bytes == len(body)


def test_another_model_is_written_in_place_of_the_one_asked_for() -> None:
    assert streams.sent(read(CHAT, {"model": "a"}), model='b"') == {"model": 'b"'}


@pytest.mark.parametrize("path", [*BY_BODY, GENERATE])
def test_null_is_the_same_as_not_sent(path: str) -> None:
    names = (
        "tools", "functions", "service_tier", "web_search_options", "stream_options", "conversation",
        "previous_response_id", "cachedContent", "thinking", "generationConfig", "store", "temperature",
    )  # fmt: skip
    body = {"model": "gpt-4o"}

    sent = read(path, json.dumps(body | dict.fromkeys(names)).encode())

    left_out = read(path, json.dumps(body).encode())
    assert msgspec.structs.replace(sent.facts, input_bytes=0) == msgspec.structs.replace(
        left_out.facts, input_bytes=0
    )
    assert (sent.temperature, sent.is_stored) == (None, False)


@pytest.mark.parametrize(
    ("path", "members", "temperature"),
    [
        (CHAT, b'"temperature":0.70', "0.70"),
        (RESPONSES, b'"temperature":2', "2"),
        (MESSAGES, b'"temperature":1e-1', "0.1"),
        (GENERATE, b'"generationConfig":{"temperature":0.5}', "0.5"),
        (GENERATE, b'"generation_config":{"temperature":0.5},"generationConfig":{"temperature":0.9}', "0.9"),
        (GENERATE, b'"temperature":0.5', None),
        (CHAT, b'"temperature":"hot"', None),
    ],
)
def test_the_temperature_is_read_as_it_is_spelt(path: str, members: bytes, temperature: str | None) -> None:
    asked = read(path, b'{"model":"gpt-4o",' + members + b"}").temperature

    assert asked == (None if temperature is None else Decimal(temperature))


def test_whether_the_provider_is_to_keep_the_answer_is_read() -> None:
    said = [read(CHAT, b'{"model":"gpt-4o","store":' + flag + b"}") for flag in (b"true", b"false", b"null")]

    assert [request.is_stored for request in said] == [True, False, False]
