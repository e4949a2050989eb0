"""What money relies on holds for our client and for aiohttp alike."""

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from yarl import URL

from farthing.gateway.aiohttp_client import AiohttpClient
from farthing.gateway.http_client import HttpClient
from farthing.gateway.upstream import Lost, NeverConnected, TimedOut, Upstream
from tests.gateway.client.provider import Line, Script, always, once, post, provider, until, whole

HELLO = whole(b"hello")
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
Client = Callable[..., Upstream]


@pytest.fixture(params=[HttpClient, AiohttpClient], ids=["own", "aiohttp"])
def client(request: pytest.FixtureRequest) -> Client:
    chosen: Client = request.param
    return chosen


@asynccontextmanager
async def both(script: Script, client: Client, **options: object) -> AsyncIterator[tuple[Upstream, URL]]:
    """A provider, and a client to ask it with."""
    async with provider(script) as seen:
        upstream = client(**options)
        try:
            yield upstream, seen.url()
        finally:
            await upstream.close()


@pytest.mark.parametrize(
    ("answer", "heard"),
    [
        pytest.param(HELLO, (200, b"hello"), id="length"),
        pytest.param(CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", (200, b"hello"), id="chunks"),
        pytest.param(b"HTTP/1.1 103 Hints\r\n\r\n" + HELLO, (200, b"hello"), id="informational"),
        pytest.param(whole(b"no", status=b"429 Too Many Requests"), (429, b"no"), id="refusal"),
        pytest.param(whole(b"", b"Location: /y", status=b"307 Moved"), (307, b""), id="redirect"),
        pytest.param(
            whole(gzip.compress(b"hello"), b"Content-Encoding: gzip"), (200, b"hello"), id="encoded"
        ),
    ],
)
async def test_an_answer_is_heard_alike(client: Client, answer: bytes, heard: tuple[int, bytes]) -> None:
    async with both(always(answer), client) as (upstream, url):
        for _ in range(2):
            assert await post(upstream, url) == heard


async def test_a_body_that_ends_with_its_connection_is_heard_alike(client: Client) -> None:
    async with both(once(b"HTTP/1.1 200 OK\r\n\r\nhello"), client) as (upstream, url):
        assert await post(upstream, url) == (200, b"hello")


async def test_a_refused_connection_owes_nothing(client: Client) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        async with both(always(HELLO), client) as (upstream, url):
            with pytest.raises(NeverConnected):
                await post(upstream, url.with_port(bound.getsockname()[1]))


@pytest.mark.parametrize("header", [("X-One", "a\r\nX-Two: b"), ("X\nY", "a"), ("X", "a\0")])
async def test_a_header_with_a_line_break_is_not_sent(client: Client, header: tuple[str, str]) -> None:
    async with both(always(HELLO), client) as (upstream, url):
        with pytest.raises(NeverConnected):
            await upstream.send("POST", url, [header], b"{}")


@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 200", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"]
)
async def test_a_connection_that_breaks_before_an_answer_is_lost(client: Client, said: bytes) -> None:
    async with both(once(said), client) as (upstream, url):
        with pytest.raises(Lost):
            await post(upstream, url)


@pytest.mark.parametrize("said", [HELLO[:-1], CHUNKED + b"5\r\nhel", CHUNKED + b"5\r\nhello\r\n"])
async def test_an_answer_that_breaks_off_is_lost(client: Client, said: bytes) -> None:
    async with both(once(said), client) as (upstream, url):
        with pytest.raises(Lost):
            await post(upstream, url)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\n", HELLO[:-1], CHUNKED + b"5\r\nhello\r\n"])
async def test_silence_is_timed_out(client: Client, said: bytes) -> None:
    async def script(line: Line) -> None:
        await line.request()
        line.say(said)
        await line.left()

    async with both(script, client, answer_seconds=0.1) as (upstream, url):
        with pytest.raises(TimedOut):
            await post(upstream, url)


async def test_a_cancelled_call_closes_its_connection(client: Client) -> None:
    left = asyncio.Event()
    asked = asyncio.Event()

    async def script(line: Line) -> None:
        await line.request()
        asked.set()
        await line.left()
        left.set()

    async with both(script, client) as (upstream, url):
        call = asyncio.create_task(post(upstream, url))
        await asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await until(left.is_set)


async def test_what_is_sent_is_what_was_given_and_nothing_of_the_client_s_own(client: Client) -> None:
    async with provider(always(HELLO)) as seen:
        upstream = client()
        given = [("content-type", "application/json"), ("X-Two", "a"), ("X-Two", "b")]
        await (await upstream.send("POST", seen.url("/v1/x?q=a%2Fb&c"), given, b"{}")).chunks().__anext__()
        await upstream.close()
    (request,) = seen.requests
    opening, *lines = request.head.split("\r\n")
    assert opening == "POST /v1/x?q=a%2Fb&c HTTP/1.1"
    told = sorted(f"{name.lower()}: {value}" for name, _, value in (line.partition(": ") for line in lines))
    assert told == sorted(
        ["content-type: application/json", "x-two: a", "x-two: b", "content-length: 2",
         f"host: 127.0.0.1:{seen.port}"]
    )  # fmt: skip
