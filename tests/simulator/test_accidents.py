"""Everything that goes wrong on the way can be asked for, and shows on the wire."""

import http.client
import json
import time
import zlib

import brotli
import pytest
import zstandard

from farthing.simulator.server import SimulatorServer
from tests.simulator.callers import (
    ARRAY,
    CHAT,
    COMPLETIONS,
    GENERATE,
    MESSAGES,
    RESPONSES,
    STREAM,
    Caller,
    a_request,
)

WHOLE = (CHAT, RESPONSES, COMPLETIONS, MESSAGES, GENERATE)
STREAMS = (CHAT, RESPONSES, COMPLETIONS, MESSAGES, STREAM, ARRAY)


@pytest.mark.parametrize("path", STREAMS)
def test_a_cut_stream_ends_after_so_many_events_and_not_orderly(caller: Caller, path: str) -> None:
    untouched = caller.say("hello [[sim output=40 chunks=20]]", path, stream=path in WHOLE)
    cut = caller.say("hello [[sim output=40 chunks=20 cut=5]]", path, stream=path in WHOLE)

    ends = b",\r\n" if path == ARRAY else b"data: "
    assert untouched.whole
    assert not cut.whole
    assert cut.body.count(ends) == (4 if path == ARRAY else 5)
    assert caller.simulator.record.calls[-1].outcome == "cut"


@pytest.mark.parametrize("path", WHOLE)
def test_a_cut_answer_stops_in_the_middle_of_its_body(caller: Caller, path: str) -> None:
    cut = caller.say("hello [[sim cut]]", path)

    assert not cut.whole
    assert 0 < len(cut.body) < int(cut.headers["content-length"])


@pytest.mark.parametrize("path", STREAMS)
def test_a_stream_can_end_with_an_error_in_its_own_dialect(caller: Caller, path: str) -> None:
    heard = caller.say("hello [[sim error_mid=3]]", path, stream=path in WHOLE)

    assert heard.whole
    last = json.loads(heard.body)[-1] if path == ARRAY else heard.objects()[-1]
    if path == RESPONSES:
        assert (last["type"], last["response"]["status"]) == ("response.failed", "failed")
        last = heard.objects()[-2]
        assert last["type"] == "error"
    elif path == MESSAGES:
        assert (last["type"], last["error"]["type"]) == ("error", "overloaded_error")
    else:
        assert last["error"]["message"]


def test_a_whole_answer_can_be_an_error_with_status_200(caller: Caller) -> None:
    heard = caller.say("[[sim error_mid]]")

    assert heard.status == 200
    assert set(heard.json()) == {"error"}


def test_a_connection_can_be_reset_before_the_answer(caller: Caller) -> None:
    with pytest.raises(ConnectionResetError):
        caller.say("[[sim reset]]")

    assert caller.simulator.record.calls[-1].outcome == "cut"


def test_a_call_can_hang_until_the_caller_leaves(simulator: SimulatorServer) -> None:
    connection = http.client.HTTPConnection(simulator.host, simulator.port, timeout=0.1)
    connection.request("POST", CHAT, json.dumps(a_request(CHAT, "[[sim hang]]")))

    with pytest.raises(TimeoutError):
        connection.getresponse()

    assert simulator.record.calls[-1].outcome == "open"
    connection.close()
    assert simulator.record.wait_until(lambda: simulator.record.calls[-1].outcome == "abandoned")


def test_a_caller_that_leaves_a_slow_stream_is_noticed(simulator: SimulatorServer) -> None:
    connection = http.client.HTTPConnection(simulator.host, simulator.port, timeout=2)
    connection.request("POST", CHAT, json.dumps(a_request(CHAT, "[[sim chunk_ms=60000]]", stream=True)))
    first = connection.getresponse().readline()
    connection.close()

    assert first.startswith(b"data: ")
    assert simulator.record.wait_until(lambda: simulator.record.calls[-1].outcome == "abandoned")


@pytest.mark.parametrize("directive", ["first_byte_ms=60", "latency_ms=60"])
@pytest.mark.parametrize("stream", [False, True])
def test_the_first_byte_can_be_late(caller: Caller, directive: str, stream: bool) -> None:
    began = time.monotonic()
    heard = caller.say(f"[[sim {directive}]]", stream=stream)

    assert heard.whole
    assert time.monotonic() - began >= 0.06


def test_events_can_keep_their_distance(caller: Caller) -> None:
    began = time.monotonic()
    heard = caller.say("[[sim chunks=4 chunk_ms=10]]", stream=True)

    assert time.monotonic() - began >= 0.01 * (len(heard.data()) - 1)


