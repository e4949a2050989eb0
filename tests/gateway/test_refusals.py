"""A refusal stops each official client at its first try, in its own error type, with our reason."""

import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from google import genai
from google.genai import errors, types

from farthing.domain.errors import Reason, Refusal
from farthing.gateway.refusals import reject_refusal
from farthing.simulator.server import SimulatorServer
from tests.running import CallKey, Heard, Json, RunningGateway, wait_until

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
MESSAGES, GENERATE = "/v1/messages", "/v1beta/models/{}:generateContent"
# A cheap and a dear model of each family.
CHEAP = {
    CHAT: "gpt-4o-mini",
    RESPONSES: "gpt-4o-mini",
    MESSAGES: "claude-haiku-4-5",
    GENERATE: "gemini-2.5-flash-lite",
}
DEAR = {CHAT: "gpt-4o", RESPONSES: "gpt-4o", MESSAGES: "claude-opus-4-1", GENERATE: "gemini-2.5-pro"}
FAMILIES = [CHAT, RESPONSES, MESSAGES, GENERATE]


def body_for(path: str, model: str, text: str = "hello", cap: int = 2000) -> Json:
    message = [{"role": "user", "content": text}]
    match path:
        case "/v1/chat/completions":
            return {"model": model, "messages": message, "max_tokens": cap}
        case "/v1/responses":
            return {"model": model, "input": text, "max_output_tokens": cap}
        case "/v1/messages":
            return {"model": model, "messages": message, "max_tokens": cap}
        case _:
            contents = [{"role": "user", "parts": [{"text": text}]}]
            return {"contents": contents, "generationConfig": {"maxOutputTokens": cap}}


def ask(gateway: RunningGateway, key: CallKey | None, path: str, model: str, **more: Any) -> Heard:
    return gateway.post(path.format(model), body_for(path, model, **more), key)


def refusal_of(heard: Heard) -> Json:
    """The member that explains a refusal, wherever the dialect keeps its errors."""
    told: Json = heard.json()["error"]["farthing"]
    return told


@contextmanager
def holding(gateway: RunningGateway, key: CallKey) -> Iterator[None]:
    """Keep most of a purse held by a call that the provider answers slowly."""
    body = body_for(CHAT, "gpt-4o-mini", "[[sim output=40 chunks=40 chunk_ms=50]]", 16_000) | {"stream": True}
    connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=15)
    try:
        connection.request("POST", CHAT, json.dumps(body).encode(), key.bearer)
        connection.getresponse().close()
        yield
    finally:
        connection.close()


@pytest.fixture
def spender(gateway: RunningGateway) -> CallKey:
    """Somebody with a cent of their own, nearly all of it spent."""
    key = gateway.key("purse")
    heard = gateway.chat(key, "hello [[sim output=16000 ignore_cap]]", max_tokens=16_000)
    assert heard.status == 200, heard.body
    return key


# ── the clients ─────────────────────────────────────────────────────────────────────────────────


class Tries:
    """Counts what a client sends, however it sends it."""

    def __init__(self) -> None:
        self.requests: list[httpx2.Request] = []

    def client(self) -> httpx2.Client:
        return httpx2.Client(event_hooks={"request": [self.requests.append]})


def openai_chat(gateway: RunningGateway, key: CallKey, tries: Tries, model: str) -> None:
    with openai.OpenAI(base_url=gateway.openai_url, api_key=key.secret, http_client=tries.client()) as client:
        client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "hello"}], max_tokens=8000
        )


def openai_stream(gateway: RunningGateway, key: CallKey, tries: Tries, model: str) -> None:
    with openai.OpenAI(base_url=gateway.openai_url, api_key=key.secret, http_client=tries.client()) as client:
        client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "hello"}], max_tokens=8000, stream=True
        )


def openai_responses(gateway: RunningGateway, key: CallKey, tries: Tries, model: str) -> None:
    with openai.OpenAI(base_url=gateway.openai_url, api_key=key.secret, http_client=tries.client()) as client:
        client.responses.create(model=model, input="hello", max_output_tokens=8000)


def anthropic_message(gateway: RunningGateway, key: CallKey, tries: Tries, model: str) -> None:
    with anthropic.Anthropic(base_url=gateway.url, api_key=key.secret, http_client=tries.client()) as client:
        client.messages.create(model=model, max_tokens=8000, messages=[{"role": "user", "content": "hello"}])


