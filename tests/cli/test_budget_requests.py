"""farthing budget request, requests, approve, deny and raise."""

import pytest

from tests.cli.conftest import CommandLine, complaint, told

pytestmark = pytest.mark.usefixtures("company")
WHY = ("--reason", "demo on Friday")


def test_r63_a_request_is_asked_listed_and_approved_by_somebody_else(farthing: CommandLine) -> None:
    asked = told(farthing("budget", "request", "dev-month", "50", *WHY, "--by", "alice", "--json"))
    assert (asked["state"], asked["amount_nanodollars"], asked["by"]) == ("open", 50 * 10**9, "alice")
    assert "demo on Friday" in farthing("budget", "requests", "--open").stdout

    own = farthing("budget", "approve", asked["request_id"], "--by", "alice", "--json")
    assert own.exit_code == 1
    assert "somebody else has to answer it" in str(complaint(own)["message"])
    done = farthing("budget", "approve", asked["request_id"], "--by", "bob")
    assert done.stdout.startswith("dev-month has $50.00 more in ")

    assert farthing("budget", "requests", "--open").stdout == "Nobody asked for more.\n"
    (account,) = told(farthing("budget", "show", "dev-month", "--json"))["accounts"]
    assert account["limit_nanodollars"] == 800 * 10**9
    acts = told(farthing("audit", "list", "--json"))["audit"]
    assert [(row["by"], row["action"], row["from"], row["to"]) for row in acts][1] == (
        "bob", "raise", "$750.00", "$800.00",
    )  # fmt: skip


def test_a_request_needs_a_reason_a_budget_and_an_amount(farthing: CommandLine) -> None:
    for words, said in (
        (("dev-month", "50"), "needs a 'reason'"),
        (("dev-mnth", "50", *WHY), "there is no budget dev-mnth"),
        (("dev-month", "fifty", *WHY), "fifty"),
        (("per-developer", "50", *WHY), "for each developer"),
        (("dev-month", "50", *WHY, "--until", "soon"), "'soon' is no span of time"),
        (("dev-month", "50", *WHY, "--until", "2020-01-01"), "end before it begins"),
    ):
        result = farthing("budget", "request", *words, "--json")
        assert result.exit_code == 2
        assert said in str(complaint(result)["message"])
    fix = complaint(farthing("budget", "request", "dev-mnth", "50", *WHY, "--json"))["fix"]
    assert "dev-month" in str(fix)


def test_a_request_is_denied_with_a_reason_and_answered_once(farthing: CommandLine) -> None:
    asked = told(
        farthing("budget", "request", "per-developer", "5", *WHY, "--value", "alice", "--until", "2d",
                 "--by", "alice", "--json")
    )  # fmt: skip
    assert (asked["value"], asked["until"] > asked["at"]) == ("alice", True)
    no = ("budget", "deny", asked["request_id"], "--by", "bob", "--reason", "wait")
    assert farthing(*no).stdout == "alice is told no: wait\n"
    assert farthing(*no).exit_code == 1
    assert farthing("budget", "deny", "req_9", "--reason", "x").exit_code == 1
    assert "denied by bob" in farthing("budget", "requests").stdout


def test_a_limit_is_raised_and_lowered(farthing: CommandLine) -> None:
    raised = farthing("budget", "raise", "dev-month", "50", *WHY, "--by", "bob")
    assert "from $750.00 to $800.00" in raised.stdout
    lowered = told(farthing("budget", "raise", "dev-month", "50", *WHY, "--by", "bob", "--lower", "--json"))
    assert lowered["limit_after_nanodollars"] == 750 * 10**9
    assert farthing("budget", "raise", "dev-month", "99999999999999999", *WHY).exit_code == 2
