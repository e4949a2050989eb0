"""The report runs: what one execution of an agent costs, and which were the dearest."""

from fractions import Fraction

import pytest

from farthing.domain.usage import Usage
from farthing.ledger.memory import MemoryStore
from farthing.reports.asking import Question
from farthing.reports.runs import report
from farthing.reports.sheet import Sheet
from farthing.reports.spans import Span
from farthing.scenarios.moments import DAY_US, MONTH_ENDS_AT_US, MONTH_STARTS_AT_US
from farthing.scenarios.rows import Row
from farthing.scenarios.seeds_limits import g7
from farthing.scenarios.writing import write

MONTH = Span(MONTH_STARTS_AT_US, MONTH_ENDS_AT_US)
CENT = 10_000_000


def asked(store: MemoryStore, **given: object) -> Sheet:
    """The report over the month."""
    return report(Question(store=store, span=MONTH, now_us=MONTH_ENDS_AT_US, **given))  # type: ignore[arg-type]


@pytest.fixture
def storm() -> MemoryStore:
    """One task three times: fifty attempts, four, and three until a dollar would not do."""
    store = MemoryStore()
    write(g7(), store)
    return store


def test_g7_the_storm_stands_first(storm: MemoryStore) -> None:
    dearest = asked(storm).table("dearest").named_rows()

    assert [(row["run"], row["calls"], row["refused"], row["cost_nanodollars"]) for row in dearest] == [
        ("storm", 50, 0, 750 * CENT),
        ("one-dollar", 3, 1, 90 * CENT),
        ("four-attempts", 4, 0, 60 * CENT),
    ]
    assert dearest[0]["cost_percent"] == Fraction(750, 900)


def test_runs_have_percentiles_and_means(storm: MemoryStore) -> None:
    sheet = asked(storm)

    (row,) = sheet.table("environments").named_rows()
    assert (row["runs"], row["p50_nanodollars"], row["p99_nanodollars"]) == (3, 90 * CENT, 750 * CENT)
    assert (row["cost_per_run_nanodollars"], row["calls_per_run"]) == (300 * CENT, 19)
    assert row["cost_nanodollars"] == 900 * CENT
    assert sheet.table("environments").footer is not None
    assert "exact" in sheet.notes[0]


def test_each_environment_is_told_apart(storm: MemoryStore) -> None:
    rows = [
        Row(
            at_us=MONTH_STARTS_AT_US, environment="development", run=f"r{number}", model_asked="gpt-4o",
            model_served="gpt-4o", usage=Usage(input_tokens=1, output_tokens=1), cost_nanodollars=0,
        )
        for number in range(2)
    ]  # fmt: skip
    write(rows, storm)

    told = asked(storm).table("environments").named_rows()

    assert [
        (row["runs"], row["p50_nanodollars"], row["p99_times_p50"]) for row in told if row["runs"] == 2
    ] == [(2, 0, None)]
    assert asked(storm, environment="development").table("dearest").named_rows()[0]["cost_percent"] is None
    assert len(asked(storm, top=1).table("dearest").rows) == 1


def test_without_runs_it_says_how_to_send_one() -> None:
    store = MemoryStore()
    for sheet in (asked(store), report(_elsewhere(store))):
        assert sheet.tables == () and '{"run": "..."}' in sheet.notes[0]


def _elsewhere(store: MemoryStore) -> Question:
    write(g7(), store)
    end_us = MONTH_ENDS_AT_US + DAY_US
    return Question(store=store, span=Span(MONTH_ENDS_AT_US, end_us), now_us=end_us)
