"""What a request must be, which paths there are, and who may call."""

import json
from collections.abc import Iterator

import pytest

from farthing.simulator.behaviour import Behaviour
from farthing.simulator.server import SimulatorServer, start_in_thread
from tests.simulator.callers import CHAT, GENERATE, MESSAGES, RESPONSES, Caller, a_request


@pytest.fixture(scope="module")
def strict() -> Iterator[Caller]:
    """A provider that knows one key and one model."""
    with SimulatorServer(Behaviour(api_key="right", models=("gpt-4o",))) as simulator:
        yield Caller(simulator)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, b"{"),
        (CHAT, b"[]"),
        (CHAT, b'{"model": "m"}'),
        (CHAT, b'{"model": "m", "messages": []}'),
        (CHAT, b'{"model": "m", "messages": [{"role": "user", "content": "x"}], "max_tokens": 0}'),
        (CHAT, b'{"model": "m", "messages": [{"role": "user", "content": "x"}], "n": 0}'),
        (CHAT, b'{"model": "\xff", "messages": [{"role": "user", "content": "x"}]}'),
        (RESPONSES, b'{"model": "m"}'),
        (MESSAGES, b'{"model": "m", "messages": [{"role": "user", "content": "x"}]}'),
        (GENERATE, b'{"contents": []}'),
        (GENERATE, b'{"contents": 5}'),
        ("/v1/embeddings", b'{"model": "m", "input": []}'),
    ],
)
def test_a_malformed_request_is_answered_400(caller: Caller, path: str, body: bytes) -> None:
    heard = caller.post(path, body)

    assert heard.status == 400
    assert heard.json()["error"]["message"]


@pytest.mark.parametrize(
    "path", ["/v1/v1/chat/completions", "/chat/completions", "/v1/models/x:fly", "/v1/x"]
)
def test_a_path_that_was_joined_wrongly_is_not_found(caller: Caller, path: str) -> None:
    assert caller.post(path, b"{}").status == 404


@pytest.mark.parametrize("model", ["gemini-2.5-flash", "tuned/mine"])
@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_gemini_is_served_under_both_versions(caller: Caller, version: str, model: str) -> None:
    heard = caller.say("hello", f"/{version}/models/{model}:generateContent")

    assert heard.json()["modelVersion"] == model


def test_a_query_need_not_be_text(caller: Caller) -> None:
    assert caller.post(f"{GENERATE}?%ff=1&alt=sse", b"{}").status == 400


@pytest.mark.parametrize(
    "caps",
    [{"generationConfig": {"maxOutputTokens": 3}}, {"generation_config": {"max_output_tokens": 3}}],
)
def test_the_caps_of_gemini_count_in_either_spelling(caller: Caller, caps: dict[str, object]) -> None:
    heard = caller.post(GENERATE, json.dumps(a_request(GENERATE, "hello") | caps).encode())

    assert heard.json()["usageMetadata"]["candidatesTokenCount"] == 3


@pytest.mark.parametrize(
    "headers",
    [{"authorization": "Bearer right"}, {"x-api-key": "right"}, {"x-goog-api-key": "right"}],
)
def test_the_right_key_may_call_from_wherever_a_client_puts_it(
    strict: Caller, headers: dict[str, str]
) -> None:
    body = b'{"model": "gpt-4o", "messages": [{"role": "user", "content": "x"}]}'

    assert strict.post(CHAT, body, headers).status == 200
    assert strict.post(f"{CHAT}?key=right", body).status == 200


@pytest.mark.parametrize("path", [CHAT, MESSAGES, GENERATE])
def test_a_wrong_key_is_answered_401_in_the_dialect(strict: Caller, path: str) -> None:
    heard = strict.post(path, b"{}", {"authorization": "Bearer wrong"})

    assert heard.status == 401
    assert ("type" in heard.json()) == (path == MESSAGES)


def test_an_unknown_model_is_answered_404(strict: Caller) -> None:
    body = json.dumps(a_request(CHAT, "hello")).encode()

    assert strict.post(CHAT, body, {"authorization": "Bearer right"}).status == 404


def test_a_directive_may_stand_in_a_part_of_the_last_user_message(caller: Caller) -> None:
    parts = [{"type": "text", "text": "hello"}, {"type": "text", "text": "[[sim output=3]]"}]
    messages = [
        {"role": "user", "content": "[[sim status=500]]"},
        {"role": "assistant", "content": "no"},
        {"role": "user", "content": parts},
    ]

    heard = caller.say("", messages=messages)

    assert heard.status == 200
    assert heard.json()["usage"]["completion_tokens"] == 3


def test_the_same_request_gives_the_same_bytes_and_another_one_others(caller: Caller) -> None:
    with start_in_thread(behaviour=Behaviour(seed=7)) as other:
        first, again = caller.say("hello").body, caller.say("hello").body
        elsewhere = Caller(other).say("hello").body

    assert first == again
    assert first != elsewhere
    assert first != caller.say("hello!").body


def test_settings_hold_for_all_calls_and_directives_override_them() -> None:
    with SimulatorServer(Behaviour(output_tokens=11, cached_share=0.5)) as simulator:
        usual = Caller(simulator).say("x" * 400).json()["usage"]
        told = Caller(simulator).say("[[sim output=12]]").json()["usage"]

    assert usual["completion_tokens"] == 11
    assert usual["prompt_tokens_details"]["cached_tokens"] == usual["prompt_tokens"] // 2
    assert told["completion_tokens"] == 12


def test_models_have_the_shape_that_the_path_and_headers_ask_for(caller: Caller) -> None:
    assert caller.get("/v1/models").json()["object"] == "list"
    assert "has_more" in caller.get("/v1/models", {"anthropic-version": "2023-06-01"}).json()
    assert "models" in caller.get("/v1beta/models").json()
    assert caller.get("/v1/models/nobody-has-this").status == 404
