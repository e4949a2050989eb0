"""What a request may cost besides its tokens, and whether it holds anything but text."""

from typing import Any

import pytest

from farthing.wire.hidden_input import USES_UNBOUNDED
from tests.wire.streams import CHAT, GENERATE, MESSAGES, RESPONSES, facts, read, sent

SAYS = [{"role": "user", "content": "hi"}]
PICTURE = [
    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]}
]
SPOKEN = [{"role": "user", "parts": [{"inlineData": {"mimeType": "audio/wav", "data": "AA"}}]}]


@pytest.mark.parametrize(
    ("path", "members", "fees"),
    [
        (MESSAGES, {"tools": [{"type": "web_search_20260209", "max_uses": 3}]}, {"web_search": 3}),
        (MESSAGES, {"tools": [{"type": "web_search_20250305"}]}, {"web_search": USES_UNBOUNDED}),
        (
            MESSAGES,
            {"tools": [{"type": "web_search_20250305", "max_uses": -1}]},
            {"web_search": USES_UNBOUNDED},
        ),
        (MESSAGES, {"tools": [{"type": "custom", "name": "look"}]}, {}),
        (RESPONSES, {"tools": [{"type": "web_search"}], "max_tool_calls": 2}, {"web_search": 2}),
        (RESPONSES, {"tools": [{"type": "web_search_preview_2025_03_11"}]}, {"web_search": USES_UNBOUNDED}),
        (RESPONSES, {"tools": [{"type": "file_search"}], "max_tool_calls": 4}, {"file_search": 4}),
        (RESPONSES, {"tools": [{"type": "function", "name": "look"}]}, {}),
        (CHAT, {"web_search_options": {}}, {"web_search": USES_UNBOUNDED}),
        (CHAT, {}, {}),
        (GENERATE, {"tools": [{"googleSearch": {}}]}, {"web_search_queries": USES_UNBOUNDED}),
        (GENERATE, {"tools": [{"functionDeclarations": []}]}, {}),
    ],
)
def test_tools_that_are_billed_apiece_are_counted_at_most(
    path: str, members: dict[str, Any], fees: dict[str, int]
) -> None:
    assert dict(facts(path, **members).fees) == fees


@pytest.mark.parametrize(
    ("path", "members", "media"),
    [
        (CHAT, {"messages": SAYS}, False),
        (CHAT, {"messages": PICTURE}, True),
        (RESPONSES, {"input": "hi"}, False),
        (RESPONSES, {"input": [{"type": "item_reference", "id": "it_1"}]}, True),
        (GENERATE, {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}, False),
        (GENERATE, {"contents": SPOKEN}, True),
        (GENERATE, b'{"contents": [{"parts": [{"inline\\u0044ata": {"mimeType": "audio/wav"}}]}]}', True),
    ],
)
def test_only_a_request_of_nothing_but_text_holds_no_media(
    path: str, members: dict[str, Any] | bytes, media: bool
) -> None:
    assert read(path, members).facts.media is media


def test_a_cache_of_google_named_beside_the_messages_is_input_that_no_body_bounds() -> None:
    cache = {"google": {"cached_content": "cachedContents/1"}}

    assert facts(CHAT, messages=SAYS, extra_body=cache).unbounded == ("cached_content",)


def test_of_two_configs_the_one_without_a_cap_counts_and_both_are_capped() -> None:
    request = read(GENERATE, {"generationConfig": {"maxOutputTokens": 1}, "generation_config": {"topK": 3}})

    assert request.facts.output_cap is None
    assert sent(request, output_cap=9) == {
        "generationConfig": {"maxOutputTokens": 1},
        "generation_config": {"topK": 3, "maxOutputTokens": 9},
    }
