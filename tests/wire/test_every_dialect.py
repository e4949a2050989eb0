"""What holds for every dialect, whatever is sent and whatever comes back."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.domain.errors import BadRequest
from farthing.wire.meters import KEPT_BYTES_MAX
from tests.wire.streams import (
    CHAT,
    COMPLETIONS,
    EMBEDDINGS,
    GEMINI_EMBED,
    GENERATE,
    MESSAGES,
    RESPONSES,
    STREAM_GENERATE,
    a_meter,
    feed_all,
    metered,
    read,
)
from tests.wire.test_cutters import pieces, places

ALL = [CHAT, COMPLETIONS, RESPONSES, EMBEDDINGS, MESSAGES, GENERATE, STREAM_GENERATE, GEMINI_EMBED]
STREAMING = [CHAT, COMPLETIONS, RESPONSES, MESSAGES, STREAM_GENERATE]
CAPS = {
    CHAT: ("max_tokens", "max_completion_tokens"),
    COMPLETIONS: ("max_tokens",),
    RESPONSES: ("max_output_tokens",),
    MESSAGES: ("max_tokens",),
}

# Scraps of what providers send, and of what they do not.
SCRAPS = [
    b"data: ", b"event: error\n", b"\n\n", b"\r\n\r\n", b"\r", b"[DONE]", b'{"usage":', b"null", b"}", b"{",
    b"[", b"]", b'"', b"\\", b'{"usage":{"prompt_tokens":-1}}',
    b'{"usage":{"input_tokens":1e400}}', b'"error":1',
    b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4},"error":[]}\n\n', b"error: x\n\n",
    b'data: {"type":"message_start","message":{"usage":{"input_tokens":"x","iterations":[1,{"a":2}]}}}\n\n',
    b'data: {"type":"message_delta","usage":{"output_tokens":true,"cache_creation":7}}\n\n',
    b'data: {"type":"response.completed","response":{"output":[1],"usage":{"input_tokens":2}}}\n\n',
    b'data: {"candidates":[{"finishReason":"STOP","index":[]}],"usageMetadata":{"totalTokenCount":-3}}\n\n',
    b'data: {"candidates":7,"usageMetadata":{"promptTokenCount":1,"promptTokensDetails":[1]}}\n\n',
    b"data: " + b"[" * 5_000 + b"\n\n", b"\xff\xfe", b'data: {"a":"\xff"}\n\n',
    b'data: {"\xff":1,"usage":1}\n\n',
]  # fmt: skip
garbage = st.lists(st.sampled_from(SCRAPS) | st.binary(max_size=8), max_size=15)
kinds = st.sampled_from(["text/event-stream", "application/json"])


@given(path=st.sampled_from(ALL), scraps=garbage, kind=kinds, hides=st.booleans(), collects=st.booleans())
def test_no_bytes_make_a_meter_raise_or_lose_a_byte(
    path: str, scraps: list[bytes], kind: str, hides: bool, collects: bool
) -> None:
    streamed = path in STREAMING
    meter = a_meter(path, streamed=streamed, content_type=kind, hide_usage=hides, collect_text=collects)

    passed = feed_all(meter, scraps)
    result = meter.result()

    assert hides or passed == b"".join(scraps)
    if result.usage is not None:
        counts = [
            getattr(result.usage, name) for name in result.usage.__struct_fields__ if name != "requests"
        ]
        assert all(count is None or count >= 0 for count in counts)


@given(path=st.sampled_from(STREAMING), scraps=garbage, hides=st.booleans(), cuts=places)
def test_what_is_metered_does_not_depend_on_how_a_stream_is_chopped(
    path: str, scraps: list[bytes], hides: bool, cuts: list[int]
) -> None:
    stream = b"".join(scraps).replace(b"\r", b"")
    whole = a_meter(path, streamed=True, hide_usage=hides)
    chopped = a_meter(path, streamed=True, hide_usage=hides)

    assert feed_all(whole, [stream]) == feed_all(chopped, pieces(stream, cuts))
    assert whole.result() == chopped.result()


@given(
    body=st.binary(max_size=200)
    | st.dictionaries(st.text(max_size=8), st.integers()).map(json.dumps).map(str.encode)
)
def test_any_body_is_read_or_refused_as_a_bad_request(body: bytes) -> None:
    for path in ALL:
        try:
            request = read(path, body)
        except BadRequest:
            continue
        assert json.loads(request.render(model="m")) is not None


anything = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False)
    | st.text(max_size=3)
    | st.lists(st.dictionaries(st.sampled_from(["type", "content", "id"]), st.text(max_size=3)), max_size=2)
)
JUDGED = (
    "stream", "n", "max_tokens", "messages", "tools", "input", "thinking", "contents", "requests", "prompt",
    "generationConfig", "stream_options", "service_tier", "reasoning", "system",
)  # fmt: skip
members = st.fixed_dictionaries({}, optional=dict.fromkeys(JUDGED, anything))


@given(body=members)
def test_members_of_any_type_are_read_or_refused_as_a_bad_request(body: dict[str, Any]) -> None:
    for path in ALL:
        try:
            request = read(path, body)
        except BadRequest as refusal:
            assert str(refusal)
            continue
        assert (
            read(path, request.render(model=request.facts.model)).facts.unbounded == request.facts.unbounded
        )


caps = st.none() | st.integers(0, 100_000)


@given(
    path=st.sampled_from(list(CAPS)), own=st.lists(caps, min_size=2, max_size=2), cap=st.integers(0, 100_000)
)
def test_a_cap_is_never_raised_and_always_holds(path: str, own: list[int | None], cap: int) -> None:
    asked = {name: value for name, value in zip(CAPS[path], own, strict=False) if value is not None}
    request = read(path, asked)

    capped = read(path, request.render(model="m", output_cap=cap))
    left = read(path, request.render(model="m"))

    assert capped.facts.output_cap == min(cap, request.facts.output_cap if asked else cap)  # type: ignore[type-var]
    assert left.facts.output_cap == request.facts.output_cap
    rendered = json.loads(request.render(model="m", output_cap=cap))
    assert all(rendered[name] <= value for name, value in asked.items())


# No dialect judges a name that begins like this.
strangers = st.text(max_size=6).map(lambda name: f"x-{name}")


@given(extra=st.dictionaries(strangers, st.text(max_size=6) | st.integers() | st.none()))
def test_what_is_sent_reads_like_what_was_judged(extra: dict[str, Any]) -> None:
    for path in (CHAT, RESPONSES, MESSAGES, COMPLETIONS, EMBEDDINGS):
        request = read(path, {"stream": True, **extra})

        again = read(path, request.render(model=request.facts.model))

        assert (again.prompt, again.facts.model, again.facts.stream) == (
            request.prompt,
            request.facts.model,
            request.facts.stream,
        )
        assert list(again.members) == list(request.members)  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", STREAMING)
def test_an_event_too_large_to_keep_passes_unread_and_the_next_is_read(path: str) -> None:
    meter = a_meter(path, streamed=True)
    huge = b"data: " + b"a" * (KEPT_BYTES_MAX + 1)
    failed = b'event: error\ndata: {"type":"error","error":{"message":"too late"}}\n\n'

    assert meter.feed(huge) == huge
    assert meter.feed(b" and its tail\n\n") == b" and its tail\n\n"
    assert meter.feed(failed) == b""
    assert meter.end() == failed
    assert meter.result().error == "too late"


@pytest.mark.parametrize("path", ALL)
def test_an_answer_without_a_byte_is_not_complete(path: str) -> None:
    meter = a_meter(path)

    assert meter.end() == b""
    assert not meter.result().complete


@pytest.mark.parametrize("path", ALL)
def test_a_whole_answer_goes_at_the_end_only(path: str) -> None:
    meter = a_meter(path)

    assert [meter.feed(b'{"a"'), meter.feed(b":1}"), meter.end()] == [b"", b"", b'{"a":1}']
    assert metered(path, {"a": 1}).complete
