"""Keys open what they should and nothing else, and their secrets are kept nowhere."""

import sqlite3

import pytest

from farthing.gateway.keys import make_key
from farthing.simulator.server import SimulatorServer
from tests.running import ADMIN_TOKEN, PROVIDER_SECRETS, CallKey, Log, RunningGateway, wait_until

CHAT = "/v1/chat/completions"
BODY = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "a prompt nobody may read"}]}


@pytest.fixture
def key(gateway: RunningGateway) -> CallKey:
    return gateway.key("production")


def test_a_key_names_its_environment_and_knows_when_it_is_mistyped(
    gateway: RunningGateway, key: CallKey
) -> None:
    assert key.secret.startswith("fk-production-")
    for mistyped in (key.secret[:-1], key.secret + "0", key.secret.replace("production", "development")):
        assert gateway.post(CHAT, BODY, CallKey(mistyped, "", "", "")).status == 401


def test_a_key_that_was_never_given_out_is_401_and_leaves_no_row(
    gateway: RunningGateway, simulator: SimulatorServer
) -> None:
    rows = len(gateway.admin("/api/calls?limit=1000").json()["calls"])
    stranger = CallKey(make_key("production"), "", "", "")
    for _ in range(3):
        assert gateway.post(CHAT, BODY, stranger).status == 401
    assert len(gateway.admin("/api/calls?limit=1000").json()["calls"]) == rows
    assert simulator.record.received == 0


def test_a_revoked_key_stops_within_a_moment(gateway: RunningGateway, key: CallKey) -> None:
    assert gateway.post(CHAT, BODY, key).status == 200
    assert gateway.admin(f"/api/keys/{key.key_id}", "DELETE").status == 200

    wait_until(lambda: gateway.post(CHAT, BODY, key).status == 401, seconds=2.5)
    assert gateway.request("GET", "/api/calls", headers=key.bearer).status == 401
    assert gateway.admin(f"/api/keys/{key.key_id}", "DELETE").status == 404


def test_the_admin_token_cannot_call_models(gateway: RunningGateway, simulator: SimulatorServer) -> None:
    assert gateway.post(CHAT, BODY, CallKey(ADMIN_TOKEN, "", "", "")).status == 401
    assert simulator.record.received == 0


def test_no_secret_is_in_the_ledger_nor_in_the_log(
    gateway: RunningGateway, log: Log, key: CallKey, simulator: SimulatorServer
) -> None:
    gateway.post(CHAT, BODY, key)
    gateway.post(f"{CHAT}?key={key.secret}", BODY, None)
    gateway.post(CHAT, b"{", key)
    gateway.post(f"/v1/unknown?key={key.secret}", BODY, key)
    gateway.chat(key, "hi [[sim reset]]")

    with sqlite3.connect(gateway.ledger_file) as connection:
        connection.execute("pragma wal_checkpoint")
    connection.close()
    stored = b"".join(path.read_bytes() for path in gateway.folder.iterdir())
    told = "\n".join(log.lines)
    for secret in (key.secret, ADMIN_TOKEN, *PROVIDER_SECRETS.values(), "a prompt nobody may read"):
        assert secret.encode() not in stored
        assert secret not in told
    assert key.label.encode() in stored


def test_a_key_is_listed_without_its_secret(gateway: RunningGateway, key: CallKey) -> None:
    listed = gateway.admin("/api/keys")

    assert key.key_id in listed.body.decode()
    assert key.secret not in listed.body.decode()
    (row,) = [row for row in listed.json()["keys"] if row["key_id"] == key.key_id]
    assert (row["environment"], row["label"], row["revoked_at"]) == ("production", key.label, None)


def test_a_label_is_taken_once_in_each_environment(gateway: RunningGateway, key: CallKey) -> None:
    again = gateway.admin("/api/keys", "POST", {"environment": "production", "label": key.label})
    elsewhere = gateway.admin("/api/keys", "POST", {"environment": "development", "label": key.label})
    nowhere = gateway.admin("/api/keys", "POST", {"environment": "moon", "label": "x"})

    assert (again.status, elsewhere.status, nowhere.status) == (409, 201, 400)


