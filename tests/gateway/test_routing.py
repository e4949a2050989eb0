"""Which target gets a call, and who takes over when one fails before the first byte."""

import http.client
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from farthing.simulator.behaviour import Behaviour
from farthing.simulator.server import SimulatorServer
from tests.running import CallKey, Json, RunningGateway, wait_until

Behave = Callable[..., None]

ENVIRONMENTS = """
organization: acme
timezone: UTC
environments:
  production: {}
"""


class Two:
    """A gateway between callers and two simulated providers, A and B."""

    def __init__(self, gateway: RunningGateway, a: SimulatorServer, b: SimulatorServer) -> None:
        self.gateway = gateway
        self.a = a
        self.b = b
        self.key = gateway.key()

    def rows(self, key: CallKey | None = None) -> list[Json]:
        """The entries, oldest first."""
        return self.gateway.entries(key or self.key)[::-1]

    @property
    def received(self) -> tuple[int, int]:
        return self.a.record.received, self.b.record.received


TARGETS = """
    - {id: a, provider: openai, model: gpt-4o-mini, base_url: SIMULATOR/v1}
    - {id: b, provider: openai, model: gpt-4o-mini, base_url: OTHER/v1}
"""


@contextmanager
def two_targets(
    folder: Path,
    *,
    routing: str = "{strategy: ordered}",
    targets: str = TARGETS,
    more: str = ENVIRONMENTS,
    a: Behaviour | None = None,
    b: Behaviour | None = None,
    answer_seconds: float = 10.0,
) -> Iterator[Two]:
    policy = f"{more}\nproviders:\n  routing: {routing}\n  targets:{targets}"
    with (
        SimulatorServer(behaviour=a) as first,
        SimulatorServer(behaviour=b) as second,
        RunningGateway(
            policy.replace("OTHER", second.url), folder, first, answer_seconds=answer_seconds
        ) as gateway,
    ):
        yield Two(gateway, first, second)


# ── fallback ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 529])
@pytest.mark.parametrize("stream", [False, True])
def test_a_target_that_fails_is_followed_by_the_next_and_each_attempt_is_a_row(
    tmp_path: Path, status: int, *, stream: bool
) -> None:
    with two_targets(tmp_path, a=Behaviour(status=status)) as two:
        heard = two.gateway.chat(two.key, "hello", stream=stream)

        assert heard.status == 200
        assert two.received == (1, 1)
        first, second = two.rows()
        assert (first["target"], first["attempt"], first["status"]) == ("a", 1, status)
        assert (second["target"], second["attempt"], second["status"]) == ("b", 2, 200)
        assert first["request_id"] == second["request_id"] == first["call_id"] != second["call_id"]
        assert first["decision"]["reason"] == "as_asked"
        assert second["decision"]["reason"] == "fallback"
        assert f"fallback: a answered {status}" in second["decision"]["rules"]
        assert heard.header("x-farthing-call-id") == second["call_id"]
        assert any(f"a answered {status}" in told for told in heard.all("x-farthing-warning"))


@pytest.mark.parametrize(
    ("accident", "outcome", "rule"),
    [
        (Behaviour(reset=True), "settled", "broken"),
        (Behaviour(cut=0), "settled", "broken"),
        (Behaviour(hang=True), "settled", "timed_out"),
    ],
    ids=["reset", "cut", "silence"],
)
def test_a_connection_that_breaks_is_booked_by_its_rule_and_followed(
    tmp_path: Path, accident: Behaviour, outcome: str, rule: str
) -> None:
    with two_targets(tmp_path, a=accident, answer_seconds=0.5) as two:
        assert two.gateway.chat(two.key, "hello").status == 200

        first, second = two.rows()
        assert (first["outcome"], first["assumed_rule"], first["assumed"]) == (outcome, rule, True)
        assert (second["target"], second["decision"]["reason"]) == ("b", "fallback")


def test_a_target_that_nobody_listens_at_is_void_and_followed(tmp_path: Path) -> None:
    targets = TARGETS.replace("SIMULATOR/v1", '"http://127.0.0.1:1/v1"')
    with two_targets(tmp_path, targets=targets) as two:
        assert two.gateway.chat(two.key, "hello").status == 200

        first, second = two.rows()
        assert (first["outcome"], first["cost_nanodollars"]) == ("void", 0)
        assert second["outcome"] == "settled"


def test_a_target_may_have_less_time_to_begin_its_answer(tmp_path: Path) -> None:
    targets = TARGETS.replace("{id: a,", "{id: a, timeout_seconds: 1,")
    with two_targets(tmp_path, targets=targets, a=Behaviour(hang=True)) as two:
        assert two.gateway.chat(two.key, "hello").status == 200

        first, _ = two.rows()
        assert first["assumed_rule"] == "timed_out"
        assert "within 1 s" in first["error"]


