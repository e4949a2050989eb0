"""Who may do what under /api: every route, tried by every role, as the API's own description says."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.running import CallKey, Json, RunningGateway, wait_until

ALL = {"admin", "approver", "viewer", "developer"}
LOOKING = {"admin", "approver", "viewer"}
ADMIN = {"admin"}

# Who may what. A route that is not here fails a test, and so does one that lets others pass.
MAY: dict[tuple[str, str], set[str]] = {
    ("GET", "/api/alerts"): LOOKING,
    ("GET", "/api/annotations"): LOOKING,
    ("POST", "/api/annotations"): {"admin", "approver"},
    ("DELETE", "/api/annotations"): {"admin", "approver"},
    ("GET", "/api/audit"): LOOKING,
    ("GET", "/api/budgets"): LOOKING,
    ("GET", "/api/cache"): LOOKING,
    ("DELETE", "/api/cache"): ADMIN,
    ("GET", "/api/calls"): ALL,
    ("GET", "/api/calls/{call_id}"): ALL,
    ("GET", "/api/exports"): LOOKING,
    ("GET", "/api/holds"): LOOKING,
    ("GET", "/api/keys"): LOOKING,
    ("POST", "/api/keys"): ADMIN,
    ("POST", "/api/keys/{key_id}/rotate"): ADMIN,
    ("DELETE", "/api/keys/{key_id}"): ADMIN,
    ("GET", "/api/me/spend"): {"developer"},
    ("GET", "/api/outcomes"): ALL,
    ("POST", "/api/outcomes"): {"admin", "developer"},
    ("GET", "/api/outcomes/costs"): ALL,
    ("GET", "/api/passes"): LOOKING,
    ("POST", "/api/passes"): {"admin", "approver"},
    ("DELETE", "/api/passes/{pass_id}"): {"admin", "approver"},
    ("GET", "/api/policy"): LOOKING,
    ("POST", "/api/policy/reload"): ADMIN,
    ("GET", "/api/raises"): LOOKING,
    ("POST", "/api/raises"): {"admin", "approver"},
    ("GET", "/api/reports"): LOOKING,
    ("GET", "/api/reports/{report}"): LOOKING,
    ("GET", "/api/requests"): ALL,
    ("POST", "/api/requests"): {"admin", "approver", "developer"},
    ("POST", "/api/requests/{request_id}/approve"): {"admin", "approver"},
    ("POST", "/api/requests/{request_id}/deny"): {"admin", "approver"},
    ("GET", "/api/spend"): ALL,
    ("GET", "/api/stops"): LOOKING,
    ("POST", "/api/stops"): ADMIN,
    ("DELETE", "/api/stops/{stop_id}"): ADMIN,
    ("GET", "/api/tokens"): ADMIN,
    ("POST", "/api/tokens"): ADMIN,
    ("DELETE", "/api/tokens/{token_id}"): ADMIN,
    ("GET", "/api/wallets"): LOOKING,
    ("GET", "/api/wallets/{team}"): LOOKING,
    ("POST", "/api/wallets/{team}/credits"): ADMIN,
}


def described(gateway: RunningGateway) -> dict[tuple[str, str], set[str]]:
    """What the API's description says of who may what."""
    paths: dict[str, dict[str, Json]] = gateway.request("GET", "/api/openapi.json").json()["paths"]
    return {
        (method.upper(), path): set(operation["x-farthing-roles"])
        for path, operations in paths.items()
        for method, operation in operations.items()
    }


def a_token(gateway: RunningGateway, role: str, **more: str) -> tuple[str, dict[str, str]]:
    """A token of a role: its id, and the headers that carry it."""
    heard = gateway.admin("/api/tokens", "POST", {"name": f"{role}-of-a-test", "role": role, **more})
    assert heard.status == 201, heard.body
    told = heard.json()
    return told["token_id"], {"authorization": f"Bearer {told['token']}"}


@pytest.fixture
def bearers(gateway: RunningGateway) -> Iterator[dict[str, dict[str, str]]]:
    """The headers of each role."""
    made = {role: a_token(gateway, role) for role in sorted(LOOKING)}
    yield {
        **{role: headers for role, (_, headers) in made.items()},
        "developer": gateway.key("production").bearer,
    }
    for token_id, _ in made.values():
        gateway.admin(f"/api/tokens/{token_id}", "DELETE")


def test_every_route_says_who_may_and_nothing_was_forgotten(gateway: RunningGateway) -> None:
    assert described(gateway) == MAY


def test_every_route_refuses_every_other_role_and_who_has_none(
    gateway: RunningGateway, bearers: dict[str, dict[str, str]]
) -> None:
    passed = []
    for (method, path), roles in described(gateway).items():
        asked = re.sub(r"\{\w+\}", "nobody-has-this", path)
        assert gateway.request(method, asked, b"{}").status == 401, (method, path)
        for role, bearer in bearers.items():
            if role in roles:
                continue
            heard = gateway.request(method, asked, b"{}", bearer)
            if heard.status != 403:
                passed.append((method, path, role, heard.status))
            else:
                assert f"has the role {role}" in heard.json()["error"]["message"]
    assert passed == []


