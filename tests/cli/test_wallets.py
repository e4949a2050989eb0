"""farthing wallet: the list, one wallet with its history, and money put in and taken out."""

from pathlib import Path

import pytest

from farthing.config.stores import open_store
from tests.cli.conftest import POLICY, CommandLine, complaint, told

WALLETS = """
consumer_groups:
  - {name: product-dev, environment: development, wallet_team_id: team_dev}
  - {name: product-prod, environment: production, wallet_team_id: team_prod}
wallets:
  - {team_id: team_prod, owner: alice, allocation: $500, period: monthly}
  - {team_id: team_spare, allocation: $20}
cost_tracking: {wallet_enforcement: true}
"""


@pytest.fixture(autouse=True)
def policy(company: Path) -> Path:
    """A policy with three wallets: one declared with a period, one without, one only named."""
    file = company / "farthing.yaml"
    file.write_text(POLICY + WALLETS, encoding="utf-8")
    return file


def credit(farthing: CommandLine, team: str = "team_dev", amount: str = "$200", *more: str) -> None:
    result = farthing("wallet", "credit", team, amount, "--reason", "launch week", "--by", "ana", *more)
    assert result.exit_code == 0, result.stderr


def test_every_wallet_is_listed_before_anything_was_put_in_or_spent(farthing: CommandLine) -> None:
    rows = {row["team_id"]: row for row in told(farthing("wallet", "list", "--json"))["wallets"]}

    assert list(rows) == ["team_dev", "team_prod", "team_spare"]
    assert {name: row["remaining_nanodollars"] for name, row in rows.items()} == {
        "team_dev": 0,
        "team_prod": 500_000_000_000,
        "team_spare": 20_000_000_000,
    }
    assert {name: row["owner"] for name, row in rows.items()} == {
        "team_dev": None, "team_prod": "alice", "team_spare": None,
    }  # fmt: skip
    assert (rows["team_spare"]["window"], rows["team_spare"]["resets_at"]) == ("total", None)
    assert rows["team_prod"]["resets_at"]


def test_the_table_tells_what_happens_when_one_is_empty(farthing: CommandLine) -> None:
    shown = farthing("wallet", "list").stdout

    (dev,) = [line for line in shown.splitlines() if "team_dev" in line]
    (spare,) = [line for line in shown.splitlines() if "team_spare" in line]
    assert "refuses" in dev
    assert "lets pass" in spare  # no group pays from it
    assert "$20.00" in spare


def test_a_credit_is_put_in_and_stays_in_the_history(farthing: CommandLine) -> None:
    result = farthing("wallet", "credit", "team_dev", "$200", "--reason", "launch week", "--by", "ana")

    assert result.stdout == "Put $200.00 into wallet team_dev: $200.00 of $200.00 left.\n"
    shown = told(farthing("wallet", "show", "team_dev", "--json"))
    assert shown["remaining_nanodollars"] == 200_000_000_000
    (row,) = shown["credits"]
    assert (row["by"], row["reason"], row["limit_before_nanodollars"], row["limit_after_nanodollars"]) == (
        "ana",
        "launch week",
        0,
        200_000_000_000,
    )
    drawn = farthing("wallet", "show", "team_dev").stdout
    assert "No policy file declares it" in drawn
    assert "Groups that pay from it: product-dev." in drawn
    assert "launch week" in drawn and "ana" in drawn


def test_a_credit_of_a_wallet_with_a_period_says_until_when_it_lasts(farthing: CommandLine) -> None:
    result = farthing("wallet", "credit", "team_prod", "50", "--reason", "x", "--by", "ana")

    assert result.stdout.startswith("Put $50.00 into wallet team_prod: $550.00 of $550.00 left until 20")
    assert (
        "Its allocation of $500.00 is put in anew in each period (monthly)."
        in farthing("wallet", "show", "team_prod").stdout
    )


def test_what_was_put_in_by_mistake_is_taken_out_again(farthing: CommandLine) -> None:
    credit(farthing, amount="$2,000")

    result = farthing(
        "wallet", "credit", "team_dev", "$1,800", "--take-out", "--reason", "a zero too many", "--json"
    )

    answer = told(result)
    assert answer["amount_nanodollars"] == -1_800_000_000_000
    assert answer["wallet"]["remaining_nanodollars"] == 200_000_000_000
    assert answer["by"]
    assert len(told(farthing("wallet", "show", "team_dev", "--json"))["credits"]) == 2


def test_a_credit_is_on_the_ledger_and_adds_up(farthing: CommandLine, company: Path) -> None:
    credit(farthing)

    assert farthing("ledger", "verify").exit_code == 0
    store = open_store(f"sqlite:///{company / 'farthing.db'}")
    assert [row.account for row in store.raises()] == ["wallet:team_dev/total"]
    store.close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("credit", "team_dev", "$5"), "a credit needs a reason"),
        (("credit", "team_dev", "$5", "--reason", " "), "a raise needs a 'reason'"),
        (("credit", "team_dev", "five", "--reason", "x"), "'five' is not an amount of dollars"),
        (("credit", "team_dev", "0", "--reason", "x"), "an amount of nothing changes nothing"),
        (("credit", "team_dve", "$5", "--reason", "x"), "there is no wallet team_dve"),
        (("show", "team_dve"), "there is no wallet team_dve"),
    ],
)
def test_a_credit_that_is_not_clear_is_wrong_use(
    farthing: CommandLine, arguments: tuple[str, ...], said: str
) -> None:
    result = farthing("wallet", *arguments, "--json")

    assert result.exit_code == 2
    assert said in str(complaint(result)["message"])
    if "team_dve" in arguments:
        assert "did you mean team_dev?" in str(complaint(result)["fix"])


def test_more_than_the_ledger_can_remember_is_refused_in_words(farthing: CommandLine) -> None:
    credit(farthing, amount="$9,000,000,000")

    result = farthing("wallet", "credit", "team_dev", "$9,000,000,000", "--reason", "x", "--json")

    assert result.exit_code == 2
    assert "more than the ledger can remember" in str(complaint(result)["message"])


def test_a_policy_without_wallets_says_so(farthing: CommandLine, policy: Path) -> None:
    policy.write_text(POLICY, encoding="utf-8")

    assert farthing("wallet", "list").stdout.startswith("No wallets")


def test_a_wallet_that_only_the_ledger_knows_is_still_shown(farthing: CommandLine, policy: Path) -> None:
    credit(farthing)
    policy.write_text(POLICY, encoding="utf-8")

    (row,) = told(farthing("wallet", "list", "--json"))["wallets"]

    assert (row["team_id"], row["declared"], row["groups"]) == ("team_dev", False, [])
    assert row["remaining_nanodollars"] == 200_000_000_000
