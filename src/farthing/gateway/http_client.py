"""The way to a provider over an HTTP/1.1 client of our own: fast, and exact about what was sent."""

import asyncio
import re
import ssl
from collections.abc import Sequence
from typing import NamedTuple

from yarl import URL

from farthing.gateway.http_addresses import Addresses
from farthing.gateway.http_connection import Connection, HttpAnswer
from farthing.gateway.upstream import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    IDLE_SECONDS,
    NeverConnected,
    TimedOut,
    header_block,
)

IDLE_CONNECTIONS_MAX = 256
_DESTINATIONS_REMEMBERED = 4_096
_METHODS = frozenset({"DELETE", "GET", "PATCH", "POST", "PUT"})
_TARGET = re.compile(r"/[\x21-\x7e\x80-\xff]*")


class Origin:
    """One scheme, host and port: the connections to it that wait for work, the latest used last."""

    def __init__(self, *, host: str, port: int, encrypted: bool) -> None:
        self.host = host
        self.port = port
        self.encrypted = encrypted
        self.idle: dict[Connection, float] = {}


class Destination(NamedTuple):
    """Where a URL leads, with the lines of the request that only it decides."""

    origin: Origin
    opening: str


class OriginPool:
    """What a connection of one origin tells its client."""

    def __init__(self, client: "HttpClient", origin: Origin) -> None:
        self._client = client
        self._origin = origin

    def put_back(self, connection: Connection) -> None:
        """Keep a connection that may carry another request."""
        self._client.put_back(self._origin, connection)

    def forget(self, connection: Connection) -> None:
        """Know that a connection is gone."""
        self._origin.idle.pop(connection, None)
        self._client.forget(connection)


