"""The way to a provider: one small interface that tells what money needs to know, over aiohttp."""

import zlib
from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import Protocol, Self

import aiohttp
import brotli
import zstandard
from yarl import URL

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 600.0
READ_BYTES = 262_144


class NeverConnected(Exception):
    """No byte of the request was sent: nothing is owed."""


class Lost(Exception):
    """The connection was there and broke; the provider may have done the work."""


class TimedOut(Exception):
    """The provider kept silent for too long; it may have done the work."""


class Decoder(Protocol):
    """Undoes a content encoding, piece by piece."""

    def decompress(self, data: bytes, /) -> bytes:
        """Return what can be told from the bytes so far."""
        ...


class _Brotli:
    """Brotli under the common name for its one method."""

    def __init__(self) -> None:
        self._decoder = brotli.Decompressor()

    def decompress(self, data: bytes, /) -> bytes:
        """Return what can be told from the bytes so far."""
        decoded: bytes = self._decoder.process(data)
        return decoded


def decoder_for(encoding: str) -> Decoder | None:
    """The decoder of a content-encoding; None for identity.

    Raises Lost for an encoding that was not asked for and cannot be read.
    """
    match encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip":
            return zlib.decompressobj(wbits=31)
        case "deflate":
            return zlib.decompressobj()
        case "br":
            return _Brotli()
        case "zstd":
            return zstandard.ZstdDecompressor().decompressobj()
        case other:
            raise Lost(f"the provider answered in an encoding nobody asked for: {other!r}")


class Answer:
    """What came back: status and headers at once, the body decoded as it arrives."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status: int = response.status
        self.headers: Iterable[tuple[bytes, bytes]] = response.raw_headers
        self.content_type: str = response.headers.get("content-type", "")
        self._encoding: str = response.headers.get("content-encoding", "")

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives, any content encoding undone.

        Raises Lost when it breaks off or cannot be decoded, TimedOut when nothing comes for too long.
        """
        decoder = decoder_for(self._encoding)
        try:
            async for chunk in self._response.content.iter_any():
                if decoder is None:
                    yield chunk
                    continue
                try:
                    decoded = decoder.decompress(chunk)
                except (zlib.error, brotli.error, zstandard.ZstdError) as error:
                    raise Lost(f"the answer's {self._encoding} encoding is broken: {error}") from error
                if decoded:
                    yield decoded
        except TimeoutError as error:
            raise TimedOut("nothing came from the provider for too long") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Lost(f"the answer broke off: {error or type(error).__name__}") from error

    def close(self) -> None:
        """Let go; stops the provider's answer if it is still coming."""
        self._response.close()


class Upstream:
    """Connections to all providers of one worker. Redirects are never followed, proxies never guessed."""

    def __init__(self, *, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=60, keepalive_timeout=30),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=answer_seconds),
            auto_decompress=False,
            trust_env=False,
            read_bufsize=READ_BYTES,
            skip_auto_headers=("user-agent", "accept", "accept-encoding", "content-type"),
        )

    async def send(self, method: str, url: URL, headers: list[tuple[str, str]], body: bytes) -> Answer:
        """Send a request and wait for the head of the answer.

        Raises NeverConnected, Lost or TimedOut: what each means for money is the outcome rules' matter.
        """
        try:
            response = await self._session.request(
                method, url, data=body, headers=headers, allow_redirects=False
            )
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as error:
            raise NeverConnected(str(error) or type(error).__name__) from error
        except TimeoutError as error:
            raise TimedOut("the provider did not answer in time") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Lost(f"the connection broke before an answer: {error or type(error).__name__}") from error
        return Answer(response)

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

    async def __aenter__(self) -> Self:
        """Use as a context."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close at the end of the context."""
        await self.close()
