"""The report planning: what earns money, and what is development and evaluation."""

from fractions import Fraction

from farthing.reports.planning import report
from farthing.reports.spans import Span
from farthing.scenarios.moments import DAY_US, day
from tests.reports.conftest import Months
from tests.reports.ledgers import DOLLAR, MONTH, a_call_of, a_ledger, asking, rows_of, total_of

SEPTEMBER = day(2026, 9)


def test_the_published_month_is_parted_in_two(months: Months) -> None:
    sheet = report(asking(months(), MONTH))
    assert [(row["stream"], row["calls"], row["cost_nanodollars"]) for row in rows_of(sheet, "streams")] == [
        ("revenue-bearing", 200_000, 360_000_000_000),
        ("development and evaluation", 23_000, 274_500_000_000),
    ]
    assert rows_of(sheet, "streams")[1]["cost_percent"] == Fraction(27_450, 63_450)
    assert total_of(sheet, "streams")["cost_nanodollars"] == 634_500_000_000
    assert total_of(sheet, "parts")["cost_nanodollars"] == 634_500_000_000


def test_an_evaluation_in_production_earns_nothing() -> None:
    rows = [
        a_call_of("7", at_us=SEPTEMBER, environment="production"),
        a_call_of("2", at_us=SEPTEMBER, environment="production", labels={"evaluation": "prompt-3"}),
        a_call_of("1", at_us=SEPTEMBER, environment="ci", labels={"evaluation": "nightly"}),
    ]
    sheet = report(asking(a_ledger(rows), MONTH))
    assert [row["cost_nanodollars"] for row in rows_of(sheet, "streams")] == [7 * DOLLAR, 3 * DOLLAR]
    assert [
        (row["environment"], row["part"], row["calls"], row["cost_nanodollars"])
        for row in rows_of(sheet, "parts")
    ] == [
        ("production", "serving", 1, 7 * DOLLAR),
        ("ci", "evaluation", 1, DOLLAR),
        ("production", "evaluation", 1, 2 * DOLLAR),
    ]


def test_a_month_that_cost_nothing_has_no_shares() -> None:
    sheet = report(asking(a_ledger([a_call_of("0", at_us=SEPTEMBER)]), MONTH))
    assert [row["cost_percent"] for row in rows_of(sheet, "streams")] == [None, None]


def test_one_day_is_enough(months: Months) -> None:
    sheet = report(asking(months(), Span(SEPTEMBER, SEPTEMBER + DAY_US)))
    assert len(rows_of(sheet, "parts")) == 3


def test_an_empty_ledger_says_what_to_do() -> None:
    sheet = report(asking(a_ledger(), MONTH))
    assert (sheet.tables, len(sheet.notes)) == ((), 1)
