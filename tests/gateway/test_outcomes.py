"""However a call ends, it is exactly one entry, by the rule that is stated for it."""

import gc
import http.client
import json
import socket
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from farthing.gateway.calls import Limits
from farthing.simulator.behaviour import Behaviour
from farthing.simulator.server import SimulatorServer
from tests.running import CallKey, Json, Log, RunningGateway, wait_until

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
MESSAGES, STREAM = "/v1/messages", "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
GENERATE = "/v1beta/models/gemini-2.5-flash:generateContent"
ALL = [CHAT, RESPONSES, MESSAGES, GENERATE]
STREAMED = [CHAT, RESPONSES, MESSAGES, STREAM]


def body_for(path: str, text: str, *, stream: bool = False) -> Json:
    if "/models/" in path:
        return {
            "contents": [{"role": "user", "parts": [{"text": text}]}],
            "generationConfig": {"maxOutputTokens": 1000},
        }
    flag = {"stream": True} if stream else {}
    if path == RESPONSES:
        return {"model": "gpt-5-mini", "input": text, "max_output_tokens": 1000, **flag}
    model = "claude-haiku-4-5" if path == MESSAGES else "gpt-4o-mini"
    return {"model": model, "max_tokens": 1000, "messages": [{"role": "user", "content": text}], **flag}


@pytest.fixture
def key(gateway: RunningGateway) -> CallKey:
    return gateway.key("production")


def assumed(entry: Json, rule: str) -> None:
    """Check that the ceiling was booked, and why."""
    assert (entry["outcome"], entry["assumed"], entry["assumed_rule"]) == ("settled", True, rule)
    assert entry["cost_nanodollars"] == entry["ceiling_nanodollars"] > 0


def settled_at_zero(entry: Json, status: int) -> None:
    assert (entry["outcome"], entry["status"], entry["cost_nanodollars"]) == ("settled", status, 0)
    assert (entry["assumed"], entry["assumed_rule"]) == (False, "provider_error")


# ── errors of the provider ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422, 429, 500, 503, 529])
@pytest.mark.parametrize("path", ALL)
def test_an_error_that_says_nothing_was_done_costs_nothing(
    gateway: RunningGateway, simulator: SimulatorServer, key: CallKey, path: str, status: int
) -> None:
    heard = gateway.post(path, body_for(path, f"hi [[sim status={status} retry_after=3]]"), key)

    assert heard.status == status
    (call,) = simulator.record.calls
    assert heard.body == error_sent_by(simulator, call.path, call.raw_body)
    assert heard.header("retry-after") == "3"
    assert heard.header("x-farthing-refusal") is None
    settled_at_zero(gateway.entry(key), status)


@pytest.mark.parametrize("status", [408, 502, 504, 520])
@pytest.mark.parametrize("path", [CHAT, MESSAGES])
def test_an_error_that_cannot_know_is_assumed(
    gateway: RunningGateway, key: CallKey, path: str, status: int
) -> None:
    heard = gateway.post(path, body_for(path, f"hi [[sim status={status}]]"), key)

    assert heard.status == status
    assumed(gateway.entry(key), f"status_{status}")


@pytest.mark.parametrize("path", ALL)
def test_an_error_with_usage_costs_its_usage(gateway: RunningGateway, key: CallKey, path: str) -> None:
    gateway.post(path, body_for(path, "hi [[sim status=500 with_usage input=100 output=10]]"), key)

    entry = gateway.entry(key)
    assert (entry["status"], entry["assumed"], entry["assumed_rule"]) == (500, False, "error_with_usage")
    assert (entry["usage"]["input_tokens"], entry["usage"]["output_tokens"]) == (100, 10)
    assert 0 < entry["cost_nanodollars"] < entry["ceiling_nanodollars"]


def error_sent_by(simulator: SimulatorServer, path: str, body: bytes) -> bytes:
    connection = http.client.HTTPConnection(simulator.host, simulator.port, timeout=5)
    try:
        connection.request("POST", path, body, {"content-type": "application/json"})
        return connection.getresponse().read()
    finally:
        connection.close()


@pytest.mark.parametrize("path", ALL)
def test_a_redirect_is_not_followed(
    gateway: RunningGateway, simulator: SimulatorServer, key: CallKey, path: str
) -> None:
    heard = gateway.post(path, body_for(path, "hi [[sim redirect]]"), key)

    assert heard.status == 302
    assert simulator.record.received == 1
    assert gateway.entry(key)["cost_nanodollars"] == 0


