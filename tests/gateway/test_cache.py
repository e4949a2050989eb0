"""The response cache at the gateway: identical requests are bought once, for their own tenant only."""

import http.client
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import types

from farthing.config.stores import open_answers
from farthing.simulator.server import SimulatorServer
from tests.gateway.test_refusals import CHAT, CHEAP, FAMILIES, MESSAGES, body_for
from tests.running import CallKey, Heard, Json, RunningGateway, hear, wait_until

POLICY = """
environments:
  development: {cache: {enabled: true, ttl_seconds: 7200, max_entries: 5000}}
  production: {cache: {enabled: true, ttl_seconds: 900, max_entries: 20000}}
  staging: {}
  exact: {cache: {enabled: true, temperature_max: 0}}
  tooled: {cache: {enabled: true, tools: true}}
  tiny: {cache: {enabled: true, max_entries: 2}}
  rated: {cache: {enabled: true}, rate_limit: 3/hour}
  poor: {cache: {enabled: true}, at_limit: refuse}
  clamping: {cache: {enabled: true}}
  closed: {cache: {enabled: true}, models: {allow: [gpt-4o-mini], otherwise: refuse}}
  strict: {cache: {enabled: true}, models: {allow: [gpt-4o-mini], otherwise: downgrade}, downgrade: {gpt-4o: gpt-4o-mini}}
consumer_groups:
  - {name: blue, environment: development}
  - {name: red, environment: development}
budgets:
  - {name: poor, match: {environment: poor}, per: developer, limit: $0.001, period: total}
  - {name: clamping, match: {environment: clamping}, per: developer, limit: $0.01, period: total}
providers:
  targets:
    - {id: openai, provider: openai, base_url: SIMULATOR/v1}
    - {id: anthropic, provider: anthropic, base_url: SIMULATOR}
    - {id: google, provider: google, base_url: SIMULATOR}
"""  # noqa: E501 - a line of YAML
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture(scope="module")
def caching(
    simulator_of_session: SimulatorServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    with RunningGateway(POLICY, tmp_path_factory.mktemp("caching"), simulator_of_session) as gateway:
        yield gateway


@pytest.fixture
def gateway(caching: RunningGateway, simulator: SimulatorServer) -> Iterator[RunningGateway]:
    """A gateway whose cache is empty and whose simulator has not been called yet."""
    caching.running.cache.ask(lambda answers: answers.clear())
    yield caching
    assert caching.metric("farthing_internal_errors_total") == 0


def state(heard: Heard) -> str | None:
    assert heard.status == 200, heard.body
    return heard.header("x-farthing-cache")


def is_hit(heard: Heard) -> bool:
    return state(heard) == "hit"


# ── a hit ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("path", FAMILIES)
def test_an_identical_request_gets_the_very_bytes_again_for_nothing(
    gateway: RunningGateway, simulator: SimulatorServer, path: str, stream: bool
) -> None:
    key, model = gateway.key("development"), CHEAP[path]
    body, place = body_for(path, model), path.format(model)
    if stream and "generateContent" in path:
        place = place.replace(":generateContent", ":streamGenerateContent?alt=sse")
    elif stream:
        body["stream"] = True

    bought = gateway.post(place, body, key)
    kept = gateway.post(place, body, key)

    assert (state(bought), state(kept)) == ("miss", "hit")
    assert kept.body == bought.body
    assert kept.header("content-type") == bought.header("content-type")
    assert (kept.header("content-length") is None) == stream
    assert simulator.record.received == 1
    hit, miss = gateway.entries(key)
    assert (hit["outcome"], hit["cache"], hit["cost_nanodollars"]) == ("cached", "hit", 0)
    assert (miss["outcome"], miss["cache"], miss["avoided_nanodollars"]) == ("settled", "miss", 0)
    assert hit["avoided_nanodollars"] == miss["cost_nanodollars"] > 0
    assert (hit["model_served"], hit["target"]) == (miss["model_served"], miss["target"])
    assert f"cache: the answer to {miss['call_id']}" in hit["decision"]["rules"]
    assert kept.header("x-farthing-cost-usd") == "0.000000000"
    assert kept.header("x-farthing-call-id") == hit["call_id"]


def test_what_was_avoided_is_in_the_sums(gateway: RunningGateway) -> None:
    key = gateway.key("development")
    for _ in range(3):
        gateway.chat(key, "hello")

    rows = gateway.admin("/api/spend?by=key").json()["spend"]
    (row,) = [row for row in rows if row["key"] == key.label]
    assert (row["calls"], row["cached"]) == (3, 2)
    assert row["avoided_nanodollars"] == 2 * row["cost_nanodollars"] > 0


def test_the_order_of_keys_does_not_matter(gateway: RunningGateway) -> None:
    key = gateway.key("development")
    one = b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"hello"}],"max_tokens":9}'
    other = b'{ "max_tokens":9,\n "messages":[{"content":"hello","role":"user"}],  "model":"gpt-4o-mini"}'

    assert [is_hit(gateway.post(CHAT, body, key)) for body in (one, other)] == [False, True]


