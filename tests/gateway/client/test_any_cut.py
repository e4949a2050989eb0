"""However the network cuts the bytes of an answer, the same answer comes out."""

import asyncio
import socket
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farthing.gateway.http_connection import BUFFERED_BYTES_MAX, Connection, HttpAnswer
from farthing.gateway.upstream import Lost, TimedOut


class WireTransport(asyncio.Transport):
    """A transport without a socket that remembers what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closing = False
        self.reading = True

    def writelines(self, list_of_data: object) -> None:
        assert isinstance(list_of_data, tuple)
        self.written += b"".join(list_of_data)

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.closing

    def abort(self) -> None:
        self.closing = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Shelf:
    """A pool that only counts."""

    def __init__(self) -> None:
        self.kept = 0

    def put_back(self, connection: Connection) -> None:
        self.kept += 1

    def forget(self, connection: Connection) -> None:
        pass


class Outcome(NamedTuple):
    """What a caller saw; kept is whether the connection may be used again."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    failure: str
    kept: bool


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


async def listen(pieces: list[bytes], *, closes: bool) -> Outcome:
    """Ask, and let an answer arrive in pieces, as fast as it is taken."""
    shelf, transport = Shelf(), WireTransport()
    with socket.socket() as unused:
        connection = Connection(shelf, unused, silence_seconds=60)
        connection.connection_made(transport)
        asking = asyncio.ensure_future(connection.ask(b"POST / HTTP/1.1\r\n\r\n", b"{}"))
        reading: asyncio.Task[bytes] | None = None
        heard = bytearray()
        status, headers, failure = 0, [], ""

        async def read() -> None:
            nonlocal status, headers, failure
            try:
                answer = HttpAnswer(connection, await asking)
                status, headers = answer.status, answer.headers
                async for piece in answer.chunks():
                    heard.extend(piece)
            except (Lost, TimedOut) as error:
                failure = type(error).__name__

        reading = asyncio.ensure_future(read())  # type: ignore[arg-type]
        await asyncio.sleep(0)
        for piece in pieces:
            while not transport.reading:
                await asyncio.sleep(0)
            if transport.closing:
                break
            connection.data_received(piece)
        if closes and not transport.closing:
            connection.eof_received()
        kept = bool(shelf.kept) and not transport.closing and not closes
        connection.connection_lost(None)
        await reading
    return Outcome(status, headers, bytes(heard), failure, kept)


def cut(said: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(said) + 1) for place in places} | {0, len(said)})
    return [said[start:end] for start, end in pairwise(ends) if start != end]


