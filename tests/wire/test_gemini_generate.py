"""Gemini: names in two spellings, thoughts beside the answer, streams of two kinds."""

import json
from typing import Any

import pytest

from farthing.domain.errors import BadRequest
from farthing.domain.usage import Usage
from farthing.wire.gemini_generate import IMAGE_TOKENS_MOST
from tests.wire.streams import GENERATE, STREAM_GENERATE, a_meter, facts, feed_all, metered, read, sent, sse

COUNTS = {"promptTokenCount": 8, "candidatesTokenCount": 7, "thoughtsTokenCount": 20, "totalTokenCount": 35}
USAGE = Usage(input_tokens=8, output_tokens=27, reasoning=20)
CRLF = b"\r\n\r\n"


def said(text: str, usage: dict[str, Any] | None = None, **candidate: Any) -> dict[str, Any]:
    content = {"role": "model", "parts": [{"text": text}]}
    answer = {
        "candidates": [{"content": content, "index": 0, **candidate}],
        "modelVersion": "gemini-2.5-flash",
    }
    return answer | ({"usageMetadata": usage} if usage else {})


def user(**part: object) -> list[dict[str, Any]]:
    return [{"role": "user", "parts": [part]}]


def test_model_and_stream_come_from_the_path() -> None:
    assert facts(GENERATE).model == "gemini-2.5-flash"
    assert not facts(GENERATE).stream
    assert facts(STREAM_GENERATE).stream


@pytest.mark.parametrize("config", ["generationConfig", "generation_config"])
@pytest.mark.parametrize("cap", ["maxOutputTokens", "max_output_tokens"])
def test_the_cap_is_found_and_lowered_in_either_spelling(config: str, cap: str) -> None:
    request = read(GENERATE, {config: {cap: 500, "temperature": 1}})

    assert request.facts.output_cap == 500
    assert sent(request, output_cap=300) == {config: {cap: 300, "temperature": 1}}
    assert sent(request, output_cap=900) == {config: {cap: 500, "temperature": 1}}


def test_of_two_spellings_the_larger_counts_and_both_are_lowered() -> None:
    request = read(
        GENERATE,
        {"generationConfig": {"maxOutputTokens": 10}, "generation_config": {"max_output_tokens": 500}},
    )

    assert request.facts.output_cap == 500
    assert sent(request, output_cap=5) == {
        "generationConfig": {"maxOutputTokens": 5},
        "generation_config": {"max_output_tokens": 5},
    }


def test_a_cap_is_inserted_where_none_was_sent_and_nothing_else_changes() -> None:
    request = read(GENERATE, b'{"contents": [ 1 ], "generation_config": {"topK": 3}}')

    assert request.render(model="other", output_cap=9) == (
        b'{"contents":[ 1 ],"generation_config":{"topK":3,"maxOutputTokens":9}}'
    )
    assert sent(read(GENERATE, {}), output_cap=9) == {"generationConfig": {"maxOutputTokens": 9}}
    assert request.render(model="other") == b'{"contents":[ 1 ],"generation_config":{"topK": 3}}'


def test_a_model_in_the_body_is_replaced_by_the_one_of_the_path() -> None:
    assert sent(read(GENERATE, {"model": "models/dear"}), model="cheap") == {"model": "models/cheap"}


def test_choices_thinking_tier_and_tools_are_read() -> None:
    asked = facts(
        GENERATE,
        generationConfig={"candidateCount": 3, "thinkingConfig": {"thinkingBudget": 512}},
        serviceTier="flex",
        tools=[{"functionDeclarations": [{"name": "f"}, {"name": "g"}]}],
    )

    assert (asked.choices, asked.thinking_tokens, asked.service_tier, asked.tools) == (3, 512, "flex", 2)
    assert asked.unbounded == ()
    dynamic = {"thinking_config": {"thinking_budget": -1}}
    assert facts(GENERATE, generation_config=dynamic).thinking_tokens is None


