"""Whatever is sent, the answer is the caller's fault said clearly, and no money moves."""

import gzip
import json
import socket
import zlib

import pytest
import zstandard

from farthing.simulator.server import SimulatorServer
from tests.running import CallKey, Heard, Json, RunningGateway

CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
GENERATE = "/v1beta/models/gemini-2.5-flash:generateContent"
LIMIT = 4 * 1024 * 1024  # what this folder's gateway is started with
SAYS: Json = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def key(gateway: RunningGateway) -> CallKey:
    return gateway.key("production")


def raw(gateway: RunningGateway, request: bytes) -> bytes:
    """Send bytes that no HTTP client would, and read until the gateway closes or falls silent."""
    with socket.create_connection((gateway.host, gateway.port), timeout=10) as connection:
        connection.sendall(request)
        connection.settimeout(2)
        heard = b""
        try:
            while part := connection.recv(65_536):
                heard += part
                if b"\r\n\r\n" in heard and b"content-length: " in heard.lower():
                    head, _, body = heard.partition(b"\r\n\r\n")
                    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                    if len(body) >= length:
                        break
        except ConnectionResetError:
            pass  # it would not listen to the rest
        return heard


# ── bodies ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", [CHAT, RESPONSES, "/v1/completions", "/v1/embeddings", MESSAGES, GENERATE])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b"42",
        b"\xff\xfe",
        b'{"model": "gpt-4o-mini"} trailing',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"model": "gpt-4o-mini", "x": "\xff"}',
    ],
    ids=range(11),
)
def test_a_body_that_is_no_json_object_is_400(
    gateway: RunningGateway, simulator: SimulatorServer, key: CallKey, path: str, body: bytes
) -> None:
    heard = gateway.post(path, body, key)

    assert heard.status == 400
    assert heard.json()["error"]["message"]
    assert simulator.record.received == 0
    assert gateway.entries(key) == []


@pytest.mark.parametrize(
    ("path", "wrong", "param"),
    [
        (CHAT, {"model": None}, "model"),
        (CHAT, {"model": 4}, "model"),
        (CHAT, {"model": ["gpt-4o"]}, "model"),
        (CHAT, {"stream": "yes"}, "stream"),
        (CHAT, {"max_tokens": -1}, "max_tokens"),
        (CHAT, {"max_tokens": 1.5}, "max_tokens"),
        (CHAT, {"max_completion_tokens": "many"}, "max_completion_tokens"),
        (CHAT, {"max_tokens": 10**30}, "max_tokens"),
        (CHAT, {"n": 0}, "n"),
        (CHAT, {"n": True}, "n"),
        (CHAT, {"Model": "gpt-4o"}, "Model"),
        (RESPONSES, {"max_output_tokens": []}, "max_output_tokens"),
        (MESSAGES, {"max_tokens": "many"}, "max_tokens"),
    ],
)
def test_a_member_of_the_wrong_type_is_named(
    gateway: RunningGateway, simulator: SimulatorServer, key: CallKey, path: str, wrong: Json, param: str
) -> None:
    heard = gateway.post(path, SAYS | wrong, key)

    assert heard.status == 400
    assert param in heard.json()["error"]["message"]
    assert simulator.record.received == 0


def test_members_that_nobody_here_has_heard_of_pass(
    gateway: RunningGateway, simulator: SimulatorServer, key: CallKey
) -> None:
    news = {"of_tomorrow": {"deep": [1, 2.50, None, "ü"]}, "big": 10**25}
    assert gateway.post(CHAT, SAYS | news, key).status == 200

    (call,) = simulator.record.calls
    assert json.loads(call.body) | news == json.loads(call.body)


def test_a_second_model_cannot_slip_past(
    gateway: RunningGateway, simulator: SimulatorServer, key: CallKey
) -> None:
    body = b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"hi"}],"model":"gpt-4o"}'
    assert gateway.post(CHAT, body, key).status == 200

    (call,) = simulator.record.calls
    assert call.raw_body.count(b'"model"') == 1
    assert json.loads(call.body)["model"] == gateway.entry(key)["model_asked"] == "gpt-4o"
    strict = gateway.key("strict")
    assert gateway.post(CHAT, body, strict).status == 403


