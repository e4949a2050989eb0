"""Read a request's body: whole, decoded, and never larger than the stated limit."""

import asyncio
import zlib

import zstandard

from farthing.domain.errors import BadRequest
from farthing.gateway.asgi import Receive

BODY_BYTES_MAX = 32 * 1024 * 1024


class CallerLeft(Exception):
    """The caller was gone before its request was whole: nothing was asked."""


async def read_body(receive: Receive, *, encoding: bytes, length: int | None, limit: int) -> bytes:
    """Read and decode a body. Raises BadRequest (413, 415, 400) and CallerLeft."""
    if length is not None and length > limit:
        raise _too_large(limit)
    message = await receive()
    if message["type"] == "http.disconnect":
        raise CallerLeft
    body: bytes = message.get("body", b"")
    if message.get("more_body", False):
        body = await _read_on(receive, body, limit)
    if len(body) > limit:
        raise _too_large(limit)
    return _decoded(body, encoding, limit) if encoding and encoding != b"identity" else body


async def has_left(receive: Receive) -> bool:
    """Tell, without waiting, whether the caller of a request whose body was read is gone."""
    hearing = asyncio.ensure_future(receive())
    await asyncio.sleep(0)
    if hearing.done():
        return bool(hearing.result()["type"] == "http.disconnect")
    hearing.cancel()
    return False


async def _read_on(receive: Receive, first: bytes, limit: int) -> bytes:
    parts, size = [first], len(first)
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise CallerLeft
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def _decoded(body: bytes, encoding: bytes, limit: int) -> bytes:
    """Undo gzip or zstd, stopping at the limit so that a small body cannot unfold into a huge one."""
    try:
        if encoding in (b"gzip", b"x-gzip"):
            unpacker = zlib.decompressobj(wbits=31)
            decoded = unpacker.decompress(body, limit + 1)
            whole = unpacker.eof
        elif encoding == b"zstd":
            reader = zstandard.ZstdDecompressor().stream_reader(body)
            decoded = reader.read(limit + 1)
            whole = True
        else:
            raise BadRequest(
                f"content-encoding {encoding.decode('latin-1')!r} is not read here; "
                "send identity, gzip or zstd",
                status=415,
            )
    except (zlib.error, zstandard.ZstdError) as error:
        raise BadRequest(f"the body is not valid {encoding.decode('latin-1')}: {error}") from error
    if len(decoded) > limit:
        raise _too_large(limit)
    if not whole:
        raise BadRequest("the gzip body ends too early")
    return decoded


def _too_large(limit: int) -> BadRequest:
    return BadRequest(
        f"the body is larger than {limit // (1024 * 1024)} MiB, the limit of this gateway "
        "(farthing serve --body-limit-mib changes it)",
        status=413,
    )