@pytest.mark.parametrize(
    "changed",
    [
        {"temperature": 0.6},
        {"top_p": 1},
        {"messages": [{"role": "user", "content": "hello?"}]},
        {"messages": [{"role": "system", "content": "hello"}]},
        {"model": "gpt-4o"},
        {"stream": True},
        {"n": 2},
        {"seed": 1},
        {"user": "ana"},
        {"max_tokens": 51},
        {"response_format": {"type": "json_object"}},
    ],
    ids=str,
)
def test_anything_else_is_another_request(gateway: RunningGateway, changed: Json) -> None:
    key = gateway.key("development")
    body: Json = {
        "model": "gpt-4o-mini", "temperature": 0.5, "max_tokens": 50,
        "messages": [{"role": "user", "content": "hello"}],
    }  # fmt: skip
    gateway.post(CHAT, body, key)

    assert not is_hit(gateway.post(CHAT, body | changed, key))
    assert is_hit(gateway.post(CHAT, body, key))


def test_one_changed_tool_is_another_request(gateway: RunningGateway) -> None:
    key = gateway.key("tooled")
    changed = json.loads(json.dumps(TOOL).replace("look", "find"))

    states = [is_hit(gateway.chat(key, "hello", tools=[tool])) for tool in (TOOL, changed, TOOL)]

    assert states == [False, False, True]


def test_versions_asked_for_in_headers_and_queries_matter_and_traces_do_not(gateway: RunningGateway) -> None:
    key, body = gateway.key("development"), body_for(MESSAGES, CHEAP[MESSAGES])

    def ask(path: str = MESSAGES, **headers: str) -> bool:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return is_hit(gateway.post(path, body, key, named))

    assert not ask(anthropic_version="2023-06-01", traceparent="00-1", user_agent="one")
    assert ask(anthropic_version="2023-06-01", traceparent="00-2", user_agent="two")
    assert not ask(anthropic_version="2023-06-01", anthropic_beta="context-1m")
    assert not ask(f"{MESSAGES}?beta=true", anthropic_version="2023-06-01")
    assert not ask(anthropic_version="2024-01-01")


# ── whose answers ───────────────────────────────────────────────────────────────────────────────


def test_production_and_development_never_serve_each_other(gateway: RunningGateway) -> None:
    keys = [gateway.key(environment) for environment in ("development", "production")]

    assert [is_hit(gateway.chat(key, "hello")) for key in keys] == [False, False]
    assert [is_hit(gateway.chat(key, "hello")) for key in keys] == [True, True]


def test_one_group_never_gets_the_answer_of_another(gateway: RunningGateway) -> None:
    keys = [gateway.key("development", group=group) for group in ("blue", "red")]
    keys.append(gateway.key("development"))

    assert [is_hit(gateway.chat(key, "hello")) for key in keys] == [False, False, False]
    colleague = gateway.key("development", group="blue")
    assert is_hit(gateway.chat(colleague, "hello"))


