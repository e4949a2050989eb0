"""Wallets at the gateway, ruled by a file of the documents: empty refuses, a credit lets go on."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors, types

from farthing.simulator.server import SimulatorServer
from tests.gateway.test_refusals import (
    CHAT,
    CHEAP,
    FAMILIES,
    GENERATE,
    MESSAGES,
    RESPONSES,
    Tries,
    ask,
    refusal_of,
)
from tests.running import CallKey, Json, Log, RunningGateway, wait_until

DOCUMENT = Path(__file__).parent.parent / "config" / "files" / "groups.yaml"
TARGETS = """
providers:
  targets:
    - {id: openai, provider: openai, base_url: SIMULATOR/v1}
    - {id: anthropic, provider: anthropic, base_url: SIMULATOR}
    - {id: google, provider: google, base_url: SIMULATOR}
"""
DEV = CallKey("kt_cg_dev_abc123", "group:dev", "dev", "development")
PROD = CallKey("kt_cg_prod_def456", "group:prod", "prod", "production")
STATUS = {CHAT: 429, RESPONSES: 429, MESSAGES: 402, GENERATE: 402}
_credits = count(1)


@pytest.fixture(scope="module")
def ruled(
    simulator_of_session: SimulatorServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    """A gateway ruled by the file of the documents, with targets added behind it."""
    policy = DOCUMENT.read_text("utf-8") + TARGETS
    with RunningGateway(policy, tmp_path_factory.mktemp("wallets"), simulator_of_session) as gateway:
        yield gateway


@pytest.fixture
def gateway(ruled: RunningGateway, simulator: SimulatorServer, log: Log) -> Iterator[RunningGateway]:
    """The gateway with both wallets empty."""
    for row in ruled.admin("/api/wallets").json()["wallets"]:
        left = row["remaining_nanodollars"]
        if left:
            put_in(ruled, row["team_id"], f"{abs(left) // 10**9}.{abs(left) % 10**9:09}", take_out=left > 0)
    yield ruled
    assert log.errors == []
    assert ruled.running.store.verify() == []


def put_in(gateway: RunningGateway, team: str, amount: str, **members: object) -> Json:
    body = {"amount": amount, "reason": "test", "credit_id": f"credit-{next(_credits)}", **members}
    heard = gateway.admin(f"/api/wallets/{team}/credits", "POST", body)
    assert heard.status == 201, heard.body
    return heard.json()


def wallet(gateway: RunningGateway, team: str) -> Json:
    return gateway.admin(f"/api/wallets/{team}").json()


def answered(gateway: RunningGateway, key: CallKey, path: str = CHAT) -> int:
    return ask(gateway, key, path, CHEAP[path]).status


# ── calls ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", FAMILIES)
def test_r77_an_empty_wallet_refuses_before_the_provider_is_asked(
    gateway: RunningGateway, simulator: SimulatorServer, path: str
) -> None:
    heard = ask(gateway, DEV, path, CHEAP[path])

    assert heard.status == STATUS[path]
    assert heard.header("x-farthing-refusal") == "wallet_empty"
    assert heard.header("x-should-retry") == "false"
    assert heard.header("retry-after") is None
    told = refusal_of(heard)
    assert (told["reason"], told["budget"], told["limit_nanodollars"]) == (
        "wallet_empty",
        "wallet:team_dev",
        0,
    )
    assert 'farthing wallet credit team_dev $50 --reason "..."' in told["fix"]
    assert simulator.record.received == 0


def test_the_official_clients_stop_at_an_empty_wallet_at_the_first_try(gateway: RunningGateway) -> None:
    tries = Tries()
    hello = {"role": "user", "content": "hello"}
    with (
        openai.OpenAI(base_url=gateway.openai_url, api_key=DEV.secret, http_client=tries.client()) as gpt,
        pytest.raises(openai.RateLimitError, match="wallet team_dev cannot pay") as limited,
    ):
        gpt.chat.completions.create(model="gpt-4o-mini", messages=[hello])  # type: ignore[list-item]
    assert limited.value.code == "insufficient_quota"
    with (
        anthropic.Anthropic(base_url=gateway.url, api_key=DEV.secret, http_client=tries.client()) as claude,
        pytest.raises(anthropic.APIStatusError, match="wallet team_dev cannot pay") as billing,
    ):
        claude.messages.create(model="claude-haiku-4-5", max_tokens=300, messages=[hello])  # type: ignore[list-item]
    assert billing.value.status_code == 402
    assert billing.value.body["error"]["type"] == "billing_error"  # type: ignore[index]
    options = types.HttpOptions(base_url=gateway.url, httpx_client=tries.client())
    with (
        genai.Client(api_key=DEV.secret, http_options=options) as gemini,
        pytest.raises(errors.ClientError, match="wallet team_dev cannot pay") as paid,
    ):
        gemini.models.generate_content(model="gemini-2.5-flash-lite", contents="hi")
    assert paid.value.code == 402
    assert len(tries.requests) == 3


def test_r75_calls_with_the_key_of_a_group_debit_its_wallet_and_no_other(gateway: RunningGateway) -> None:
    before = {team: wallet(gateway, team)["spent_nanodollars"] for team in ("team_dev", "team_prod")}
    put_in(gateway, "team_dev", "$1")
    put_in(gateway, "team_prod", "$1")

    wait_until(lambda: answered(gateway, DEV) == 200)

    (entry, *_) = gateway.entries(DEV)
    assert (entry["wallet"], entry["group"]) == ("team_dev", "dev")
    assert "wallet:team_dev/total" in entry["accounts"]
    assert not any(account.startswith("wallet:team_prod") for account in entry["accounts"])
    spent = {team: wallet(gateway, team)["spent_nanodollars"] - before[team] for team in before}
    assert spent == {"team_dev": entry["cost_nanodollars"], "team_prod": 0}
    assert entry["cost_nanodollars"] > 0


def test_r8_an_empty_development_wallet_never_touches_production(gateway: RunningGateway) -> None:
    put_in(gateway, "team_prod", "$1")

    wait_until(lambda: answered(gateway, PROD) == 200)
    assert answered(gateway, DEV) == 429
    assert {answered(gateway, PROD) for _ in range(10)} == {200}


def test_a_credit_lets_an_empty_wallet_pay_again_at_once(gateway: RunningGateway) -> None:
    assert answered(gateway, DEV) == 429

    put_in(gateway, "team_dev", "$1")

    wait_until(lambda: answered(gateway, DEV) == 200)  # a refusal is remembered for a second


def test_money_taken_out_is_no_longer_there(gateway: RunningGateway) -> None:
    put_in(gateway, "team_prod", "$1")
    wait_until(lambda: answered(gateway, PROD) == 200)
    left = wallet(gateway, "team_prod")["remaining_nanodollars"]

    put_in(gateway, "team_prod", f"0.{left:09}", take_out=True)

    assert wallet(gateway, "team_prod")["remaining_nanodollars"] == 0
    assert answered(gateway, PROD) == 429


def test_the_answer_tells_what_the_wallet_has_left(gateway: RunningGateway) -> None:
    put_in(gateway, "team_prod", "$1")

    wait_until(lambda: answered(gateway, PROD) == 200)
    heard = ask(gateway, PROD, CHAT, CHEAP[CHAT])

    left = wallet(gateway, "team_prod")["remaining_nanodollars"]
    assert heard.header("x-farthing-remaining-usd") == f"0.{left:09}"
    assert (heard.header("x-farthing-limit") or "").endswith("budget=wallet:team_prod")


# ── the API ─────────────────────────────────────────────────────────────────────────────────────


def test_the_api_lists_wallets_with_what_was_put_in_and_who_pays_from_them(gateway: RunningGateway) -> None:
    put_in(gateway, "team_dev", "$2")

    rows = {row["team_id"]: row for row in gateway.admin("/api/wallets").json()["wallets"]}

    assert set(rows) == {"team_dev", "team_prod"}
    row = rows["team_dev"]
    assert row["remaining_nanodollars"] == 2_000_000_000
    assert (
        row["limit_nanodollars"] - row["spent_nanodollars"] - row["held_nanodollars"]
        == row["remaining_nanodollars"]
    )
    assert row["credited_nanodollars"] == row["limit_nanodollars"]
    assert (row["groups"], row["environments"]) == (["dev"], ["development"])
    assert (row["declared"], row["enforced"], row["owner"], row["allocation_nanodollars"]) == (
        False, True, None, 0,
    )  # fmt: skip


def test_a_wallet_shows_every_credit_with_who_put_it_in_and_why(gateway: RunningGateway) -> None:
    made = put_in(gateway, "team_dev", "$2", reason="launch week")

    told = wallet(gateway, "team_dev")

    newest = told["credits"][0]
    assert newest == {name: made[name] for name in newest}
    assert (newest["by"], newest["reason"], newest["amount_nanodollars"]) == (
        "admin",
        "launch week",
        2_000_000_000,
    )
    assert [row["window"] for row in told["windows"]] == ["total"]
    assert made["wallet"]["remaining_nanodollars"] == told["remaining_nanodollars"]


def test_the_same_credit_may_be_sent_again(gateway: RunningGateway) -> None:
    first = put_in(gateway, "team_dev", "$2", credit_id="invoice-1")
    again = put_in(gateway, "team_dev", "$2", credit_id="invoice-1")

    assert (first["already"], again["already"]) == (False, True)
    assert wallet(gateway, "team_dev")["remaining_nanodollars"] == 2_000_000_000
    other = {"amount": "$3", "reason": "x", "credit_id": "invoice-1"}
    assert gateway.admin("/api/wallets/team_dev/credits", "POST", other).status == 409


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"amount": "$5"}, 422),
        ({"reason": "x"}, 422),
        ({"amount": "$5", "reason": " "}, 400),
        ({"amount": "0", "reason": "x"}, 400),
        ({"amount": "-5", "reason": "x"}, 400),
        ({"amount": "five", "reason": "x"}, 400),
        ({"amount": True, "reason": "x"}, 422),
        ({"amount": "9000000001", "reason": "x"}, 400),
        ({"amount": "$5", "reason": "x", "reson": "y"}, 422),
        ({"amount": "$5", "reason": "x", "credit_id": ""}, 422),
    ],
)
def test_a_credit_that_is_not_clear_is_an_error_and_puts_nothing_in(
    gateway: RunningGateway, body: Json, status: int
) -> None:
    assert gateway.admin("/api/wallets/team_dev/credits", "POST", body).status == status
    assert wallet(gateway, "team_dev")["remaining_nanodollars"] == 0


def test_more_than_the_ledger_can_remember_is_refused_in_words(gateway: RunningGateway) -> None:
    put_in(gateway, "team_prod", "$9,000,000,000")

    body = {"amount": "$9,000,000,000", "reason": "x"}
    heard = gateway.admin("/api/wallets/team_prod/credits", "POST", body)

    assert heard.status == 400
    assert b"more than the ledger can remember" in heard.body


def test_a_wallet_that_nothing_names_is_not_there(gateway: RunningGateway) -> None:
    assert gateway.admin("/api/wallets/team_dve").status == 404
    heard = gateway.admin("/api/wallets/team_dve/credits", "POST", {"amount": "$5", "reason": "x"})
    assert heard.status == 404
    assert b"there are: team_dev, team_prod" in heard.body


def test_a_call_key_can_neither_look_nor_put_in(gateway: RunningGateway) -> None:
    assert gateway.request("GET", "/api/wallets", headers=DEV.bearer).status == 403
    assert gateway.request("GET", "/api/wallets/team_dev", headers=DEV.bearer).status == 403
    body: Json = {"amount": "$5", "reason": "x"}
    assert gateway.post("/api/wallets/team_dev/credits", body, DEV).status == 403
    assert wallet(gateway, "team_dev")["remaining_nanodollars"] == 0
