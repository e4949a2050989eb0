"""A provider on a raw loopback socket that says exactly what a test wants, byte for byte."""

import asyncio
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from yarl import URL

from farthing.gateway.http_client import HttpClient
from farthing.gateway.upstream import Answer, Upstream

POLL_SECONDS = 0.005


@dataclass
class Request:
    """A request as it came."""

    head: str
    body: bytes

    def header(self, name: str) -> list[str]:
        lines = [line.partition(": ") for line in self.head.split("\r\n")[1:]]
        return [value for known, _, value in lines if known.lower() == name]


@dataclass
class Line:
    """One connection, as the provider sees it."""

    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    provider: "Provider"

    async def head(self) -> str:
        """Read the head of a request and leave its body where it is."""
        return (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").removesuffix("\r\n\r\n")

    async def request(self) -> Request:
        """Read a whole request. Raises IncompleteReadError when the client has left."""
        request = Request(await self.head(), b"")
        request.body = await self.reader.readexactly(int(request.header("content-length")[0]))
        self.provider.requests.append(request)
        return request

    def say(self, *pieces: bytes) -> None:
        self.writer.write(b"".join(pieces))

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        """Close with a reset instead of an orderly end."""
        self.writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self.writer.transport.abort()

    async def left(self) -> None:
        """Wait until the client has closed the connection."""
        with suppress(ConnectionError):
            while await self.reader.read(65_536):
                pass
        self.provider.left += 1


Script = Callable[[Line], Awaitable[None]]


@dataclass
class Provider:
    """A listening provider, and what it has seen."""

    port: int
    encrypted: bool = False
    connections: int = 0
    left: int = 0
    requests: list[Request] = field(default_factory=list)

    def url(self, path: str = "/v1/x", host: str = "127.0.0.1") -> URL:
        return URL(f"{'https' if self.encrypted else 'http'}://{host}:{self.port}{path}", encoded=True)


@asynccontextmanager
async def provider(script: Script, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Provider]:
    """Serve every connection by a script. What the script does not catch because the client left is fine."""
    lines: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        lines.add(task)
        seen.connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await script(Line(seen.connections, reader, writer, seen))
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls, backlog=2048)
    seen = Provider(server.sockets[0].getsockname()[1], encrypted=tls is not None)
    try:
        yield seen
    finally:
        server.close()
        for line in lines:
            line.cancel()
        await asyncio.gather(*lines, return_exceptions=True)
        await asyncio.sleep(0)


def always(*pieces: bytes) -> Script:
    """Answer every request of every connection with the same bytes."""

    async def script(line: Line) -> None:
        while True:
            await line.request()
            line.say(*pieces)
            await line.writer.drain()

    return script


def once(*pieces: bytes) -> Script:
    """Answer the first request of a connection, then close in an orderly way."""

    async def script(line: Line) -> None:
        await line.request()
        line.say(*pieces)
        line.close()
        await line.writer.wait_closed()

    return script


def whole(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """A plain answer with a length."""
    lines = [b"HTTP/1.1 " + status, b"Content-Type: application/json", *headers]
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", body])


@asynccontextmanager
async def client(**options: object) -> AsyncIterator[HttpClient]:
    """A client of ours, closed at the end."""
    made = HttpClient(**options)  # type: ignore[arg-type]
    try:
        yield made
    finally:
        await made.close()
        assert made.open_connections == 0


async def post(upstream: Upstream, url: URL, body: bytes = b"{}") -> tuple[int, bytes]:
    """Ask and read to the end."""
    answer = await upstream.send("POST", url, [("content-type", "application/json")], body)
    return answer.status, await read(answer)


async def read(answer: Answer) -> bytes:
    """Read an answer to its end."""
    return b"".join([chunk async for chunk in answer.chunks()])


async def until(fact: Callable[[], bool], *, seconds: float = 5.0) -> None:
    """Ask again and again until something is true; fail when it takes too long."""
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, "it did not become true in time"
        await asyncio.sleep(POLL_SECONDS)
