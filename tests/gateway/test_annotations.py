"""Annotations over the governance API: announced, listed, ended, and what is refused."""

import pytest

from tests.running import Json, RunningGateway

CHECKOUT: Json = {"feature": "checkout", "starts": "2026-11-02", "ships": "2199-11-20", "reason": "prompts"}


def test_a_feature_is_announced_listed_and_ended(gateway: RunningGateway) -> None:
    made = gateway.admin("/api/annotations", "POST", {**CHECKOUT, "by": "ana"})
    assert made.status == 201, made.body
    assert made.json()["until"] == "2199-12-04T00:00:00.000000Z"

    (live,) = gateway.admin("/api/annotations?live=true").json()["annotations"]
    assert (live["feature"], live["by"], live["note"]) == ("checkout", "ana", "prompts")

    heard = gateway.admin("/api/annotations?feature=checkout&reason=cleaned", "DELETE")
    assert [one["expired"] for one in heard.json()["annotations"]] == [True]
    assert gateway.admin("/api/annotations?live=true").json()["annotations"] == []
    assert [one["note"] for one in gateway.admin("/api/annotations").json()["annotations"]] == ["cleaned"]
    assert gateway.admin("/api/annotations?feature=checkout", "DELETE").status == 404


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"ships": "2026-11-01"}, 400),
        ({"feature": "\ud800"}, 400),
        ({"by": "\ud800"}, 400),
        ({"feature": ""}, 400),
        ({"starts": "soon"}, 422),
        ({"colour": "red"}, 422),
    ],
)
def test_an_annotation_that_is_not_clear_is_refused(
    gateway: RunningGateway, changes: Json, status: int
) -> None:
    assert gateway.admin("/api/annotations", "POST", {**CHECKOUT, **changes}).status == status