def test_a_redirect_to_a_place_that_listens_gets_no_secret(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The simulator redirects to a host that does not exist; this one redirects to a witness."""
    with SimulatorServer() as witness, redirecting_to(witness.url) as url, SimulatorServer() as simulator:
        policy = (
            "environments: {production: {}}\n"
            "providers: {targets: [{id: moved, provider: openai, base_url: '" + url + "/v1'}]}\n"
        )
        with RunningGateway(policy, tmp_path_factory.mktemp("moved"), simulator) as gateway:
            heard = gateway.chat(gateway.key(), "hello")
            assert heard.status == 307
            assert witness.record.received == 0


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_breaks_lets_go_of_its_connection(
    gateway: RunningGateway, log: Log, key: CallKey, *, stream: bool
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # raised as an error, the warning would keep the log from hearing
        for accident in ("cut", "cut gzip", "first_byte_ms=3000"):
            gateway.chat(key, f"hi [[sim {accident}]]", stream=stream)
        gc.collect()

    assert [line for line in log.lines if "Unclosed" in line] == []


@contextmanager
def redirecting_to(url: str) -> Iterator[str]:
    """A server that answers one request with a redirect."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)

    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(10)
            connection.recv(65_536)
            head = f"HTTP/1.1 307 Moved\r\nlocation: {url}/v1/chat/completions\r\n"
            connection.sendall(f"{head}content-length: 0\r\n\r\n".encode())

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        thread.join(10)
        listener.close()


# ── no usable answer ────────────────────────────────────────────────────────────────────────────


def test_a_provider_that_refuses_the_connection_is_owed_nothing(
    gateway: RunningGateway, key: CallKey
) -> None:
    heard = gateway.chat(key, "hello", model="nobody-listens")

    assert heard.status == 502
    assert heard.json()["error"]["code"] == "upstream_never_connected"
    entry = gateway.entry(key)
    assert (entry["outcome"], entry["cost_nanodollars"], entry["target"]) == ("void", 0, "unreachable")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", [CHAT, MESSAGES, GENERATE])
def test_a_provider_that_never_answers_is_assumed_to_have_worked(
    gateway: RunningGateway, simulator: SimulatorServer, key: CallKey, path: str, *, stream: bool
) -> None:
    heard = gateway.post(path, body_for(path, "hi [[sim hang]]", stream=stream), key)

    assert heard.status == 504
    assumed(gateway.entry(key), "timed_out")
    assert simulator.record.wait_until(lambda: simulator.record.outcomes["abandoned"] == 1)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", [CHAT, MESSAGES, GENERATE])
def test_a_connection_reset_before_the_answer_is_assumed(
    gateway: RunningGateway, simulator: SimulatorServer, key: CallKey, path: str, *, stream: bool
) -> None:
    heard = gateway.post(path, body_for(path, "hi [[sim reset]]", stream=stream), key)

    assert heard.status == 502
    assumed(gateway.entry(key), "broken")
    assert simulator.record.received == 1  # not sent again: the first one may have been worked on


@pytest.mark.parametrize("what", ["garbage", "html", "truncated", "empty", "no_usage"])
@pytest.mark.parametrize("path", ALL)
def test_an_answer_without_usage_passes_and_is_assumed(
    gateway: RunningGateway, key: CallKey, path: str, what: str
) -> None:
    heard = gateway.post(path, body_for(path, f"hi [[sim {what}]]"), key)

    assert heard.status == 200
    entry = gateway.entry(key)
    assumed(entry, "no_usage" if what == "no_usage" else entry["assumed_rule"])
    assert entry["assumed_rule"] in ("no_usage", "cut_short")


@pytest.mark.parametrize("path", ALL)
def test_an_answer_that_breaks_off_half_way_is_assumed(
    gateway: RunningGateway, key: CallKey, path: str
) -> None:
    heard = gateway.post(path, body_for(path, "hi [[sim cut]]"), key)

    assert heard.status == 502
    assumed(gateway.entry(key), "broken")


@pytest.mark.parametrize("path", ALL)
def test_usage_given_as_zero_is_zero(gateway: RunningGateway, key: CallKey, path: str) -> None:
    gateway.post(path, body_for(path, "hi [[sim zero_usage output=0]]"), key)

    entry = gateway.entry(key)
    assert (entry["outcome"], entry["assumed"], entry["cost_nanodollars"]) == ("settled", False, 0)


@pytest.mark.parametrize("path", ALL)
def test_usage_given_as_zero_beside_text_is_not_believed(
    gateway: RunningGateway, key: CallKey, path: str
) -> None:
    gateway.post(path, body_for(path, "hi [[sim zero_usage]]"), key)

    entry = gateway.entry(key)
    assumed(entry, "no_usage")
    assert any("all zero" in anomaly for anomaly in entry["anomalies"])


def test_a_provider_that_contradicts_itself_is_booked_and_marked(
    gateway: RunningGateway, key: CallKey
) -> None:
    gateway.chat(key, "hi [[sim usage_contradictory input=100 output=10]]")

    entry = gateway.entry(key)
    assert entry["cost_nanodollars"] > 0
    assert entry["anomalies"] != []


# ── encodings and sizes ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "deflate"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", STREAMED)
def test_an_encoding_that_nobody_asked_for_is_undone(
    gateway: RunningGateway, key: CallKey, path: str, encoding: str, *, stream: bool
) -> None:
    says = f"hi [[sim input=70 output=30 {encoding}]]"
    heard = gateway.post(path, body_for(path, says, stream=stream), key)

    assert (heard.status, heard.header("content-encoding")) == (200, None)
    assert b'"' in heard.body and (stream or path == STREAM or heard.json())
    entry = gateway.entry(key)
    assert (entry["assumed"], entry["usage"]["input_tokens"], entry["usage"]["output_tokens"]) == (
        False, 70, 30,
    )  # fmt: skip


@pytest.mark.parametrize("stream", [False, True])
def test_a_huge_answer_passes_whole(gateway: RunningGateway, key: CallKey, *, stream: bool) -> None:
    heard = gateway.chat(key, "hi [[sim huge=9000000 output=30]]", stream=stream, max_tokens=1000)

    assert heard.whole and len(heard.body) > 9_000_000
    entry = gateway.entry(key)
    assert (entry["assumed"], entry["usage"]["output_tokens"]) == (False, 30)


# ── streams ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", STREAMED)
def test_a_stream_that_is_cut_reaches_the_caller_as_cut_and_is_assumed(
    gateway: RunningGateway, key: CallKey, path: str
) -> None:
    heard = gateway.post(path, body_for(path, "hi [[sim output=40 chunks=8 cut=3]]", stream=True), key)

    assert (heard.status, heard.whole) == (200, False)
    assumed(gateway.entry(key), "broken")


@pytest.mark.parametrize("path", STREAMED)
def test_a_stream_that_ends_in_an_error_passes_it_on(
    gateway: RunningGateway, key: CallKey, path: str
) -> None:
    heard = gateway.post(path, body_for(path, "hi [[sim output=40 chunks=8 error_mid=3]]", stream=True), key)

    assert heard.whole and b"error" in heard.body
    entry = gateway.entry(key)
    assert (entry["outcome"], entry["assumed_rule"]) == ("settled", "error_in_stream")
    assert entry["error"]
    if entry["assumed"]:
        assumed(entry, "error_in_stream")


@pytest.mark.parametrize("path", STREAMED)
def test_a_stream_without_usage_is_assumed(gateway: RunningGateway, key: CallKey, path: str) -> None:
    gateway.post(path, body_for(path, "hi [[sim output=40 no_usage]]", stream=True), key)

    assumed(gateway.entry(key), "no_usage")


@pytest.mark.parametrize("path", [CHAT, RESPONSES, MESSAGES])
def test_a_stream_without_its_last_event_is_assumed_or_known(
    gateway: RunningGateway, key: CallKey, path: str
) -> None:
    gateway.post(path, body_for(path, "hi [[sim output=40 no_done no_usage]]", stream=True), key)

    assumed(gateway.entry(key), "cut_short")


@pytest.mark.parametrize("manner", ["usage_first", "usage_every", "usage_x_groq", "usage_unasked"])
def test_usage_is_found_wherever_a_stream_puts_it(gateway: RunningGateway, key: CallKey, manner: str) -> None:
    gateway.chat(key, f"hi [[sim input=70 output=40 {manner}]]", stream=True, max_tokens=1000)

    entry = gateway.entry(key)
    assert (entry["assumed"], entry["cost_nanodollars"]) == (False, 70 * 150 + 40 * 600)


# ── callers who leave ───────────────────────────────────────────────────────────────────────────


def leave_after_the_first_event(gateway: RunningGateway, key: CallKey, path: str, body: Json) -> None:
    connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=10)
    connection.request(
        "POST", path, json.dumps(body).encode(), {"content-type": "application/json", **key.bearer}
    )
    response = connection.getresponse()
    assert response.status == 200
    response.readline()
    response.close()
    connection.close()