def test_an_environment_without_a_cache_keeps_nothing(gateway: RunningGateway) -> None:
    key = gateway.key("staging")

    assert [state(gateway.chat(key, "hello")) for _ in range(2)] == ["off", "off"]


def test_a_downgraded_request_shares_the_answers_of_the_model_that_serves_it(gateway: RunningGateway) -> None:
    key = gateway.key("strict")
    bought = gateway.chat(key, "hello", model="gpt-4o")
    kept = gateway.chat(key, "hello", model="gpt-4o-mini")

    assert bought.header("x-farthing-model") == "gpt-4o-mini"
    assert is_hit(kept)
    again = gateway.chat(key, "hello", model="gpt-4o")
    assert is_hit(again)
    assert "downgraded" in str(again.header("x-farthing-warning"))


# ── rules ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("environment", "members", "told"),
    [
        ("development", {"tools": [TOOL]}, "off; tools"),
        ("development", {"temperature": 1.01}, "off; temperature"),
        ("development", {"temperature": 1}, "miss"),
        ("exact", {"temperature": 0.1}, "off; temperature"),
        ("exact", {}, "off; temperature"),
        ("exact", {"temperature": 0}, "miss"),
        ("development", {"store": True}, "off; store"),
        ("development", {"store": False}, "miss"),
        ("development", {"web_search_options": {}}, "off; web_search"),
    ],
    ids=str,
)
def test_what_is_not_cached_by_rule_is_told_in_the_header(
    gateway: RunningGateway, simulator: SimulatorServer, environment: str, members: Json, told: str
) -> None:
    key = gateway.key(environment)

    states = [state(gateway.chat(key, "hello", **members)) for _ in range(2)]

    assert states == ([told, told] if told.startswith("off") else ["miss", "hit"])
    assert simulator.record.received == (2 if told.startswith("off") else 1)


@pytest.mark.parametrize(
    "members",
    [{"previous_response_id": "resp_1"}, {"conversation": "conv_1"}, {"prompt": {"id": "pmpt_1"}}],
    ids=str,
)
def test_what_stands_elsewhere_may_be_another_thing_the_next_time(
    gateway: RunningGateway, members: Json
) -> None:
    key = gateway.key("development")
    body = {"model": "gpt-4o-mini", "input": "hello", "max_output_tokens": 100} | members

    states = [str(state(gateway.post("/v1/responses", body, key))) for _ in range(2)]

    assert all(told.startswith("off; ") for told in states)


def test_a_caller_can_ask_for_a_fresh_answer_or_keep_its_own_to_itself(gateway: RunningGateway) -> None:
    key = gateway.key("development")
    gateway.chat(key, "hello")

    assert state(gateway.chat(key, "hello", headers={"cache-control": "no-cache"})) == "miss"
    assert state(gateway.chat(key, "hello", headers={"cache-control": "No-Store"})) == "off; no-store"
    assert state(gateway.chat(key, "secret", headers={"cache-control": "no-store"})) == "off; no-store"
    assert state(gateway.chat(key, "secret")) == "miss"
    assert state(gateway.chat(key, "hello")) == "hit"


def test_a_fresh_answer_takes_the_place_of_the_old_one(gateway: RunningGateway) -> None:
    key = gateway.key("development")
    gateway.chat(key, "hello")
    fresh = gateway.chat(key, "hello", headers={"cache-control": "no-cache"})
    gateway.chat(key, "hello")

    hit = gateway.entries(key)[0]
    assert f"cache: the answer to {fresh.header('x-farthing-call-id')}" in hit["decision"]["rules"]


def test_an_object_with_a_key_twice_is_identical_to_nothing(gateway: RunningGateway) -> None:
    key = gateway.key("development")
    body = b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"one","content":"two"}]}'

    assert [state(gateway.post(CHAT, body, key)) for _ in range(2)] == ["off; ambiguous JSON"] * 2


