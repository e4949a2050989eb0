"""Nothing is owed exactly where nothing was sent: names, addresses, headers, and time-outs to connect."""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from yarl import URL

from farthing.gateway import http_addresses, http_client
from farthing.gateway.http_addresses import Address, Addresses, families_in_turn, first_connected
from farthing.gateway.upstream import Lost, NeverConnected
from tests.gateway.client.provider import Line, always, client, post, provider, until, whole

HELLO = whole(b"hello")


@contextmanager
def deaf_address() -> Iterator[Address]:
    """An address whose queue is full, so that a connection to it is neither made nor refused."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        where = listener.getsockname()
        waiting = []
        for _ in range(8):
            caller = socket.socket()
            caller.setblocking(False)
            caller.connect_ex(where)
            waiting.append(caller)
        try:
            yield (socket.AF_INET, where)
        finally:
            for caller in waiting:
                caller.close()


@contextmanager
def refusing_address() -> Iterator[Address]:
    """An address that is taken and does not listen."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield (socket.AF_INET, bound.getsockname())


def url_of(address: Address) -> URL:
    return URL.build(scheme="http", host="127.0.0.1", port=int(address[1][1]), path="/")


async def test_a_refused_connection_owes_nothing() -> None:
    with refusing_address() as address:
        async with client() as ours:
            with pytest.raises(NeverConnected):
                await post(ours, url_of(address))


async def test_a_connection_that_is_not_made_in_time_owes_nothing() -> None:
    with deaf_address() as address:
        async with client(connect_seconds=0.1) as ours:
            with pytest.raises(NeverConnected, match="within"):
                await post(ours, url_of(address))


async def test_a_call_that_is_cancelled_while_it_connects_leaves_no_connection() -> None:
    with deaf_address() as address:
        async with client() as ours:
            call = asyncio.create_task(post(ours, url_of(address)))
            await asyncio.sleep(0.02)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call