tokens = st.text("abcdefXYZ-0123", min_size=1, max_size=8).map(lambda name: b"X-" + name.encode())
values = st.binary(max_size=30).map(lambda value: bytes(sign for sign in value if 0x21 <= sign < 0x7F))
header_lines = st.lists(
    st.builds(lambda name, value: name + b": " + value + b"\r\n", tokens, values), max_size=5
)
statuses = st.sampled_from(
    [b"200 OK", b"200", b"201 Created", b"404 Not Found", b"429 Too Many", b"529 Overloaded"]
)
informational = st.sampled_from(
    [b"", b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Hints\r\nLink: a\r\n\r\n"]
)
bodies = st.lists(st.binary(min_size=1, max_size=200), max_size=8)


def chunked(pieces: list[bytes]) -> bytes:
    return (
        b"".join(b"%x;a=b\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\nX-Trailer: 1\r\n\r\n"
    )


@st.composite
def answers(draw: st.DrawFn) -> tuple[bytes, bytes, bool]:
    """An answer that is in order: its bytes, its body, and whether it ends with its connection."""
    pieces, framing = draw(bodies), draw(st.sampled_from(["length", "chunked", "end"]))
    whole = b"".join(pieces)
    head = draw(informational) + b"HTTP/1.1 " + draw(statuses) + b"\r\n" + b"".join(draw(header_lines))
    match framing:
        case "length":
            return head + b"Content-Length: %d\r\n\r\n" % len(whole) + whole, whole, False
        case "chunked":
            return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(pieces), whole, False
        case _:
            return head + b"\r\n" + whole, whole, True


cuts = st.lists(st.integers(0, 5_000), max_size=12)


@settings(max_examples=300, deadline=None)
@given(answer=answers(), places=cuts)
def test_an_answer_in_order_is_the_same_whatever_way_it_is_cut(
    loop: asyncio.AbstractEventLoop, answer: tuple[bytes, bytes, bool], places: list[int]
) -> None:
    said, body, closes = answer
    at_once = loop.run_until_complete(listen([said], closes=closes))
    assert at_once.body == body
    assert at_once.failure == ""
    assert at_once.kept is not closes
    assert loop.run_until_complete(listen(cut(said, places), closes=closes)) == at_once


@settings(max_examples=60, deadline=None)
@given(answer=answers())
def test_an_answer_that_comes_byte_by_byte_is_the_same(
    loop: asyncio.AbstractEventLoop, answer: tuple[bytes, bytes, bool]
) -> None:
    said, body, closes = answer
    pieces = [said[place : place + 1] for place in range(len(said))]
    outcome = loop.run_until_complete(listen(pieces, closes=closes))
    assert (outcome.body, outcome.failure, outcome.kept) == (body, "", not closes)


@settings(max_examples=300, deadline=None)
@given(answer=answers(), length=st.integers(0, 5_000), places=cuts)
def test_an_answer_that_breaks_off_anywhere_is_lost_unless_only_its_end_could_tell(
    loop: asyncio.AbstractEventLoop, answer: tuple[bytes, bytes, bool], length: int, places: list[int]
) -> None:
    said, body, ends_with_connection = answer
    kept = said[: length % len(said)]
    outcome = loop.run_until_complete(listen(cut(kept, places), closes=True))
    assert body.startswith(outcome.body)
    assert outcome.failure == "" if ends_with_connection and outcome.status else outcome.failure == "Lost"


@settings(max_examples=400, deadline=None)
@given(
    answer=answers(),
    wounds=st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 3), st.binary(max_size=4)), max_size=4),
    places=cuts,
)
def test_an_answer_out_of_order_is_the_same_whatever_way_it_is_cut(
    loop: asyncio.AbstractEventLoop,
    answer: tuple[bytes, bytes, bool],
    wounds: list[tuple[int, int, bytes]],
    places: list[int],
) -> None:
    said, _, closes = answer
    for place, removed, inserted in wounds:
        at = place % (len(said) + 1)
        said = said[:at] + inserted + said[at + removed :]
    at_once = loop.run_until_complete(listen([said], closes=closes))
    in_pieces = loop.run_until_complete(listen(cut(said, places), closes=closes))
    # Whether the connection is kept may differ: line breaks after the end are seen only when they come alone.
    assert in_pieces._replace(kept=at_once.kept) == at_once


def test_reading_pauses_above_the_mark_and_resumes_when_it_was_taken(loop: asyncio.AbstractEventLoop) -> None:
    async def story() -> None:
        shelf, transport = Shelf(), WireTransport()
        with socket.socket() as unused:
            connection = Connection(shelf, unused, silence_seconds=60)
            connection.connection_made(transport)
            asking = asyncio.ensure_future(connection.ask(b"", b""))
            await asyncio.sleep(0)
            length = BUFFERED_BYTES_MAX * 2
            connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length)
            chunks = HttpAnswer(connection, await asking).chunks()
            connection.data_received(b"x" * BUFFERED_BYTES_MAX)
            assert transport.reading
            connection.data_received(b"x")
            assert not transport.reading
            assert len(await anext(chunks)) == BUFFERED_BYTES_MAX + 1
            assert transport.reading
            connection.data_received(b"x" * (BUFFERED_BYTES_MAX - 1))
            assert shelf.kept == 1
            assert sum([len(piece) async for piece in chunks]) == BUFFERED_BYTES_MAX - 1
            connection.connection_lost(None)

    loop.run_until_complete(story())