@pytest.mark.parametrize("status", [400, 401, 404, 422])
def test_what_is_the_callers_own_fault_is_not_tried_elsewhere(tmp_path: Path, status: int) -> None:
    with two_targets(tmp_path, a=Behaviour(status=status)) as two:
        assert two.gateway.chat(two.key, "hello").status == status

        assert two.received == (1, 0)


def test_when_nothing_is_left_the_last_error_reaches_the_caller_unchanged(tmp_path: Path) -> None:
    with two_targets(tmp_path, a=Behaviour(status=500), b=Behaviour(status=503, retry_after_s=7)) as two:
        heard = two.gateway.chat(two.key, "hello")

        assert (heard.status, heard.header("retry-after")) == (503, "7")
        assert heard.body == said_by(two.b)
        assert [row["status"] for row in two.rows()] == [500, 503]


def said_by(simulator: SimulatorServer) -> bytes:
    """What a simulated provider answers to the very request it had."""
    call = simulator.record.calls[-1]
    connection = http.client.HTTPConnection(simulator.host, simulator.port, timeout=5)
    try:
        connection.request("POST", call.path, call.raw_body, {"content-type": "application/json"})
        return connection.getresponse().read()
    finally:
        connection.close()


def test_no_more_targets_are_tried_than_the_policy_says(tmp_path: Path) -> None:
    with two_targets(tmp_path, routing="{attempts: 1}", a=Behaviour(status=500)) as two:
        assert two.gateway.chat(two.key, "hello").status == 500

        assert two.received == (1, 0)


def test_no_further_attempt_begins_once_the_patience_is_over(tmp_path: Path) -> None:
    slow = Behaviour(status=500, latency_ms=1100)
    with two_targets(tmp_path, routing="{patience_seconds: 1}", a=slow) as two:
        assert two.gateway.chat(two.key, "hello").status == 500

        assert two.received == (1, 0)


def test_a_stream_that_breaks_after_its_head_is_not_begun_anew(tmp_path: Path) -> None:
    with two_targets(tmp_path, a=Behaviour(cut=2)) as two:
        heard = two.gateway.chat(two.key, "hello", stream=True)

        assert not heard.whole
        assert two.received == (1, 0)
        (row,) = two.rows()
        assert row["assumed_rule"] == "broken"


def test_a_hop_that_a_budget_cannot_pay_is_refused_and_the_last_error_is_told(tmp_path: Path) -> None:
    budget = ENVIRONMENTS + (
        "budgets:\n"
        "  - {name: vllm-day, match: {provider: vllm}, limit: $0.00, period: daily, at_limit: refuse}\n"
    )
    targets = TARGETS.replace("{id: b, provider: openai", "{id: b, provider: vllm").replace(
        "OTHER/v1", "OTHER/v1, pricing: {input: 0.15, output: 0.60}"
    )
    with two_targets(tmp_path, targets=targets, more=budget, a=Behaviour(status=500)) as two:
        heard = two.gateway.chat(two.key, "hello")

        assert heard.status == 500
        assert heard.header("x-farthing-refusal") is None
        assert two.received == (1, 0)
        wait_until(lambda: len(two.rows()) == 2)
        assert [(row["attempt"], row["outcome"]) for row in two.rows()] == [(1, "settled"), (2, "refused")]


def test_a_rate_limit_counts_every_attempt(tmp_path: Path) -> None:
    rated = ENVIRONMENTS.replace("production: {}", "production: {rate_limit: 1/hour}")
    with two_targets(tmp_path, more=rated, a=Behaviour(status=503)) as two:
        assert two.gateway.chat(two.key, "hello").status == 503

        assert two.received == (1, 0)


# ── rest and recovery ───────────────────────────────────────────────────────────────────────────


def test_a_target_that_asks_to_be_left_alone_is(tmp_path: Path) -> None:
    with two_targets(tmp_path, a=Behaviour(status=429, retry_after_s=60)) as two:
        for _ in range(4):
            assert two.gateway.chat(two.key, "hello").status == 200

        assert two.received == (1, 4)
        assert two.gateway.metric("farthing_target_resting", target="a") == 1
        assert two.gateway.metric("farthing_target_attempts_total", target="b") == 4
        assert two.gateway.metric("farthing_target_failures_total", target="a") == 1


def test_a_target_that_keeps_failing_rests(tmp_path: Path) -> None:
    with two_targets(tmp_path, a=Behaviour(status=500)) as two:
        for _ in range(6):
            assert two.gateway.chat(two.key, "hello").status == 200

        assert two.received == (3, 6)


