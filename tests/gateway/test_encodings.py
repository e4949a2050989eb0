"""Encodings of answers are undone whichever of their lawful forms a server picks, however they are cut."""

import gzip
import zlib

import brotli
import pytest
import zstandard

from farthing.gateway.upstream import Lost, decoder_for

WORDS = b"data: one\n\n" * 50 + b"data: [DONE]\n\n"
HALF = len(WORDS) // 2
_zstd = zstandard.ZstdCompressor().compress


def without_header(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize("size", [1, 2, 7, 100_000])
@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(WORDS, mtime=0)),
        ("GZIP ", gzip.compress(WORDS, mtime=0)),
        ("x-gzip", gzip.compress(WORDS, mtime=0)),
        ("gzip", gzip.compress(WORDS[:HALF], mtime=0) + gzip.compress(WORDS[HALF:], mtime=0)),
        ("gzip", gzip.compress(WORDS, mtime=0) + bytes(9)),
        ("deflate", zlib.compress(WORDS)),
        ("deflate", without_header(WORDS)),
        ("br", brotli.compress(WORDS)),
        ("zstd", _zstd(WORDS)),
        ("zstd", _zstd(WORDS[:HALF]) + _zstd(WORDS[HALF:])),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)}-bytes",
)
def test_every_lawful_form_is_undone(encoding: str, packed: bytes, size: int) -> None:
    decoder = decoder_for(encoding)
    assert decoder is not None
    pieces = (packed[start : start + size] for start in range(0, len(packed), size))
    assert b"".join(decoder.decompress(piece) for piece in pieces) == WORDS


@pytest.mark.parametrize("encoding", ["", "identity", " Identity "])
def test_nothing_is_undone_where_nothing_was_done(encoding: str) -> None:
    assert decoder_for(encoding) is None


@pytest.mark.parametrize("encoding", ["compress", "gzip, br", "aes128gcm"])
def test_an_encoding_that_cannot_be_read_counts_as_a_lost_answer(encoding: str) -> None:
    with pytest.raises(Lost):
        decoder_for(encoding)
