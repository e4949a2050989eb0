"""Every shape of an answer, read through sockets: how its body ends, what may come before and after it."""

import asyncio

import pytest

from farthing.gateway.upstream import Lost
from tests.gateway.client.provider import Line, always, client, once, post, provider, read, whole

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


async def test_a_body_ends_where_its_length_says() -> None:
    async with provider(always(whole(b"hello"))) as seen, client() as ours:
        answer = await ours.send("POST", seen.url("/v1/x?a=%20b"), [("X-One", "1")], b"body")
        assert answer.status == 200
        assert answer.content_type == "application/json"
        assert (b"content-length", b"5") in list(answer.headers)
        assert await read(answer) == b"hello"
    (request,) = seen.requests
    assert request.head.split("\r\n") == [
        "POST /v1/x?a=%20b HTTP/1.1", f"host: 127.0.0.1:{seen.port}", "X-One: 1", "content-length: 4",
    ]  # fmt: skip
    assert request.body == b"body"


async def test_chunks_may_carry_extensions_and_trailers_that_are_no_headers_of_the_next_answer() -> None:
    chunked = CHUNKED + b'4;name="a;b"\r\nhell\r\n1;x\r\no\r\n0;last\r\nX-Trailer: 1\r\nX-Sum: 2\r\n\r\n'
    async with provider(always(chunked)) as seen, client() as ours:
        for _ in range(3):
            answer = await ours.send("POST", seen.url(), [], b"")
            assert await read(answer) == b"hello"
            assert [name for name, _ in answer.headers] == [b"content-type", b"transfer-encoding"]
    assert seen.connections == 1


@pytest.mark.parametrize("head", [HEAD, b"HTTP/1.0 200 OK\r\n", HEAD + b"Connection: close\r\n"])
async def test_a_body_without_a_length_ends_with_its_connection(head: bytes) -> None:
    async with provider(once(head, b"\r\nhel", b"lo")) as seen, client() as ours:
        for _ in range(2):
            assert await post(ours, seen.url()) == (200, b"hello")
    assert seen.connections == 2


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
async def test_some_answers_have_no_body_whatever_they_declare(status: bytes) -> None:
    head = b"HTTP/1.1 " + status + b"\r\nContent-Length: 7\r\n\r\n"
    async with provider(always(head)) as seen, client() as ours:
        for _ in range(3):
            assert await post(ours, seen.url()) == (int(status[:3]), b"")
    assert seen.connections == 1


