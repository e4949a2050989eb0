"""farthing policy explain and simulate: calls as they were, as they would be, and under another policy."""

import time
from pathlib import Path

import pytest

from farthing.config.load import load_policy
from farthing.config.rulings import keep_ruling
from farthing.config.stores import open_store
from farthing.domain.call import Call, Identity, RequestFacts
from farthing.engine.entry_facts import entry_facts
from farthing.ledger.entries import EntryFacts, Hold, Offer, Outcome, Record, Settle
from tests.cli.conftest import POLICY, Calls, CommandLine, complaint, told


def test_a_call_that_would_be_downgraded_shows_its_rules_targets_and_budgets(
    farthing: CommandLine, calls: Calls
) -> None:
    result = farthing(
        "policy", "explain", "--environment", "development", "--model", "gpt-4o", "--key", "alice",
        "--label", "feature=search", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    answer = told(result)
    assert (answer["decision"], answer["model"], answer["reason"]) == ("granted", "gpt-4o-mini", "downgraded")
    assert answer["target"] == "openai-simulated"
    assert "gpt-4o is not among gpt-4o-mini, claude-haiku-4-5" in answer["rules"][0]
    assert answer["rules"][1].endswith("otherwise: downgrade")
    (target,) = answer["targets"]
    budgets = {row["budget"]: row for row in target["accounts"]}
    assert budgets["dev-month"]["limit"] == 750_000_000_000
    assert budgets["per-developer"]["value"] == "alice"
    assert budgets["rate:development"]["unit"] == "requests"


def test_nothing_is_written_by_explaining(farthing: CommandLine, calls: Calls, company: Path) -> None:
    calls.spent(5_000_000)
    before = (company / "farthing.db").read_bytes()
    shown = farthing("policy", "explain", "--model", "gpt-4o-mini").stdout
    assert "goes to gpt-4o-mini at target openai-simulated" in shown
    assert (company / "farthing.db").read_bytes() == before


def test_a_call_that_would_be_refused_says_why_and_exits_with_1(farthing: CommandLine, company: Path) -> None:
    result = farthing("policy", "explain", "--environment", "production", "--model", "o3", "--json")
    assert result.exit_code == 1
    answer = told(result)
    assert answer["decision"] == "refused"
    assert answer["refusal"]["reason"] == "model_not_allowed"
    assert "otherwise: refuse" in answer["rules"][1]
    shown = farthing("policy", "explain", "--environment", "production", "--model", "o3")
    assert "refused (model_not_allowed)" in shown.stdout
    assert "to go on: ask for one of: gpt-4o, gpt-4o-mini" in shown.stdout


def test_money_that_is_spent_is_foreseen(farthing: CommandLine, company: Path) -> None:
    tight = POLICY.replace("limit: $750", "limit: $0.0001")
    (company / "farthing.yaml").write_text(tight, encoding="utf-8")
    answer = told(farthing("policy", "explain", "--model", "gpt-4o-mini", "--json"))
    assert answer["refusal"]["budget"] == "dev-month"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name a call or a model"),
        (("--model", "gpt-4o", "--environment", "developmen"), "did you mean development?"),
        (("--model", "gpt-4o", "--group", "nobody"), "there is no group nobody"),
        (("--model", "gpt-4o", "--label", "feature"), "a label is NAME=VALUE"),
        (("--model", "gpt-4o", "--dialect", "openai.chatt"), "did you mean openai.chat?"),
    ],
)
def test_a_question_that_is_not_clear_is_answered_with_how_to_ask(
    farthing: CommandLine, company: Path, arguments: tuple[str, ...], said: str
) -> None:
    result = farthing("policy", "explain", *arguments, "--json")
    assert result.exit_code == 2
    assert said in str(complaint(result))


def test_a_call_of_the_past_says_why_and_which_files_ruled_it(
    farthing: CommandLine, calls: Calls, company: Path
) -> None:
    loaded = load_policy([company / "farthing.yaml"], {})
    call = Call(
        call_id="call_x",
        request_id="call_x",
        at_us=1_700_000_000_000_000,
        identity=Identity(environment="production", key="web"),
        facts=RequestFacts(dialect="openai.chat", model="o3"),
    )
    calls.apply(
        Record(
            call_id="call_x",
            at_us=call.at_us,
            facts=entry_facts(call, loaded.policy),
            outcome=Outcome.REFUSED,
            reason="model_not_allowed",
            rules=("o3 is not allowed in production",),
        )
    )
    store = open_store(str(company / "farthing.db"))
    keep_ruling(loaded, store, call.at_us)
    store.close()

    answer = told(farthing("policy", "explain", "--call", "call_x", "--json"))

    assert answer["why"] == [
        "o3 was refused (model_not_allowed), and nothing was spent",
        "rule: o3 is not allowed in production",
    ]
    (file,) = answer["ruled_by"]["files"]
    assert file["name"].endswith("farthing.yaml")
    assert answer["ruled_by"]["in_force"] is True
    shown = farthing("policy", "explain", "--call", "call_x").stdout
    assert "Rule: o3 is not allowed in production." in shown
    assert "which is what the files say now" in shown


def test_an_unknown_or_open_call_is_told_from_one_that_ended(farthing: CommandLine, calls: Calls) -> None:
    open_call = calls.spent(1_000, open_for_us=1_000_000)
    assert "is still open" in str(complaint(farthing("policy", "explain", "--call", open_call, "--json")))
    missing = farthing("policy", "explain", "--call", "nothing", "--json")
    assert missing.exit_code == 2
    assert "there is no call nothing" in str(complaint(missing))


def test_the_policy_in_use_changes_nothing_of_the_past(farthing: CommandLine, calls: Calls) -> None:
    for _ in range(3):
        calls.spent(5_000_000)
    answer = told(farthing("policy", "simulate", "farthing.yaml", "--json"))
    assert answer["changed_calls"] == 0
    assert answer["changes"] == []
    (development,) = answer["environments"]
    assert development["cost_nanodollars"] == development["would_cost_nanodollars"] == 15_000_000


def test_a_ledger_without_calls_says_so(farthing: CommandLine, calls: Calls) -> None:
    calls.spent(1_000, at_us=1_000_000)
    assert "There is nothing to decide again" in farthing("policy", "simulate", "farthing.yaml").stdout


def test_what_was_only_observed_and_keys_used_elsewhere_are_shown(
    farthing: CommandLine, calls: Calls, company: Path
) -> None:
    assert "No call passed" in farthing("policy", "observed").stdout
    facts = EntryFacts(
        request_id="r", environment="production", dialect="openai.chat", model_asked="o3", key="web",
        claimed_environment="development",
    )  # fmt: skip
    now_us = time.time_ns() // 1_000
    offer = Offer(
        target="t", provider="openai", model="o3", needs={}, claims=(),
        rules=("observed: o3 is not allowed in production and would be refused",),
    )  # fmt: skip
    calls.apply(
        Hold(call_id="o", at_us=now_us, owner="gateway", facts=facts, offers=(offer,)),
        Settle(call_id="o", at_us=now_us, cost_nanodollars=5_000_000),
    )

    answer = told(farthing("policy", "observed", "--json"))

    assert answer["would_have"] == [
        {
            "environment": "production",
            "rule": "o3 is not allowed in production and would be refused",
            "calls": 1,
            "cost_nanodollars": 5_000_000,
        }
    ]
    assert [(row["key"], row["environment"], row["claimed"]) for row in answer["claims"]] == [
        ("web", "production", "development")
    ]
    shown = farthing("policy", "observed").stdout
    assert "would be refused" in shown
    assert "Keys whose callers claim another environment" in shown
