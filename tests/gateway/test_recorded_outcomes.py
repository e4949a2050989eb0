"""Outcomes over the API: an application's own key is enough, and the cost of each is told."""

from typing import Any

import pytest

from tests.running import CallKey, Heard, Json, RunningGateway


@pytest.fixture
def key(gateway: RunningGateway) -> CallKey:
    return gateway.key("production")


def record(gateway: RunningGateway, key: CallKey, **members: Any) -> Heard:
    return gateway.post("/api/outcomes", {"name": "resolved", **members}, key)


def listed(gateway: RunningGateway, key: CallKey, query: str = "") -> list[Json]:
    heard = gateway.request("GET", f"/api/outcomes?{query}", headers=key.bearer)
    assert heard.status == 200, heard.body
    rows: list[Json] = heard.json()["outcomes"]
    return rows


def test_a_key_records_an_outcome_of_its_own(gateway: RunningGateway) -> None:
    key = gateway.key("production", developer="ann")
    labels = {"feature": "search", "tries": 2, "paid": True, "run": "r1"}

    heard = record(gateway, key, value=True, labels=labels)

    assert heard.status == 201, heard.body
    told = heard.json()
    assert told["outcome_id"].startswith("out_") and told["at"].endswith("Z")
    assert (told["environment"], told["key"], told["developer"]) == ("production", key.label, "ann")
    assert (told["name"], told["value"], told["run"]) == ("resolved", True, "r1")
    assert told["labels"] == {"feature": "search", "tries": "2", "paid": "true"}
    assert listed(gateway, key) == [told]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, None),
        (False, False),
        (3, "3"),
        (0.1, "0.1"),
        ("0.1234567890123456789", "0.1234567890123456789"),
    ],
)
def test_a_value_is_told_to_the_last_digit(
    gateway: RunningGateway, key: CallKey, value: object, told: object
) -> None:
    assert record(gateway, key, value=value).json()["value"] == told


def test_telling_again_changes_nothing(gateway: RunningGateway, key: CallKey) -> None:
    first = record(gateway, key, outcome_id="ticket-7", value=1)
    again = record(gateway, key, outcome_id="ticket-7", value=2)

    assert (first.status, again.status) == (201, 200)
    assert again.json() == first.json()
    assert len(listed(gateway, key)) == 1


def test_a_key_sees_its_own_outcomes_only(gateway: RunningGateway, key: CallKey) -> None:
    other = gateway.key("production")
    record(gateway, other, outcome_id="same")
    record(gateway, key, outcome_id="same")

    assert [row["key"] for row in listed(gateway, key, "environment=strict")] == [key.label]
    rows = gateway.admin("/api/outcomes?limit=1000").json()["outcomes"]
    assert {key.label, other.label} <= {row["key"] for row in rows}


def test_outcomes_are_filtered_and_paged(gateway: RunningGateway, key: CallKey) -> None:
    for number in range(5):
        record(gateway, key, value=number, labels={"half": str(number % 2)}, run=f"r{number}")

    assert [row["value"] for row in listed(gateway, key, "label.half=1")] == ["3", "1"]
    assert [row["value"] for row in listed(gateway, key, "run=r2")] == ["2"]
    assert listed(gateway, key, "name=other") == []
    first = gateway.request("GET", "/api/outcomes?limit=2", headers=key.bearer).json()
    rest = gateway.request(
        "GET", f"/api/outcomes?limit=9&cursor={first['next_cursor']}", headers=key.bearer
    ).json()
    assert [row["value"] for row in first["outcomes"] + rest["outcomes"]] == ["4", "3", "2", "1", "0"]
    assert rest["next_cursor"] is None


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ({"name": ""}, 400),
        ({"value": "many"}, 400),
        ({"value": "nan"}, 400),
        ({"labels": {"x": "y" * 300}}, 400),
        ({"outcome_id": ""}, 400),
        ({"environment": "development"}, 400),
        ({"value": [1]}, 422),
        ({"colour": "red"}, 422),
    ],
)
def test_bad_input_is_told(gateway: RunningGateway, key: CallKey, members: Json, status: int) -> None:
    heard = record(gateway, key, **members)

    assert heard.status == status
    assert heard.json()["error"]["message"]
    assert listed(gateway, key) == []


def test_the_admin_names_an_environment_of_the_policy(gateway: RunningGateway) -> None:
    body = {"name": "resolved", "environment": "strict"}

    assert gateway.admin("/api/outcomes", "POST", body).json()["environment"] == "strict"
    for wrong in ({"name": "resolved"}, {"name": "resolved", "environment": "nowhere"}):
        heard = gateway.admin("/api/outcomes", "POST", wrong)
        assert heard.status == 400 and "environment must be one of" in heard.json()["error"]["message"]


def test_nobody_records_without_a_key(gateway: RunningGateway) -> None:
    assert gateway.post("/api/outcomes", {"name": "resolved"}, None).status == 401


def test_what_an_outcome_cost_is_the_spend_over_their_number(gateway: RunningGateway) -> None:
    key = gateway.key("production")
    label = f"f-{key.label}"
    for _ in range(3):
        tags = {"x-metering-tags": f'{{"feature": "{label}"}}'}
        assert gateway.chat(key, "hello", headers=tags).status == 200
    cost = sum(row["cost_nanodollars"] for row in gateway.entries(key))
    for value in (True, False):
        record(gateway, key, name=label, value=value, labels={"feature": label})

    path = f"/api/outcomes/costs?name={label}"
    (own,) = gateway.request("GET", path, headers=key.bearer).json()["outcomes"]
    (of_label,) = gateway.admin(f"{path}&by=label:feature").json()["outcomes"]

    for told in (own, of_label):
        assert (told["outcomes"], told["true"], told["false"]) == (2, 1, 1)
        assert told["cost_nanodollars"] == told["cost_per_true_nanodollars"] == cost
        assert told["cost_per_outcome_nanodollars"] == (cost + 1) // 2
    assert of_label["label:feature"] == label
    assert gateway.admin("/api/outcomes/costs?by=model").status == 400
    assert gateway.request("GET", f"{path}&by=label:feature", headers=key.bearer).status == 400