def test_counting_tokens_costs_nothing_and_is_not_kept(gateway: RunningGateway) -> None:
    key, body = gateway.key("development"), body_for(MESSAGES, CHEAP[MESSAGES])
    del body["max_tokens"]

    states = [state(gateway.post("/v1/messages/count_tokens", body, key)) for _ in range(2)]

    assert states == ["off; free", "off; free"]


def test_embeddings_are_kept_whatever_variety_the_rules_allow(gateway: RunningGateway) -> None:
    key, body = gateway.key("exact"), {"model": "text-embedding-3-small", "input": "hello"}

    bought, kept = (gateway.post("/v1/embeddings", body, key) for _ in range(2))

    assert is_hit(kept)
    assert kept.body == bought.body


# ── what is never kept ──────────────────────────────────────────────────────────────────────────


WHOLE = ["status=400", "status=429", "status=500", "status=503 with_usage", "no_usage", "zero_usage",
         "garbage", "html", "empty", "truncated", "cut"]  # fmt: skip
STREAMED = ["status=400", "status=500", "no_usage", "error_mid=1", "cut=3", "usage_first cut=4"]


@pytest.mark.parametrize(
    ("stream", "directive"),
    [*[(False, directive) for directive in WHOLE], *[(True, directive) for directive in STREAMED]],
)
def test_an_answer_that_did_not_end_well_is_never_kept(
    gateway: RunningGateway, simulator: SimulatorServer, stream: bool, directive: str
) -> None:
    key = gateway.key("development")
    body = body_for(CHAT, CHEAP[CHAT], f"hello [[sim {directive}]]") | {"stream": stream}

    for _ in range(2):
        assert gateway.post(CHAT, body, key).header("x-farthing-cache") == "miss"

    assert simulator.record.received == 2
    wait_until(lambda: len(gateway.entries(key)) == 2)
    assert {row["outcome"] for row in gateway.entries(key)} == {"settled"}


def test_an_answer_that_was_clamped_is_never_kept(gateway: RunningGateway) -> None:
    key = gateway.key("clamping", developer="ana")
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello [[sim output=1]]"}]}

    heard = [gateway.post(CHAT, body, key) for _ in range(2)]

    assert [state(one) for one in heard] == ["miss", "miss"]
    assert all("clamped" in str(one.header("x-farthing-warning")) for one in heard)


def test_a_stream_that_its_reader_left_is_kept_once_it_was_drained_to_its_end(
    gateway: RunningGateway,
) -> None:
    key = gateway.key("development")
    text = "hello [[sim output=200 chunks=40 chunk_ms=5]]"
    body = body_for(CHAT, CHEAP[CHAT], text) | {"stream": True}
    connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=15)
    connection.request("POST", CHAT, json.dumps(body).encode(), key.bearer)
    connection.getresponse().close()
    connection.close()
    wait_until(lambda: bool(gateway.entries(key)), seconds=15)

    whole = gateway.post(CHAT, body, key)
    assert state(whole) == "hit"
    assert whole.body.endswith(b"data: [DONE]\n\n")


def test_what_is_cut_by_the_callers_own_cap_is_the_answer_to_that_request(gateway: RunningGateway) -> None:
    key = gateway.key("development")
    asked = [gateway.chat(key, "hello [[sim output=100]]", max_tokens=5) for _ in range(2)]

    assert [is_hit(heard) for heard in asked] == [False, True]
    assert asked[1].json()["choices"][0]["finish_reason"] == "length"


# ── room ────────────────────────────────────────────────────────────────────────────────────────


def test_what_was_used_longest_ago_gives_way(gateway: RunningGateway) -> None:
    key = gateway.key("tiny")
    for text in ("one", "two"):
        gateway.chat(key, text)
    assert is_hit(gateway.chat(key, "one"))
    gateway.chat(key, "three")

    assert [is_hit(gateway.chat(key, text)) for text in ("one", "three")] == [True, True]
    assert not is_hit(gateway.chat(key, "two"))


# ── rates, stops, money ─────────────────────────────────────────────────────────────────────────


