"""What teams ask of the policy at the gateway, by the number of the requirement, with its figures."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

from farthing.domain.money import nanodollars_from
from farthing.simulator.server import SimulatorServer
from tests.running import CallKey, Heard, Json, RunningGateway, wait_until

POLICY = """
timezone: UTC
environments:
  development:
    models: {allow: [gpt-4o-mini, claude-haiku-4-5, deepseek-chat], otherwise: downgrade}
    rate_limit: 10/minute
  staging:
    models: {allow: [gpt-4o, gpt-4o-mini, claude-haiku-4-5], otherwise: refuse}
  production:
    models: {allow: [gpt-4o, gpt-4o-mini, claude-haiku-4-5, claude-sonnet-4-5], otherwise: refuse}
    rate_limit: 60/minute
  daily: {at_limit: refuse}
  personal: {at_limit: refuse}
  ci: {models: {allow: [any-model]}}
  tagged: {}
  kept: {cache: {enabled: true}}
  soft: {}
budgets:
  - {name: dev-month, match: {environment: development}, limit: $750, period: monthly}
  - {name: per-developer, match: {environment: development}, per: developer, limit: $150, period: monthly}
  - {name: dev-day, match: {environment: daily}, limit: $0.01, period: daily}
  - {name: alice, match: {environment: personal, key: alice}, limit: $0.01, period: monthly, alerts: [50]}
  - {name: bob, match: {environment: personal, key: bob}, limit: $0.10, period: monthly, alerts: [1]}
  - {name: soft-month, match: {environment: soft}, limit: $0.001, period: monthly, hard: false}
providers:
  targets:
    - {id: openai, provider: openai, base_url: SIMULATOR/v1}
    - {id: anthropic, provider: anthropic, base_url: SIMULATOR}
    - {id: deepseek, provider: deepseek, base_url: SIMULATOR/v1}
    - {id: mock, provider: mock, model: any-model, environments: [ci]}