def test_who_may_is_not_refused_for_a_role(
    gateway: RunningGateway, bearers: dict[str, dict[str, str]]
) -> None:
    refused = []
    for (method, path), roles in described(gateway).items():
        if path == "/api/policy/reload":
            continue  # it would do what it says
        asked = re.sub(r"\{\w+\}", "nobody-has-this", path)
        for role in sorted(roles):
            heard = gateway.request(method, asked, b"{}", bearers[role])
            if heard.status in (401, 403) or heard.status >= 500:
                refused.append((method, path, role, heard.status))
    assert refused == []


def test_a_developer_token_is_not_made_and_a_name_is_taken_once(gateway: RunningGateway) -> None:
    assert gateway.admin("/api/tokens", "POST", {"name": "dev", "role": "developer"}).status == 400
    assert gateway.admin("/api/tokens", "POST", {"name": "a b", "role": "viewer"}).status == 400
    assert gateway.admin("/api/tokens", "POST", {"name": "a", "role": "king"}).status == 422
    assert (
        gateway.admin("/api/tokens", "POST", {"name": "a", "role": "viewer", "expires": "soon"}).status == 400
    )
    token_id, _ = a_token(gateway, "viewer")
    assert gateway.admin("/api/tokens", "POST", {"name": "viewer-of-a-test", "role": "admin"}).status == 409
    gateway.admin(f"/api/tokens/{token_id}", "DELETE")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/keys", {"environment": "production", "label": "x", "developer": "\ud800"}),
        ("POST", "/api/keys", {"environment": "production", "label": "x", "expires": "999999w"}),
        ("POST", "/api/stops", {"environment": "nowhere", "reason": "\ud800"}),
        ("POST", "/api/raises", {"budget": "production-month", "amount": "$1", "reason": "\ud800"}),
        ("POST", "/api/requests", {"budget": "production-month", "amount": "$1", "reason": "\ud800"}),
    ],
)
def test_what_no_ledger_can_keep_is_told_and_no_error_of_ours(
    gateway: RunningGateway, method: str, path: str, body: Json
) -> None:
    assert gateway.admin(path, method, body).status == 400


def test_a_revoked_token_opens_nothing_from_that_moment(gateway: RunningGateway) -> None:
    token_id, bearer = a_token(gateway, "viewer", expires="1h")
    assert gateway.request("GET", "/api/holds", headers=bearer).status == 200

    assert gateway.admin(f"/api/tokens/{token_id}", "DELETE").status == 200

    assert gateway.request("GET", "/api/holds", headers=bearer).status == 401
    assert gateway.admin(f"/api/tokens/{token_id}", "DELETE").status == 404


def test_no_token_calls_a_model(gateway: RunningGateway, bearers: dict[str, dict[str, str]]) -> None:
    for role in LOOKING:
        secret = bearers[role]["authorization"].removeprefix("Bearer ")
        heard = gateway.chat(CallKey(secret, "", "", ""), "hello")
        assert heard.status == 401
        assert "token of /api" in heard.json()["error"]["message"]


def test_a_token_is_kept_as_its_hash_only(
    gateway: RunningGateway, bearers: dict[str, dict[str, str]]
) -> None:
    secret = bearers["viewer"]["authorization"].removeprefix("Bearer ")
    stored = b"".join(path.read_bytes() for path in gateway.folder.iterdir())

    assert secret.encode() not in stored
    assert secret not in gateway.admin("/api/tokens").body.decode()


def test_the_audit_tells_who_created_and_revoked_a_key(
    gateway: RunningGateway, bearers: dict[str, dict[str, str]]
) -> None:
    body = {"environment": "production", "label": "audited"}
    made = gateway.request("POST", "/api/keys", json.dumps(body).encode(), bearers["admin"]).json()
    gateway.request("DELETE", f"/api/keys/{made['key_id']}", headers=bearers["admin"])

    told = gateway.request(
        "GET", f"/api/audit?action=key&about={made['key_id']}", headers=bearers["viewer"]
    ).json()["audit"]
    assert [(row["by"], row["action"], row["to"]) for row in told] == [
        ("admin-of-a-test", "key revoke", "audited of production"),
        ("admin-of-a-test", "key create", "audited of production"),
    ]
    assert "fk-" not in str(told)


# ── a developer reads its own spend, and only that (R124) ───────────────────────────────────────


def test_a_developer_reads_its_own_spend_within_two_seconds_of_a_call_and_nobody_elses(
    gateway: RunningGateway,
) -> None:
    own, other = gateway.key("production"), gateway.key("production")
    gateway.chat(other, "this is somebody else's call")

    def spent() -> list[Json]:
        rows: list[Json] = gateway.request("GET", "/api/me/spend", headers=own.bearer).json()["spend"]
        return rows

    assert spent() == []
    assert gateway.chat(own, "hello").status == 200
    wait_until(lambda: bool(spent()), seconds=2.0)

    (row,) = spent()
    assert row["cost_nanodollars"] == gateway.entry(own)["cost_nanodollars"] > 0
    assert row["key"] == own.label
    by_model = gateway.request("GET", "/api/me/spend?by=model", headers=own.bearer).json()
    assert [row["model"] for row in by_model["spend"]] == ["gpt-4o-mini"]
    assert (by_model["environment"], by_model["key"]) == ("production", own.label)
    assert gateway.request("GET", "/api/me/spend?developer=other", headers=own.bearer).status == 400
