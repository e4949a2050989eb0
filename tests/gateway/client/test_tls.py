"""Encrypted connections: the provider's name is asked for and checked; in doubt nothing is sent."""

import asyncio
import ssl
import subprocess
from pathlib import Path

import pytest

from farthing.gateway.upstream import Lost, NeverConnected
from tests.gateway.client.provider import Line, always, client, once, post, provider, until, whole

HELLO = whole(b"hello")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost that is its own authority, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    file, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", key, "-out", file, "-days", "2", "-subj", "/CN=a provider of the tests",
            "-addext", "subjectAltName=DNS:localhost",
            "-addext", "keyUsage=critical,digitalSignature,keyCertSign",
        ],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    return file, key


@pytest.fixture
def serving(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


@pytest.fixture
def trusting(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate[0])


async def test_calls_share_an_encrypted_connection_that_asked_for_the_provider_by_name(
    serving: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    names: list[str | None] = []
    serving.sni_callback = lambda _socket, name, _context: names.append(name)
    async with provider(always(HELLO), tls=serving) as seen, client(tls=trusting) as ours:
        for _ in range(5):
            assert await post(ours, seen.url(host="localhost"), b"x" * 100_000) == (200, b"hello")
            await asyncio.sleep(0)
    assert names == ["localhost"]
    assert seen.connections == 1


async def test_a_large_answer_comes_whole_over_an_encrypted_connection(
    serving: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    body = bytes(range(256)) * 20_000
    async with provider(always(whole(body)), tls=serving) as seen, client(tls=trusting) as ours:
        for _ in range(2):
            answer = await ours.send("POST", seen.url(host="localhost"), [], b"{}")
            await asyncio.sleep(0.02)
            assert b"".join([piece async for piece in answer.chunks()]) == body


async def test_a_certificate_for_another_host_is_refused_before_anything_is_sent(
    serving: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    async with provider(always(HELLO), tls=serving) as seen, client(tls=trusting) as ours:
        with pytest.raises(NeverConnected):
            await post(ours, seen.url(host="127.0.0.1"))
    assert seen.requests == []


async def test_a_certificate_of_an_unknown_authority_is_refused_before_anything_is_sent(
    serving: ssl.SSLContext,
) -> None:
    async with provider(always(HELLO), tls=serving) as seen, client() as ours:
        with pytest.raises(NeverConnected):
            await post(ours, seen.url(host="localhost"))
    assert seen.requests == []


async def test_a_provider_that_does_not_speak_tls_was_sent_nothing(trusting: ssl.SSLContext) -> None:
    async def script(line: Line) -> None:
        line.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await line.left()

    async with provider(script) as seen, client(tls=trusting) as ours:
        seen.encrypted = True
        with pytest.raises(NeverConnected):
            await post(ours, seen.url(host="localhost"))


async def test_a_handshake_that_takes_too_long_was_sent_nothing(trusting: ssl.SSLContext) -> None:
    async def script(line: Line) -> None:
        await line.left()

    async with provider(script) as seen, client(tls=trusting, connect_seconds=0.2) as ours:
        seen.encrypted = True
        with pytest.raises(NeverConnected):
            await post(ours, seen.url(host="localhost"))
        await until(lambda: seen.left == 1)


async def test_an_encrypted_connection_that_the_provider_closed_while_idle_is_dropped(
    serving: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    async with provider(once(HELLO), tls=serving) as seen, client(tls=trusting) as ours:
        for _ in range(3):
            assert await post(ours, seen.url(host="localhost")) == (200, b"hello")
            await until(lambda: ours.open_connections == 0)
    assert seen.connections == 3


async def test_a_body_cut_off_without_a_farewell_is_not_taken_for_whole(
    serving: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    heard = asyncio.Event()

    async def script(line: Line) -> None:
        await line.request()
        line.say(b"HTTP/1.1 200 OK\r\n\r\nhalf of it")
        await heard.wait()
        line.writer.transport.abort()

    async with provider(script, tls=serving) as seen, client(tls=trusting) as ours:
        answer = await ours.send("POST", seen.url(host="localhost"), [], b"{}")
        pieces = answer.chunks()
        assert await anext(pieces) == b"half of it"
        heard.set()
        with pytest.raises(Lost):
            await anext(pieces)


async def test_a_body_that_ends_with_a_farewell_is_whole(
    serving: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    async with (
        provider(once(b"HTTP/1.1 200 OK\r\n\r\nall of it"), tls=serving) as seen,
        client(tls=trusting) as ours,
    ):
        assert await post(ours, seen.url(host="localhost")) == (200, b"all of it")
