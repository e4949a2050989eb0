"""Below /mock the providers answer with an echo or with canned words."""

import json

import pytest

from farthing.simulator.behaviour import Behaviour
from farthing.simulator.server import SimulatorServer
from tests.simulator.callers import CHAT, COMPLETIONS, GENERATE, MESSAGES, RESPONSES, Caller, a_request

WORDS = {
    CHAT: lambda answer: answer["choices"][0]["message"]["content"],
    COMPLETIONS: lambda answer: answer["choices"][0]["text"],
    RESPONSES: lambda answer: answer["output"][0]["content"][0]["text"],
    MESSAGES: lambda answer: answer["content"][0]["text"],
    GENERATE: lambda answer: answer["candidates"][0]["content"]["parts"][0]["text"],
}


@pytest.mark.parametrize("path", WORDS)
def test_a_mock_repeats_the_last_user_message(caller: Caller, path: str) -> None:
    heard = caller.post("/mock" + path, _body(path, "Grüße, what is this?\n[[sim seed=1]]"))

    assert WORDS[path](heard.json()) == "Grüße, what is this?"


def test_an_echo_is_counted_and_keeps_to_the_cap(caller: Caller) -> None:
    heard = caller.post("/mock" + CHAT, _body(CHAT, "one two three four", max_tokens=2))

    assert WORDS[CHAT](heard.json()) == "one two "
    assert heard.json()["usage"]["completion_tokens"] == 2


def test_a_mock_can_have_canned_words() -> None:
    with SimulatorServer(mock=Behaviour(text="always this")) as simulator:
        canned = Caller(simulator).post("/mock" + MESSAGES, _body(MESSAGES, "anything"))
        usual = Caller(simulator).say("anything", MESSAGES)

    assert WORDS[MESSAGES](canned.json()) == "always this"
    assert WORDS[MESSAGES](usual.json()) != "always this"


def test_an_echo_streams_in_pieces_that_join_to_the_whole(caller: Caller) -> None:
    text = "Grüße an alle, die dies lesen, und auch an die anderen: ﷺ"

    heard = caller.post("/mock" + CHAT, _body(CHAT, text, stream=True))

    deltas = [event["choices"][0]["delta"].get("content") or "" for event in heard.objects()]
    assert len(deltas) > 5
    assert "".join(deltas) == text


def _body(path: str, text: str, **members: object) -> bytes:
    return json.dumps(a_request(path, text) | members).encode()
