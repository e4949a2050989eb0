"""What chat answers consumed, by the habits of each provider."""

from typing import Any

import pytest

from farthing.domain.usage import Usage
from tests.wire.streams import CHAT, a_meter, feed_all, metered, sse

FIRST = {"id": "1", "model": "gpt-4o-2024-08-06", "choices": [{"index": 0, "delta": {"role": "assistant"}}]}
WORD = {"id": "1", "choices": [{"index": 0, "delta": {"content": "Hi"}}], "usage": None}
STOP = {"id": "1", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": None}
COUNTS = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
LAST = {"id": "1", "choices": [], "usage": COUNTS, "service_tier": "default"}


def whole(usage: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"model": "m", "choices": [{"message": {"content": "Hi"}}], "usage": usage, **members}


def read_usage(usage: dict[str, Any], **members: Any) -> Usage:
    found = metered(CHAT, whole(usage, **members)).usage
    assert found is not None
    return found


def test_a_whole_answer_tells_usage_model_and_tier() -> None:
    result = metered(CHAT, whole(COUNTS, model="gpt-4o-2024-08-06", service_tier="priority"))

    assert result.usage == Usage(input_tokens=10, output_tokens=5)
    assert (result.model_answered, result.service_tier, result.complete) == (
        "gpt-4o-2024-08-06",
        "priority",
        True,
    )


def test_a_stream_tells_the_same_in_its_last_chunk() -> None:
    result = metered(CHAT, sse(FIRST, WORD, STOP, LAST, "[DONE]"))

    assert result.usage == Usage(input_tokens=10, output_tokens=5)
    assert (result.model_answered, result.service_tier) == ("gpt-4o-2024-08-06", "default")
    assert result.complete
    assert result.anomalies == ()


def test_only_the_end_of_a_stream_waits() -> None:
    meter = a_meter(CHAT, streamed=True)
    chunks = sse(FIRST, WORD, STOP, LAST, "[DONE]")

    assert [meter.feed(chunk) for chunk in chunks] == [*chunks[:3], b"", chunks[3]]
    assert meter.end() == chunks[4]


def test_what_follows_the_end_waits_with_it() -> None:
    meter = a_meter(CHAT, streamed=True)

    passed = meter.feed(b"".join(sse(FIRST, "[DONE]", WORD)) + b": bye\n\n")

    assert passed == sse(FIRST)[0]
    assert meter.end() == b"".join(sse("[DONE]", WORD)) + b": bye\n\n"
    assert meter.result().complete


def test_the_usage_we_asked_for_is_not_shown_to_a_caller_who_had_not() -> None:
    meter = a_meter(CHAT, streamed=True, hide_usage=True)

    assert feed_all(meter, sse(FIRST, WORD, STOP, LAST, "[DONE]")) == b"".join(
        sse(FIRST, WORD, STOP, "[DONE]")
    )
    assert meter.result().usage == Usage(input_tokens=10, output_tokens=5)


def test_usage_inside_the_last_choice_is_shown_because_the_choice_is() -> None:
    final = {**STOP, "usage": COUNTS}  # Mistral, Moonshot
    meter = a_meter(CHAT, streamed=True, hide_usage=True)

    assert feed_all(meter, sse(FIRST, final, "[DONE]")) == b"".join(sse(FIRST, final, "[DONE]"))
    assert meter.result().usage == Usage(input_tokens=10, output_tokens=5)


def test_chunks_with_spaces_are_read_like_others() -> None:
    spaced = [
        b'data: {"model": "m", "choices": [{"delta": {"content": "a"}}], "usage": null}\n\n',
        b'data: {"choices": [ ], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}\n\n',
        b"data: [DONE]\n\n",
    ]

    assert metered(CHAT, [b"".join(spaced)]).usage == Usage(input_tokens=3, output_tokens=4)
    assert metered(CHAT, [spaced[0] + spaced[0] + spaced[2]]).complete


def test_a_stream_without_done_is_complete_once_its_final_usage_came() -> None:
    chunks = sse(FIRST, WORD, {**STOP, "usage": COUNTS})
    meter = a_meter(CHAT, streamed=True)

    assert b"".join(meter.feed(chunk) for chunk in chunks) == b"".join(chunks[:2])
    assert meter.end() == chunks[2]
    assert meter.result().complete


def test_a_stream_that_breaks_off_is_not_complete() -> None:
    assert not metered(CHAT, sse(FIRST, WORD)).complete
    assert not metered(CHAT, sse(FIRST, {**WORD, "usage": COUNTS})).complete
    assert metered(CHAT, sse(FIRST, WORD)).usage is None


def test_a_stream_without_usage_ends_complete_and_without_usage() -> None:
    result = metered(CHAT, sse(FIRST, WORD, STOP, "[DONE]"))

    assert result.complete
    assert result.usage is None


def test_the_last_of_growing_usages_counts() -> None:
    growing = [{**WORD, "usage": {"prompt_tokens": 10, "completion_tokens": count}} for count in (None, 1, 2)]

    result = metered(CHAT, sse(FIRST, *growing, "[DONE]"))

    assert result.usage == Usage(input_tokens=10, output_tokens=2)


def test_groq_reports_twice_and_is_counted_once() -> None:
    final = {**STOP, "usage": COUNTS, "x_groq": {"usage": COUNTS}}

    assert metered(CHAT, sse(FIRST, final, "[DONE]")).usage == Usage(input_tokens=10, output_tokens=5)


def test_groqs_older_streams_report_beside_usage_only() -> None:
    final = {"choices": STOP["choices"], "x_groq": {"id": "req", "usage": COUNTS}}

    assert metered(CHAT, sse(FIRST, final, "[DONE]")).usage == Usage(input_tokens=10, output_tokens=5)


def test_two_usages_that_contradict_each_other_are_marked() -> None:
    final = {**LAST, "x_groq": {"usage": {"prompt_tokens": 99, "completion_tokens": 99}}}

    result = metered(CHAT, sse(FIRST, final, "[DONE]"))

    assert result.usage == Usage(input_tokens=10, output_tokens=5)
    assert len(result.anomalies) == 1


def test_azure_opens_with_an_empty_chunk_that_names_no_model() -> None:
    opening = {"choices": [], "model": "", "prompt_filter_results": []}
    meter = a_meter(CHAT, streamed=True, hide_usage=True)

    assert feed_all(meter, sse(opening, FIRST, LAST, "[DONE]")) == b"".join(sse(opening, FIRST, "[DONE]"))
    assert meter.result().model_answered == "gpt-4o-2024-08-06"


def test_an_error_in_the_stream_is_told_and_waits_for_what_follows() -> None:
    error = {"error": {"code": 502, "message": "Token limit reached"}, "choices": [], "usage": COUNTS}
    meter = a_meter(CHAT, streamed=True, hide_usage=True)

    assert meter.feed(sse(FIRST)[0]) == sse(FIRST)[0]
    assert meter.feed(sse(error)[0]) == b""
    assert meter.end() == sse(error)[0]
    assert meter.result().error == "Token limit reached"
    assert meter.result().usage == Usage(input_tokens=10, output_tokens=5)


@pytest.mark.parametrize(
    "ending",
    [
        b'error: {"message": "overloaded"}\n\n',
        b'event: error\ndata: {"error": {"message": "overloaded"}}\n\n',
    ],
)
def test_an_error_may_also_be_an_event_or_a_line_of_its_own(ending: bytes) -> None:
    result = metered(CHAT, [*sse(FIRST, WORD), ending])

    assert result.error is not None
    assert "overloaded" in result.error
    assert not result.complete


def test_shares_are_read_and_zero_is_not_absent() -> None:
    usage = read_usage(
        {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "total_tokens": 150,
            "prompt_tokens_details": {
                "cached_tokens": 0, "audio_tokens": 30, "image_tokens": 0, "cache_write_tokens": 40
            },
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 12},
        }
    )  # fmt: skip

    assert usage == Usage(
        input_tokens=100, cached_read=0, cached_write_other=40, audio_in=30,
        output_tokens=50, reasoning=0, audio_out=12,
    )  # fmt: skip
    assert read_usage(COUNTS).cached_read is None


