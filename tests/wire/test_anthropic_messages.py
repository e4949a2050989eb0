"""Anthropic's messages: cache beside the input, counts that grow, passes of other models."""

from typing import Any

import pytest

from farthing.domain.errors import BadRequest
from farthing.domain.usage import Usage
from farthing.wire.anthropic_messages import IMAGE_TOKENS_MOST
from tests.wire.streams import MESSAGES, a_meter, facts, metered, read, sent, sse

START = {
    "input_tokens": 10,
    "cache_read_input_tokens": 0,
    "cache_creation_input_tokens": 0,
    "output_tokens": 1,
}


def message(usage: dict[str, Any], **members: Any) -> dict[str, Any]:
    said = [{"type": "text", "text": "Hi"}]
    return {"type": "message", "model": "claude-haiku-4-5", "content": said, "usage": usage, **members}


def event(kind: str, **members: Any) -> tuple[str, dict[str, Any]]:
    return kind, {"type": kind, **members}


def stream(start: dict[str, Any], delta: dict[str, Any]) -> list[bytes]:
    return sse(
        event("message_start", message=message(start)),
        event("content_block_delta", delta={"type": "text_delta", "text": "Hi"}),
        event("message_delta", delta={"stop_reason": "end_turn"}, usage=delta),
        event("message_stop"),
    )


def usage_of(usage: dict[str, Any], **options: Any) -> Usage:
    found = metered(MESSAGES, message(usage), **options).usage
    assert found is not None
    return found


def user(*blocks: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(blocks)}]


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"tools": [{"type": "web_search_20250305"}]}, "web_search"),
        ({"tools": [{"type": "web_fetch_20250910"}]}, "web_fetch"),
        ({"tools": [{"type": "code_execution_20250825"}]}, "code_execution"),
        ({"tools": [{"type": "advisor_20260301", "model": "claude-opus-4-8"}]}, "advisor"),
        ({"mcp_servers": [{"type": "url"}]}, "mcp"),
        ({"container": "container_1"}, "container"),
        ({"context_management": {"edits": [{"type": "compact_20260112"}]}}, "compaction"),
        ({"messages": user({"type": "image", "source": {"type": "url", "url": "https:"}})}, "image_url"),
        ({"messages": user({"type": "image", "source": {"type": "file", "file_id": "f"}})}, "image_file"),
        ({"messages": user({"type": "document", "source": {"type": "url"}})}, "document_url"),
        ({"messages": user({"type": "document", "source": {"type": "base64", "data": "JV"}})}, "document"),
        ({"messages": user({"type": "container_upload", "file_id": "f"})}, "file_id"),
        ({"messages": user({"type": "tool_result", "content": [
            {"type": "image", "source": {"type": "url"}}]})}, "image_url"),
    ],
)  # fmt: skip
def test_what_is_billed_but_not_in_the_body_makes_the_input_unbounded(
    asked: dict[str, Any], reason: str
) -> None:
    assert facts(MESSAGES, **asked).unbounded == (reason,)


def test_text_own_tools_and_their_results_are_in_the_body() -> None:
    asked = facts(
        MESSAGES,
        system=[{"type": "text", "text": "Be brief"}],
        messages=[
            *user({"type": "text", "text": "a"}, {"type": "tool_result", "content": "42"}),
            *user({"type": "document", "source": {"type": "text", "data": "words"}}),
            *user({"type": "tool_use", "input": {"type": "image", "source": {"type": "url"}}}),
        ],
        tools=[{"name": "f"}, {"type": "custom", "name": "g"}, {"type": "bash_20250124", "name": "bash"}],
    )

    assert (asked.unbounded, asked.tools, asked.media_tokens) == ((), 3, 0)


def test_pictures_in_the_body_add_what_they_cost_at_most() -> None:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}}

    assert facts(MESSAGES, messages=user(picture)).media_tokens == IMAGE_TOKENS_MOST


def test_the_thinking_budget_the_tier_and_fast_mode_are_read() -> None:
    assert facts(MESSAGES, thinking={"type": "enabled", "budget_tokens": 2048}).thinking_tokens == 2048
    assert facts(MESSAGES, thinking={"type": "adaptive"}).thinking_tokens is None
    assert facts(MESSAGES, service_tier="standard_only").service_tier == "standard_only"
    assert facts(MESSAGES, speed="fast").service_tier == "fast"
    with pytest.raises(BadRequest):
        facts(MESSAGES, thinking="yes")


@pytest.mark.parametrize("place", ["messages", "system", "tools"])
def test_a_cache_mark_is_seen_wherever_it_stands(place: str) -> None:
    def marked(control: dict[str, str]) -> dict[str, Any]:
        block = {"type": "text", "text": "long", "cache_control": control}
        return {place: user(block) if place == "messages" else [block | {"type": "custom"}]}

    assert facts(MESSAGES, **marked({"type": "ephemeral"})).cache_write_ttl == "5m"
    assert facts(MESSAGES, **marked({"type": "ephemeral", "ttl": "1h"})).cache_write_ttl == "1h"
    assert facts(MESSAGES, messages=user({"type": "text", "text": "1h"})).cache_write_ttl is None


def test_a_cache_mark_on_the_whole_request_is_seen() -> None:
    assert facts(MESSAGES, cache_control={"type": "ephemeral"}).cache_write_ttl == "5m"


