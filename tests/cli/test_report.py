"""farthing report outcomes: what an outcome cost, for people and for programs."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from farthing.config.stores import open_store
from farthing.domain.outcome import RecordedOutcome
from tests.cli.conftest import Calls, CommandLine, complaint, told

MOMENT_US = 1_796_904_000_000_000  # 2026-12-10T12:00:00Z
CENT = 10_000_000
DAY = ("--since", "2026-12-10", "--until", "2026-12-11")


@pytest.fixture
def outcomes(company: Path, calls: Calls) -> Path:
    """Nine cents for three outcomes of search, one of chat, and a call that led to none."""
    calls.spent(9 * CENT, labels={"feature": "search"}, at_us=MOMENT_US)
    calls.spent(2 * CENT, labels={"feature": "chat"}, at_us=MOMENT_US)
    calls.spent(1 * CENT, at_us=MOMENT_US)
    store = open_store(f"sqlite:///{company / 'farthing.db'}")
    values: list[tuple[str, bool | Decimal]]
    values = [("search", True), ("search", True), ("search", False), ("chat", Decimal("0.50"))]
    for number, (feature, value) in enumerate(values):
        store.add_outcome(
            RecordedOutcome(
                outcome_id=str(number), at_us=MOMENT_US, environment="development",
                name="resolved" if feature == "search" else "score", value=value, labels={"feature": feature},
            )
        )  # fmt: skip
    store.close()
    return company


def test_the_cost_of_an_outcome_is_told_by_label(farthing: CommandLine, outcomes: Path) -> None:
    rows = rows_of(farthing("report", "outcomes", "--by", "label:feature", *DAY, "--json"))

    resolved, score = rows
    assert (resolved["name"], resolved["label:feature"], resolved["outcomes"]) == ("resolved", "search", 3)
    assert (resolved["true"], resolved["false"], resolved["total"]) == (2, 1, None)
    assert resolved["cost_nanodollars"] == 9 * CENT
    assert resolved["cost_per_outcome_nanodollars"] == 3 * CENT
    assert resolved["cost_per_true_nanodollars"] == 45_000_000
    assert (score["total"], score["cost_per_true_nanodollars"]) == ("0.50", None)
    shown = farthing("report", "outcomes", "--by", "label:feature", *DAY).stdout
    assert "search" in shown and "$0.03" in shown and "$0.045" in shown


def test_without_a_label_it_is_all_calls_of_the_environment(farthing: CommandLine, outcomes: Path) -> None:
    (row,) = rows_of(farthing("report", "outcomes", "--name", "resolved", *DAY, "--json"))

    assert (row["cost_nanodollars"], row["cost_per_outcome_nanodollars"]) == (12 * CENT, 4 * CENT)


def test_calls_and_outcomes_are_of_the_same_days(farthing: CommandLine, outcomes: Path) -> None:
    within_the_day = ("--since", "2026-12-10T12:30", "--until", "2026-12-10T12:40")

    rows = rows_of(farthing("report", "outcomes", *within_the_day, "--json"))

    assert [row["cost_nanodollars"] for row in rows] == [12 * CENT, 12 * CENT]
    told_later = told(farthing("report", "outcomes", "--month", "2027-01", "--json"))
    assert told_later["tables"] == {} and "No outcomes" in told_later["notes"][0]
    assert "No outcomes" in farthing("report", "outcomes", "--environment", "production", *DAY).stdout


@pytest.mark.parametrize("by", ["model", "label:", "colour"])
def test_what_outcomes_cannot_be_told_by_is_said(farthing: CommandLine, outcomes: Path, by: str) -> None:
    result = farthing("report", "outcomes", "--by", by, "--json")

    assert result.exit_code == 2
    assert "outcomes cannot be told by" in (complaint(result)["message"] or "")


def test_two_labels_at_once_are_not_kept_together(farthing: CommandLine, outcomes: Path) -> None:
    result = farthing("report", "outcomes", "--by", "label:a", "--by", "label:b", *DAY, "--json")

    assert result.exit_code == 2


def rows_of(result: Result) -> list[dict[str, Any]]:
    """The rows of the one table of the report."""
    rows: list[dict[str, Any]] = told(result)["tables"]["outcomes"]["rows"]
    return rows


def test_a_document_and_json_exclude_each_other(farthing: CommandLine, outcomes: Path) -> None:
    result = farthing("report", "outcomes", "--format", "html", "--json")

    assert result.exit_code == 2
    assert complaint(result)["message"] == "--format and --json exclude each other"
