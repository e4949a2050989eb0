"""Asking for more over the API: the refusal names the command, somebody else approves, calls pass again."""

import json
from collections.abc import Iterator

import pytest

from farthing.simulator.server import SimulatorServer
from tests.gateway.test_roles import a_token
from tests.running import Heard, Json, RunningGateway, wait_until

POLICY = """
environments: {development: {at_limit: refuse}}
budgets:
  - {name: per-developer, match: {environment: development}, per: developer, limit: $0.00, period: monthly}
  - {name: month, match: {environment: development}, limit: $5, period: monthly}
providers: {targets: [{id: openai, provider: openai, base_url: SIMULATOR/v1}]}
"""


@pytest.fixture
def broke(simulator: SimulatorServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway whose developers have nothing until somebody approves."""
    with RunningGateway(POLICY, tmp_path_factory.mktemp("requests"), simulator) as gateway:
        yield gateway


def send(gateway: RunningGateway, path: str, body: Json, bearer: dict[str, str]) -> Heard:
    return gateway.request("POST", path, json.dumps(body).encode(), bearer)


def test_r62_r63_a_developer_who_is_refused_asks_and_an_approver_lets_it_go_on(broke: RunningGateway) -> None:
    key = broke.key("development", "alice")
    _, approver = a_token(broke, "approver")
    refused = broke.chat(key, "hello")
    assert refused.status == 429
    command = "farthing budget request per-developer 50 --value alice --reason '...'"
    assert command in refused.json()["error"]["farthing"]["fix"]

    asked = send(
        broke, "/api/requests", {"budget": "per-developer", "amount": "$1", "reason": "demo"}, key.bearer
    )
    assert asked.status == 201
    request: Json = asked.json()
    assert (request["by"], request["value"], request["state"]) == ("alice", "alice", "open")
    own = broke.request("GET", "/api/requests", headers=key.bearer).json()["requests"]
    assert [row["request_id"] for row in own] == [request["request_id"]]
    other = broke.key("development", "bob")
    assert broke.request("GET", "/api/requests", headers=other.bearer).json() == {"requests": []}

    answer = f"/api/requests/{request['request_id']}"
    approved = send(broke, f"{answer}/approve", {"reason": "go"}, approver)
    assert approved.status == 200, approved.body
    assert (approved.json()["state"], approved.json()["granted_nanodollars"]) == ("approved", 10**9)
    assert send(broke, f"{answer}/deny", {"reason": "late"}, approver).status == 404

    wait_until(lambda: broke.chat(key, "hello").status == 200)
    assert broke.chat(other, "hello").status == 429
    (raised,) = broke.admin("/api/raises?budget=per-developer").json()["raises"]
    assert (raised["by"], raised["limit_after_nanodollars"]) == ("approver-of-a-test", 10**9)
    told = broke.request("GET", "/api/audit?action=request", headers=approver).json()["audit"]
    assert [(row["by"], row["action"]) for row in told] == [
        ("approver-of-a-test", "request approve"), ("alice", "request create"),
    ]  # fmt: skip


def test_nobody_answers_their_own_request_or_asks_in_vain(broke: RunningGateway) -> None:
    _, approver = a_token(broke, "approver")
    asked = send(broke, "/api/requests", {"budget": "month", "amount": 5, "reason": "x"}, approver).json()
    for verb, body in (("approve", {}), ("deny", {"reason": "no"})):
        heard = send(broke, f"/api/requests/{asked['request_id']}/{verb}", body, approver)
        assert heard.status == 403
    ask: Json = {"budget": "month", "amount": "$5", "reason": "x"}
    for wrong, status in (
        ({"reason": " "}, 400),
        ({"amount": "-5"}, 400),
        ({"amount": "0"}, 400),
        ({"amount": 5.5}, 422),
        ({"budget": "moth"}, 404),
        ({"value": "x"}, 400),
        ({"until": "2020-01-01T00:00:00Z"}, 400),
        ({"until": "2030-01-01T00:00:00"}, 422),
        ({"amount": "99999999999999999"}, 400),
        ({"resaon": "x"}, 422),
    ):
        heard = send(broke, "/api/requests", {**ask, **wrong}, approver)
        assert (wrong, heard.status) == (wrong, status), heard.body
    assert len(broke.admin("/api/requests").json()["requests"]) == 1
    assert broke.admin("/api/requests?only_open=true").json()["requests"][0]["state"] == "open"
    denied = broke.admin(f"/api/requests/{asked['request_id']}/deny", "POST", {"reason": "no"})
    assert (denied.json()["state"], denied.json()["answer"]) == ("denied", "no")


def test_an_approver_raises_a_limit_and_lowers_it(broke: RunningGateway) -> None:
    _, approver = a_token(broke, "approver")
    raised = send(broke, "/api/raises", {"budget": "month", "amount": "$2", "reason": "launch"}, approver)
    assert (raised.status, raised.json()["limit_after_nanodollars"]) == (201, 7 * 10**9)
    body = {"budget": "month", "amount": "$3", "reason": "over", "lower": True}
    assert send(broke, "/api/raises", body, approver).json()["limit_after_nanodollars"] == 4 * 10**9
    assert send(broke, "/api/raises", {**body, "budget": "moth"}, approver).status == 404