@pytest.mark.parametrize("path", STREAMED)
def test_an_answer_is_read_to_its_end_when_the_caller_leaves(
    gateway: RunningGateway, simulator: SimulatorServer, key: CallKey, path: str
) -> None:
    before = gateway.metric("farthing_callers_left_total")
    says = "hi [[sim input=70 output=40 chunks=10 chunk_ms=30]]"
    leave_after_the_first_event(gateway, key, path, body_for(path, says, stream=True))

    entry = gateway.entry(key)
    assert (entry["outcome"], entry["assumed"], entry["usage"]["output_tokens"]) == ("settled", False, 40)
    assert simulator.record.outcomes["answered"] == 1
    assert gateway.metric("farthing_callers_left_total") == before + 1
    assert not [row for row in gateway.holds() if row["call_id"] == entry["call_id"]]


def test_a_cancelled_stream_stops_the_provider_and_costs_what_was_written(
    gateway: RunningGateway, simulator: SimulatorServer
) -> None:
    key = gateway.key("cancelling")
    says = "hi [[sim output=400 chunks=100 chunk_ms=50]]"
    leave_after_the_first_event(gateway, key, CHAT, body_for(CHAT, says, stream=True))

    entry = gateway.entry(key)
    assert simulator.record.wait_until(lambda: simulator.record.outcomes["abandoned"] == 1)
    assert (entry["assumed"], entry["assumed_rule"]) == (True, "cancelled")
    assert 0 < entry["cost_nanodollars"] < entry["ceiling_nanodollars"]
    assert entry["usage"]["output_tokens"] < 400