def test_when_all_rest_they_are_tried_all_the_same(tmp_path: Path) -> None:
    tired = Behaviour(status=429, retry_after_s=60)
    with two_targets(tmp_path, a=tired, b=tired) as two:
        for _ in range(2):
            assert two.gateway.chat(two.key, "hello").status == 429

        assert two.received == (2, 2)


def test_killing_a_target_between_calls_costs_no_caller_an_answer(tmp_path: Path) -> None:
    routing = "{strategy: weighted_round_robin}"
    with two_targets(tmp_path, routing=routing) as two:
        keys = [two.gateway.key() for _ in range(4)]
        statuses: Counter[int] = Counter()
        half = threading.Barrier(5, timeout=20)

        def ask(key: CallKey) -> None:
            for number in range(10):
                if number == 5:
                    half.wait()
                    half.wait()
                statuses[two.gateway.chat(key, "hello").status] += 1

        callers = [threading.Thread(target=ask, args=(key,)) for key in keys]
        for caller in callers:
            caller.start()
        half.wait()
        two.a.close()
        half.wait()
        for caller in callers:
            caller.join(20)

        assert statuses == {200: 40}
        rows = [row for key in keys for row in two.rows(key)]
        assert {row["outcome"] for row in rows} <= {"settled", "void"}
        served = {row["request_id"] for row in rows if row["status"] == 200}
        assert len(served) == 40
        assert not two.gateway.holds()


# ── strategies ──────────────────────────────────────────────────────────────────────────────────


def test_weights_of_three_to_one_give_three_quarters_of_the_calls(tmp_path: Path) -> None:
    targets = TARGETS.replace("{id: a,", "{id: a, weight: 3,")
    with two_targets(tmp_path, routing="{strategy: weighted_round_robin}", targets=targets) as two:
        for _ in range(100):
            assert two.gateway.chat(two.key, "hello").status == 200

        a, b = two.received
        assert a + b == 100
        assert 72 <= a <= 78
        assert {"routing: weighted_round_robin"} <= set(two.rows()[0]["decision"]["rules"])


def test_two_equal_targets_share_the_calls_evenly_by_use(tmp_path: Path) -> None:
    with two_targets(tmp_path, routing="{strategy: usage_based}") as two:
        for _ in range(20):
            assert two.gateway.chat(two.key, "hello").status == 200

        assert two.received == (10, 10)


def test_the_cheaper_of_two_targets_gets_the_call(tmp_path: Path) -> None:
    targets = """
    - {id: a, provider: vllm, name: chat, model: big, base_url: SIMULATOR/v1, pricing: {input: 2, output: 8}}
    - {id: b, provider: vllm, name: chat, model: small, base_url: OTHER/v1, pricing: {input: 1, output: 4}}
"""
    with two_targets(tmp_path, routing="{strategy: lowest_cost}", targets=targets) as two:
        assert two.gateway.chat(two.key, "hello", model="chat").header("x-farthing-model") == "small"

        assert two.received == (0, 1)
        (row,) = two.rows()
        assert (row["model_asked"], row["model_served"], row["target"]) == ("chat", "small", "b")


def test_the_faster_of_two_targets_gets_the_calls_once_both_are_known(tmp_path: Path) -> None:
    with two_targets(tmp_path, routing="{strategy: lowest_latency}", a=Behaviour(latency_ms=150)) as two:
        for _ in range(6):
            assert two.gateway.chat(two.key, "hello").status == 200

        assert two.received == (1, 5)


def test_a_rule_on_a_label_leads_to_other_targets(tmp_path: Path) -> None:
    routing = "{rules: [{name: search, match: {feature: search}, targets: [b]}]}"
    with two_targets(tmp_path, routing=routing) as two:
        two.gateway.chat(two.key, "hello", headers={"x-metering-tags": '{"feature": "search"}'})
        two.gateway.chat(two.key, "hello")

        searched, other = two.rows()
        assert (searched["target"], other["target"]) == ("b", "a")
        assert "search" in searched["decision"]["rules"]


def test_auto_is_served_by_the_cheapest_model_and_falls_back(tmp_path: Path) -> None:
    allowed = ENVIRONMENTS.replace("production: {}", "production: {models: {allow: [gpt-4o-mini, gpt-4o]}}")
    with two_targets(tmp_path, more=allowed, a=Behaviour(status=500)) as two:
        heard = two.gateway.chat(two.key, "hello", model="auto")

        assert (heard.status, heard.header("x-farthing-model")) == (200, "gpt-4o-mini")
        assert msgspec.json.decode(two.a.record.calls[-1].raw_body)["model"] == "gpt-4o-mini"
        assert [row["decision"]["reason"] for row in two.rows()] == ["as_asked", "fallback"]
