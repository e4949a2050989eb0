"""A changed policy takes over between two calls; a wrong one changes nothing and is told."""

import http.client
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from farthing.simulator.server import SimulatorServer
from tests.running import CallKey, Json, Log, RunningGateway, wait_until

POLICY = """
environments:
  development: {models: {allow: [MODELS]}}
budgets:
  - {name: month, match: {environment: development}, limit: $100, period: PERIOD}
providers:
  targets:
    - {id: openai, provider: openai, base_url: SIMULATOR/v1, secret_key_ref: {file: openai.key}}
"""


class Reloaded:
    """A gateway whose policy file is written again and again."""

    def __init__(self, gateway: RunningGateway) -> None:
        self.gateway = gateway
        self.file = gateway.folder / "farthing.yaml"

    def write(self, *, models: str = "gpt-4o-mini", period: str = "monthly", more: str = "") -> None:
        """Put another policy in the place of the file, whole, as editors and deployments do."""
        text = written(models, period).replace("SIMULATOR", self.gateway.simulator.url) + more
        following = self.file.with_suffix(".new")
        following.write_text(text, "utf-8")
        following.replace(self.file)

    @property
    def standing(self) -> Json:
        """What the gateway says about its policy."""
        return self.gateway.admin("/api/policy").json()

    def reload(self, status: int = 200) -> Json:
        """Have the files read now."""
        heard = self.gateway.admin("/api/policy/reload", "POST")
        assert heard.status == status, heard.body
        return heard.json()


def written(models: str = "gpt-4o-mini", period: str = "monthly") -> str:
    return POLICY.replace("MODELS", models).replace("PERIOD", period)


@pytest.fixture
def reloaded(tmp_path: Path, simulator: SimulatorServer, log: Log) -> Iterator[Reloaded]:
    (tmp_path / "openai.key").write_text("sk-first\n", "utf-8")
    with RunningGateway(written(), tmp_path, simulator) as gateway:
        yield Reloaded(gateway)
    assert log.errors == []


@pytest.fixture
def key(reloaded: Reloaded) -> CallKey:
    return reloaded.gateway.key("development")


def test_a_file_that_changed_is_in_force_within_seconds_and_entries_name_the_rules_they_had(
    reloaded: Reloaded, key: CallKey
) -> None:
    before = reloaded.standing
    assert reloaded.gateway.chat(key, "hello", model="gpt-4o").status == 403

    reloaded.write(models="gpt-4o-mini, gpt-4o")

    wait_until(lambda: reloaded.standing["digest"] != before["digest"])
    assert reloaded.gateway.chat(key, "hello", model="gpt-4o").status == 200
    after = reloaded.standing
    assert after["in_force_since"] > before["in_force_since"]
    assert after["files"][0]["sha256"] != before["files"][0]["sha256"]
    assert [row["policy_digest"] for row in reloaded.gateway.entries(key)] == [
        after["digest"],
        before["digest"],
    ]
    ready = reloaded.gateway.request("GET", "/readyz").json()
    assert ready == {"status": "ready"}


def test_a_wrong_policy_keeps_the_old_one_and_says_where_it_is_wrong(
    reloaded: Reloaded, key: CallKey, log: Log
) -> None:
    before = reloaded.standing["digest"]

    reloaded.write(more="budgest: []\n")

    wait_until(lambda: reloaded.standing["refused"] is not None)
    told = reloaded.standing
    assert told["digest"] == before
    (problem,) = told["refused"]["problems"]
    assert (problem["key"], problem["fix"]) == ("budgest", "did you mean budgets?")
    assert problem["line"] == 9
    ready = reloaded.gateway.request("GET", "/readyz")
    assert ready.status == 200
    assert ready.json() == {"status": "ready", "policy": "the files are not in force: see /api/policy"}
    assert any("budgest" in line and before in line for line in log.lines)
    assert reloaded.gateway.chat(key, "hello").status == 200

    reloaded.write()
    wait_until(lambda: reloaded.standing["refused"] is None)
    assert reloaded.standing["digest"] == before


def test_a_budget_that_would_count_something_else_keeps_the_old_policy(
    reloaded: Reloaded, key: CallKey
) -> None:
    assert reloaded.gateway.chat(key, "hello").status == 200
    before = reloaded.standing["digest"]

    reloaded.write(period="weekly", models="gpt-4o")

    told = reloaded.reload(status=409)
    assert told["digest"] == before
    (problem,) = told["refused"]["problems"]
    assert problem["message"] == 'its balance counts something else: period was "monthly" and is "weekly"'
    assert reloaded.gateway.chat(key, "hello").status == 200, "the model of the old policy"


def test_a_policy_that_needs_what_is_not_running_keeps_the_old_one(reloaded: Reloaded) -> None:
    for more, said in (
        ("ledger: sqlite:///other.db\n", "a running gateway keeps its ledger"),
        ("prices: {mine: {input: -1}}\n", "mine"),
    ):
        reloaded.write(more=more)
        (problem,) = reloaded.reload(status=409)["refused"]["problems"]
        assert said in f"{problem['key']} {problem['message']}"


