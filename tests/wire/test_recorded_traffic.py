"""Every recorded answer of a provider, whole and chopped; collected only where the recordings are."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from _pytest.mark import ParameterSet

from farthing.domain.usage import Metered, Usage
from farthing.wire.dialect import Dialect, Meter
from farthing.wire.surfaces import find
from tests.wire.recordings import TRAFFIC

PATHS = {
    "openai.chat": "/v1/chat/completions",
    "openai.completions": "/v1/completions",
    "openai.responses": "/v1/responses",
    "openai.embeddings": "/v1/embeddings",
    "anthropic.messages": "/v1/messages",
    "gemini.generate": "/v1beta/models/gemini-2.5-flash:generateContent",
    "gemini.stream": "/v1beta/models/gemini-2.5-flash:streamGenerateContent",
    "gemini.embeddings": "/v1beta/models/gemini-embedding-2:batchEmbedContents",
}
COUNTING = {
    "ant-count": "/v1/messages/count_tokens",
    "gem-count": "/v1beta/models/gemini-2.5-flash:countTokens",
    "oai-resp-count": "/v1/responses/input_tokens",
}
# Shares that a recording always names, with zero where the provider reports none.
ALWAYS_NAMED = ("cached_read", "cached_write_5m", "cached_write_1h", "cached_write_other")
# Cutting at every byte costs the square of a stream's length: longer ones are cut at so many places.
CUTS_MOST = 400

Case = dict[str, Any]


def is_stream(case: Any) -> bool:
    return bool(case["streamed"]) and case["response"]["status"] < 300


def is_billed(case: Any) -> bool:
    return bool((case["request"] or {}).get("body") and case["expected_usage"])


def recordings() -> Iterator[ParameterSet]:
    for folder in (*PATHS, "count_tokens"):
        for file in sorted((TRAFFIC / folder).glob("*.json")):
            case = json.loads(file.read_text(encoding="utf-8"))
            yield pytest.param(case, id=case["id"])


CASES = list(recordings())
BILLED = [param for param in CASES if is_billed(param.values[0])]
STREAMS = [param for param in CASES if is_stream(param.values[0])]


def dialect_of(case: Case) -> Dialect:
    surface = find("POST", COUNTING.get(case["id"]) or PATHS[case["api"]])
    assert surface is not None
    return surface.dialect


def request_body(case: Case) -> bytes:
    recorded = (case["request"] or {}).get("body") or {"stream": case["streamed"]}
    body = {name: value for name, value in recorded.items() if name != "background"}
    if dialect_of(case).family != "gemini":
        body = {"model": case["model"], **body}  # Azure and Vertex have it in the path
    return json.dumps(body).encode()


def a_meter(case: Case) -> Meter:
    dialect = dialect_of(case)
    facts = dialect.read(request_body(case), model=case["model"], stream=case["streamed"]).facts
    streamed = case["streamed"] and case["response"]["status"] < 300
    content_type = case["response"]["headers"].get("content-type", "text/event-stream")
    return dialect.meter(facts, streamed=streamed, content_type=content_type)


def answer_of(case: Case) -> bytes:
    answer: str = case["response"]["body"]
    return answer.encode()


def metered(case: Case, *chunks: bytes) -> tuple[Metered, bytes]:
    meter = a_meter(case)
    passed = b"".join([meter.feed(chunk) for chunk in chunks]) + meter.end()
    return meter.result(), passed


def comparable(usage: Usage | None) -> dict[str, object] | None:
    if usage is None:
        return None
    named = {name: getattr(usage, name) for name in Usage.__struct_fields__}
    reported = {name: value for name, value in named.items() if value is not None}
    return reported | {name: reported.get(name, 0) for name in ALWAYS_NAMED}


@pytest.mark.parametrize("case", CASES)
def test_a_recorded_answer_has_the_usage_that_a_correct_reader_finds(case: Case) -> None:
    result, passed = metered(case, answer_of(case))

    assert comparable(result.usage) in [case["expected_usage"], *case.get("also_accepted", [])]
    assert {model: comparable(usage) for model, usage in result.by_model} == case.get("expected_by_model", {})
    assert passed == answer_of(case)
    if case.get("anomaly"):
        assert result.anomalies
    else:
        assert result.anomalies == ()


@pytest.mark.parametrize("case", CASES)
def test_a_recorded_answer_names_its_model_its_tier_and_its_end(case: Case) -> None:
    result, _ = metered(case, answer_of(case))

    failed = case["response"]["status"] >= 300
    assert result.complete
    assert not failed or result.error or case["id"] == "mistral-401"
    if result.model_answered is not None:
        assert result.model_answered == case.get("model_answered", case["model"])
    if case.get("service_tier"):
        assert result.service_tier == case["service_tier"]


@pytest.mark.parametrize("case", STREAMS)
def test_a_recorded_stream_may_be_cut_anywhere(case: Case) -> None:
    answer = answer_of(case)
    expected, _ = metered(case, answer)

    stride = max(1, len(answer) // CUTS_MOST)
    for cut in range(1, len(answer), stride):
        assert metered(case, answer[:cut], answer[cut:]) == (expected, answer)


@pytest.mark.parametrize("case", STREAMS)
def test_a_recorded_stream_may_come_byte_by_byte(case: Case) -> None:
    answer = answer_of(case)
    expected, _ = metered(case, answer)

    assert metered(case, *(answer[at : at + 1] for at in range(len(answer)))) == (expected, answer)


@pytest.mark.parametrize("case", STREAMS)
def test_a_recorded_stream_keeps_its_last_event_back(case: Case) -> None:
    meter = a_meter(case)

    passed = meter.feed(answer_of(case))

    assert len(passed) < len(answer_of(case))
    assert passed + meter.end() == answer_of(case)


@pytest.mark.parametrize("case", CASES)
def test_a_recorded_request_survives_being_sent_on(case: Case) -> None:
    dialect, model = dialect_of(case), case["model"]
    body = request_body(case)
    request = dialect.read(body, model=model, stream=case["streamed"])

    sent = request.render(model=model)

    assert json.loads(sent) == json.loads(body)
    assert dialect.read(sent, model=model, stream=case["streamed"]).facts.unbounded == request.facts.unbounded


@pytest.mark.parametrize("case", BILLED)
def test_billed_input_of_a_recording_is_bounded_by_its_request(case: Case) -> None:
    facts = dialect_of(case).read(request_body(case), model=case["model"], stream=case["streamed"]).facts

    hidden_by_tools = 600 if facts.tools else 0  # the engine adds its own constant, larger than this
    bound = facts.input_bytes + facts.media_tokens + hidden_by_tools
    assert facts.unbounded or case["expected_usage"]["input_tokens"] <= bound
