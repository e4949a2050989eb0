"""Whatever callers send, the gateway meets no error of its own and books nothing it did not forward."""

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.running import CallKey, Heard, Json, RunningGateway, hear, wait_until

MESSAGE = [{"role": "user", "content": "hi"}]
PARTS = [{"role": "user", "parts": [{"text": "hi"}]}]
VALID: dict[str, Json] = {
    "/v1/chat/completions": {
        "model": "gpt-4o-mini", "messages": MESSAGE, "max_tokens": 20, "n": 1, "stream": True,
        "stream_options": {"include_usage": True}, "tools": [], "service_tier": "default",
    },
    "/v1/responses": {
        "model": "gpt-5-mini", "input": "hi", "max_output_tokens": 20, "stream": False, "tools": [],
        "reasoning": {"effort": "low"}, "previous_response_id": None, "background": False,
    },
    "/v1/completions": {
        "model": "gpt-3.5-turbo-instruct", "prompt": "hi", "max_tokens": 20, "n": 1, "best_of": 1,
    },
    "/v1/embeddings": {"model": "text-embedding-3-small", "input": ["hi"], "dimensions": 8},
    "/v1/messages": {
        "model": "claude-haiku-4-5", "messages": MESSAGE, "max_tokens": 2000, "stream": True, "tools": [],
        "thinking": {"type": "enabled", "budget_tokens": 1024}, "cache_control": {"type": "ephemeral"},
        "system": "be kind",
    },
    "/v1/messages/count_tokens": {"model": "claude-haiku-4-5", "messages": MESSAGE},
    "/v1beta/models/gemini-2.5-flash:generateContent": {
        "contents": PARTS, "generationConfig": {"maxOutputTokens": 20, "candidateCount": 1}, "tools": [],
        "systemInstruction": {"parts": [{"text": "be kind"}]}, "cachedContent": None,
    },
    "/v1beta/models/gemini-2.5-flash:streamGenerateContent": {"contents": PARTS},
    "/v1beta/models/gemini-embedding-001:embedContent": {"content": {"parts": [{"text": "hi"}]}},
    "/v1beta/models/gemini-embedding-001:batchEmbedContents": {
        "requests": [{"model": "models/gemini-embedding-001", "content": {"parts": [{"text": "hi"}]}}]
    },
}  # fmt: skip

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(10**30), max_value=10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["", "auto", "gpt-4o", "../..", "a\r\nb: c", "\x00", "claude-haiku-4-5", "ü" * 300])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


@st.composite
def mutated(draw: st.DrawFn, valid: Json) -> bytes:
    """A valid body with some member replaced, removed, added or doubled, at any depth."""
    body: Any = json.loads(json.dumps(valid))
    for _ in range(draw(st.integers(min_value=1, max_value=3))):
        place = body
        while True:
            names = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not names:
                break
            name = draw(st.sampled_from(names))
            if isinstance(place[name], dict | list) and place[name] and draw(st.booleans()):
                place = place[name]
                continue
            if draw(st.booleans()):
                place[name] = draw(values)
            else:
                del place[name]
            break
        if isinstance(place, dict) and draw(st.booleans()):
            place[draw(st.text(max_size=8))] = draw(values)
    text = json.dumps(body, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    if draw(st.integers(min_value=0, max_value=9)) == 0 and text.startswith(b"{"):
        text = b'{"model": ' + json.dumps(draw(values)).encode() + b", " + text[1:]
    return text


def bodies(valid: Json) -> st.SearchStrategy[bytes]:
    whole = json.dumps(valid).encode()
    return st.one_of(
        mutated(valid),
        mutated(valid),
        st.binary(max_size=60),
        st.integers(min_value=0, max_value=len(whole)).map(lambda end: whole[:end]),
        values.map(lambda value: json.dumps(value).encode()),
    )


header_text = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=40
)
headers = st.dictionaries(
    st.sampled_from(
        ["X-Metering-Tags", "x-api-key", "content-type", "accept", "anthropic-version", "anthropic-beta",
         "content-encoding", "x-farthing-call-id", "openai-organization", "cookie", "forwarded",
         "accept-encoding"]
    ),
    header_text
    | values.map(lambda value: json.dumps(value))
    | st.sampled_from(["gzip", "zstd", "identity", "text/plain"]),
    max_size=3,
)  # fmt: skip
pieces = st.sampled_from(
    ["v1", "v1beta", "models", "chat", "completions", "messages", "proxy", "openai", "gpt-4o", "..", ".", "",
     "%2e%2e", "%2F", "gemini-2.5-flash:generateContent", ":", "api", "calls", "count_tokens", "%00", "é",
     "a" * 300]
)  # fmt: skip
paths = st.lists(pieces, min_size=1, max_size=6).map(lambda steps: "/" + "/".join(steps))
queries = st.sampled_from(
    ["", "?", "?alt=sse", "?key=", "?key=x", "?k%65y=x", "?a=b&a=c", "?%", "?alt=sse&%ff=1"]
)

fuzzing = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def key(gateway: RunningGateway) -> CallKey:
    return gateway.key("production")


class Line:
    """One connection that is used again and again, as SDKs do."""

    def __init__(self, gateway: RunningGateway) -> None:
        self._connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=15)

    def say(self, method: str, path: str, body: bytes, told: dict[str, str]) -> Heard:
        try:
            self._connection.request(
                method, path, body, {name: value.encode("latin-1") for name, value in told.items()}
            )
            return hear(self._connection)
        except (http.client.RemoteDisconnected, ConnectionError):
            self._connection.close()  # the server may end a connection after an answer
            self._connection.request(
                method, path, body, {name: value.encode("latin-1") for name, value in told.items()}
            )
            return hear(self._connection)

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def line(gateway: RunningGateway) -> Iterator[Line]:
    line = Line(gateway)
    yield line
    line.close()


@pytest.mark.parametrize("path", VALID)
def test_no_body_and_no_header_breaks_the_gateway(
    gateway: RunningGateway, key: CallKey, line: Line, path: str
) -> None:
    forwarded = 0

    @fuzzing
    @given(body=bodies(VALID[path]), told=headers, query=queries)
    def say_anything(body: bytes, told: dict[str, str], query: str) -> None:
        nonlocal forwarded
        heard = line.say("POST", path + query, body, {**told, **key.bearer})
        assert heard.status != 500, (heard.body, body)
        if heard.header("x-farthing-model") is not None:
            forwarded += 1
        else:
            assert 400 <= heard.status < 500, heard
            assert heard.header("x-farthing-cost-usd") is None

    say_anything()

    wait_until(lambda: not [row for row in gateway.holds() if row.get("key") == key.label])
    rows = gateway.entries(key)
    settled = [row for row in rows if row["outcome"] == "settled"]
    assert len(settled) == forwarded
    assert all(row["cost_nanodollars"] == 0 for row in rows if row["outcome"] != "settled")
    assert all(row["cost_nanodollars"] <= row["ceiling_nanodollars"] for row in settled)
    assert gateway.post(path, VALID[path], key).status == 200


def test_no_path_breaks_the_gateway(gateway: RunningGateway, key: CallKey, line: Line) -> None:
    methods = st.sampled_from(["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS"])

    @settings(fuzzing, max_examples=200)
    @given(method=methods, path=paths, query=queries)
    def ask_anywhere(method: str, path: str, query: str) -> None:
        heard = line.say(method, (path + query).replace("é", "%C3%A9"), b"{}", key.bearer)
        assert 200 <= heard.status < 500, (method, path, heard)

    ask_anywhere()

    assert all(row["cost_nanodollars"] == 0 for row in gateway.entries(key) if row["outcome"] != "settled")