def test_a_call_key_sees_its_own_calls_only(gateway: RunningGateway, key: CallKey) -> None:
    other = gateway.key("production")
    gateway.post(CHAT, BODY, key)
    gateway.post(CHAT, BODY, other)

    (own,) = gateway.entries(key)
    (theirs,) = gateway.entries(other)
    assert (own["key"], theirs["key"]) == (key.label, other.label)
    assert gateway.request("GET", f"/api/calls/{theirs['call_id']}", headers=key.bearer).status == 404
    assert gateway.request("GET", f"/api/calls/{own['call_id']}", headers=key.bearer).status == 200
    asked_for_more = "/api/calls?environment=development&limit=1000"
    listed = gateway.request("GET", asked_for_more, headers=key.bearer).json()["calls"]
    assert {row["key"] for row in listed} <= {key.label}
    spent = gateway.request("GET", "/api/spend?by=key", headers=key.bearer).json()["spend"]
    assert [row["key"] for row in spent] == [key.label]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/budgets"),
        ("GET", "/api/holds"),
        ("GET", "/api/keys"),
        ("POST", "/api/keys"),
        ("DELETE", "/api/keys/key_1"),
    ],
)
def test_a_call_key_governs_nothing(gateway: RunningGateway, key: CallKey, method: str, path: str) -> None:
    body = b'{"environment": "production", "label": "mine"}'
    assert gateway.request(method, path, body, key.bearer).status == 403
    assert gateway.request(method, path, body).status == 401


def test_health_needs_no_key_and_tells_nothing(gateway: RunningGateway) -> None:
    for path in ("/healthz", "/readyz"):
        heard = gateway.request("GET", path)
        assert heard.status == 200
        assert list(heard.json()) == ["status"]


def test_metrics_are_open_on_loopback_and_closed_elsewhere(
    gateway: RunningGateway, tmp_path_factory: pytest.TempPathFactory, simulator: SimulatorServer
) -> None:
    assert gateway.request("GET", "/metrics").status == 200
    policy = "environments: {production: {}}\nproviders: {targets: [{id: sim, provider: simulator}]}\n"
    folder = tmp_path_factory.mktemp("public")
    with RunningGateway(policy, folder, simulator, metrics_open=False) as public:
        key = public.key()
        assert public.request("GET", "/metrics").status == 401
        assert public.request("GET", "/metrics", headers=key.bearer).status == 401
        assert b"farthing_internal_errors_total" in public.admin("/metrics").body


def test_metrics_show_the_money_of_each_budget(gateway: RunningGateway, key: CallKey) -> None:
    gateway.post(CHAT, BODY, key)

    text = gateway.request("GET", "/metrics").body.decode()
    for name in ("spent", "held", "limit"):
        assert f'farthing_budget_{name}_usd{{budget="production-month"' in text


@pytest.mark.parametrize("path", ["/v1/models", "/models"])
def test_models_are_listed_as_openai_does(gateway: RunningGateway, path: str) -> None:
    heard = gateway.request("GET", path, headers=gateway.key("strict").bearer).json()

    assert heard["object"] == "list"
    assert {"gpt-4o-mini", "claude-haiku-4-5"} <= {row["id"] for row in heard["data"]}
    assert "gpt-4o" not in {row["id"] for row in heard["data"]}


def test_models_are_listed_as_anthropic_and_google_do(gateway: RunningGateway) -> None:
    key = gateway.key("strict")
    anthropic = gateway.request(
        "GET", "/v1/models", headers={"x-api-key": key.secret, "anthropic-version": "2023-06-01"}
    ).json()
    google = gateway.request("GET", "/v1beta/models", headers={"x-goog-api-key": key.secret}).json()

    assert anthropic["data"][0]["type"] == "model"
    assert anthropic["has_more"] is False
    assert "models/gemini-2.5-flash-lite" in {row["name"] for row in google["models"]}
    assert gateway.request("GET", "/v1/models").status == 401