def gemini_call(gateway: RunningGateway, key: CallKey, tries: Tries, model: str) -> None:
    options = types.HttpOptions(
        base_url=gateway.url, httpx_client=tries.client(), retry_options=types.HttpRetryOptions(attempts=3)
    )
    client = genai.Client(api_key=key.secret, vertexai=False, http_options=options)
    try:
        client.models.generate_content(
            model=model, contents="hello", config=types.GenerateContentConfig(max_output_tokens=8000)
        )
    finally:
        client.close()


Asks = Callable[[RunningGateway, CallKey, Tries, str], None]


@pytest.mark.parametrize(
    ("asks", "model", "kind", "status"),
    [
        (openai_chat, "gpt-4o", openai.RateLimitError, 429),
        (openai_stream, "gpt-4o", openai.RateLimitError, 429),
        (openai_responses, "gpt-4o", openai.RateLimitError, 429),
        (anthropic_message, "claude-haiku-4-5", anthropic.RateLimitError, 429),
        (gemini_call, "gemini-2.5-flash", errors.ClientError, 402),
    ],
)
def test_past_the_budget_a_client_raises_its_own_error_after_one_try(
    gateway: RunningGateway,
    simulator: SimulatorServer,
    spender: CallKey,
    asks: Asks,
    model: str,
    kind: type[Exception],
    status: int,
) -> None:
    before, tries = gateway.metric("farthing_refusals_total", reason="budget_exceeded"), Tries()
    simulator.record.reset()

    with pytest.raises(kind) as raised:
        asks(gateway, spender, tries, model)

    error: Any = raised.value
    assert getattr(error, "status_code", None) or error.code == status
    assert "purse-month" in str(error) and "To go on" in str(error)
    assert len(tries.requests) == 1
    assert tries.requests[0].headers.get("x-stainless-retry-count", "0") == "0"
    assert simulator.record.received == 0
    assert gateway.metric("farthing_refusals_total", reason="budget_exceeded") == before + 1
    if isinstance(error, openai.RateLimitError):
        assert (error.code, error.type) == ("insufficient_quota", "insufficient_quota")


def test_a_refusal_is_one_entry_that_costs_nothing(gateway: RunningGateway, spender: CallKey) -> None:
    with pytest.raises(openai.RateLimitError) as raised:
        openai_chat(gateway, spender, Tries(), "gpt-4o")

    wait_until(lambda: len(gateway.entries(spender)) == 2)
    refused, settled = gateway.entries(spender)
    assert (refused["outcome"], refused["decision"]["reason"]) == ("refused", "budget_exceeded")
    assert refused["cost_nanodollars"] == 0
    assert (refused["count"], refused["model_asked"]) == (1, "gpt-4o")
    body: Any = raised.value.body
    told = body["farthing"]
    assert (
        told
        | {
            "reason": "budget_exceeded",
            "budget": "purse-month",
            "limit_nanodollars": 10_000_000,
            "spent_nanodollars": settled["cost_nanodollars"],
            "held_nanodollars": 0,
        }
        == told
    )
    assert told["resets_at"].endswith("Z") and told["window"] and told["fix"]


# ── the table ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("path", "status"), [(CHAT, 429), (RESPONSES, 429), (MESSAGES, 429), (GENERATE, 402)]
)
def test_money_that_is_spent_is_final(
    gateway: RunningGateway, spender: CallKey, path: str, status: int
) -> None:
    heard = ask(gateway, spender, path, DEAR[path])

    assert heard.status == status
    assert heard.header("x-farthing-refusal") == "budget_exceeded"
    assert heard.header("x-should-retry") == "false"
    assert heard.header("retry-after") is None
    assert refusal_of(heard)["reason"] == "budget_exceeded"


@pytest.mark.parametrize("path", FAMILIES)
def test_money_that_is_held_asks_to_try_again(gateway: RunningGateway, path: str) -> None:
    key = gateway.key("purse")
    with holding(gateway, key):
        heard = ask(gateway, key, path, DEAR[path], cap=500 if path != MESSAGES else 100)

    assert heard.status == 429
    assert heard.header("x-farthing-refusal") == "budget_held"
    assert heard.header("retry-after") == "1"
    assert heard.header("x-should-retry") is None
    assert refusal_of(heard)["held_nanodollars"] > 0


@pytest.mark.parametrize("path", FAMILIES)
def test_a_used_up_rate_tells_how_long_to_wait(gateway: RunningGateway, path: str) -> None:
    key = gateway.key("rated")
    assert ask(gateway, key, path, CHEAP[path]).status == 200

    heard = ask(gateway, key, path, CHEAP[path])

    assert heard.status == 429
    assert heard.header("x-farthing-refusal") == "rate_limited"
    assert 1 <= int(heard.header("retry-after") or 0) <= 3600
    assert heard.header("x-should-retry") is None
    assert refusal_of(heard) | {"limit_requests": 1, "spent_requests": 1} == refusal_of(heard)