def test_a_missing_file_keeps_the_policy_that_was_read(reloaded: Reloaded, key: CallKey) -> None:
    reloaded.file.unlink()
    (problem,) = reloaded.reload(status=409)["refused"]["problems"]
    assert problem["message"] == "is not there"
    assert reloaded.gateway.chat(key, "hello").status == 200


def test_a_call_in_flight_ends_by_the_rules_it_began_with(
    reloaded: Reloaded, key: CallKey, simulator: SimulatorServer
) -> None:
    before = reloaded.standing["digest"]
    body = {
        "model": "gpt-4o-mini",
        "stream": True,
        "messages": [{"role": "user", "content": "[[sim output=40 chunk_ms=20]] hello"}],
    }
    connection = http.client.HTTPConnection(reloaded.gateway.host, reloaded.gateway.port, timeout=15)
    connection.request("POST", "/v1/chat/completions", json.dumps(body).encode(), {**key.bearer})
    response = connection.getresponse()
    response.readline()

    reloaded.write(models="gpt-4o")
    after = reloaded.reload()["digest"]

    assert reloaded.gateway.chat(key, "hello").status == 403
    assert b"[DONE]" in response.read()
    connection.close()
    wait_until(lambda: len(reloaded.gateway.entries(key)) == 2)
    digests = {row["outcome"]: row["policy_digest"] for row in reloaded.gateway.entries(key)}
    assert digests == {"settled": before, "refused": after}


def test_a_refusal_that_is_remembered_for_a_second_does_not_outlive_its_policy(
    reloaded: Reloaded, key: CallKey
) -> None:
    for _ in range(3):
        assert reloaded.gateway.chat(key, "hello", model="gpt-4o").status == 403
    reloaded.write(models="gpt-4o")
    reloaded.reload()
    assert reloaded.gateway.chat(key, "hello", model="gpt-4o").status == 200
    wait_until(lambda: sum(row["count"] for row in reloaded.gateway.entries(key)) == 4)


def test_a_new_key_of_the_provider_is_used_once_its_file_has_changed(
    reloaded: Reloaded, key: CallKey, simulator: SimulatorServer
) -> None:
    assert reloaded.gateway.chat(key, "hello").status == 200
    (reloaded.gateway.folder / "openai.key").write_text("sk-second-one\n", "utf-8")

    def uses_the_new_one() -> bool:
        assert reloaded.gateway.chat(key, "hello").status == 200
        return simulator.record.calls[-1].header("authorization") == "Bearer sk-second-one"

    wait_until(uses_the_new_one)


def test_no_call_is_lost_while_policies_take_turns_under_load(reloaded: Reloaded, key: CallKey) -> None:
    stop, statuses = threading.Event(), []

    def keep_calling(model: str) -> None:
        while not stop.is_set():
            statuses.append((model, reloaded.gateway.chat(key, "hello", model=model).status))

    with ThreadPoolExecutor(6) as callers:
        for number in range(6):
            callers.submit(keep_calling, "gpt-4o" if number % 2 else "gpt-4o-mini")
        digests = set()
        for turn in range(12):
            reloaded.write(models="gpt-4o, gpt-4o-mini" if turn % 2 else "gpt-4o-mini")
            digests.add(reloaded.reload()["digest"])
        stop.set()

    assert {status for model, status in statuses if model == "gpt-4o-mini"} == {200}
    assert {status for model, status in statuses if model == "gpt-4o"} <= {200, 403}
    assert len(digests) == 2

    def told() -> int:
        rows = reloaded.gateway.entries(key)
        assert {row["policy_digest"] for row in rows} <= digests
        return sum(row["count"] for row in rows)

    wait_until(lambda: told() == len(statuses) or len(reloaded.gateway.entries(key)) == 1000)
    assert reloaded.gateway.holds() == []
    assert reloaded.gateway.running.store.verify() == []


def test_only_the_admin_sees_and_reloads_the_policy(reloaded: Reloaded, key: CallKey) -> None:
    for method, path in (("GET", "/api/policy"), ("POST", "/api/policy/reload")):
        assert reloaded.gateway.request(method, path, headers=key.bearer).status == 403
        assert reloaded.gateway.request(method, path).status == 401


def test_the_audit_tells_who_put_which_policy_in_force(reloaded: Reloaded) -> None:
    first = reloaded.standing["digest"]
    reloaded.write(models="gpt-4o")
    second = reloaded.reload()["digest"]
    reloaded.reload()

    told = reloaded.gateway.admin("/api/audit?action=policy").json()["audit"]
    assert [(row["from"], row["to"]) for row in told] == [(first, second), (None, first)]
    assert told[0]["by"] in ("admin", "the files")
    assert told[1]["by"] == "the start"