@pytest.mark.parametrize("error", [socket.gaierror(-2, "Name or service not known"), UnicodeError("label")])
async def test_a_name_that_cannot_be_resolved_owes_nothing_and_is_asked_again(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up = []

    async def look_up(host: str, port: int) -> list[Address]:
        looked_up.append(host)
        raise error

    monkeypatch.setattr(http_addresses, "look_up", look_up)
    async with client() as ours:
        for _ in range(2):
            with pytest.raises(NeverConnected, match="provider\\.example"):
                await post(ours, URL("http://provider.example/"))
    assert looked_up == ["provider.example"] * 2


@pytest.mark.parametrize(
    "url",
    [
        "/v1/chat", "ftp://127.0.0.1/", "unix:///tmp/socket", "http:///v1", "http://me:secret@127.0.0.1/",
        "http://127.0.0.1/a b", "http://127.0.0.1/a\r\nX-Evil: 1", "http://127.0.0.1/?q=\r\n\r\nGET /", "http://127.0.0.1/\x00",
        "http://127.0.0.1/\u0142",
    ],
)  # fmt: skip
async def test_an_address_that_leads_nowhere_owes_nothing(url: str) -> None:
    async with client() as ours:
        with pytest.raises(NeverConnected):
            await ours.send("POST", URL(url, encoded=True), [], b"{}")


@pytest.mark.parametrize("method", ["", "GET /evil HTTP/1.1\r\nX:", "HEAD", "CONNECT", "post"])
async def test_a_method_that_cannot_be_asked_here_owes_nothing(method: str) -> None:
    async with client() as ours:
        with pytest.raises(NeverConnected):
            await ours.send(method, URL("http://127.0.0.1:1/"), [], b"{}")


@pytest.mark.parametrize(
    "header",
    [
        ("X-One", "a\r\nX-Two: b"), ("X-One", "a\n"), ("X-One", "a\rb"),
        ("X\r\nY", "a"), ("X", "\0"), ("X", "\u0142"),
    ],
)  # fmt: skip
async def test_a_header_that_would_smuggle_something_in_is_never_sent(header: tuple[str, str]) -> None:
    async with provider(always(HELLO)) as seen, client() as ours:
        with pytest.raises(NeverConnected) as raised:
            await ours.send("POST", seen.url(), [("Authorization", "Bearer sk-secret"), header], b"{}")
        assert "secret" not in str(raised.value)
    assert seen.connections == 0


async def test_a_connection_closed_between_connecting_and_asking_owes_nothing() -> None:
    async def script(line: Line) -> None:
        line.close()
        await line.writer.wait_closed()

    async with provider(script) as seen, client() as ours:
        origin = http_client.Origin(host="127.0.0.1", port=seen.port, encrypted=False)
        connection = await ours._connect(origin)
        await until(lambda: connection.lost)
        with pytest.raises(NeverConnected):
            await connection.ask(b"POST / HTTP/1.1\r\n\r\n", b"")


async def test_a_connection_that_was_reset_after_the_request_is_lost() -> None:
    async def script(line: Line) -> None:
        await line.request()
        line.reset()

    async with provider(script) as seen, client() as ours:
        with pytest.raises(Lost):
            await post(ours, seen.url())


async def test_proxy_variables_are_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:1")
    async with provider(always(HELLO)) as seen, client() as ours:
        assert await post(ours, seen.url()) == (200, b"hello")


# ── which address ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://provider.example/v1", "provider.example"),
        ("http://provider.example:80/v1", "provider.example"),
        ("http://provider.example:8080/v1", "provider.example:8080"),
        ("http://[::1]/v1", "[::1]"),
        ("http://[::1]:8080/v1", "[::1]:8080"),
        ("http://b\u00fccher.example/v1", "xn--bcher-kva.example"),
    ],
)
async def test_the_host_header_names_the_host_and_a_port_that_is_not_the_usual_one(
    url: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with provider(always(HELLO)) as seen:

        async def look_up(host: str, port: int) -> list[Address]:
            return [(socket.AF_INET, ("127.0.0.1", seen.port))]

        monkeypatch.setattr(http_addresses, "look_up", look_up)
        async with client() as ours:
            assert await post(ours, URL(url)) == (200, b"hello")
    assert seen.requests[0].header("host") == [host]


async def test_an_address_that_refuses_gives_way_to_the_next_at_once() -> None:
    async with provider(always(HELLO)) as seen:
        with refusing_address() as refusing:
            began = time.monotonic()
            connected = await first_connected(
                [refusing, refusing, (socket.AF_INET, ("127.0.0.1", seen.port))]
            )
            connected.close()
            assert time.monotonic() - began < http_addresses.HEAD_START_SECONDS


async def test_an_address_that_keeps_silent_has_only_a_head_start() -> None:
    async with provider(always(HELLO)) as seen:
        with deaf_address() as deaf:
            connected = await first_connected([deaf, (socket.AF_INET, ("127.0.0.1", seen.port))])
            assert connected.getpeername()[1] == seen.port
            connected.close()


async def test_when_every_address_refuses_the_last_refusal_is_told() -> None:
    with refusing_address() as refusing, pytest.raises(ConnectionRefusedError):
        await first_connected([refusing, refusing])
    with pytest.raises(OSError, match="no address"):
        await first_connected([])


def test_the_two_families_take_turns() -> None:
    six: list[Address] = [(socket.AF_INET6, (f"::{number}", 80, 0, 0)) for number in (1, 2, 3)]
    four: list[Address] = [(socket.AF_INET, (f"10.0.0.{number}", 80)) for number in (1, 2)]
    assert families_in_turn([*six, *four]) == [six[0], four[0], six[1], four[1], six[2]]
    assert families_in_turn(four) == four
    assert families_in_turn([]) == []


async def test_a_host_is_looked_up_once_for_all_who_ask_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up = 0
    async with provider(always(HELLO)) as seen:

        async def look_up(host: str, port: int) -> list[Address]:
            nonlocal looked_up
            looked_up += 1
            await asyncio.sleep(0.01)
            return [(socket.AF_INET, ("127.0.0.1", seen.port))]

        monkeypatch.setattr(http_addresses, "look_up", look_up)
        addresses = Addresses()
        first = asyncio.create_task(addresses.connect("provider.example", 80))
        others = [asyncio.create_task(addresses.connect("provider.example", 80)) for _ in range(5)]
        await asyncio.sleep(0)
        first.cancel()  # the others go on
        for connected in await asyncio.gather(*others):
            connected.close()
        addresses.close()
    assert looked_up == 1