def test_a_hit_counts_as_a_request_of_the_rate_limit(
    gateway: RunningGateway, simulator: SimulatorServer
) -> None:
    key = gateway.key("rated")
    assert [is_hit(gateway.chat(key, "hello")) for _ in range(3)] == [False, True, True]

    heard = gateway.chat(key, "hello")

    assert (heard.status, heard.header("x-farthing-refusal")) == (429, "rate_limited")
    assert simulator.record.received == 1
    assert [row["outcome"] for row in gateway.entries(key)] == ["refused", "cached", "cached", "settled"]


def test_a_stop_refuses_hits_too_and_lets_them_go_on_when_it_is_lifted(gateway: RunningGateway) -> None:
    key = gateway.key("development")
    gateway.chat(key, "hello")
    stop = gateway.admin("/api/stops", "POST", {"reason": "leak", "by": "ana", "key": key.label}).json()

    heard = gateway.chat(key, "hello")

    gateway.admin(f"/api/stops/{stop['stop_id']}?by=ben", "DELETE")
    assert (heard.status, heard.header("x-farthing-refusal")) == (403, "stopped")
    wait_until(lambda: gateway.chat(key, "hello").header("x-farthing-cache") == "hit")


def test_a_hit_needs_no_money(gateway: RunningGateway) -> None:
    key = gateway.key("poor", developer="ben")
    body: dict[str, Any] = {"model": "gpt-4o-mini", "max_tokens": 1_000}
    bought = body | {"messages": [{"role": "user", "content": "hello [[sim output=999]]"}]}
    other = body | {"messages": [{"role": "user", "content": "bye [[sim output=999]]"}]}
    assert not is_hit(gateway.post(CHAT, bought, key))
    refused = gateway.post(CHAT, other, key)
    assert (refused.status, refused.header("x-farthing-refusal")) == (429, "budget_exceeded")

    assert is_hit(gateway.post(CHAT, bought, key))
    assert is_hit(gateway.post(CHAT, bought, key))


def test_a_model_that_is_not_allowed_is_refused_before_the_cache_is_asked(gateway: RunningGateway) -> None:
    key = gateway.key("closed")
    gateway.chat(key, "hello")

    refused = gateway.chat(key, "hello", model="gpt-4o")

    assert (refused.status, refused.header("x-farthing-cache")) == (403, None)


# ── many at once ────────────────────────────────────────────────────────────────────────────────


def test_of_identical_requests_at_once_all_go_and_all_are_answered(
    gateway: RunningGateway, simulator: SimulatorServer
) -> None:
    key = gateway.key("development")
    with ThreadPoolExecutor(8) as callers:
        heard = list(callers.map(lambda _: gateway.chat(key, "hello [[sim latency_ms=200]]"), range(8)))

    assert {one.status for one in heard} == {200}
    assert simulator.record.received + sum(is_hit(one) for one in heard) == 8
    assert is_hit(gateway.chat(key, "hello [[sim latency_ms=200]]"))


