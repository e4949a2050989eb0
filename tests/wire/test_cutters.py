"""Cutting streams: events end where the standard says, elements where the array does."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.wire.json_array import ElementCutter
from farthing.wire.sse import Event, EventCutter, read_event

LINE_ENDS = [b"\n", b"\r\n", b"\r"]


@pytest.mark.parametrize("end", LINE_ENDS)
def test_an_event_is_read_with_any_line_end(end: bytes) -> None:
    block = end.join([b": a comment", b"event: word", b"id: 7", b"data: one", b"data:two", b"data", b"", b""])

    assert read_event(block) == Event(b"word", b"one\ntwo\n")


@pytest.mark.parametrize(
    ("block", "event"),
    [
        (b"data: a\n\n", Event(b"", b"a")),
        (b"data:  a\n\n", Event(b"", b" a")),
        (b"\xef\xbb\xbfdata: a\n\n", Event(b"", b"a")),
        (b": OPENROUTER PROCESSING\n\n", Event(b"", b"")),
        (b"\n", Event(b"", b"")),
        (b"", Event(b"", b"")),
        (b"datax: a\n\n", Event(b"", b"")),
        (b"error: {}\n\n", Event(b"error", b"{}")),
    ],
)
def test_small_events_are_read(block: bytes, event: Event) -> None:
    assert read_event(block) == event


@pytest.mark.parametrize("end", LINE_ENDS)
def test_blocks_end_after_their_blank_line(end: bytes) -> None:
    one, two = b"data: 1" + end + end, b"event: x" + end + b"data: 2" + end + end
    cutter = EventCutter()

    blocks = cutter.cut(one + two + b"data: 3")

    assert blocks == [one, two]
    assert cutter.take_rest() == b"data: 3"
    assert cutter.take_rest() == b""


def test_half_a_line_end_is_not_a_blank_line() -> None:
    cutter = EventCutter()

    assert cutter.cut(b"data: 1\r\n") == []
    assert cutter.cut(b"data: 2\r\n\r") == []
    assert cutter.cut(b"\n") == [b"data: 1\r\ndata: 2\r\n\r\n"]


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted(cut % (len(data) + 1) for cut in cuts)
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


places = st.lists(st.integers(0, 10_000), max_size=20)


@given(
    lines=st.lists(st.sampled_from([b"data: a", b"data: b", b"event: e", b": c", b""]), max_size=30),
    end=st.sampled_from([b"\n", b"\r\n"]),
    cuts=places,
)
def test_events_do_not_depend_on_how_a_stream_is_chopped(
    lines: list[bytes], end: bytes, cuts: list[int]
) -> None:
    stream = end.join(lines)
    whole, chopped = EventCutter(), EventCutter()

    expected = whole.cut(stream)
    found = [block for piece in pieces(stream, cuts) for block in chopped.cut(piece)]

    assert (found, chopped.take_rest()) == (expected, whole.take_rest())


@given(
    stream=st.lists(st.sampled_from([b"\r", b"\n", b"data: a", b"\xff"]), max_size=40).map(b"".join),
    cuts=places,
)
def test_no_byte_is_lost_or_changed_whatever_the_line_ends(stream: bytes, cuts: list[int]) -> None:
    cutter = EventCutter()

    blocks = [block for piece in pieces(stream, cuts) for block in cutter.cut(piece)]

    assert b"".join(blocks) + cutter.take_rest() == stream


values = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.sampled_from(['"', "\\", "]}", "[{", '\\"']),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(
    elements=st.lists(st.dictionaries(st.text(max_size=5), values, max_size=3), max_size=4),
    indent=st.sampled_from([None, 2]),
    ascii_only=st.booleans(),
    cuts=places,
)
def test_elements_of_an_array_are_found_however_it_is_chopped(
    elements: list[dict[str, object]], indent: int | None, ascii_only: bool, cuts: list[int]
) -> None:
    stream = json.dumps(elements, indent=indent, ensure_ascii=ascii_only).encode()
    cutter = ElementCutter()

    blocks = [block for piece in pieces(stream, cuts) for block in cutter.cut(piece)]
    events = [cutter.read(block) for block in blocks]

    assert b"".join(blocks) == stream
    assert [json.loads(event.data) for event in events[:-1]] == elements
    assert events[-1].data == b""


@given(stream=st.lists(st.sampled_from(list('[]{},"\\a \n')), max_size=60).map("".join), cuts=places)
def test_no_byte_of_a_broken_array_is_lost_and_chopping_changes_nothing(stream: str, cuts: list[int]) -> None:
    data = stream.encode()
    whole, chopped = ElementCutter(), ElementCutter()

    expected = whole.cut(data)
    found = [block for piece in pieces(data, cuts) for block in chopped.cut(piece)]

    assert found == expected
    assert b"".join(found) + chopped.take_rest() == data