@pytest.mark.parametrize(
    ("directive", "content_type", "readable"),
    [
        ("garbage", "application/json", False),
        ("html", "text/html", False),
        ("truncated", "application/json", False),
        ("empty", "application/json", False),
        ("proper", "application/json", True),
    ],
)
@pytest.mark.parametrize("path", WHOLE)
def test_a_body_can_be_what_no_client_expects(
    caller: Caller, path: str, directive: str, content_type: str, readable: bool
) -> None:
    heard = caller.say(f"hello [[sim {directive}]]", path)

    assert (heard.status, heard.headers["content-type"], heard.whole) == (200, content_type, True)
    assert _is_json(heard.body) is readable


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True


def test_a_truncated_stream_ends_inside_an_event(caller: Caller) -> None:
    heard = caller.say("[[sim truncated]]", stream=True)

    assert heard.whole
    assert not heard.body.endswith(b"\n\n")


@pytest.mark.parametrize("path", [CHAT, RESPONSES, MESSAGES, STREAM])
def test_a_stream_can_lack_its_last_event(caller: Caller, path: str) -> None:
    heard = caller.say("[[sim no_done]]", path, stream=path in WHOLE)

    assert heard.whole
    for end in (b"[DONE]", b"response.completed", b"message_stop", b"finishReason"):
        assert end not in heard.body


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 429, 500, 502, 503, 504, 529])
@pytest.mark.parametrize("path", WHOLE)
def test_every_status_can_be_had_with_and_without_usage(caller: Caller, path: str, status: int) -> None:
    without = caller.say(f"[[sim status={status}]]", path)
    with_usage = caller.say(f"[[sim status={status} with_usage retry_after=7 should_retry=false]]", path)

    assert without.status == with_usage.status == status
    assert "error" in without.json()
    assert not {"usage", "usageMetadata"} & set(without.json())
    assert {"usage", "usageMetadata"} & set(with_usage.json())
    assert with_usage.headers["retry-after"] == "7"
    assert with_usage.headers["x-should-retry"] == "false"


def test_only_the_first_calls_with_the_same_body_fail(caller: Caller) -> None:
    caller.post("/_simulator/reset", b"")

    statuses = [caller.say("[[sim fails=2 status=500]]").status for _ in range(4)]

    assert statuses == [500, 500, 200, 200]


def test_a_call_can_be_sent_elsewhere(caller: Caller) -> None:
    heard = caller.say("[[sim redirect]]")

    assert heard.status == 302
    assert heard.headers["location"].startswith("http://elsewhere.invalid/")


def test_an_answer_can_be_huge(caller: Caller) -> None:
    heard = caller.say("[[sim huge=3000000 output=5]]")

    assert len(heard.body) > 3_000_000
    assert heard.json()["usage"]["completion_tokens"] == 5


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "deflate"])
@pytest.mark.parametrize(("path", "stream"), [(CHAT, False), (CHAT, True), (MESSAGES, True), (ARRAY, False)])
def test_answers_can_be_encoded_unasked(caller: Caller, encoding: str, path: str, stream: bool) -> None:
    plain = caller.say("hello [[sim seed=3 output=40 ]]", path, stream=stream)
    heard = caller.say(f"hello [[sim seed=3 output=40 {encoding}]]", path, stream=stream)

    decoded = _DECODERS[encoding](heard.body)
    assert heard.headers["content-encoding"] == encoding
    # The texts differ by their directive, so only their frames are the same.
    assert decoded.count(b'"') == plain.body.count(b'"')


def _zstd_decoded(body: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(body)


_DECODERS = {
    "gzip": lambda body: zlib.decompress(body, zlib.MAX_WBITS | 16),
    "deflate": zlib.decompress,
    "br": brotli.decompress,
    "zstd": _zstd_decoded,
}


def test_bytes_can_arrive_in_any_pieces_and_with_other_line_ends(caller: Caller) -> None:
    heard = caller.say("[[sim split=3 crlf pings chunks=4]]", stream=True)

    assert heard.whole
    assert heard.body.count(b": ping\r\n\r\n") == len(heard.data())
    assert heard.body.replace(b"\r\n", b"").count(b"\n") == 0
    assert heard.data()[-1] == "[DONE]"


def test_a_misspelt_directive_is_an_error_that_names_it(caller: Caller) -> None:
    heard = caller.say("[[sim outptu=5]]")

    assert heard.status == 400
    assert b"outptu" in heard.body
