"""Bytes come no faster than they are taken; silence, cancelling and closing end a call as they should."""

import asyncio
import gzip
import time

import pytest

from farthing.gateway.http_connection import BUFFERED_BYTES_MAX
from farthing.gateway.upstream import Lost, TimedOut
from tests.gateway.client.provider import Line, always, client, once, post, provider, read, until, whole

STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"
READ_BYTES_MAX = 262_144  # the most that a loop hands over at once


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


async def silent(line: Line) -> None:
    await line.request()
    await line.left()


async def half(line: Line) -> None:
    """Begin a stream and go silent."""
    await line.request()
    line.say(STREAM, chunk(b"hello"))
    await line.left()


# ── back-pressure ───────────────────────────────────────────────────────────────────────────────────


async def test_a_large_answer_is_held_back_while_nobody_takes_it_and_comes_whole() -> None:
    piece, count = chunk(b"x" * 65_536), 1_000
    sent = 0

    async def script(line: Line) -> None:
        nonlocal sent
        await line.request()
        line.say(STREAM)
        for _ in range(count):
            line.say(piece)
            await line.writer.drain()
            sent += 1
        line.say(LAST)
        await line.left()

    async with provider(script) as seen, client() as ours:
        answer = await ours.send("POST", seen.url(), [], b"{}")
        unmoved, before = 0, -1
        while unmoved < 20:  # the provider can write no more: the sockets' buffers are full
            unmoved, before = (unmoved + 1, sent) if sent == before else (0, sent)
            await asyncio.sleep(0.005)
        assert sent < count / 2
        sizes = [len(piece) async for piece in answer.chunks()]
        assert sum(sizes) == count * 65_536
        assert max(sizes) <= BUFFERED_BYTES_MAX + READ_BYTES_MAX


async def test_a_connection_that_was_held_back_is_used_again() -> None:
    body = b"x" * 3_000_000
    async with provider(always(whole(body))) as seen, client() as ours:
        for _ in range(5):
            answer = await ours.send("POST", seen.url(), [], b"{}")
            await asyncio.sleep(0.01)
            assert await read(answer) == body
    assert seen.connections == 1


async def test_the_clock_stands_still_while_it_is_we_who_do_not_read() -> None:
    async with provider(once(whole(b"x" * 20_000_000))) as seen, client(answer_seconds=0.15) as ours:
        answer = await ours.send("POST", seen.url(), [], b"{}")
        read_bytes = 0
        async for piece in answer.chunks():
            if not read_bytes:
                await asyncio.sleep(0.5)
            read_bytes += len(piece)
    assert read_bytes == 20_000_000


# ── silence ─────────────────────────────────────────────────────────────────────────────────────────


async def test_a_provider_that_does_not_answer_is_timed_out() -> None:
    async with provider(silent) as seen, client(answer_seconds=0.1) as ours:
        began = time.monotonic()
        with pytest.raises(TimedOut):
            await post(ours, seen.url())
        assert time.monotonic() - began >= 0.09
        await until(lambda: ours.open_connections == 0 and seen.left == 1)


async def test_a_stream_that_goes_silent_is_timed_out_after_what_it_said() -> None:
    async with provider(half) as seen, client(answer_seconds=0.1) as ours:
        answer = await ours.send("POST", seen.url(), [], b"{}")
        pieces = answer.chunks()
        assert await anext(pieces) == b"hello"
        with pytest.raises(TimedOut):
            await anext(pieces)
        await until(lambda: seen.left == 1)


async def test_each_read_starts_the_clock_anew() -> None:
    async def script(line: Line) -> None:
        await line.request()
        line.say(STREAM)
        for _ in range(12):
            await asyncio.sleep(0.05)
            line.say(chunk(b"x"))
        line.say(LAST)

    async with provider(script) as seen, client(answer_seconds=0.3) as ours:
        assert await post(ours, seen.url()) == (200, b"x" * 12)


async def test_the_clock_of_one_call_does_not_end_the_next_on_the_same_connection() -> None:
    async def script(line: Line) -> None:
        while True:
            await line.request()
            await asyncio.sleep(0.12)
            line.say(whole(b"hello"))

    async with provider(script) as seen, client(answer_seconds=0.3) as ours:
        for _ in range(5):
            assert await post(ours, seen.url()) == (200, b"hello")
    assert seen.connections == 1


async def test_a_request_that_is_still_leaving_is_not_silence() -> None:
    async def script(line: Line) -> None:
        await line.head()
        for _ in range(64):
            await line.reader.readexactly(500_000)
            await asyncio.sleep(0.01)
        line.say(whole(b"hello"))
        await line.left()

    async with provider(script) as seen, client(answer_seconds=0.25) as ours:
        assert await post(ours, seen.url(), b"x" * 32_000_000) == (200, b"hello")


