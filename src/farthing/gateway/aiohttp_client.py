"""The way to a provider over aiohttp: slower than our own client, and known to many more servers."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence

import aiohttp
from yarl import URL

from farthing.gateway.upstream import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    IDLE_SECONDS,
    Lost,
    NeverConnected,
    TimedOut,
    decoded,
    decoder_for,
    header_block,
)

_READ_BYTES = 262_144


class AiohttpAnswer:
    """An answer that aiohttp reads."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status: int = response.status
        self.headers: Iterable[tuple[bytes, bytes]] = response.raw_headers
        self.content_type: str = response.headers.get("content-type", "")

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives, any content encoding undone. Raises Lost or TimedOut."""
        decoder = decoder_for(self._response.headers.get("content-encoding", ""))
        pieces = self._pieces()
        return pieces if decoder is None else decoded(pieces, decoder)

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        try:
            async for piece in self._response.content.iter_any():
                yield piece
        except TimeoutError as error:
            raise TimedOut("nothing came from the provider for too long") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Lost(f"the answer broke off: {error or type(error).__name__}") from error

    def close(self) -> None:
        """Let go; stops the provider's answer if it is still coming."""
        self._response.close()


class AiohttpClient:
    """Connections to all providers of one worker, kept by aiohttp."""

    def __init__(self, *, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_SECONDS, sock_read=answer_seconds
        )
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=60, keepalive_timeout=IDLE_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=self._timeout,
            auto_decompress=False,
            trust_env=False,
            read_bufsize=_READ_BYTES,
            skip_auto_headers=("user-agent", "accept", "accept-encoding", "content-type"),
        )

    async def send(
        self,
        method: str,
        url: URL,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        *,
        head_seconds: float | None = None,
    ) -> AiohttpAnswer:
        """Send a request and wait for the head of the answer. Raises NeverConnected, Lost or TimedOut.

        Here head_seconds bounds every later silence of the answer too.
        """
        header_block(headers)
        timeout = self._timeout
        if head_seconds is not None:
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=head_seconds)
        try:
            response = await self._session.request(
                method, url, data=body, headers=headers, allow_redirects=False, timeout=timeout
            )
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as error:
            raise NeverConnected(str(error) or type(error).__name__) from error
        except TimeoutError as error:
            raise TimedOut("the provider did not answer in time") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Lost(f"the connection broke before an answer: {error or type(error).__name__}") from error
        return AiohttpAnswer(response)

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()