class HttpClient:
    """Connections to all providers of one worker, kept by ourselves. Knows no proxy, follows nothing.

    Names of headers come from a server that has read them; host, content-length and everything about the
    connection are ours to say, so they must not be among them.
    """

    def __init__(
        self,
        *,
        answer_seconds: float = ANSWER_SECONDS,
        connect_seconds: float = CONNECT_SECONDS,
        idle_seconds: float = IDLE_SECONDS,
        idle_connections_max: int = IDLE_CONNECTIONS_MAX,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._answer_seconds = answer_seconds
        self._connect_seconds = connect_seconds
        self._idle_seconds = idle_seconds
        self._idle_connections_max = idle_connections_max
        self._tls = tls
        self._addresses = Addresses()
        self._origins: dict[tuple[str, str, int], Origin] = {}
        self._destinations: dict[tuple[str, URL], Destination] = {}
        self._connections: set[Connection] = set()
        self._sweeping: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Future[None] | None = None
        self._closed = False

    async def send(
        self,
        method: str,
        url: URL,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        *,
        head_seconds: float | None = None,
    ) -> HttpAnswer:
        """Send a request and wait for the head of the answer. Raises NeverConnected, Lost or TimedOut."""
        destination = self._destinations.get((method, url)) or self._destination(method, url)
        try:
            head = (
                f"{destination.opening}{header_block(headers)}content-length: {len(body)}\r\n\r\n"
            ).encode("latin-1")
        except UnicodeEncodeError as error:
            raise NeverConnected("a header holds a sign that HTTP cannot carry") from error
        connection = self._idle(destination.origin) or await self._connect(destination.origin)
        if head_seconds is None:
            return HttpAnswer(connection, await connection.ask(head, body))
        try:
            async with asyncio.timeout(head_seconds):
                return HttpAnswer(connection, await connection.ask(head, body))
        except TimeoutError as error:
            raise TimedOut(f"the provider did not begin to answer within {head_seconds:g} s") from error

    async def close(self) -> None:
        """Close every connection."""
        self._closed = True
        if self._sweeping is not None:
            self._sweeping.cancel()
        self._addresses.close()
        for connection in list(self._connections):
            connection.abort()
        if self._connections:
            self._emptied = asyncio.get_running_loop().create_future()
            await self._emptied

    @property
    def open_connections(self) -> int:
        """How many connections there are, idle ones among them."""
        return len(self._connections)

    # ── where to ────────────────────────────────────────────────────────────────────────────────

    def _destination(self, method: str, url: URL) -> Destination:
        """Read a URL once. Raises NeverConnected for one that leads nowhere."""
        host, port, target = url.raw_host, url.port, url.raw_path_qs or "/"
        if url.scheme not in ("http", "https") or not host or not port:
            raise NeverConnected(f"{url.scheme}://{host or ''} is no address of a provider")
        if url.raw_user or url.raw_password:
            raise NeverConnected("a provider's address must not hold a user or a password")
        if method not in _METHODS or not _TARGET.fullmatch(target):
            raise NeverConnected("the method or the path holds what a request line cannot carry")
        origin = self._origins.setdefault(
            (url.scheme, host, port), Origin(host=host, port=port, encrypted=url.scheme == "https")
        )
        opening = f"{method} {target} HTTP/1.1\r\nhost: {url.host_port_subcomponent}\r\n"
        if len(self._destinations) >= _DESTINATIONS_REMEMBERED:
            self._destinations.clear()
        destination = self._destinations[(method, url)] = Destination(origin, opening)
        return destination

    # ── connections ─────────────────────────────────────────────────────────────────────────────

    def _idle(self, origin: Origin) -> Connection | None:
        """The connection used last, if one is fit: the others may grow old and be closed."""
        if self._closed:
            raise NeverConnected("this gateway has stopped")
        idle = origin.idle
        while idle:
            connection, since = idle.popitem()
            if self._loop_time() - since < self._idle_seconds and connection.is_fit():
                return connection
            connection.abort()
        return None

    async def _connect(self, origin: Origin) -> Connection:
        loop = asyncio.get_running_loop()
        pool = OriginPool(self, origin)
        try:
            async with asyncio.timeout(self._connect_seconds):
                connected = await self._addresses.connect(origin.host, origin.port)
                try:
                    _, connection = await loop.create_connection(
                        lambda: Connection(pool, connected, silence_seconds=self._answer_seconds),
                        sock=connected,
                        ssl=self._tls_context() if origin.encrypted else None,
                        server_hostname=origin.host.rstrip(".") if origin.encrypted else None,
                    )
                except BaseException:
                    connected.close()
                    raise
        except TimeoutError as error:
            raise NeverConnected(
                f"no connection to {origin.host} within {self._connect_seconds:g} s"
            ) from error
        except (OSError, UnicodeError) as error:
            raise NeverConnected(
                f"no connection to {origin.host}: {error or type(error).__name__}"
            ) from error
        if not connection.lost:
            self._connections.add(connection)
        if self._closed:
            connection.abort()
        return connection

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls

    def put_back(self, origin: Origin, connection: Connection) -> None:
        """Keep an idle connection, within bounds."""
        if self._closed or len(origin.idle) >= self._idle_connections_max:
            connection.abort()
            return
        origin.idle[connection] = self._loop_time()
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().call_later(self._idle_seconds, self._sweep)

    def forget(self, connection: Connection) -> None:
        """Know that a connection is gone."""
        self._connections.discard(connection)
        if self._emptied is not None and not self._connections and not self._emptied.done():
            self._emptied.set_result(None)

    def _sweep(self) -> None:
        """Close what has been idle for too long; come back while anything is idle."""
        self._sweeping = None
        now = self._loop_time()
        left = [self._close_old(origin, now - self._idle_seconds) for origin in self._origins.values()]
        oldest = min((since for since in left if since is not None), default=None)
        if oldest is not None:
            wait_seconds = max(0.0, oldest + self._idle_seconds - now)
            self._sweeping = asyncio.get_running_loop().call_later(wait_seconds, self._sweep)

    def _close_old(self, origin: Origin, before: float) -> float | None:
        """Close what is idle since before a moment; tell since when the oldest that is left has been."""
        for connection, since in list(origin.idle.items()):
            if since > before:
                return since
            del origin.idle[connection]
            connection.abort()
        return None

    def _loop_time(self) -> float:
        return asyncio.get_running_loop().time()