@pytest.mark.parametrize(
    "config",
    [
        [], "a", {"maxOutputTokens": -1}, {"maxOutputTokens": 1.5}, {"candidateCount": 0},
        {"candidateCount": True}, {"MaxOutputTokens": 5}, {"thinkingConfig": {"thinkingBudget": -2}},
    ],
)  # fmt: skip
def test_a_config_that_cannot_be_judged_is_refused(config: object) -> None:
    with pytest.raises(BadRequest):
        read(GENERATE, {"generationConfig": config})


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"tools": [{"googleSearch": {}}]}, "google_search"),
        ({"tools": [{"google_search": {}}]}, "google_search"),
        ({"tools": {"urlContext": {}}}, "url_context"),
        ({"tools": [{"codeExecution": {}}]}, "code_execution"),
        ({"tools": [{"fileSearch": {}}]}, "file_search"),
        ({"cachedContent": "cachedContents/1"}, "cached_content"),
        ({"cached_content": "cachedContents/1"}, "cached_content"),
        ({"contents": user(fileData={"fileUri": "https:"})}, "file_data"),
        ({"contents": user(file_data={"file_uri": "https:"})}, "file_data"),
        ({"contents": user(inlineData={"mimeType": "audio/wav", "data": "UklG"})}, "audio"),
        ({"contents": user(inlineData={"mimeType": "video/mp4", "data": "AAAA"})}, "video"),
        ({"contents": user(inline_data={"mime_type": "application/pdf", "data": "JVBE"})}, "document"),
        ({"contents": user(inlineData={"data": "AAAA"})}, "document"),
        ({"systemInstruction": {"parts": [{"fileData": {}}]}}, "file_data"),
        ({"contents": user(functionResponse={"parts": [{"fileData": {}}]})}, "file_data"),
    ],
)
def test_what_is_billed_but_not_in_the_body_makes_the_input_unbounded(
    asked: dict[str, Any], reason: str
) -> None:
    assert facts(GENERATE, **asked).unbounded == (reason,)


def test_pictures_in_the_body_add_what_they_cost_at_most() -> None:
    asked = facts(GENERATE, contents=user(inlineData={"mimeType": "image/png", "data": "iVBO"}))

    assert (asked.media_tokens, asked.unbounded) == (IMAGE_TOKENS_MOST, ())


def test_counting_is_free() -> None:
    path = "/v1beta/models/gemini-2.5-flash:countTokens"

    assert facts(path).free
    assert facts(path).dialect == "gemini.count_tokens"
    assert metered(path, {"totalTokens": 5, "usageMetadata": COUNTS}).usage is None


def test_thoughts_are_added_to_the_output_and_tool_use_to_the_input() -> None:
    usage = {**COUNTS, "toolUsePromptTokenCount": 100, "cachedContentTokenCount": 5, "totalTokenCount": 135}

    assert metered(GENERATE, said("a", usage)).usage == Usage(
        input_tokens=108, cached_read=5, output_tokens=27, reasoning=20, tool_use_in=100
    )


def test_either_part_of_the_output_may_be_left_out() -> None:
    thoughts = {"promptTokenCount": 15, "thoughtsTokenCount": 2, "totalTokenCount": 17}
    blocked = {"promptTokenCount": 15, "totalTokenCount": 15}
    silent = {"promptTokenCount": 15}

    assert metered(GENERATE, said("", thoughts)).usage == Usage(input_tokens=15, output_tokens=2, reasoning=2)
    assert metered(GENERATE, said("", blocked)).usage == Usage(input_tokens=15, output_tokens=0)
    assert metered(GENERATE, said("", silent)).usage == Usage(input_tokens=15)


def test_modalities_and_traffic_may_be_words_or_numbers() -> None:
    def details(*shares: tuple[object, int]) -> list[dict[str, Any]]:
        return [{"modality": modality, "tokenCount": count} for modality, count in shares]

    usage = {
        "promptTokenCount": 90, "candidatesTokenCount": 30, "totalTokenCount": 120, "trafficType": 1,
        "promptTokensDetails": details(("AUDIO", 10), (2, 20), (3, 30), ("DOCUMENT", 5), ("TEXT", 25)),
        "candidatesTokensDetails": details((4, 7), ("IMAGE", 8)),
        "cacheTokensDetails": details(("AUDIO", 4)), "cachedContentTokenCount": 4,
    }  # fmt: skip

    result = metered(GENERATE, said("a", usage))

    assert result.usage == Usage(
        input_tokens=90, cached_read=4, output_tokens=30, audio_in=10, image_in=20, video_in=30,
        document_in=5, audio_out=7, image_out=8, cached_read_audio=4,
    )  # fmt: skip
    assert result.service_tier == "ON_DEMAND"


