"""A premium pass at the gateway, with OpenAI's own client: downgraded, the model itself, downgraded again."""

import re

import openai
import pytest

from tests.running import CallKey, Json, RunningGateway, wait_until


@pytest.fixture
def key(gateway: RunningGateway) -> CallKey:
    return gateway.key("development")


def granted(gateway: RunningGateway, key: CallKey, **changes: object) -> Json:
    asked: Json = {
        "key": key.label, "model": "gpt-4o", "budget": "$2", "seconds": 7_200, "by": "ana",
        "reason": "check before merging",
    }  # fmt: skip
    heard = gateway.admin("/api/passes", "POST", {**asked, **changes})
    assert heard.status == 201, heard.body
    told: Json = heard.json()
    return told


def model_answered(gateway: RunningGateway, key: CallKey, output: int = 10) -> str:
    """The model that serves a call for gpt-4o."""
    with openai.OpenAI(base_url=gateway.openai_url, api_key=key.secret, max_retries=0) as client:
        answer = client.chat.completions.create(
            model="gpt-4o",
            messages=[{"role": "user", "content": f"[[sim output={output}]]"}],
            max_tokens=1_000,
        )
    return re.sub(r"(-\d+)+$", "", answer.model)  # without the date of its snapshot


def test_a_call_is_downgraded_before_the_pass_and_again_once_it_is_ended(
    gateway: RunningGateway, key: CallKey
) -> None:
    assert model_answered(gateway, key) == "gpt-4o-mini"

    held = granted(gateway, key)
    wait_until(lambda: model_answered(gateway, key) == "gpt-4o")
    wait_until(lambda: len(gateway.entries(key)) >= 2 and gateway.holds() == [])
    entry = gateway.entries(key)[0]
    assert entry["model_served"] == "gpt-4o"
    assert f"premium pass {held['pass_id']} by ana: check before merging" in entry["decision"]["rules"]
    (told,) = gateway.admin("/api/passes?live=true").json()["passes"]
    assert told["settled_nanodollars"] == entry["cost_nanodollars"] > 0

    ended = gateway.admin(f"/api/passes/{held['pass_id']}?by=ben&reason=checked", "DELETE")
    assert (ended.status, ended.json()["ended_by"]) == (200, "ben")
    wait_until(lambda: model_answered(gateway, key) == "gpt-4o-mini")
    assert gateway.admin(f"/api/passes/{held['pass_id']}", "DELETE").status == 404


def test_a_call_is_downgraded_again_when_the_pass_is_spent(gateway: RunningGateway, key: CallKey) -> None:
    granted(gateway, key, budget="$0.012")
    wait_until(lambda: model_answered(gateway, key, output=900) == "gpt-4o")

    assert model_answered(gateway, key) == "gpt-4o-mini"


def test_a_pass_lapses_by_itself_and_the_audit_tells(gateway: RunningGateway, key: CallKey) -> None:
    held = granted(gateway, key, seconds=2)
    wait_until(lambda: model_answered(gateway, key) == "gpt-4o")
    wait_until(lambda: model_answered(gateway, key) == "gpt-4o-mini")

    def acts() -> list[str]:
        told = gateway.admin(f"/api/audit?about={held['pass_id']}").json()
        return [act["action"] for act in told["audit"]]

    wait_until(lambda: acts() == ["pass lapse", "pass grant"])


@pytest.mark.parametrize(
    "changes",
    [{"key": "nobody"}, {"budget": "much"}, {"budget": "0"}, {"reason": " "}, {"developer": "alice"}],
)
def test_a_pass_that_is_not_clear_is_an_error(
    gateway: RunningGateway, key: CallKey, changes: dict[str, str]
) -> None:
    asked: Json = {"key": key.label, "model": "gpt-4o", "budget": "$2", "seconds": 60, "reason": "check"}
    assert gateway.admin("/api/passes", "POST", {**asked, **changes}).status == 400