"""
CHAT = "/v1/chat/completions"
CHEAPEST_IN_DEVELOPMENT = "gpt-4o-mini"


@pytest.fixture(scope="module")
def policed(
    simulator_of_session: SimulatorServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    secrets = {"DEEPSEEK_API_KEY": "sk-secret-of-deepseek"}
    folder = tmp_path_factory.mktemp("policed")
    with RunningGateway(POLICY, folder, simulator_of_session, environ=secrets) as gateway:
        yield gateway


def tags(**labels: str) -> dict[str, str]:
    return {"x-metering-tags": json.dumps(labels)}


def spend_of(gateway: RunningGateway, *by: str) -> list[Json]:
    query = "&".join(f"by={one}" for one in by)
    rows: list[Json] = gateway.admin(f"/api/spend?{query}").json()["spend"]
    return rows


def all_entries(gateway: RunningGateway) -> list[Json]:
    rows: list[Json] = gateway.admin("/api/calls?limit=1000").json()["calls"]
    return rows


def spend_until_refused(gateway: RunningGateway, key: CallKey) -> Heard:
    """Call until the money is spent; each call costs about a third of a cent."""
    for _ in range(200):
        heard = gateway.chat(key, "hello [[sim output=5000]]", max_tokens=5_000)
        if heard.status != 200:
            return heard
    raise AssertionError("the budget never ended")


# ── one key, one environment, one boundary ──────────────────────────────────────────────────────


def test_r7_two_keys_of_one_environment_have_caps_and_thresholds_of_their_own(
    policed: RunningGateway,
) -> None:
    alice, bob = policed.key("personal", "alice"), policed.key("personal", "bob")

    refused = spend_until_refused(policed, alice)

    assert refused.json()["error"]["farthing"]["budget"] == "alice"
    assert policed.chat(bob, "hello", max_tokens=5_000).status == 200
    wait_until(lambda: alerts_of(policed, "alice") == [50])
    assert policed.chat(bob, "hello [[sim output=5000]]", max_tokens=5_000).status == 200
    wait_until(lambda: alerts_of(policed, "bob") == [1])


def alerts_of(gateway: RunningGateway, budget: str) -> list[int]:
    rows = gateway.admin(f"/api/alerts?budget={budget}").json()["alerts"]
    return sorted(row["threshold_percent"] for row in rows)


def test_r8_r15_r24_a_daily_development_cap_stops_the_next_call_by_itself_and_production_goes_on(
    policed: RunningGateway, simulator: SimulatorServer
) -> None:
    development, production = policed.key("daily"), policed.key("staging")

    refused = spend_until_refused(policed, development)

    told = refused.json()["error"]["farthing"]
    assert (refused.status, told["reason"], told["budget"]) == (429, "budget_exceeded", "dev-day")
    assert told["spent_nanodollars"] <= told["limit_nanodollars"] == nanodollars_from("$0.01")
    assert told["resets_at"].endswith("T00:00:00.000000Z")
    received = simulator.record.received
    with ThreadPoolExecutor(16) as pool:
        heard = list(pool.map(lambda _: policed.chat(production, "hello", max_tokens=50), range(100)))
    assert [one.status for one in heard] == [200] * 100
    assert simulator.record.received == received + 100


def test_r13_staging_is_listed_apart_from_production_with_calls_and_cost_of_its_own(
    policed: RunningGateway,
) -> None:
    for environment, calls in (("staging", 1), ("production", 2)):
        before = sliced(policed, environment)
        key = policed.key(environment)
        for _ in range(calls):
            assert policed.chat(key, "hello", model="gpt-4o", max_tokens=50).status == 200
        after = sliced(policed, environment)
        entries = policed.entries(key)
        assert after[0] - before[0] == calls == len(entries)
        assert after[1] - before[1] == sum(entry["cost_nanodollars"] for entry in entries) > 0


def sliced(gateway: RunningGateway, environment: str) -> tuple[int, int]:
    """Calls and cost of one environment in the report that nobody narrowed."""
    for row in spend_of(gateway, "environment"):
        if row["environment"] == environment:
            return row["calls"], row["cost_nanodollars"]
    return 0, 0


# ── the seed's request and its tags ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "path", ["/proxy/openai/chat/completions", "/proxy/openai/v1/chat/completions", "/v1/chat/completions"]
)
def test_r54_r56_r58_the_seeds_request_is_answered_and_its_tags_stand_beside_tokens_and_cost(
    policed: RunningGateway, simulator: SimulatorServer, path: str
) -> None:
    key = policed.key("development")
    seed = {"X-Metering-Tags": '{"env":"development","team":"backend","feature":"search"}'}
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "a secret of ours"}]}

    heard = policed.post(path, body, key, seed)

    assert heard.status == 200, heard.body
    assert heard.json()["choices"]
    (sent,) = simulator.record.calls
    assert sent.header("x-metering-tags") is None
    entry = policed.entry(key)
    assert entry["labels"] == {"team": "backend", "feature": "search"}
    assert (entry["environment"], entry["key"]) == ("development", key.label)
    assert entry["model_asked"] == entry["model_served"] == "gpt-4o-mini"
    assert entry["usage"]["input_tokens"] > 0 and entry["cost_nanodollars"] > 0
    assert entry["latency_ms"] >= 0 and entry["decision"]["reason"] == "as_asked"
    assert "a secret of ours" not in json.dumps(entry)


def test_r57_calls_without_team_or_feature_are_a_slice_of_their_own_beside_the_tagged(
    policed: RunningGateway,
) -> None:
    key = policed.key("tagged")
    policed.chat(key, "hello", headers=tags(team="backend", feature="search"), max_tokens=50)
    for _ in range(3):
        policed.chat(key, "hello", max_tokens=50)

    for label, value in (("team", "backend"), ("feature", "search")):
        rows = spend_of(policed, "environment", f"label:{label}")
        calls = {row[f"label:{label}"]: row["calls"] for row in rows if row["environment"] == "tagged"}
        assert calls == {value: 1, None: 3}


def test_r59_every_entry_has_an_environment_streamed_failed_refused_and_cached_ones_too(
    policed: RunningGateway,
) -> None:
    staging, kept = policed.key("staging"), policed.key("kept")
    policed.chat(staging, "hello", max_tokens=50, stream=True)
    policed.chat(staging, "hello [[sim status=500]]", max_tokens=50)
    policed.chat(staging, "hello", model="claude-opus-4-1", max_tokens=50)
    for _ in range(2):
        policed.chat(kept, "hello", max_tokens=50)

    wait_until(lambda: len(policed.entries(staging)) >= 3 and len(policed.entries(kept)) == 2)
    assert {entry["environment"] for entry in policed.entries(staging)} == {"staging"}
    assert {entry["environment"] for entry in policed.entries(kept)} == {"kept"}
    assert "cached" in {entry["outcome"] for entry in policed.entries(kept)}
    assert all(entry["environment"] for entry in all_entries(policed))


def test_r60_r101_environments_never_mix_unasked_and_their_sums_are_those_of_the_ledger(
    policed: RunningGateway,
) -> None:
    for environment in ("staging", "production"):
        policed.chat(policed.key(environment), "hello", max_tokens=50)
    wait_until(lambda: not policed.holds())

    told = {row["environment"]: row["cost_nanodollars"] for row in spend_of(policed, "environment")}

    assert {"staging", "production"} <= told.keys()
    for environment, cost in told.items():
        heard = policed.admin(f"/api/calls?limit=1000&environment={environment}").json()["calls"]
        assert {entry["environment"] for entry in heard} == {environment}
        assert sum(entry["cost_nanodollars"] for entry in heard) == cost
    unasked = policed.admin("/api/spend").json()["spend"]
    assert sorted(row["environment"] for row in unasked) == sorted(told)


# ── refusals ────────────────────────────────────────────────────────────────────────────────────


def test_r61_r62_at_the_cap_the_official_client_tries_once_and_reads_what_to_do(
    policed: RunningGateway, simulator: SimulatorServer
) -> None:
    key = policed.key("daily")
    spend_until_refused(policed, key)
    received = simulator.record.received

    with (
        openai.OpenAI(base_url=policed.openai_url, api_key=key.secret, max_retries=5) as client,
        pytest.raises(openai.RateLimitError) as raised,
    ):
        client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}], max_tokens=16_000
        )

    assert raised.value.status_code == 429
    assert "dev-day" in str(raised.value) and "To go on" in str(raised.value)
    assert raised.value.response.headers["x-should-retry"] == "false"
    assert simulator.record.received == received


@pytest.mark.parametrize(
    ("environment", "status", "served"),
    [("production", 200, "gpt-4o"), ("staging", 200, "gpt-4o"), ("development", 200, "gpt-4o-mini")],
)
def test_r65_r66_r67_gpt_4o_is_served_in_production_and_staging_and_downgraded_with_a_warning_in_development(
    policed: RunningGateway, environment: str, status: int, served: str
) -> None:
    key = policed.key(environment)

    heard = policed.chat(key, "hello", model="gpt-4o", max_tokens=50)

    assert (heard.status, heard.header("x-farthing-model")) == (status, served)
    warning = heard.header("x-farthing-warning") or ""
    assert ("gpt-4o" in warning and "gpt-4o-mini" in warning) == (environment == "development")
    assert policed.entry(key)["model_served"] == served


def test_r66_a_model_off_the_list_is_403_where_models_are_refused_and_the_list_is_told(
    policed: RunningGateway, simulator: SimulatorServer
) -> None:
    heard = policed.chat(policed.key("production"), "hello", model="gpt-4", max_tokens=50)

    assert (heard.status, heard.header("x-farthing-refusal")) == (403, "model_not_allowed")
    assert "gpt-4o, gpt-4o-mini, claude-haiku-4-5" in heard.json()["error"]["message"]
    assert simulator.record.received == 0


def test_r68_r69_a_tight_loop_on_a_development_key_makes_ten_calls_a_minute_and_the_refused_cost_nothing(
    policed: RunningGateway, simulator: SimulatorServer
) -> None:
    while True:
        simulator.record.reset()
        key, minute = policed.key("development"), policed.running.clock() // 60_000_000
        statuses = [policed.chat(key, "again", max_tokens=50).status for _ in range(30)]
        if policed.running.clock() // 60_000_000 == minute:
            break

    assert statuses == [200] * 10 + [429] * 20
    assert simulator.record.received == 10
    wait_until(lambda: any(entry["outcome"] == "refused" for entry in policed.entries(key)))
    entries = policed.entries(key)
    assert {entry["cost_nanodollars"] for entry in entries if entry["outcome"] == "refused"} == {0}
    assert len([entry for entry in entries if entry["outcome"] == "settled"]) == 10


# ── cheap lanes ─────────────────────────────────────────────────────────────────────────────────


def test_r70_r89_auto_in_development_takes_the_cheapest_and_a_premium_model_is_not_had_unasked(
    policed: RunningGateway,
) -> None:
    key = policed.key("development")

    auto = policed.chat(key, "hello", model="auto", max_tokens=50)
    deepseek = policed.chat(key, "hello", model="deepseek-chat", max_tokens=50)
    premium = policed.chat(key, "hello", model="o3", max_tokens=50)

    assert [one.status for one in (auto, deepseek, premium)] == [200] * 3
    assert auto.header("x-farthing-model") == premium.header("x-farthing-model") == CHEAPEST_IN_DEVELOPMENT
    assert deepseek.header("x-farthing-model") == "deepseek-chat"


def test_r71_a_mock_answers_at_cost_0_is_marked_and_asks_no_provider(
    policed: RunningGateway, simulator: SimulatorServer
) -> None:
    key = policed.key("ci")

    heard = policed.chat(key, "say this again", model="any-model", max_tokens=50)

    assert heard.status == 200, heard.body
    assert heard.json()["choices"][0]["message"]["content"] == "say this again"
    entry = policed.entry(key)
    assert (entry["provider"], entry["cost_nanodollars"]) == ("mock", 0)
    assert {call.path for call in simulator.record.calls} <= {"/mock/v1/chat/completions"}
    assert [
        row["cost_nanodollars"] for row in spend_of(policed, "provider") if row["provider"] == "mock"
    ] == [0]


def test_r74_tokens_of_the_providers_own_cache_are_told_and_priced_apart(policed: RunningGateway) -> None:
    key = policed.key("production")
    says = "[[sim input=100000 cached=100000 output=0]] a prefix we repeat"
    body = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 10,
        "messages": [{"role": "user", "content": says + "." * 400_000}],
    }

    heard = policed.post("/v1/messages", body, key)

    assert heard.status == 200, heard.body
    entry = policed.entry(key)
    assert entry["usage"]["cached_read"] == 100_000
    assert entry["cost_nanodollars"] == nanodollars_from("$0.03")


def test_r87_the_report_shows_what_each_provider_was_paid(policed: RunningGateway) -> None:
    key = policed.key("production")
    policed.chat(key, "hello", max_tokens=50)
    policed.post(
        "/v1/messages",
        {"model": "claude-haiku-4-5", "max_tokens": 50, "messages": [{"role": "user", "content": "hello"}]},
        key,
    )

    rows = {row["provider"]: row["cost_nanodollars"] for row in spend_of(policed, "key", "provider")
            if row["key"] == key.label}  # fmt: skip

    assert rows.keys() == {"openai", "anthropic"}
    assert sum(rows.values()) == sum(entry["cost_nanodollars"] for entry in policed.entries(key))


def test_r95_a_soft_budget_lets_calls_pass_and_marks_what_went_beyond_it(policed: RunningGateway) -> None:
    key = policed.key("soft")

    heard = [policed.chat(key, "hello [[sim output=2000]]", max_tokens=2_000) for _ in range(3)]

    assert [one.status for one in heard] == [200] * 3
    assert "over_limit" in (heard[2].header("x-farthing-warning") or "")
    (marked, *_) = policed.running.store.entries(key=key.label, limit=1)
    assert [account.partition("/")[0] for account in marked.would_refuse] == ["soft-month"]