@pytest.mark.parametrize(
    ("usage", "booked"),
    [
        ({**COUNTS, "totalTokenCount": 40}, Usage(input_tokens=8, output_tokens=32, reasoning=20)),
        ({**COUNTS, "totalTokenCount": 1}, USAGE),
        (
            {**COUNTS, "cachedContentTokenCount": 9},
            Usage(input_tokens=8, cached_read=8, output_tokens=27, reasoning=20),
        ),
    ],
)
def test_a_contradiction_is_booked_and_marked(usage: dict[str, Any], booked: Usage) -> None:
    result = metered(GENERATE, said("a", usage))

    assert result.usage == booked
    assert len(result.anomalies) == 1


def test_searches_are_counted_by_their_queries() -> None:
    grounding = {"webSearchQueries": ["a", "b", "c"]}
    first = said("a", COUNTS, groundingMetadata={"webSearchQueries": ["a"]})
    last = said("b", COUNTS, finishReason="STOP", groundingMetadata=grounding)

    whole, streamed = metered(GENERATE, last).usage, metered(STREAM_GENERATE, sse(first, last)).usage

    assert whole == streamed
    assert whole is not None
    assert whole.requests == {"web_search_queries": 3}


def test_the_last_usage_of_a_stream_counts_and_its_event_waits() -> None:
    early = {"promptTokenCount": 8, "totalTokenCount": 8}
    chunks = sse(said("a", early), said("b", COUNTS, finishReason="STOP"), end=CRLF)
    meter = a_meter(STREAM_GENERATE, streamed=True)

    assert [meter.feed(chunk) for chunk in chunks] == [chunks[0], b""]
    assert meter.end() == chunks[1]
    assert (meter.result().usage, meter.result().complete) == (USAGE, True)
    assert meter.result().model_answered == "gemini-2.5-flash"


def test_an_event_after_the_finish_lets_the_finish_go() -> None:
    chunks = sse(said("b", finishReason="STOP"), {"usageMetadata": COUNTS})
    meter = a_meter(STREAM_GENERATE, streamed=True)

    assert [meter.feed(chunk) for chunk in chunks] == [b"", chunks[0]]
    assert meter.end() == chunks[1]
    assert (meter.result().usage, meter.result().complete) == (USAGE, True)


def test_every_candidate_must_finish() -> None:
    two = {"generationConfig": {"candidateCount": 2}}
    chunks = sse(said("a", index=0), said("a", index=1), said("b", index=0, finishReason="STOP"))

    assert not metered(STREAM_GENERATE, chunks, asked=two).complete
    end = sse(said("b", index=1, finishReason="STOP"))
    assert metered(STREAM_GENERATE, chunks + end, asked=two).complete


def test_a_blocked_prompt_is_a_complete_answer() -> None:
    blocked = {
        "promptFeedback": {"blockReason": "SAFETY"},
        "usageMetadata": {"promptTokenCount": 8, "totalTokenCount": 8},
    }

    result = metered(STREAM_GENERATE, sse(blocked))

    assert (result.complete, result.usage) == (True, Usage(input_tokens=8, output_tokens=0))


def an_array(*answers: dict[str, Any]) -> bytes:
    return b"[" + b"\n,\r\n".join(json.dumps(answer, indent=2).encode() for answer in answers) + b"\n]\n"


def test_a_stream_may_be_one_json_array_whose_end_waits() -> None:
    stream = an_array(
        said('a "]}" in \\ text', {"promptTokenCount": 8}), said("b", COUNTS, finishReason="STOP")
    )
    meter = a_meter(STREAM_GENERATE, streamed=True, content_type="application/json; charset=UTF-8")

    passed = meter.feed(stream)

    assert json.loads(passed + b"]")[0]["candidates"]
    assert passed + meter.end() == stream
    assert (meter.result().usage, meter.result().complete) == (USAGE, True)


def test_an_array_that_breaks_off_is_not_complete() -> None:
    stream = an_array(said("a", COUNTS), said("b", COUNTS))[:-20]
    meter = a_meter(STREAM_GENERATE, streamed=True, content_type="application/json")

    assert feed_all(meter, [stream]) == stream
    assert not meter.result().complete


@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream"])
def test_an_error_in_a_stream_is_told(content_type: str) -> None:
    error = {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}
    chunks = [an_array(error)] if "json" in content_type else sse(error)

    result = metered(STREAM_GENERATE, chunks, content_type=content_type)

    assert result.error == "overloaded"


def test_text_is_kept_when_asked_for() -> None:
    chunks = sse(said("a"), said("b", finishReason="STOP"))

    assert metered(STREAM_GENERATE, chunks, collect_text=True).output_text == "ab"
