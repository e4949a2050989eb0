"""The kill switch at the gateway: each dialect is told in its own shape, until the stop is lifted."""

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from farthing.simulator.server import SimulatorServer
from tests.gateway.test_refusals import CHAT, CHEAP, FAMILIES, GENERATE, MESSAGES, RESPONSES, ask, refusal_of
from tests.running import CallKey, Json, RunningGateway, wait_until

STATUS = {CHAT: 403, RESPONSES: 400, MESSAGES: 400, GENERATE: 403}


@contextmanager
def a_stop(gateway: RunningGateway, **named: object) -> Iterator[Json]:
    """Stop something; whatever the test does, it is lifted afterwards."""
    heard = gateway.admin("/api/stops", "POST", {"reason": "runaway agent", "by": "ana", **named})
    assert heard.status == 201, heard.body
    told = heard.json()
    try:
        yield told
    finally:
        gateway.admin(f"/api/stops/{told['stop_id']}?by=ben&reason=mended", "DELETE")


@pytest.mark.parametrize("path", FAMILIES)
def test_a_stopped_key_is_told_in_every_dialect_and_nothing_goes_upstream(
    gateway: RunningGateway, simulator: SimulatorServer, path: str
) -> None:
    key, other = gateway.key("production"), gateway.key("production")
    with a_stop(gateway, key=key.label) as stop:
        heard = ask(gateway, key, path, CHEAP[path])
        assert heard.status == STATUS[path]
        assert heard.header("x-farthing-refusal") == "stopped"
        assert heard.header("x-should-retry") == "false"
        assert refusal_of(heard)["reason"] == "stopped"
        message = heard.json()["error"]["message"]
        assert message.startswith(f"key {key.label} was stopped by ana at 20")
        assert "runaway agent" in message and f"farthing resume {stop['stop_id']}" in message
        assert simulator.record.received == 0
        assert ask(gateway, other, path, CHEAP[path]).status == 200

    wait_until(lambda: ask(gateway, key, path, CHEAP[path]).status == 200)
    refused = [row for row in gateway.entries(key) if row["outcome"] == "refused"]
    assert {row["decision"]["reason"] for row in refused} == {"stopped"}
    assert all(row["cost_nanodollars"] == 0 for row in refused)


def test_free_calls_are_stopped_too(gateway: RunningGateway, key: CallKey) -> None:
    count = {"model": "claude-haiku-4-5", "messages": [{"role": "user", "content": "hello"}]}
    assert gateway.post("/v1/messages/count_tokens", count, key).status == 200
    with a_stop(gateway, key=key.key_id):
        assert gateway.post("/v1/messages/count_tokens", count, key).status == 400


@pytest.mark.parametrize(
    "named",
    [{"workflow": "production-month"}, {"labels": {"feature": "stopped-here"}}, {"run": "stopped-run"}],
)
def test_a_budget_a_label_or_a_run_is_stopped(
    gateway: RunningGateway, key: CallKey, named: dict[str, object]
) -> None:
    with a_stop(gateway, key=key.label, **named):
        tags = {"x-metering-tags": '{"feature": "stopped-here", "run": "stopped-run"}'}
        assert gateway.chat(key, "hello", headers=tags).status == 403


def test_a_free_call_is_stopped_with_the_budget_it_belongs_to(gateway: RunningGateway, key: CallKey) -> None:
    count = {"model": "claude-haiku-4-5", "messages": [{"role": "user", "content": "hello"}]}
    with a_stop(gateway, key=key.label, workflow="production-month"):
        assert gateway.post("/v1/messages/count_tokens", count, key).status == 400


def test_a_stopped_model_is_no_longer_called_and_others_are(gateway: RunningGateway, key: CallKey) -> None:
    with a_stop(gateway, key=key.label, model="gpt-4o"):
        assert gateway.chat(key, "hello", model="gpt-4o").status == 403
        assert gateway.chat(key, "hello", model="gpt-4o-mini").status == 200


def test_a_stream_in_flight_is_passed_to_its_end(gateway: RunningGateway, key: CallKey) -> None:
    connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=15)
    body = {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "[[sim output=40 chunk_ms=20]] hello"}],
        "stream": True,
    }
    connection.request("POST", CHAT, json.dumps(body), {**key.bearer, "content-type": "application/json"})
    response = connection.getresponse()
    response.read(20)
    with a_stop(gateway, key=key.label):
        assert b"[DONE]" in response.read()
        connection.close()
        assert gateway.entry(key)["outcome"] == "settled"


# ── the API ─────────────────────────────────────────────────────────────────────────────────────


def test_the_api_lists_stops_and_who_lifted_them(gateway: RunningGateway) -> None:
    with a_stop(gateway, environment="nowhere", labels={"b": "2", "a": "1"}) as stop:
        assert stop["match"] == {"environment": "nowhere", "label:a": "1", "label:b": "2"}
        assert stop["scope"] == "environment nowhere and label a 1 and label b 2"
        assert stop["never_seen"] == ["environment", "label:a", "label:b"]
        assert [row["stop_id"] for row in gateway.admin("/api/stops?live=true").json()["stops"]] == [
            stop["stop_id"]
        ]

    assert gateway.admin("/api/stops?live=true").json() == {"stops": []}
    kept = gateway.admin("/api/stops").json()["stops"][0]
    assert (kept["stop_id"], kept["live"]) == (stop["stop_id"], False)
    assert (kept["by"], kept["reason"]) == ("ana", "runaway agent")
    assert (kept["resumed_by"], kept["resumed_reason"]) == ("ben", "mended")
    assert gateway.admin(f"/api/stops/{stop['stop_id']}", "DELETE").status == 404


@pytest.mark.parametrize(
    "body",
    [
        {"reason": "x"},
        {"reason": "x", "all": True, "environment": "ci"},
        {"reason": " ", "all": True},
        {"reason": "x", "environment": ""},
        {"reason": "x", "by": "", "all": True},
    ],
)
def test_a_stop_that_is_not_clear_is_an_error_and_stops_nothing(gateway: RunningGateway, body: Json) -> None:
    assert gateway.admin("/api/stops", "POST", body).status == 400
    assert gateway.admin("/api/stops?live=true").json() == {"stops": []}


def test_a_misspelt_member_of_a_stop_is_an_error(gateway: RunningGateway) -> None:
    body: Json = {"reason": "x", "environmnet": "ci", "all": True}
    assert gateway.admin("/api/stops", "POST", body).status == 422


def test_a_call_key_can_neither_stop_nor_look(gateway: RunningGateway, key: CallKey) -> None:
    assert gateway.request("GET", "/api/stops", headers=key.bearer).status == 403
    assert gateway.post("/api/stops", {"reason": "x", "all": True}, key).status == 403
    assert gateway.request("DELETE", "/api/stops/stop_1", headers=key.bearer).status == 403


@pytest.fixture
def key(gateway: RunningGateway) -> CallKey:
    return gateway.key("production")