@pytest.mark.parametrize("path", [RESPONSES, MESSAGES, STREAM])
def test_a_cancelled_stream_of_a_model_that_thinks_is_assumed(
    gateway: RunningGateway, simulator: SimulatorServer, path: str
) -> None:
    key = gateway.key("cancelling")
    says = "hi [[sim output=400 chunks=100 chunk_ms=50]]"
    leave_after_the_first_event(gateway, key, path, body_for(path, says, stream=True))

    assumed(gateway.entry(key), "cancelled")
    assert simulator.record.wait_until(lambda: simulator.record.outcomes["abandoned"] == 1)


@pytest.mark.parametrize("environment", ["production", "cancelling"])
@pytest.mark.parametrize("stream", [False, True])
def test_before_the_first_byte_a_call_is_always_read_to_its_end(
    gateway: RunningGateway, simulator: SimulatorServer, environment: str, *, stream: bool
) -> None:
    key = gateway.key(environment)
    body = body_for(CHAT, "hi [[sim input=70 output=40 latency_ms=300]]", stream=stream)
    connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=10)
    connection.request("POST", CHAT, json.dumps(body).encode(), key.bearer)
    wait_until(lambda: simulator.record.received == 1)
    connection.close()

    entry = gateway.entry(key)
    assert entry["outcome"] == "settled"
    if not stream or environment == "production":
        assert (entry["assumed"], entry["usage"]["output_tokens"]) == (False, 40)


def test_a_caller_who_leaves_while_sending_asked_nothing(
    gateway: RunningGateway, simulator: SimulatorServer, key: CallKey
) -> None:
    with socket.create_connection((gateway.host, gateway.port)) as connection:
        connection.sendall(
            f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key.secret}\r\n"
            'content-length: 1000\r\n\r\n{"model"'.encode()
        )
    heard = gateway.chat(key, "hi")

    assert heard.status == 200
    assert len(gateway.entries(key)) == 1
    assert simulator.record.received == 1


def test_an_answer_that_does_not_end_is_given_up_after_the_drain(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    policy = "environments: {production: {}}\nproviders: {targets: [{id: sim, provider: simulator}]}\n"
    with (
        SimulatorServer(Behaviour(chunk_interval_ms=100, chunks=100)) as simulator,
        RunningGateway(
            policy, tmp_path_factory.mktemp("drain"), simulator, limits=Limits(drain_seconds=0.2)
        ) as gateway,
    ):
        key = gateway.key()
        body = body_for(CHAT, "hi [[sim output=400]]", stream=True)
        leave_after_the_first_event(gateway, key, CHAT, body)

        assumed(gateway.entry(key), "drain_expired")
        assert simulator.record.wait_until(lambda: simulator.record.outcomes["abandoned"] == 1)