def test_a_broken_cache_is_a_miss_and_a_warning_and_never_a_failed_call(
    simulator: SimulatorServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with RunningGateway(POLICY, tmp_path, simulator) as gateway:
        (tmp_path / "farthing-cache.db").write_bytes(b"this is no database" * 100)
        key = gateway.key("development")
        assert [state(gateway.chat(key, "hello")) for _ in range(3)] == ["miss"] * 3
        assert gateway.metric("farthing_calls_cached_total") == 0
    assert len([line for line in caplog.messages if "calls are made without it" in line]) == 1


def test_answers_outlive_the_gateway(simulator: SimulatorServer, tmp_path: Path) -> None:
    for expected in (False, True):
        with RunningGateway(POLICY, tmp_path, simulator) as gateway:
            key = gateway.key("development", label=f"run-{expected}")
            assert is_hit(gateway.chat(key, "hello")) is expected
            assert gateway.metric("farthing_calls_cached_total") == int(expected)


# ── what people see ─────────────────────────────────────────────────────────────────────────────


def test_the_api_shows_what_is_kept_and_saved_and_clears_it(gateway: RunningGateway) -> None:
    key = gateway.key("development")
    gateway.chat(key, "hello")
    before = rows_of(gateway)["development"]
    gateway.chat(key, "hello")

    after = rows_of(gateway)["development"]
    assert (after["enabled"], after["ttl_seconds"], after["max_entries"], after["entries"]) == (
        True, 7_200, 5_000, 1,
    )  # fmt: skip
    assert (after["hits"] - before["hits"], after["calls"] - before["calls"]) == (1, 1)
    assert after["avoided_nanodollars"] > before["avoided_nanodollars"]

    assert gateway.admin("/api/cache?environment=production", "DELETE").json()["cleared"] == 0
    assert is_hit(gateway.chat(key, "hello"))
    assert gateway.admin("/api/cache?environment=development", "DELETE").json()["cleared"] == 1
    assert not is_hit(gateway.chat(key, "hello"))
    assert gateway.admin("/api/cache", "DELETE").json() == {"cleared": 1, "environment": None}


def test_a_call_key_may_neither_see_nor_clear_the_cache(gateway: RunningGateway) -> None:
    key = gateway.key("development")

    assert {
        gateway.request(method, "/api/cache", headers=key.bearer).status for method in ("GET", "DELETE")
    } == {403}


def test_another_process_can_clear_what_a_running_gateway_keeps(gateway: RunningGateway) -> None:
    key = gateway.key("development")
    gateway.chat(key, "hello")
    assert is_hit(gateway.chat(key, "hello"))  # an answer is kept after it was given
    other = open_answers(gateway.folder / "farthing-cache.db")
    assert other.clear("development") == 1
    other.close()

    assert not is_hit(gateway.chat(key, "hello"))


def rows_of(gateway: RunningGateway) -> dict[str, Json]:
    told = gateway.admin("/api/cache").json()
    assert told["usable"] is True
    return {row["environment"]: row for row in told["cache"]}


# ── official clients ────────────────────────────────────────────────────────────────────────────


def test_official_clients_read_what_is_kept_as_if_it_were_new(gateway: RunningGateway) -> None:
    key = gateway.key("development")
    said: list[tuple[object, ...]] = []
    for _ in range(2):
        with openai.OpenAI(api_key=key.secret, base_url=gateway.openai_url) as client:
            with client.chat.completions.create(
                model="gpt-4o-mini", messages=[{"role": "user", "content": "hello"}], stream=True
            ) as chunks:
                text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
            answer = client.responses.create(model="gpt-4o-mini", input="hello").output_text
        with (
            anthropic.Anthropic(api_key=key.secret, base_url=gateway.url) as claude,
            claude.messages.stream(
                model="claude-haiku-4-5", max_tokens=100, messages=[{"role": "user", "content": "hello"}]
            ) as stream,
        ):
            claudes = stream.get_final_message().model_dump_json()
        gemini = genai.Client(api_key=key.secret, http_options=types.HttpOptions(base_url=gateway.url))
        pieces = gemini.models.generate_content_stream(model="gemini-2.5-flash-lite", contents="hello")
        said.append((text, answer, claudes, "".join(piece.text or "" for piece in pieces)))
        gemini.close()

    assert said[0] == said[1]
    outcomes = [row["outcome"] for row in gateway.entries(key)]
    assert sorted(outcomes) == ["cached"] * 4 + ["settled"] * 4


def test_a_kept_alive_connection_goes_on_after_a_hit(gateway: RunningGateway, key_of_team: CallKey) -> None:
    connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=15)
    try:
        body = json.dumps(body_for(CHAT, CHEAP[CHAT]) | {"stream": True}).encode()
        for expected in ("miss", "hit", "hit"):
            connection.request("POST", CHAT, body, key_of_team.bearer)
            assert state(hear(connection)) == expected
    finally:
        connection.close()


@pytest.fixture
def key_of_team(gateway: RunningGateway) -> CallKey:
    return gateway.key("development")