def test_a_cap_is_lowered_or_inserted_and_never_when_only_counting() -> None:
    assert sent(read(MESSAGES, {"max_tokens": 4096}), output_cap=300)["max_tokens"] == 300
    assert sent(read(MESSAGES, {}), output_cap=300)["max_tokens"] == 300
    counting = read("/v1/messages/count_tokens", {"messages": []})
    assert "max_tokens" not in sent(counting, output_cap=300)


def test_counting_is_free_and_what_it_counts_is_no_usage() -> None:
    path = "/v1/messages/count_tokens"

    assert facts(path).free
    assert facts(path).dialect == "anthropic.count_tokens"
    assert metered(path, {"input_tokens": 14}).usage is None


def test_cache_reads_and_writes_are_added_to_the_input() -> None:
    usage = usage_of(
        {
            "input_tokens": 10, "cache_read_input_tokens": 700, "cache_creation_input_tokens": 300,
            "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
            "output_tokens": 5, "output_tokens_details": {"thinking_tokens": 2},
        }
    )  # fmt: skip

    assert usage == Usage(
        input_tokens=1010, cached_read=700, cached_write_5m=100, cached_write_1h=200,
        output_tokens=5, reasoning=2,
    )  # fmt: skip


def test_writes_without_a_life_time_are_taken_as_asked_for() -> None:
    older = {"input_tokens": 10, "cache_creation_input_tokens": 300, "output_tokens": 5}
    one_hour = {
        "system": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    }

    assert usage_of(older) == Usage(input_tokens=310, cached_write_5m=300, output_tokens=5)
    assert usage_of(older, asked=one_hour) == Usage(input_tokens=310, cached_write_1h=300, output_tokens=5)


def test_counts_at_the_end_of_a_stream_replace_those_at_its_start() -> None:
    result = metered(MESSAGES, stream({**START, "service_tier": "standard"}, {"output_tokens": 50}))

    assert result.usage == Usage(input_tokens=10, cached_read=0, output_tokens=50)
    assert (result.model_answered, result.service_tier, result.complete) == (
        "claude-haiku-4-5",
        "standard",
        True,
    )


def test_server_tools_make_the_input_grow_during_the_stream() -> None:
    grown = {
        "input_tokens": 9447, "cache_creation_input_tokens": 20, "output_tokens": 50,
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
    }  # fmt: skip
    start = {**START, "cache_creation_input_tokens": 5, "cache_creation": {"ephemeral_5m_input_tokens": 5}}

    assert metered(MESSAGES, stream(start, grown)).usage == Usage(
        input_tokens=9467, cached_read=0, cached_write_5m=20, output_tokens=50, requests={"web_search": 2}
    )


def test_passes_that_compact_are_added_and_passes_of_an_adviser_stand_apart() -> None:
    usage = {
        "input_tokens": 229, "output_tokens": 5,
        "iterations": [
            {"type": "compaction", "input_tokens": 100, "cache_creation_input_tokens": 50,
             "output_tokens": 131},
            {"type": "message", "input_tokens": 229, "output_tokens": 5},
            {"type": "advisor_message", "model": "claude-opus-4-8",
             "input_tokens": 2518, "output_tokens": 22},
        ],
    }  # fmt: skip

    result = metered(MESSAGES, message(usage))

    assert result.usage == Usage(input_tokens=379, cached_write_5m=50, output_tokens=136)
    assert result.by_model == (("claude-opus-4-8", Usage(input_tokens=2518, output_tokens=22)),)


def test_passes_that_are_less_than_the_whole_are_marked_and_the_whole_counts() -> None:
    usage = {"input_tokens": 229, "output_tokens": 5, "iterations": [{"input_tokens": 1, "output_tokens": 1}]}

    result = metered(MESSAGES, message(usage))

    assert result.usage == Usage(input_tokens=229, output_tokens=5)
    assert result.anomalies


def test_a_split_that_does_not_add_up_is_marked() -> None:
    usage = {
        "input_tokens": 1, "cache_creation_input_tokens": 10, "output_tokens": 1,
        "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 0},
    }  # fmt: skip

    result = metered(MESSAGES, message(usage))

    assert result.usage == Usage(input_tokens=11, cached_write_5m=10, cached_write_1h=0, output_tokens=1)
    assert result.anomalies


def test_fast_mode_is_told_as_a_tier() -> None:
    assert (
        metered(MESSAGES, message({**START, "service_tier": "standard", "speed": "fast"})).service_tier
        == "fast"
    )


def test_only_the_stop_waits() -> None:
    meter = a_meter(MESSAGES, streamed=True)
    chunks = stream(START, {"output_tokens": 5})

    assert [meter.feed(chunk) for chunk in chunks] == [*chunks[:3], b""]
    assert meter.end() == chunks[3]


def test_an_error_event_ends_the_stream_without_completing_it() -> None:
    error = event("error", error={"type": "overloaded_error", "message": "Overloaded"})
    meter = a_meter(MESSAGES, streamed=True)

    passed = meter.feed(b"".join([stream(START, {})[0], *sse(error)]))

    assert passed == stream(START, {})[0]
    assert meter.end() == sse(error)[0]
    assert (meter.result().error, meter.result().complete) == ("Overloaded", False)


def test_text_is_kept_when_asked_for() -> None:
    assert metered(MESSAGES, stream(START, {}), collect_text=True).output_text == "Hi"
    assert metered(MESSAGES, message(START), collect_text=True).output_text == "Hi"