@pytest.mark.parametrize(
    "cached",
    [
        {"prompt_cache_hit_tokens": 8, "prompt_cache_miss_tokens": 2},
        {"cached_tokens": 8},
        {"num_cached_tokens": 8},
        {"cache_read_input_tokens": 8},
        {"prompt_token_details": {"cached_tokens": 8}},
    ],
)
def test_cached_input_has_many_names(cached: dict[str, Any]) -> None:
    assert read_usage(COUNTS | cached) == Usage(input_tokens=10, cached_read=8, output_tokens=5)


def test_reasoning_beside_the_output_is_added_where_the_total_tells() -> None:
    xai = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 37,
           "completion_tokens_details": {"reasoning_tokens": 25}}  # fmt: skip

    assert read_usage(xai) == Usage(input_tokens=10, output_tokens=27, reasoning=25)


def test_reasoning_inside_the_output_stays_inside() -> None:
    openai = {**COUNTS, "completion_tokens_details": {"reasoning_tokens": 4}}

    assert read_usage(openai) == Usage(input_tokens=10, output_tokens=5, reasoning=4)


def test_vercels_gateway_leaves_the_reasoning_of_gemini_models_out_of_every_count() -> None:
    vercel = {**COUNTS, "market_cost": 0.1, "completion_tokens_details": {"reasoning_tokens": 20}}

    assert read_usage(vercel, model="google/gemini-2.5-flash").output_tokens == 25
    assert read_usage(vercel, model="openai/gpt-5").output_tokens == 5