@pytest.mark.parametrize(
    ("path", "status"), [(CHAT, 403), (RESPONSES, 400), (MESSAGES, 400), (GENERATE, 403)]
)
def test_a_model_that_is_not_allowed_lists_those_that_are(
    gateway: RunningGateway, path: str, status: int
) -> None:
    heard = ask(gateway, gateway.key("strict"), path, DEAR[path])

    assert (heard.status, heard.header("x-farthing-refusal")) == (status, "model_not_allowed")
    assert heard.header("x-should-retry") == "false"
    for allowed in ("gpt-4o-mini", "claude-haiku-4-5", "gemini-2.5-flash-lite"):
        assert allowed in heard.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "status"), [(CHAT, 403), (RESPONSES, 400), (MESSAGES, 400), (GENERATE, 403)]
)
def test_a_model_without_a_price_says_which_line_is_missing(
    gateway: RunningGateway, path: str, status: int
) -> None:
    heard = ask(gateway, gateway.key("production"), path, "a-model-of-tomorrow")

    assert (heard.status, heard.header("x-farthing-refusal")) == (status, "unpriced_model")
    assert "prices:" in refusal_of(heard)["fix"]


@pytest.mark.parametrize(
    ("path", "status", "members"),
    [
        (RESPONSES, 400, {"previous_response_id": "resp_1"}),
        (
            MESSAGES,
            400,
            {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        ),
        (GENERATE, 403, {"tools": [{"google_search": {}}]}),
        (CHAT, 403, {"web_search_options": {}}),
    ],
)
def test_input_that_no_body_bounds_is_refused_where_the_policy_says_so(
    gateway: RunningGateway, path: str, status: int, members: Json
) -> None:
    body = body_for(path, CHEAP[path]) | members
    heard = gateway.post(path.format(CHEAP[path]), body, gateway.key("bounded"))

    assert (heard.status, heard.header("x-farthing-refusal")) == (status, "unbounded_input")


@pytest.mark.parametrize("path", FAMILIES)
def test_an_unknown_key_is_401(gateway: RunningGateway, simulator: SimulatorServer, path: str) -> None:
    nobody = CallKey("fk-production-nobody", "", "", "")
    for key in (None, nobody):
        heard = ask(gateway, key, path, CHEAP[path])
        assert (heard.status, heard.header("x-farthing-refusal")) == (401, "invalid_key")
    assert simulator.record.received == 0


@pytest.mark.parametrize(
    ("path", "headers", "shape"),
    [
        ("/v1/audio/speech", {}, "openai"),
        ("/v1/files", {}, "openai"),
        ("/v1/messages/batches", {"anthropic-version": "2023-06-01"}, "anthropic"),
        ("/v1beta/models/gemini-2.5-flash:predict", {}, "gemini"),
        ("/v1/chat/completions/../../files", {}, "openai"),
        ("/proxy/openai/v1/files", {}, "openai"),
        ("/v1//chat/completions", {}, "openai"),
    ],
)
def test_a_path_that_cannot_be_metered_cannot_be_called(
    gateway: RunningGateway, simulator: SimulatorServer, path: str, headers: dict[str, str], shape: str
) -> None:
    heard = gateway.post(path, b"{}", gateway.key(), headers)

    assert (heard.status, heard.header("x-farthing-refusal")) == (404, "unmetered_path")
    error = heard.json()["error"]
    told = {"openai": "code" in error and error["code"] == "unmetered_path",
            "anthropic": heard.json().get("type") == "error",
            "gemini": error.get("status") == "NOT_FOUND"}[shape]  # fmt: skip
    assert told, error
    assert simulator.record.received == 0


def test_a_background_response_is_refused_by_name(
    gateway: RunningGateway, simulator: SimulatorServer
) -> None:
    body = body_for(RESPONSES, "gpt-4o-mini") | {"background": True}
    heard = gateway.post(RESPONSES, body, gateway.key())

    assert heard.status == 400
    assert "background" in heard.json()["error"]["message"]
    assert simulator.record.received == 0


def test_a_loop_of_refusals_writes_one_row_with_its_count(gateway: RunningGateway, spender: CallKey) -> None:
    for _ in range(10):
        assert ask(gateway, spender, CHAT, "gpt-4o").status == 429

    def refused() -> list[int]:
        return [row["count"] for row in gateway.entries(spender) if row["outcome"] == "refused"]

    wait_until(lambda: sum(refused()) == 10)
    assert len(refused()) <= 4


# ── downgrades and clamps ───────────────────────────────────────────────────────────────────────


def test_a_developer_who_asks_for_more_is_served_by_less_and_told_so(
    gateway: RunningGateway, simulator: SimulatorServer
) -> None:
    key = gateway.key("development")
    heard = gateway.chat(key, "hi [[sim input=100 output=50]]", model="gpt-4o")

    assert heard.status == 200
    assert heard.header("x-farthing-model") == "gpt-4o-mini"
    assert (heard.header("x-farthing-warning") or "").startswith("downgraded; gpt-4o is not allowed")
    (call,) = simulator.record.calls
    assert json.loads(call.body)["model"] == "gpt-4o-mini"
    entry = gateway.entry(key)
    assert (entry["model_asked"], entry["model_served"]) == ("gpt-4o", "gpt-4o-mini")
    assert entry["decision"]["reason"] == "downgraded"
    assert entry["cost_nanodollars"] == 100 * 150 + 50 * 600
    assert entry["cost_asked_nanodollars"] == 100 * 2500 + 50 * 10_000


@pytest.mark.parametrize(
    ("path", "asked", "served"),
    [(RESPONSES, "gpt-4o", "gpt-4o-mini"), (MESSAGES, "claude-opus-4-1", "claude-haiku-4-5")],
)
def test_every_dialect_downgrades_within_itself(
    gateway: RunningGateway, simulator: SimulatorServer, path: str, asked: str, served: str
) -> None:
    heard = ask(gateway, gateway.key("development"), path, asked)

    assert heard.status == 200, heard.body
    assert heard.header("x-farthing-model") == served
    (call,) = simulator.record.calls
    assert (call.path, json.loads(call.body)["model"]) == (path, served)


def test_a_dialect_without_an_allowed_model_is_refused_not_crossed(gateway: RunningGateway) -> None:
    heard = ask(gateway, gateway.key("development"), GENERATE, "gemini-2.5-pro")

    assert (heard.status, heard.header("x-farthing-refusal")) == (403, "model_not_allowed")


def test_a_small_purse_shortens_the_answer_and_says_so(
    gateway: RunningGateway, simulator: SimulatorServer
) -> None:
    key = gateway.key("clamping")
    heard = gateway.chat(key, "write [[sim output=9000]]", model="gpt-4o", max_completion_tokens=9000)

    (call,) = simulator.record.calls
    cap = json.loads(call.body)["max_completion_tokens"]
    assert 256 <= cap < 1000  # a cent buys less than 1000 output tokens of gpt-4o
    assert gateway.entry(key)["clamped_to"] == cap
    assert f"lowered to {cap}" in (heard.header("x-farthing-warning") or "")
    assert gateway.entry(key)["cost_nanodollars"] <= 10_000_000


def test_a_dry_environment_touches_no_other(gateway: RunningGateway, simulator: SimulatorServer) -> None:
    dry, wet = gateway.key("dry"), gateway.key("production")
    assert gateway.chat(dry, "hello").status == 429
    assert gateway.chat(wet, "hello").status == 200
    claimed = gateway.chat(dry, "hello", headers={"X-Metering-Tags": '{"env": "production"}'})
    assert claimed.status == 429
    assert simulator.record.received == 1
    wait_until(lambda: bool(gateway.entries(dry)))
    assert {row["environment"] for row in gateway.entries(dry)} == {"dry"}


# ── the whole table, also for what no policy above can bring about ──────────────────────────────


@pytest.mark.parametrize(
    ("reason", "statuses"),
    [
        (Reason.WALLET_EMPTY, (429, 429, 402, 402)),
        (Reason.STOPPED, (403, 400, 400, 403)),
        (Reason.LEDGER_UNAVAILABLE, (503, 503, 503, 503)),
    ],
)
def test_every_reason_has_its_status_in_every_dialect(reason: Reason, statuses: tuple[int, ...]) -> None:
    refusal = Refusal(reason=reason, message="why", fix="how")
    dialects = ("openai.chat", "openai.responses", "anthropic.messages", "gemini.generate")
    for dialect, status in zip(dialects, statuses, strict=True):
        rejection = reject_refusal(dialect.partition(".")[0], dialect, refusal)
        error = json.loads(rejection.body)["error"]
        assert rejection.status == status
        assert (b"x-farthing-refusal", reason.value.encode()) in rejection.headers
        assert (b"x-should-retry", b"false") in rejection.headers
        assert error["farthing"] == {"reason": reason.value, "fix": "how"}
        assert error["message"] == "why. To go on: how"