def test_a_model_in_the_body_cannot_replace_the_one_in_the_path(
    gateway: RunningGateway, simulator: SimulatorServer
) -> None:
    key = gateway.key("strict")
    body = {"model": "gemini-2.5-flash-lite", "contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    assert gateway.post("/v1beta/models/gemini-2.5-pro:generateContent", body, key).status == 403
    assert simulator.record.received == 0


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("zstd", zstandard.ZstdCompressor().compress), ("identity", bytes)],
)
def test_a_packed_body_is_read(
    gateway: RunningGateway, simulator: SimulatorServer, key: CallKey, encoding: str, pack: type[bytes]
) -> None:
    packed = pack(json.dumps(SAYS).encode())
    assert gateway.post(CHAT, packed, key, {"content-encoding": encoding}).status == 200

    (call,) = simulator.record.calls
    assert call.header("content-encoding") is None
    assert json.loads(call.body) == SAYS


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("br", b"x", 415),
        ("gzip, gzip", b"x", 415),
        ("gzip", b"not gzip", 400),
        ("gzip", gzip.compress(json.dumps(SAYS).encode(), mtime=0)[:-9], 400),
        ("zstd", b"not zstd", 400),
        ("zstd", zstandard.ZstdCompressor().compress(json.dumps(SAYS).encode())[:-2], 400),
        ("gzip", b"", 400),
        ("zstd", b"", 400),
    ],
)
def test_a_body_that_cannot_be_unpacked_is_refused(
    gateway: RunningGateway, key: CallKey, encoding: str, body: bytes, status: int
) -> None:
    assert gateway.post(CHAT, body, key, {"content-encoding": encoding}).status == status


def gzip_bomb() -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(bytes(1024 * 1024)) for _ in range(200)) + packer.flush()


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_small_body_cannot_unfold_into_a_huge_one(
    gateway: RunningGateway, key: CallKey, encoding: str
) -> None:
    bomb = (
        gzip_bomb() if encoding == "gzip" else zstandard.ZstdCompressor().compress(bytes(200 * 1024 * 1024))
    )
    assert len(bomb) < 1024 * 1024

    assert gateway.post(CHAT, bomb, key, {"content-encoding": encoding}).status == 413


def test_a_body_beyond_the_limit_is_not_even_read(gateway: RunningGateway, key: CallKey) -> None:
    heard = raw(
        gateway,
        f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key.secret}\r\n"
        f"content-length: {50 * 1024 * 1024}\r\n\r\n".encode(),
    )

    assert heard.startswith(b"HTTP/1.1 413 ")
    assert b"the limit of this gateway" in heard
    assert gateway.entries(key) == []


def test_a_body_of_unknown_length_is_read_no_further_than_the_limit(
    gateway: RunningGateway, key: CallKey
) -> None:
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    sent = 0
    with socket.create_connection((gateway.host, gateway.port), timeout=10) as connection:
        connection.settimeout(5)
        head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key.secret}\r\n"
        connection.sendall(head.encode() + b"transfer-encoding: chunked\r\n\r\n")
        try:
            while sent < 50 * 1024 * 1024:
                connection.sendall(chunk)
                sent += 65_536
            heard = connection.recv(65_536)
        except (ConnectionResetError, BrokenPipeError):
            heard = b""
        except TimeoutError:
            heard = connection.recv(65_536)

    assert heard == b"" or heard.startswith(b"HTTP/1.1 413 ")
    assert gateway.chat(key, "still there").status == 200


# ── headers and paths ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "headers",
    [
        {"x-api-key": "another"},
        {"api-key": "another"},
        {"x-goog-api-key": "another"},
    ],
)
def test_two_different_keys_are_401(
    gateway: RunningGateway, simulator: SimulatorServer, key: CallKey, headers: dict[str, str]
) -> None:
    heard = gateway.post(CHAT, SAYS, key, headers)

    assert (heard.status, heard.header("x-farthing-refusal")) == (401, "invalid_key")
    assert gateway.post(CHAT + "?key=another", SAYS, key).status == 401
    assert gateway.post(CHAT + "?k%65y=another", SAYS, key).status == 401
    assert simulator.record.received == 0


