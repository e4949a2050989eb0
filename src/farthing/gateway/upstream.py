"""The way to a provider: one small interface that tells what money needs to know."""

import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from typing import Protocol

import brotli
import zstandard
from yarl import URL

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 600.0
IDLE_SECONDS = 30.0  # shorter than servers wait, so that it is we who close what nobody uses


class NeverConnected(Exception):
    """No byte of the request was sent: nothing is owed."""


class Lost(Exception):
    """The connection was there and broke; the provider may have done the work."""


class TimedOut(Exception):
    """The provider kept silent for too long; it may have done the work."""


class Answer(Protocol):
    """What came back: status and headers at once, the body decoded as it arrives."""

    @property
    def status(self) -> int:
        """The status code."""
        ...

    @property
    def headers(self) -> Iterable[tuple[bytes, bytes]]:
        """Names and values as they came."""
        ...

    @property
    def content_type(self) -> str:
        """The content-type; empty where none was told."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives, any content encoding undone.

        Raises Lost when it breaks off or cannot be decoded, TimedOut when nothing comes for too long.
        """
        ...

    def close(self) -> None:
        """Let go; stops the provider's answer if it is still coming."""
        ...


class Upstream(Protocol):
    """Connections to all providers of one worker. Redirects are never followed, proxies never guessed."""

    async def send(
        self,
        method: str,
        url: URL,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        *,
        head_seconds: float | None = None,
    ) -> Answer:
        """Send a request and wait for the head of the answer.

        head_seconds: for how long, once there is a connection; None leaves the usual.

        Raises NeverConnected, Lost or TimedOut: what each means for money is the outcome rules' matter.
        """
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


def header_block(headers: Sequence[tuple[str, str]]) -> str:
    """The headers as they go on the wire.

    Raises NeverConnected where a line break hides in one, for that could smuggle a header or a request in.
    """
    block = "".join([f"{name}: {value}\r\n" for name, value in headers])
    count = len(headers)
    if block.count("\r") != count or block.count("\n") != count or "\0" in block:
        name = next(name for name, value in headers if any(sign in name + value for sign in "\r\n\0"))
        raise NeverConnected(f"the header {name!r} holds a line break, so the request was not sent")
    return block


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


class _Gzip:
    """Gzip, which may come as several members one after another (RFC 1952, section 2.2)."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=31)

    def decompress(self, data: bytes, /) -> bytes:
        """Return what can be told from the bytes so far."""
        decoded = self._member.decompress(data)
        while rest := self._member.unused_data.lstrip(b"\0"):  # zeros may pad the last member
            self._member = zlib.decompressobj(wbits=31)
            decoded += self._member.decompress(rest)
        return decoded


class _Deflate:
    """Deflate with the header of zlib, as RFC 9110 wants it, or without, as some servers send it."""

    def __init__(self) -> None:
        self._decoder: Decoder | None = None
        self._start = b""

    def decompress(self, data: bytes, /) -> bytes:
        """Return what can be told from the bytes so far."""
        if self._decoder is None:
            data = self._start = self._start + data
            if len(data) < 2:
                return b""
            headed = data[0] & 0x0F == zlib.DEFLATED and int.from_bytes(data[:2]) % 31 == 0
            self._decoder = zlib.decompressobj(wbits=zlib.MAX_WBITS if headed else -zlib.MAX_WBITS)
        return self._decoder.decompress(data)


def decoder_for(encoding: str) -> Decoder | None:
    """The decoder of a content-encoding; None for identity.

    Raises Lost for an encoding that was not asked for and cannot be read.
    """
    match encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip":
            return _Gzip()
        case "deflate":
            return _Deflate()
        case "br":
            return _Brotli()
        case "zstd":
            return zstandard.ZstdDecompressor().decompressobj(read_across_frames=True)
        case other:
            raise Lost(f"the provider answered in an encoding nobody asked for: {other!r}")


async def decoded(pieces: AsyncGenerator[bytes, None], decoder: Decoder) -> AsyncGenerator[bytes, None]:
    """The pieces of a body with its content encoding undone. Raises Lost where that cannot be done."""
    async with aclosing(pieces):
        async for piece in pieces:
            try:
                plain = decoder.decompress(piece)
            except (zlib.error, brotli.error, zstandard.ZstdError) as error:
                raise Lost(f"the answer's content encoding is broken: {error}") from error
            if plain:
                yield plain
