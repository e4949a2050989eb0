"""farthing budget: where every budget stands."""

from pathlib import Path

from tests.cli.conftest import Calls, CommandLine, complaint, told

CENT = 10_000_000


def test_budgets_that_nothing_was_held_against_are_shown_at_zero(
    farthing: CommandLine, company: Path
) -> None:
    result = farthing("budget", "list", "--json")

    rows = told(result)["budgets"]
    assert [(row["budget"], row["value"], row["spent_nanodollars"], row["used"]) for row in rows] == [
        ("dev-month", None, 0, False),
        ("per-developer", "*", 0, False),
        ("prod-month", None, 0, False),
        ("prod-day", None, 0, False),
    ]
    assert rows[2]["remaining_nanodollars"] == 5_000_000_000_000
    assert not (company / "farthing.db").exists()


def test_spent_held_and_left_are_shown_for_an_account(farthing: CommandLine, calls: Calls) -> None:
    calls.spent(25 * CENT)
    calls.spent(10 * CENT, open_for_us=125_000_000)

    account = told(farthing("budget", "show", "dev-month", "--json"))["accounts"][0]

    assert account["spent_nanodollars"] == 25 * CENT
    assert account["held_nanodollars"] == 10 * CENT
    assert account["remaining_nanodollars"] == 65 * CENT
    row = next(line for line in farthing("budget", "list").stdout.splitlines() if "2099-01" in line)
    assert "██████▒▒░░░░░░░░░░░░░░░░" in row
    assert row.split()[-4:] == ["$0.25", "$0.10", "$0.65", "$1.00"]


def test_an_open_hold_is_shown_with_its_age(farthing: CommandLine, calls: Calls) -> None:
    call_id = calls.spent(10 * CENT, open_for_us=125_000_000)

    shown = farthing("budget", "show", "dev-month").stdout
    hold = told(farthing("budget", "show", "dev-month", "--json"))["holds"][0]

    assert f"{call_id}" in shown and "2 min 5 s" in shown
    assert hold["call_id"] == call_id
    assert 125_000 <= hold["age_ms"] < 185_000


def test_one_account_is_shown_by_its_own_name(farthing: CommandLine, calls: Calls) -> None:
    calls.spent(CENT)

    assert farthing("budget", "show", "dev-month/2099-01").exit_code == 0
    assert farthing("budget", "show", "dev-month/2098-01").exit_code == 2


def test_a_misspelt_budget_is_met_with_a_question(farthing: CommandLine, company: Path) -> None:
    result = farthing("budget", "show", "dev-mont", "--json")

    assert result.exit_code == 2
    assert complaint(result)["fix"] == "did you mean dev-month?"
    assert "prod-month" in str(complaint(result)["why"])


def test_a_ledger_alone_is_enough_to_ask(farthing: CommandLine, calls: Calls, company: Path) -> None:
    calls.spent(CENT)
    (company / "farthing.yaml").unlink()

    rows = told(farthing("budget", "list", "--ledger", "sqlite:///farthing.db", "--json"))["budgets"]

    assert [row["account"] for row in rows] == ["dev-month/2099-01"]