@pytest.mark.parametrize("name", ["x-api-key", "api-key", "x-goog-api-key"])
def test_the_same_key_may_stand_twice_and_none_is_passed_on(
    gateway: RunningGateway, simulator: SimulatorServer, key: CallKey, name: str
) -> None:
    assert gateway.post(CHAT, SAYS, key, {name: key.secret}).status == 200
    assert gateway.post(CHAT, SAYS, None, {name: key.secret}).status == 200
    assert gateway.post(f"{CHAT}?key={key.secret}", SAYS, None).status == 200
    assert not any(key.secret in repr(call.shown()) for call in simulator.record.calls)


@pytest.mark.parametrize("given", ["Basic eA==", "Bearer", "Bearer ", "bearer  ", "", "\xff\xfe"])
def test_a_credential_that_is_none_is_401(gateway: RunningGateway, given: str) -> None:
    assert gateway.post(CHAT, SAYS, None, {"authorization": given}).status == 401


def tagged(gateway: RunningGateway, key: CallKey, tags: str) -> Json:
    heard = gateway.post(CHAT, SAYS, key, {"X-Metering-Tags": tags})
    assert heard.status == 200
    entry = gateway.entries(key)[0]
    assert ("tags_invalid" in (heard.header("x-farthing-warning") or "")) == entry["tags_invalid"]
    return entry


@pytest.mark.parametrize(
    "tags",
    [
        "not json",
        "[1]",
        "",
        "null",
        '{"nested": {"a": 1}}',
        '{"list": [1]}',
        '{"none": null}',
        json.dumps({f"label{number}": 1 for number in range(21)}),
        json.dumps({"n" * 65: "x"}),
        json.dumps({"name": "v" * 257}),
        '{"": "x"}',
        '{"a": "\xff"}',
        '{"a": 1e999}',
        '{"a": "\\ud800"}',
        '{"a": "\\u0000"}',
        "[" * 5_000,
    ],
)
def test_labels_that_cannot_be_read_are_marked_and_the_call_is_served(
    gateway: RunningGateway, key: CallKey, tags: str
) -> None:
    entry = tagged(gateway, key, tags)

    assert (entry["tags_invalid"], entry["labels"]) == (True, {})


@pytest.mark.parametrize(
    ("tags", "labels"),
    [
        ('{"feature": "Straße"}'.encode().decode("latin-1"), {"feature": "Straße"}),
        ('{"feature": "Stra\\u00dfe"}', {"feature": "Straße"}),
        (
            '{"n": 1, "f": 2.5, "yes": true, "no": false}',
            {"n": "1", "f": "2.5", "yes": "true", "no": "false"},
        ),
        (json.dumps({f"label{number}": "x" for number in range(20)}), {f"label{n}": "x" for n in range(20)}),
        (json.dumps({"n" * 64: "v" * 256}), {"n" * 64: "v" * 256}),
        ("{}", {}),
    ],
)
def test_labels_within_the_limits_are_kept(
    gateway: RunningGateway, key: CallKey, tags: str, labels: dict[str, str]
) -> None:
    entry = tagged(gateway, key, tags)

    assert (entry["tags_invalid"], entry["labels"]) == (False, labels)


def test_labels_sent_twice_are_marked(gateway: RunningGateway, key: CallKey) -> None:
    body = json.dumps(SAYS).encode()
    heard = raw(
        gateway,
        f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key.secret}\r\n"
        'x-metering-tags: {"a": "1"}\r\nx-metering-tags: {"a": "2"}\r\n'
        f"content-length: {len(body)}\r\n\r\n".encode()
        + body,
    )

    assert heard.startswith(b"HTTP/1.1 200 ")
    assert gateway.entry(key)["tags_invalid"] is True


