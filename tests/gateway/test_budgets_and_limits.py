"""Budgets, limits and alerts of a policy file at the gateway's door, with the numbers that people use."""

import json
from collections.abc import Iterator

import pytest

from farthing.simulator.server import SimulatorServer
from tests.running import Heard, RunningGateway, wait_until

POLICY = """
environments:
  development: {rate_limit: 10/minute, call_limit: $0.50, at_limit: clamp}
  production: {rate_limit: 60/minute, calls_open: 200 per environment}
  counted: {token_limit: 4000/day, at_limit: refuse}
  noted: {}
consumer_groups:
  - name: early
    environment: noted
    budget_alerts: [{threshold_percent: 1, action: notify}]
budgets:
  - {name: development-month, match: {environment: development}, limit: $750, period: monthly, alerts: [25]}
  - {name: production-month, match: {environment: production}, limit: "$3,750", period: monthly,
     months: {december: "$9,000"}}
  - {name: noted-month, match: {environment: noted}, per: group, limit: $0.001, period: monthly}
cost_tracking:
  budget_alerts:
    - {threshold_percent: 50, action: notify}
    - {threshold_percent: 90, action: notify}
    - {threshold_percent: 100, action: block}
providers:
  targets:
    - {id: openai, provider: openai, base_url: SIMULATOR/v1}
"""
CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def policed(
    simulator_of_session: SimulatorServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    with RunningGateway(POLICY, tmp_path_factory.mktemp("policed"), simulator_of_session) as gateway:
        yield gateway


def ask(
    gateway: RunningGateway, headers: dict[str, str], *, model: str = "gpt-4o-mini", cap: int = 50
) -> Heard:
    body = {"model": model, "max_tokens": cap, "messages": [{"role": "user", "content": "hi"}]}
    return gateway.request("POST", CHAT, json.dumps(body).encode(), headers)


def freshly(gateway: RunningGateway, calls: int, environment: str) -> tuple[list[int], Heard]:
    """Make so many calls with a new key and one more, within one minute of the clock."""
    while True:
        key = gateway.key(environment)
        minute = gateway.running.clock() // 60_000_000
        statuses = [ask(gateway, key.bearer).status for _ in range(calls)]
        last = ask(gateway, key.bearer)
        if gateway.running.clock() // 60_000_000 == minute:
            return statuses, last


@pytest.mark.parametrize(("environment", "most"), [("development", 10), ("production", 60)])
def test_so_many_requests_a_minute_pass_and_the_next_is_told_when_to_come_back(
    policed: RunningGateway, environment: str, most: int
) -> None:
    statuses, refused = freshly(policed, most, environment)

    assert statuses == [200] * most
    assert refused.status == 429
    assert refused.header("x-farthing-refusal") == "rate_limited"
    assert 1 <= int(refused.header("retry-after") or 0) <= 60


def test_tokens_of_a_day_run_out(policed: RunningGateway) -> None:
    key = policed.key("counted")
    assert ask(policed, key.bearer, cap=1_000).status == 200

    refused = ask(policed, key.bearer, cap=4_000)

    assert refused.header("x-farthing-refusal") == "rate_limited"
    assert refused.header("x-should-retry") == "false"  # it needs more than a whole day
    assert ask(policed, key.bearer, cap=100).status == 200


def test_one_call_may_cost_so_much_and_is_shortened_to_that(policed: RunningGateway) -> None:
    key = policed.key("development")

    heard = ask(policed, key.bearer, model="gpt-4", cap=100_000)

    assert heard.status == 200
    call = policed.admin(f"/api/calls/{heard.header('x-farthing-call-id')}").json()
    assert call["ceiling_nanodollars"] <= 500_000_000
    assert 8_000 < call["clamped_to"] < 100_000


def test_each_threshold_is_told_once_for_each_account_and_a_group_has_its_own(
    policed: RunningGateway,
) -> None:
    key, early = policed.key("noted"), policed.key("noted", group="early")
    for bearer in (key.bearer, early.bearer):
        while ask(policed, bearer).status == 200:
            pass

    def told() -> list[tuple[str, int, str]]:
        rows = policed.admin("/api/alerts?budget=noted-month").json()["alerts"]
        return sorted((row["value"], row["threshold_percent"], row["action"]) for row in rows)

    wait_until(lambda: len(told()) >= 4, seconds=10)
    assert told() == [
        ("(none)", 50, "notify"),
        ("(none)", 90, "notify"),
        ("(none)", 100, "block"),
        ("early", 1, "notify"),
    ]


def test_only_the_admin_reads_alerts(policed: RunningGateway) -> None:
    key = policed.key("noted")
    assert policed.request("GET", "/api/alerts", headers=key.bearer).status == 403
    assert policed.admin("/api/alerts?limit=0").status == 422