def test_what_gemini_thought_shows_in_the_total_only() -> None:
    result = metered(CHAT, whole({**COUNTS, "total_tokens": 40}, model="gemini-2.5-flash"))

    assert result.usage == Usage(input_tokens=10, output_tokens=30, reasoning=25)
    assert result.anomalies == ()


def test_mistral_shows_audio_in_the_total_only() -> None:
    usage = {**COUNTS, "total_tokens": 115, "prompt_audio_seconds": 8}

    assert read_usage(usage) == Usage(input_tokens=110, audio_in=100, output_tokens=5)


def test_cached_input_beside_the_prompt_is_added_where_the_total_tells() -> None:
    usage = {**COUNTS, "total_tokens": 75, "cache_read_input_tokens": 40, "cache_creation_input_tokens": 20}

    assert read_usage(usage) == Usage(input_tokens=70, cached_read=40, cached_write_other=20, output_tokens=5)


def test_perplexitys_research_is_billed_for_citations_reasoning_and_searches() -> None:
    usage = {**COUNTS, "citation_tokens": 1000, "reasoning_tokens": 300, "num_search_queries": 7}

    assert read_usage(usage) == Usage(
        input_tokens=1010, output_tokens=305, reasoning=300, requests={"web_search": 7}
    )


def test_searches_at_openrouter_are_counted() -> None:
    usage = {**COUNTS, "server_tool_use_details": {"web_search_requests": 2}}

    assert read_usage(usage).requests == {"web_search": 2}


SEVEN = {"prompt_tokens": 7, "completion_tokens": 8}


@pytest.mark.parametrize(
    ("usage", "booked"),
    [
        ({"prompt_tokens_details": {"cached_tokens": 161}}, {"cached_read": 7}),
        (
            {"prompt_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 5}},
            {"cached_read": 5, "cached_write_other": 2},
        ),
        ({"prompt_tokens_details": {"audio_tokens": 9}}, {"audio_in": 7}),
        ({"completion_tokens_details": {"reasoning_tokens": 9}}, {"reasoning": 9}),
        ({"prompt_tokens": -7}, {"input_tokens": None}),
        ({"prompt_tokens": "7"}, {"input_tokens": None}),
        ({"total_tokens": 3}, {}),
        ({"total_tokens": 20}, {"output_tokens": 13, "reasoning": 5}),
        ({"prompt_cache_hit_tokens": 1, "prompt_cache_miss_tokens": 1}, {"cached_read": 1}),
        ({"completion_tokens": True}, {"output_tokens": None}),
        ({"completion_tokens": 1e300}, {"output_tokens": None}),
    ],
)
def test_a_contradiction_is_booked_and_marked(usage: dict[str, Any], booked: dict[str, Any]) -> None:
    result = metered(CHAT, whole(SEVEN | usage))

    assert result.usage == Usage(**{"input_tokens": 7, "output_tokens": 8, **booked})
    assert len(result.anomalies) == 1


def test_a_float_that_is_whole_is_a_count() -> None:
    assert read_usage({"prompt_tokens": 7.0, "completion_tokens": 8.0}) == Usage(
        input_tokens=7, output_tokens=8
    )


def test_zero_for_everything_is_no_usage_where_there_is_text() -> None:
    zero = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    silent = {"model": "m", "choices": [{"message": {"content": ""}}], "usage": zero}

    spoken = metered(CHAT, whole(zero))
    assert spoken.usage is None
    assert spoken.anomalies
    assert metered(CHAT, sse(FIRST, WORD, {**LAST, "usage": zero}, "[DONE]")).usage is None
    assert metered(CHAT, silent).usage == Usage(input_tokens=0, output_tokens=0)


def test_an_error_answer_tells_its_words_and_has_no_usage() -> None:
    for error in ({"error": {"message": "too long", "type": "x"}}, {"error": "too long"}):
        result = metered(CHAT, error)
        assert (result.usage, result.error) == (None, "too long")


@pytest.mark.parametrize("body", [b"", b"<html>Bad gateway</html>", b"[1]", b"\xff\xfe", b'{"usage":'])
def test_an_answer_that_is_no_object_is_not_complete_and_passes(body: bytes) -> None:
    meter = a_meter(CHAT)

    assert meter.feed(body) == b""
    assert meter.end() == body
    assert not meter.result().complete


def test_text_is_kept_when_asked_for_and_only_then() -> None:
    call = {"choices": [{"delta": {"tool_calls": [{"function": {"name": "f", "arguments": '{"a":1}'}}]}}]}
    thought = {"choices": [{"delta": {"reasoning_content": "hmm "}}]}

    kept = metered(CHAT, sse(FIRST, thought, WORD, WORD, call), collect_text=True)

    assert kept.output_text == 'hmm HiHif{"a":1}'
    assert metered(CHAT, whole(COUNTS), collect_text=True).output_text == "Hi"
    assert metered(CHAT, sse(FIRST, WORD)).output_text == ""