def test_a_claimed_environment_is_stored_as_a_claim(gateway: RunningGateway) -> None:
    key = gateway.key("development")
    entry = tagged(gateway, key, '{"environment": "production", "feature": "x"}')

    assert (entry["environment"], entry["claimed_environment"]) == ("development", "production")
    assert entry["labels"] == {"feature": "x"}


@pytest.mark.parametrize("trick", ["a\r\nx-evil: 1", "a\nx-evil: 1", "a\x00b"])
def test_a_caller_cannot_write_headers_through_what_it_names(
    gateway: RunningGateway, simulator: SimulatorServer, trick: str
) -> None:
    """Refusals and warnings repeat the model's name and the claimed environment."""
    strict, development = gateway.key("strict"), gateway.key("development")
    tags = {"X-Metering-Tags": json.dumps({"env": trick})}
    heard: list[Heard] = [
        gateway.post(CHAT, SAYS | {"model": trick}, strict, tags),
        gateway.post(CHAT, SAYS | {"model": trick}, development, tags),
        gateway.post(CHAT, SAYS, development, tags),
    ]

    assert heard[2].status == 200
    assert all(one.header("x-evil") is None for one in heard)
    assert all(call.header("x-evil") is None for call in simulator.record.calls)


def test_the_providers_own_farthing_headers_do_not_reach_the_caller(
    gateway: RunningGateway, key: CallKey
) -> None:
    names = [name for name, _ in gateway.chat(key, "hi").headers]

    assert names.count("x-farthing-call-id") == names.count("x-farthing-cost-usd") == 1


def test_a_websocket_is_told_to_use_plain_requests(gateway: RunningGateway, key: CallKey) -> None:
    heard = raw(
        gateway,
        f"GET {RESPONSES} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key.secret}\r\n"
        "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode(),
    )

    assert heard.startswith(b"HTTP/1.1 426 ")


def test_tools_that_knock_first_are_let_in(gateway: RunningGateway) -> None:
    heard = gateway.request("HEAD", "/")

    assert (heard.status, heard.body) == (200, b"")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_only_posts_are_calls(
    gateway: RunningGateway, simulator: SimulatorServer, key: CallKey, method: str
) -> None:
    assert gateway.request(method, CHAT, b"", key.bearer).status == 404
    assert simulator.record.received == 0


@pytest.mark.parametrize(
    ("path", "dialect"),
    [
        ("/chat/completions", "openai.chat"),
        ("/responses", "openai.responses"),
        ("/messages", "anthropic.messages"),
        ("/v1/models/gemini-2.5-flash:generateContent", "gemini.generate"),
        ("/models/gemini-2.5-flash:generateContent", "gemini.generate"),
        ("/proxy/openai/v1/chat/completions", "openai.chat"),
        ("/proxy/openai/chat/completions", "openai.chat"),
        ("/proxy/anthropic/v1/messages", "anthropic.messages"),
        ("/proxy/google/v1beta/models/gemini-2.5-flash:generateContent", "gemini.generate"),
        ("/v1/messages?beta=true", "anthropic.messages"),
    ],
)
def test_each_path_has_its_aliases(
    gateway: RunningGateway, simulator: SimulatorServer, key: CallKey, path: str, dialect: str
) -> None:
    body: Json = {
        "openai.chat": SAYS,
        "openai.responses": {"model": "gpt-5-mini", "input": "hi"},
        "anthropic.messages": SAYS | {"model": "claude-haiku-4-5", "max_tokens": 100},
        "gemini.generate": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
    }[dialect]

    assert gateway.post(path, body, key).status == 200
    assert gateway.entry(key)["dialect"] == dialect
    assert simulator.record.received == 1


def test_a_provider_that_serves_nothing_here_is_refused(gateway: RunningGateway, key: CallKey) -> None:
    heard = gateway.post("/proxy/mistral/v1/chat/completions", SAYS, key)

    assert (heard.status, heard.header("x-farthing-refusal")) == (403, "model_not_allowed")
