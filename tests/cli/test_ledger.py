"""farthing ledger verify: the answer is no as soon as one number differs."""

import sqlite3
from pathlib import Path

from tests.cli.conftest import Calls, CommandLine, told


def test_a_ledger_that_adds_up_is_told_so(farthing: CommandLine, calls: Calls) -> None:
    calls.spent(500)

    result = farthing("ledger", "verify", "--json")

    assert result.exit_code == 0
    answer = told(result)
    assert (answer["ok"], answer["accounts"], answer["differences"]) == (True, 1, [])
    assert "✓ 1 account and" in farthing("ledger", "verify").stdout


def test_a_balance_that_was_tampered_with_is_found(
    farthing: CommandLine, calls: Calls, company: Path
) -> None:
    calls.spent(500)
    with sqlite3.connect(company / "farthing.db") as connection:
        connection.execute("UPDATE account SET settled = settled - 499")
    connection.close()

    result = farthing("ledger", "verify", "--json")

    assert result.exit_code == 1
    difference = told(result)["differences"][0]
    assert "dev-month/2099-01" in difference["what"]
    assert (difference["expected"], difference["found"]) == (500, 1)
    assert "-499" in farthing("ledger", "verify").stdout


def test_a_ledger_that_is_not_there_is_not_called_clean(farthing: CommandLine, company: Path) -> None:
    result = farthing("ledger", "verify")

    assert result.exit_code == 2
    assert "there is no ledger at farthing.db" in result.stderr
