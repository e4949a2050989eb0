"""What a chat request asks for, and how its output is capped."""

from typing import Any

import pytest

from farthing.domain.errors import BadRequest
from farthing.wire.openai_parts import IMAGE_TOKENS_MOST
from tests.wire.streams import CHAT, facts, read, sent

PICTURE = "data:image/png;base64,iVBORw0KGgo="


def says(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(parts)}]


def test_the_largest_of_all_caps_counts() -> None:
    assert facts(CHAT, max_tokens=100, max_completion_tokens=200).output_cap == 200
    assert facts(CHAT, max_tokens=300, max_completion_tokens=200).output_cap == 300
    assert facts(CHAT, max_tokens=None).output_cap is None
    assert facts(CHAT).output_cap is None


def test_the_stream_flag_the_choices_the_tier_and_the_tools_are_read() -> None:
    asked = facts(
        CHAT,
        stream=True,
        n=3,
        service_tier="flex",
        tools=[{"type": "function", "function": {"name": "f"}}, {"type": "custom", "custom": {}}],
        functions=[{"name": "old"}],
        stream_options={"include_usage": True},
    )

    assert (asked.stream, asked.choices, asked.service_tier, asked.tools) == (True, 3, "flex", 3)
    assert asked.wants_usage
    assert asked.unbounded == ()
    assert asked.generates


@pytest.mark.parametrize("options", [[], "yes", 1])
def test_stream_options_that_are_no_object_are_refused(options: object) -> None:
    with pytest.raises(BadRequest) as caught:
        facts(CHAT, stream=True, stream_options=options)

    assert caught.value.param == "stream_options"


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"web_search_options": {}}, "web_search"),
        ({"search_parameters": {"mode": "on"}}, "web_search"),
        ({"plugins": [{"id": "web"}]}, "web_search"),
        ({"model": "openai/gpt-4o:online"}, "web_search"),
        ({"tools": [{"type": "openrouter:web_search"}]}, "openrouter:web_search"),
        ({"tools": [{"type": "mcp", "server_url": "https://example.com"}]}, "mcp"),
        ({"messages": says({"type": "image_url", "image_url": {"url": "https://e.com/a.png"}})}, "image_url"),
        ({"messages": says({"type": "image_url", "image_url": "http://e.com/a.png"})}, "image_url"),
        ({"messages": says({"type": "file", "file": {"file_id": "file-1"}})}, "file_id"),
        ({"messages": says({"type": "file", "file": {"file_data": "JVBERi0="}})}, "file_data"),
        ({"messages": says({"type": "input_audio", "input_audio": {"url": "https://e.com"}})}, "input_audio"),
        ({"messages": says({"type": "video_url", "video_url": {"url": PICTURE}})}, "video_url"),
        ({"messages": [{"role": "assistant", "audio": {"id": "audio_1"}}]}, "audio_id"),
    ],
)  # fmt: skip
def test_what_is_billed_but_not_in_the_body_makes_the_input_unbounded(
    asked: dict[str, Any], reason: str
) -> None:
    assert facts(CHAT, **asked).unbounded == (reason,)


def test_text_speech_and_results_of_tools_are_in_the_body() -> None:
    asked = facts(
        CHAT,
        messages=[
            *says({"type": "text", "text": 'a "type":"video_url" in words'}),
            *says({"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}),
            {"role": "assistant", "content": None, "tool_calls": [{"type": "function", "function": {}}]},
            {"role": "tool", "content": "42"},
        ],
    )

    assert asked.unbounded == ()
    assert asked.media_tokens == 0


def test_pictures_in_the_body_add_what_they_cost_at_most() -> None:
    picture = {"type": "image_url", "image_url": {"url": PICTURE}}

    assert facts(CHAT, messages=says(picture, picture)).media_tokens == 2 * IMAGE_TOKENS_MOST


def test_a_picture_whose_type_is_written_with_escapes_is_seen() -> None:
    body = (
        b'{"model":"m","messages":[{"role":"user","content":'
        b'[{"type":"im\\u0061ge_url","image_url":{"url":"https://e.com"}}]}]}'
    )

    assert read(CHAT, body).facts.unbounded == ("image_url",)


@pytest.mark.parametrize(
    ("members", "tokens"),
    [
        ({"reasoning": {"max_tokens": 2000}}, 2000),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, 1024),
        ({"reasoning": {"effort": "high"}}, None),
        ({"thinking": True}, None),
    ],
)
def test_a_thinking_budget_given_by_number_is_read(members: dict[str, Any], tokens: int | None) -> None:
    assert facts(CHAT, **members).thinking_tokens == tokens


def test_the_longest_cache_life_asked_for_is_read() -> None:
    def marked(**control: str) -> list[dict[str, Any]]:
        return says({"type": "text", "text": "long", "cache_control": {"type": "ephemeral", **control}})

    assert facts(CHAT, messages=marked()).cache_write_ttl == "5m"
    assert facts(CHAT, messages=marked(ttl="1h")).cache_write_ttl == "1h"
    assert facts(CHAT, messages=says({"type": "text", "text": "short"})).cache_write_ttl is None


def test_a_cap_lowers_every_alias_that_the_caller_sent() -> None:
    request = read(CHAT, {"max_tokens": 5000, "max_completion_tokens": 100})

    capped = sent(request, output_cap=1000)

    assert capped["max_tokens"] == 1000
    assert capped["max_completion_tokens"] == 100


def test_a_cap_is_inserted_where_the_caller_sent_none() -> None:
    assert sent(read(CHAT, {"max_tokens": None}), output_cap=9)["max_completion_tokens"] == 9
    request = read(CHAT, {"messages": []})
    assert request.render(model="m", output_cap=9) == b'{"model":"m","messages":[],"max_completion_tokens":9}'


def test_the_alias_to_insert_may_be_chosen_for_the_target() -> None:
    assert sent(read(CHAT, {}), output_cap=9, cap_field="max_tokens") == {"model": "gpt-4o", "max_tokens": 9}


def test_usage_is_asked_for_in_streams_and_other_stream_options_stay() -> None:
    request = read(CHAT, {"stream": True, "stream_options": {"include_obfuscation": False}})

    assert sent(request, ask_usage=True)["stream_options"] == {
        "include_obfuscation": False,
        "include_usage": True,
    }
    assert "stream_options" not in sent(read(CHAT, {}), ask_usage=True)
