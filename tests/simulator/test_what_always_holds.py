"""Properties: no answer costs more than its caps allow, and none reports more input than there are bytes."""

import json
import zlib

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from farthing.simulator.answering import Answer, answer
from farthing.simulator.behaviour import Behaviour, without_directives
from farthing.simulator.encoding import encoded
from farthing.simulator.routes import route
from tests.simulator.callers import CHAT, COMPLETIONS, GENERATE, MESSAGES, RESPONSES, STREAM, a_request

CAPS = {CHAT: "max_tokens", COMPLETIONS: "max_tokens", RESPONSES: "max_output_tokens", MESSAGES: "max_tokens"}


def planned(path: str, body: bytes, behaviour: Behaviour) -> Answer:
    found = route(*_parted(path))
    assert found is not None
    return answer(*found, body, behaviour)


def _parted(path: str) -> tuple[str, bytes]:
    place, _, query = path.partition("?")
    return place, query.encode()


behaviours = st.builds(
    Behaviour,
    seed=st.integers(0, 9),
    output_tokens=st.none() | st.integers(0, 3000),
    reasoning_tokens=st.integers(0, 2000),
    text=st.none() | st.text(max_size=200),
    echo=st.booleans(),
    tool=st.integers(0, 2),
    chunks=st.none() | st.integers(1, 40),
)


@given(
    path=st.sampled_from([*CAPS, GENERATE, STREAM]),
    text=st.text(max_size=300).filter(lambda text: "[[sim" not in text),
    cap=st.integers(1, 500),
    choices=st.integers(1, 4),
    stream=st.booleans(),
    behaviour=behaviours,
)
def test_output_keeps_to_the_cap_for_each_choice_and_input_to_the_bytes(
    path: str, text: str, cap: int, choices: int, stream: bool, behaviour: Behaviour
) -> None:
    request = a_request(path, text)
    several = path in (CHAT, COMPLETIONS, GENERATE, STREAM)
    if path in CAPS:
        request |= {CAPS[path]: cap, "stream": stream} | ({"n": choices} if several else {})
    else:
        request |= {"generationConfig": {"maxOutputTokens": cap, "candidateCount": choices}}
    body = json.dumps(request, ensure_ascii=False).encode(errors="surrogatepass")

    told = planned(path, body, behaviour)

    assert told.status == 200
    assert told.billed is not None
    assert told.billed.output_tokens <= cap * (choices if several else 1)
    assert told.billed.reasoning <= told.billed.output_tokens
    assert 1 <= told.billed.input_tokens <= len(body)


@given(
    text=st.text(max_size=300).filter(lambda text: text == without_directives(text)),
    chunks=st.none() | st.integers(1, 400),
)
def test_the_pieces_of_a_stream_join_to_the_whole(text: str, chunks: int | None) -> None:
    behaviour = Behaviour(echo=True, chunks=chunks)
    whole = planned(CHAT, json.dumps(a_request(CHAT, text)).encode(), behaviour)
    stream = planned(CHAT, json.dumps(a_request(CHAT, text, stream=True)).encode(), behaviour)

    lines = [line for line in b"".join(stream.pieces).split(b"\n\n") if line.startswith(b"data: {")]
    deltas = [json.loads(line[6:])["choices"][0]["delta"].get("content") or "" for line in lines]
    assert "".join(deltas) == text
    assert json.loads(whole.pieces[0])["choices"][0]["message"]["content"] == text
    assert stream.billed == whole.billed


def decoded(encoding: str, arrived: bytes) -> bytes:
    """What a reader sees of bytes that have arrived so far."""
    match encoding:
        case "gzip":
            return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(arrived)
        case "deflate":
            return zlib.decompressobj().decompress(arrived)
        case "br":
            return bytes(brotli.Decompressor().process(arrived))
        case "zstd":
            return zstandard.ZstdDecompressor().decompressobj().decompress(arrived)
        case _:
            return arrived


@pytest.mark.parametrize("encoding", ["identity", "gzip", "deflate", "br", "zstd"])
@given(pieces=st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=6))
def test_an_encoded_piece_can_be_read_when_it_arrives(encoding: str, pieces: list[bytes]) -> None:
    arrived = encoded(pieces, encoding)

    assert len(arrived) == len(pieces)
    for number in range(1, len(pieces) + 1):
        assert decoded(encoding, b"".join(arrived[:number])) == b"".join(pieces[:number])


@given(body=st.binary(max_size=200), path=st.sampled_from([*CAPS, GENERATE, "/v1/embeddings"]))
def test_no_body_breaks_a_provider(body: bytes, path: str) -> None:
    assert planned(path, body, Behaviour()).status in (200, 400)