async def test_a_provider_that_does_not_read_the_request_is_timed_out() -> None:
    async def script(line: Line) -> None:
        await line.head()
        await asyncio.Event().wait()

    async with provider(script) as seen, client(answer_seconds=0.1) as ours:
        with pytest.raises(TimedOut):
            await post(ours, seen.url(), b"x" * 32_000_000)


# ── giving up ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("script", [silent, half])
async def test_a_cancelled_call_closes_its_connection(script: object) -> None:
    async with provider(script) as seen, client() as ours:  # type: ignore[arg-type]
        call = asyncio.create_task(post(ours, seen.url()))
        await until(lambda: len(seen.requests) == 1)
        await asyncio.sleep(0.02)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await until(lambda: ours.open_connections == 0 and seen.left == 1)


async def test_closing_a_half_read_answer_closes_its_connection_and_wakes_its_reader() -> None:
    async with provider(half) as seen, client() as ours:
        answer = await ours.send("POST", seen.url(), [], b"{}")
        pieces = answer.chunks()
        assert await anext(pieces) == b"hello"
        waiting = asyncio.ensure_future(anext(pieces))
        await asyncio.sleep(0)
        answer.close()
        answer.close()
        with pytest.raises(Lost):
            await waiting
        await until(lambda: ours.open_connections == 0 and seen.left == 1)


async def test_what_arrived_before_an_answer_was_closed_can_still_be_read() -> None:
    async with provider(half) as seen, client() as ours:
        answer = await ours.send("POST", seen.url(), [], b"{}")
        await until(lambda: answer._reader.buffered_bytes == 5)
        answer.close()
        heard = b""
        with pytest.raises(Lost):
            async for piece in answer.chunks():
                heard += piece
        assert heard == b"hello"


async def test_an_answer_nobody_wants_is_closed_by_leaving_its_loop() -> None:
    async with provider(half) as seen, client() as ours:
        answer = await ours.send("POST", seen.url(), [], b"{}")
        pieces = answer.chunks()
        assert await anext(pieces) == b"hello"
        await pieces.aclose()  # type: ignore[attr-defined]
        await until(lambda: ours.open_connections == 0 and seen.left == 1)


async def test_closing_an_answer_that_is_whole_leaves_its_connection_to_the_next_call() -> None:
    async with provider(always(whole(b"hello"))) as seen, client() as ours:
        for _ in range(3):
            answer = await ours.send("POST", seen.url(), [], b"{}")
            assert await read(answer) == b"hello"
            answer.close()
            assert ours.open_connections == 1
    assert seen.connections == 1


async def test_an_old_answer_cannot_close_the_connection_of_a_newer_call() -> None:
    calls = 0

    async def script(line: Line) -> None:
        nonlocal calls
        while True:
            await line.request()
            calls += 1
            line.say(whole(b"hello")) if calls == 1 else line.say(STREAM, chunk(b"new"))

    async with provider(script) as seen, client() as ours:
        first = await ours.send("POST", seen.url(), [], b"{}")
        await read(first)
        second = await ours.send("POST", seen.url(), [], b"{}")
        first.close()
        assert await anext(second.chunks()) == b"new"
        second.close()
    assert seen.connections == 1


# ── content encoding ────────────────────────────────────────────────────────────────────────────────


async def test_an_encoded_answer_is_decoded_piece_by_piece() -> None:
    packed = gzip.compress(b"hello " * 1_000)
    answer = STREAM[:-2] + b"Content-Encoding: gzip\r\n\r\n" + chunk(packed[:20]) + chunk(packed[20:]) + LAST
    async with provider(always(answer)) as seen, client() as ours:
        for _ in range(2):
            assert await post(ours, seen.url()) == (200, b"hello " * 1_000)
    assert seen.connections == 1


@pytest.mark.parametrize("encoding", [b"gzip", b"zstd", b"br", b"deflate", b"lzma"])
async def test_an_encoding_that_is_broken_or_unknown_is_lost_and_closes_the_connection(
    encoding: bytes,
) -> None:
    head = STREAM[:-2] + b"Content-Encoding: " + encoding + b"\r\n\r\n"

    async def script(line: Line) -> None:
        await line.request()
        line.say(head, chunk(b"\xff\xfe not packed at all " * 4))
        await line.left()

    async with provider(script) as seen, client() as ours:
        answer = await ours.send("POST", seen.url(), [], b"{}")
        with pytest.raises(Lost, match="encoding"):
            await read(answer)
        await until(lambda: ours.open_connections == 0 and seen.left == 1)
