"""farthing alert list: which shares of budgets were spent."""

from pathlib import Path

import pytest

from farthing.config.stores import open_store
from farthing.domain.alert import Alert
from farthing.ledger.noting import Note
from tests.cli.conftest import CommandLine, told

AT_US = 1_795_307_400_000_000


@pytest.fixture
def ledger(company: Path) -> Path:
    """A ledger on which two budgets reached thresholds."""
    store = open_store(f"sqlite:///{company / 'farthing.db'}")
    for number, (budget, percent, refused) in enumerate(
        [("dev-month", 50, False), ("dev-month", 100, True), ("prod-day", 50, False)]
    ):
        alert = Alert(
            account=f"{budget}/2026-11",
            budget=budget,
            window="2026-11",
            threshold_percent=percent,
            action="block" if refused else "notify",
            at_us=AT_US + number,
            limit_nanodollars=750_000_000_000,
            spent_nanodollars=375_000_000_000,
            refused=refused,
            environment="development",
            call_id=f"c{number}",
        )
        store.apply([Note(at_us=alert.at_us, alert=alert)])
    store.close()
    return company


def test_alerts_are_told_newest_first(farthing: CommandLine, ledger: Path) -> None:
    shown = farthing("alert", "list").stdout
    rows = told(farthing("alert", "list", "--json"))["alerts"]

    assert [(row["budget"], row["threshold_percent"]) for row in rows] == [
        ("prod-day", 50),
        ("dev-month", 100),
        ("dev-month", 50),
    ]
    assert rows[1]["at"] == "2026-11-22T00:30:00.000001Z"
    assert "100 %" in shown
    assert "block, refused" in shown
    assert "$375.00" in shown


def test_alerts_of_one_budget_and_only_so_many(farthing: CommandLine, ledger: Path) -> None:
    rows = told(farthing("alert", "list", "--budget", "dev-month", "--limit", "1", "--json"))["alerts"]

    assert [(row["budget"], row["threshold_percent"]) for row in rows] == [("dev-month", 100)]


def test_where_nothing_was_reached_that_is_said(farthing: CommandLine, company: Path) -> None:
    assert "No alerts" in farthing("alert", "list").stdout