async def test_informational_answers_come_before_the_real_one_and_leave_nothing_behind() -> None:
    early = (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 3\r\n\r\n"
    )
    async with provider(always(early, whole(b"hello"))) as seen, client() as ours:
        for _ in range(2):
            answer = await ours.send("POST", seen.url(), [], b"")
            assert answer.status == 200
            assert [name for name, _ in answer.headers] == [b"content-type", b"content-length"]
            assert await read(answer) == b"hello"
    assert seen.connections == 1


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"\x16\x03\x01\x02\x00 is not HTTP at all\r\n\r\n", id="garbage"),
        pytest.param(b"SSH-2.0-OpenSSH_9.6\r\n", id="another protocol"),
        pytest.param(b"HTTP/1.1 20x OK\r\n\r\n", id="status that is no number"),
        pytest.param(b"HTTP/1.1 101 No\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", id="101"),
        pytest.param(b"HTTP/1.1 101 Switching Protocols\r\n\r\n", id="bare 101"),
        pytest.param(HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", id="two lengths"),
        pytest.param(HEAD + b"Content-Length: -5\r\n\r\nhello", id="negative length"),
        pytest.param(CHUNKED[:-2] + b"Content-Length: 5\r\n\r\nhello", id="two framings"),
        pytest.param(HEAD + b"Transfer-Encoding: gzip\r\n\r\nhello", id="another transfer encoding"),
        pytest.param(HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", id="two encodings"),
        pytest.param(
            HEAD + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            id="two transfer encodings in two lines",
        ),
        pytest.param(HEAD + b"X-Long: " + b"a" * 70_000, id="header without end"),
        pytest.param(HEAD + b"X-Long: " + b"a" * 70_000 + b"\r\n\r\n", id="header too long"),
        pytest.param(HEAD + b"X-One: 1\r\n" * 8_000 + b"\r\n", id="too many headers"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" * 4_000, id="informational answers without end"),
        pytest.param(HEAD, id="closed inside the head"),
        pytest.param(b"", id="closed without a word"),
    ],
)  # fmt: skip
async def test_what_cannot_be_read_before_the_answer_is_lost(said: bytes) -> None:
    async with provider(once(said)) as seen, client() as ours:
        with pytest.raises(Lost):
            await ours.send("POST", seen.url(), [], b"{}")
        assert ours.open_connections == 0 or seen.connections == 1
    assert len(seen.requests) == 1


@pytest.mark.parametrize(
    ("body", "readable"),
    [
        pytest.param(b"3\r\nabc\r\nxyz\r\n", b"abc", id="chunk size that is no number"),
        pytest.param(b"3\r\nabc\r\n-1\r\n", b"abc", id="negative chunk size"),
        pytest.param(b"3\r\nabc\r\nFFFFFFFFFFFFFFFFF\r\n", b"abc", id="chunk size too large"),
        pytest.param(b"3\r\nabcdef\r\n", b"abc", id="chunk longer than it says"),
        pytest.param(b"3\r\nabc\r\n5\r\nde", b"abcde", id="closed inside a chunk"),
        pytest.param(b"3\r\nabc\r\n", b"abc", id="closed between chunks"),
        pytest.param(b"3\r\nabc\r\n0\r\n", b"abc", id="closed before the last line"),
        pytest.param(b"3\r\nabc\r\n0\r\nX: " + b"y" * 300_000, b"abc", id="trailer without end"),
        pytest.param(b"3\r\nabc\r\n2;x=" + b"y" * 600_000, b"abc", id="chunk extension without end"),
    ],
)
async def test_what_was_read_before_a_break_is_handed_over_and_then_it_is_lost(
    body: bytes, readable: bytes
) -> None:
    async with provider(once(CHUNKED + body)) as seen, client() as ours:
        answer = await ours.send("POST", seen.url(), [], b"{}")
        heard = b""
        with pytest.raises(Lost):
            async for chunk in answer.chunks():
                heard += chunk
        assert heard == readable


async def test_a_body_shorter_than_its_length_is_lost() -> None:
    async with provider(once(HEAD, b"Content-Length: 10\r\n\r\nhello")) as seen, client() as ours:
        answer = await ours.send("POST", seen.url(), [], b"{}")
        with pytest.raises(Lost, match="broke off"):
            await read(answer)


async def test_a_reset_inside_a_body_that_ends_with_its_connection_is_lost() -> None:
    heard = asyncio.Event()

    async def script(line: Line) -> None:
        await line.request()
        line.say(HEAD, b"\r\nhello")
        await heard.wait()
        line.reset()

    async with provider(script) as seen, client() as ours:
        answer = await ours.send("POST", seen.url(), [], b"{}")
        chunks = answer.chunks()
        assert await anext(chunks) == b"hello"
        heard.set()
        with pytest.raises(Lost):
            await anext(chunks)


@pytest.mark.parametrize("extra", [b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", b"HTT"])
async def test_bytes_after_the_answer_drop_the_connection_and_never_answer_the_next_call(
    extra: bytes,
) -> None:
    async with provider(always(whole(b"hello"), extra)) as seen, client() as ours:
        for _ in range(3):
            assert await post(ours, seen.url()) == (200, b"hello")
    assert seen.connections == 3


async def test_an_answer_that_comes_before_the_request_was_read_is_the_answer() -> None:
    async def script(line: Line) -> None:
        await line.head()
        line.say(whole(b"too large", status=b"413 Content Too Large"))
        await asyncio.Event().wait()  # never reads the body, never closes

    async with provider(script) as seen, client() as ours:
        for _ in range(2):
            assert await post(ours, seen.url(), b"x" * 16_000_000) == (413, b"too large")
    assert seen.connections == 2  # the rest of a body must not become the next request


async def test_redirects_are_answers_like_any_other() -> None:
    redirect = whole(b"", b"Location: http://127.0.0.1:1/", status=b"307 Temporary Redirect")
    async with provider(always(redirect)) as seen, client() as ours:
        assert await post(ours, seen.url()) == (307, b"")
    assert len(seen.requests) == 1
