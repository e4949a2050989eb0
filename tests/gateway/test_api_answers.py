"""What /api says: sums that add up by every dimension, and errors in one shape."""

import json
from urllib.parse import urlencode

import pytest

from tests.running import RunningGateway

CHAT = "/v1/chat/completions"
BODY = b'{"model": "gpt-4o-mini", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}'


def _spent(gateway: RunningGateway, *by: str) -> int:
    query = urlencode([("by", name) for name in by])
    rows = gateway.admin(f"/api/spend?{query}").json()["spend"]
    return sum(row["cost_nanodollars"] for row in rows)


def test_spend_is_the_same_sum_by_every_dimension(gateway: RunningGateway) -> None:
    key = gateway.key("production")
    tagged = {**key.bearer, "X-Metering-Tags": '{"feature": "search", "run": "r1"}'}
    for headers in (tagged, key.bearer):
        assert gateway.request("POST", CHAT, BODY, headers).status == 200
    whole = _spent(gateway, "environment")

    for by in (["run"], ["label:feature"], ["label:feature", "environment"], ["key", "model"], ["hour"]):
        assert (by, _spent(gateway, *by)) == (by, whole)


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/api/spend?by=nonsense", 400, "cannot be told by 'nonsense'"),
        ("/api/spend?by=label:a&by=model&by=developer", 400, "cannot be sliced by"),
        ("/api/calls?limit=5000", 422, "limit: "),
        ("/api/calls?limt=5", 400, "limt is not a parameter of this path; it has: cursor, environment"),
        ("/api/keys?all=true", 400, "all is not a parameter of this path; it has none"),
        ("/api/calls/call_nowhere", 404, "no call call_nowhere"),
        ("/api/nowhere", 404, "/api/docs"),
        ("/api/audit?since_us=99999999999999999999", 400, "cannot be asked"),
    ],
)
def test_an_error_says_what_is_wrong_in_the_shape_of_all_others(
    gateway: RunningGateway, path: str, status: int, said: str
) -> None:
    heard = gateway.admin(path)

    assert heard.status == status
    assert said in heard.json()["error"]["message"]


@pytest.mark.parametrize(
    ("credential", "said"),
    [
        ("sk-proj-of-a-provider", "no key of farthing's"),
        ("fa-of-the-admin", "token of /api, which calls no model"),
        ("fk-development-cut", "mistyped or cut off"),
    ],
)
def test_a_credential_that_opens_nothing_is_told_for_what_it_is(
    gateway: RunningGateway, credential: str, said: str
) -> None:
    heard = gateway.request("POST", CHAT, BODY, {"Authorization": f"Bearer {credential}"})

    assert heard.status == 401
    assert said in heard.json()["error"]["message"]
    assert credential not in json.dumps(heard.json())


def test_the_owner_of_a_key_who_asks_for_slices_that_are_not_kept_for_keys_is_told_so(
    gateway: RunningGateway,
) -> None:
    key = gateway.key("production")

    heard = gateway.request("GET", "/api/spend?by=label:feature", headers=key.bearer)

    assert heard.status == 400
    assert "cannot be sliced by" in heard.json()["error"]["message"]
