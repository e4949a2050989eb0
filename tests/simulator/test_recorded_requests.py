"""What real clients sent to real providers is understood here too."""

import json
from collections.abc import Iterator

import pytest

from farthing.simulator.answering import answer
from farthing.simulator.anthropic_answers import MESSAGES
from farthing.simulator.behaviour import Behaviour
from farthing.simulator.endpoint import Address
from farthing.simulator.gemini_answers import GENERATE
from farthing.simulator.openai_chat_answers import CHAT
from farthing.simulator.openai_plain_answers import COMPLETIONS, EMBEDDINGS
from farthing.simulator.openai_responses_answers import RESPONSES
from tests.simulator.callers import Json
from tests.simulator.traffic import TRAFFIC

ENDPOINTS = {
    "openai.chat": CHAT,
    "openai.completions": COMPLETIONS,
    "openai.embeddings": EMBEDDINGS,
    "openai.responses": RESPONSES,
    "anthropic.messages": MESSAGES,
    "gemini.generate": GENERATE,
    "gemini.stream": GENERATE,
}


def recorded() -> Iterator[object]:
    """Requests that were answered 200, with their dialect."""
    for dialect in ENDPOINTS:
        for path in sorted((TRAFFIC / dialect).glob("*.json")):
            case = json.loads(path.read_text())
            request = case["request"]
            if request and isinstance(request["body"], dict) and case["response"]["status"] == 200:
                # Azure and Vertex have the model in the path.
                body = {"model": case["model"]} | request["body"]
                yield pytest.param(dialect, body, case["streamed"], id=case["id"])


@pytest.mark.parametrize(("dialect", "body", "streamed"), list(recorded()))
def test_a_recorded_request_is_answered(dialect: str, body: Json, streamed: bool) -> None:
    method = "streamGenerateContent" if streamed else "generateContent"
    raw = json.dumps(body).encode()

    told = answer(ENDPOINTS[dialect], Address(model="gemini-2.5-flash", method=method), raw, Behaviour())

    assert told.status == 200, told.pieces
    assert told.billed is not None
    assert told.billed.input_tokens <= len(raw)
    assert told.streamed is streamed
