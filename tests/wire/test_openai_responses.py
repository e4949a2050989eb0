"""Responses: what they ask for, and what their last event tells."""

from typing import Any

import pytest

from farthing.domain.errors import BadRequest
from farthing.domain.usage import Usage
from farthing.wire.openai_parts import IMAGE_TOKENS_MOST
from tests.wire.streams import RESPONSES, a_meter, facts, metered, read, sent, sse

COUNTS = {
    "input_tokens": 10, "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 3}, "total_tokens": 15,
}  # fmt: skip
USAGE = Usage(input_tokens=10, cached_read=4, output_tokens=5, reasoning=3)


def response(**members: Any) -> dict[str, Any]:
    return {"object": "response", "model": "gpt-5-2025-08-07", "usage": None, "error": None, **members}


def event(kind: str, **members: Any) -> tuple[str, dict[str, Any]]:
    return kind, {"type": kind, **members}


def user(part: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [part]}]


CREATED = event("response.created", response=response(service_tier="auto"))
WORD = event("response.output_text.delta", delta="Hi", obfuscation="x")


def test_background_is_refused_by_name() -> None:
    with pytest.raises(BadRequest) as caught:
        read(RESPONSES, {"background": True})

    assert caught.value.param == "background"
    assert "background" in str(caught.value)
    assert facts(RESPONSES, background=False).generates


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": {"id": "conv_1"}}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt_id"),
        ({"context_management": [{"type": "compaction"}]}, "compaction"),
        ({"tools": [{"type": "web_search_preview"}]}, "web_search_preview"),
        ({"tools": [{"type": "file_search"}]}, "file_search"),
        ({"tools": [{"type": "code_interpreter"}]}, "code_interpreter"),
        ({"tools": [{"type": "computer_use_preview"}]}, "computer_use_preview"),
        ({"tools": [{"type": "mcp"}]}, "mcp"),
        ({"tools": [{"type": "image_generation"}]}, "image_generation"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "item_reference"),
        ({"input": [{"id": "msg_1"}]}, "item_reference"),
        ({"input": user({"type": "input_image", "file_id": "f"})}, "file_id"),
        ({"input": user({"type": "input_image", "image_url": "https:"})}, "image_url"),
        ({"input": user({"type": "input_file", "file_url": "https:"})}, "file_url"),
        ({"input": user({"type": "input_file", "file_data": "JV"})}, "file_data"),
        ({"input": [{"type": "file_search_call", "id": "fs_1"}]}, "file_search_call"),
        ({"input": [{"type": "function_call_output", "output": [{"type": "input_image", "file_id": "f"}]}]},
         "file_id"),
    ],
)  # fmt: skip
def test_what_is_billed_but_not_in_the_body_makes_the_input_unbounded(
    asked: dict[str, Any], reason: str
) -> None:
    assert facts(RESPONSES, **asked).unbounded == (reason,)


def test_a_conversation_that_is_sent_whole_is_in_the_body() -> None:
    asked = facts(
        RESPONSES,
        input=[
            {"role": "user", "content": "hi"},
            {"type": "message", "id": "msg_1", "role": "assistant",
             "content": [{"type": "output_text", "text": "a"}]},
            {"type": "function_call", "id": "fc_1", "call_id": "c", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "42"},
            {"type": "reasoning", "id": "rs_1", "encrypted_content": "abc"},
        ],
        tools=[{"type": "function", "name": "f"}, {"type": "custom", "name": "g"}],
    )  # fmt: skip

    assert (asked.unbounded, asked.tools) == ((), 2)


def test_pictures_in_the_body_add_what_they_cost_at_most() -> None:
    picture = {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo="}

    assert facts(RESPONSES, input=[{"role": "user", "content": [picture]}]).media_tokens == IMAGE_TOKENS_MOST


def test_a_cap_is_lowered_or_inserted() -> None:
    assert sent(read(RESPONSES, {"max_output_tokens": 50}), output_cap=20)["max_output_tokens"] == 20
    assert sent(read(RESPONSES, {}), output_cap=20, ask_usage=True) == {
        "model": "gpt-4o",
        "max_output_tokens": 20,
    }


def test_compaction_takes_no_cap_and_says_so() -> None:
    request = read("/v1/responses/compact", {"input": "a"})

    assert request.facts.generates
    assert not request.facts.cappable
    assert "max_output_tokens" not in sent(request, output_cap=20)


def test_counting_is_free_and_what_it_counts_is_no_usage() -> None:
    path = "/v1/responses/input_tokens"

    assert facts(path, input="a").free
    assert not facts(path, input="a").generates
    assert metered(path, {"object": "response.input_tokens", "input_tokens": 11}).usage is None


def test_a_whole_answer_tells_usage_model_and_tier() -> None:
    result = metered(RESPONSES, response(usage=COUNTS, service_tier="default"))

    assert (result.usage, result.model_answered, result.service_tier) == (
        USAGE,
        "gpt-5-2025-08-07",
        "default",
    )
    assert result.complete


@pytest.mark.parametrize("last", ["response.completed", "response.incomplete", "response.failed"])
def test_the_last_event_tells_all_and_waits(last: str) -> None:
    meter = a_meter(RESPONSES, streamed=True)
    chunks = sse(CREATED, WORD, event(last, response=response(usage=COUNTS, service_tier="priority")))

    assert [meter.feed(chunk) for chunk in chunks] == [*chunks[:2], b""]
    assert meter.end() == chunks[2]
    result = meter.result()
    assert (result.usage, result.service_tier, result.complete) == (USAGE, "priority", True)


def test_a_stream_that_breaks_off_is_not_complete_but_names_its_model() -> None:
    result = metered(RESPONSES, sse(CREATED, WORD))

    assert (result.complete, result.usage, result.model_answered) == (False, None, "gpt-5-2025-08-07")


def test_an_error_event_is_told_before_the_response_fails() -> None:
    error = event("error", error={"code": "insufficient_quota", "message": "You exceeded your quota"})
    failed = event("response.failed", response=response(error={"message": "You exceeded your quota"}))

    result = metered(RESPONSES, sse(CREATED, error, failed))

    assert (result.error, result.complete, result.usage) == ("You exceeded your quota", True, None)


def test_what_hosted_tools_did_is_counted_by_kind() -> None:
    def search(action: str) -> dict[str, Any]:
        return {"type": "web_search_call", "action": {"type": action}}

    output = [
        search("search"), search("search"), search("open_page"), search("find_in_page"),
        {"type": "web_search_call"}, {"type": "file_search_call"}, {"type": "code_interpreter_call"},
        {"type": "image_generation_call"}, {"type": "message"},
    ]  # fmt: skip

    usage = metered(RESPONSES, response(usage=COUNTS, output=output)).usage

    assert usage is not None
    assert usage.requests == {
        "web_search": 3, "web_search_open_page": 1, "web_search_find": 1,
        "file_search": 1, "code_interpreter": 1, "image_generation": 1,
    }  # fmt: skip


def test_text_is_kept_when_asked_for() -> None:
    assert metered(RESPONSES, sse(CREATED, WORD, WORD), collect_text=True).output_text == "HiHi"
    said = [{"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}]
    assert metered(RESPONSES, response(output=said), collect_text=True).output_text == "Hi"
