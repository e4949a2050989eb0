"""Connections are used again, within bounds, and never after the provider may have closed them."""

import asyncio
import resource
import socket
import threading

import pytest
from yarl import URL

from farthing.gateway.upstream import Lost, NeverConnected
from tests.gateway.client.provider import Line, always, client, once, post, provider, read, until, whole

HELLO = whole(b"hello")


async def test_calls_one_after_another_share_one_connection() -> None:
    async with provider(always(HELLO)) as seen, client() as ours:
        for _ in range(50):
            assert await post(ours, seen.url()) == (200, b"hello")
        assert ours.open_connections == 1
    assert seen.connections == 1


@pytest.mark.parametrize(
    "answer", [whole(b"hello", b"Connection: close"), HELLO.replace(b"HTTP/1.1", b"HTTP/1.0")]
)
async def test_a_provider_that_says_so_is_not_asked_again_on_the_same_connection(answer: bytes) -> None:
    async with provider(always(answer)) as seen, client() as ours:
        for _ in range(3):
            assert await post(ours, seen.url()) == (200, b"hello")
    assert seen.connections == 3


async def test_the_pool_grows_with_the_calls_at_once_and_is_used_again() -> None:
    gate = asyncio.Event()

    async def script(line: Line) -> None:
        while True:
            await line.request()
            await gate.wait()
            line.say(HELLO)

    async with provider(script) as seen, client() as ours:
        calls = [asyncio.create_task(post(ours, seen.url())) for _ in range(20)]
        await until(lambda: len(seen.requests) == 20)
        gate.set()
        assert await asyncio.gather(*calls) == [(200, b"hello")] * 20
        for _ in range(40):
            await post(ours, seen.url())
    assert seen.connections == 20


async def test_no_more_connections_wait_than_were_allowed() -> None:
    async with provider(always(HELLO)) as seen, client(idle_connections_max=3) as ours:
        await asyncio.gather(*(post(ours, seen.url()) for _ in range(10)))
        await until(lambda: ours.open_connections == 3)


async def test_idle_connections_are_closed_by_us() -> None:
    async def script(line: Line) -> None:
        await line.request()
        line.say(HELLO)
        await line.left()

    async with provider(script) as seen, client(idle_seconds=0.1) as ours:
        await asyncio.gather(*(post(ours, seen.url()) for _ in range(4)))
        await until(lambda: ours.open_connections == 0 and seen.left == 4)


async def test_a_connection_that_the_provider_closed_while_idle_is_dropped_at_once() -> None:
    async with provider(once(HELLO)) as seen, client() as ours:
        for number in range(1, 4):
            assert await post(ours, seen.url()) == (200, b"hello")
            await until(lambda: ours.open_connections == 0)
            assert seen.connections == number


@pytest.mark.parametrize("farewell", ["end", "reset", "word"])
async def test_a_close_that_the_loop_has_not_told_yet_is_seen_before_anything_is_written(
    farewell: str,
) -> None:
    """The provider is a thread: it closes while this loop does not run, and the next call must notice."""
    may_close, closed = threading.Event(), threading.Event()
    requests: list[bytes] = []

    def serve() -> None:
        first, _ = listener.accept()
        requests.append(first.recv(65_536))
        first.sendall(HELLO)
        may_close.wait(10)
        if farewell == "reset":
            first.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        if farewell == "word":
            first.sendall(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        else:
            first.close()
        closed.set()
        second, _ = listener.accept()
        requests.append(second.recv(65_536))
        second.sendall(HELLO)
        second.recv(1)
        second.close()
        first.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        thread = threading.Thread(target=serve)
        thread.start()
        async with client() as ours:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            assert await post(ours, URL(url)) == (200, b"hello")
            may_close.set()
            closed.wait(10)
            assert await post(ours, URL(url)) == (200, b"hello")
        thread.join(10)
    assert len(requests) == 2


async def test_a_used_connection_that_dies_after_the_request_was_written_is_lost_and_not_tried_again() -> (
    None
):
    async def script(line: Line) -> None:
        await line.request()
        line.say(HELLO)
        await line.request()
        line.close()

    async with provider(script) as seen, client() as ours:
        await post(ours, seen.url())
        with pytest.raises(Lost):
            await post(ours, seen.url())
    assert (seen.connections, len(seen.requests)) == (1, 2)


async def test_a_thousand_calls_at_once_get_each_its_own_answer() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4_096)), hard))

    async def script(line: Line) -> None:
        while True:
            line.say(whole((await line.request()).body))

    async with provider(script) as seen, client() as ours:
        bodies = [b"%d" % number for number in range(1_000)]
        heard = await asyncio.gather(*(post(ours, seen.url(), body) for body in bodies))
    assert heard == [(200, body) for body in bodies]


async def test_a_closed_client_sends_nothing_more() -> None:
    async with provider(always(HELLO)) as seen, client() as ours:
        await ours.close()
        with pytest.raises(NeverConnected):
            await post(ours, seen.url())
    assert seen.connections == 0


async def test_closing_the_client_ends_calls_that_are_open() -> None:
    async def script(line: Line) -> None:
        await line.request()
        line.say(HELLO[:-2])
        await line.left()

    async with provider(script) as seen, client() as ours:
        answer = await ours.send("POST", seen.url(), [], b"")
        reading = asyncio.create_task(read(answer))
        await asyncio.sleep(0)
        await ours.close()
        with pytest.raises(Lost):
            await reading
        await until(lambda: seen.left == 1)
