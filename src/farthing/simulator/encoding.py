"""Compress answers, whole or event by event, so that each event can be read when it arrives."""

import zlib
from collections.abc import Callable, Iterable

import brotli
import zstandard

# Takes bytes and whether they are the last; gives all that a reader needs to see those bytes now.
_Squeeze = Callable[[bytes, bool], bytes]


def encoded(pieces: Iterable[bytes], encoding: str) -> tuple[bytes, ...]:
    """Encode pieces of one body; joined they are the encoded body, and each can be read on arrival."""
    plain = tuple(pieces)
    if encoding == "identity" or not plain:
        return plain
    squeeze = _SQUEEZES[encoding]()
    return tuple(squeeze(piece, number == len(plain) - 1) for number, piece in enumerate(plain))


def _deflating(window_bits: int) -> Callable[[], _Squeeze]:
    def begin() -> _Squeeze:
        compressor = zlib.compressobj(wbits=window_bits)

        def squeeze(data: bytes, last: bool) -> bytes:
            return compressor.compress(data) + compressor.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)

        return squeeze

    return begin


def _brotli() -> _Squeeze:
    compressor = brotli.Compressor(quality=4)

    def squeeze(data: bytes, last: bool) -> bytes:
        begun: bytes = compressor.process(data)
        rest: bytes = compressor.finish() if last else compressor.flush()
        return begun + rest

    return squeeze


def _zstd() -> _Squeeze:
    compressor = zstandard.ZstdCompressor().compressobj()

    def squeeze(data: bytes, last: bool) -> bytes:
        ending = zstandard.COMPRESSOBJ_FLUSH_FINISH if last else zstandard.COMPRESSOBJ_FLUSH_BLOCK
        return compressor.compress(data) + compressor.flush(ending)

    return squeeze


_SQUEEZES: dict[str, Callable[[], _Squeeze]] = {
    "gzip": _deflating(zlib.MAX_WBITS | 16),
    "deflate": _deflating(zlib.MAX_WBITS),
    "br": _brotli,
    "zstd": _zstd,
}
