"""The report impact: what a change saved, before a day and after it."""

from collections.abc import Iterator, Mapping
from fractions import Fraction

import pytest

from farthing.ledger.auditing import policy_act
from farthing.ledger.memory import MemoryStore
from farthing.reports.asking import BadQuestion
from farthing.reports.impact import report
from farthing.reports.sheet import Kind, Sheet, Value
from farthing.reports.spans import Span
from farthing.reports.telling import shown
from farthing.scenarios.moments import DAY_US, day
from farthing.scenarios.rows import Row
from farthing.scenarios.seeds_limits import g11
from farthing.scenarios.seeds_people import g12, g12_change
from tests.reports.ledgers import DOLLAR, a_call_of, a_ledger, asking, rows_of

AUGUST, SEPTEMBER, OCTOBER = day(2026, 8), day(2026, 9), day(2026, 10)
BOTH = Span(AUGUST, OCTOBER)


def money(sheet: Sheet, environment: str, measure: str) -> Mapping[str, Value]:
    return next(
        row
        for row in rows_of(sheet, "money")
        if (row["environment"], row["measure"]) == (environment, measure)
    )


def counts(sheet: Sheet, environment: str, measure: str) -> tuple[Value, Value]:
    return next(
        (row["before"], row["after"])
        for row in rows_of(sheet, "counts")
        if (row["environment"], row["measure"]) == (environment, measure)
    )


@pytest.mark.parametrize(
    ("vector", "saved"),
    [
        ("low", {"development": "86.8 %", "staging": "73.3 %", "ci": "87.5 %", "team": "85.0 %"}),
        ("high", {"development": "90.6 %", "staging": "83.3 %", "ci": "91.4 %", "team": "88.2 %"}),
    ],
)
def test_the_published_table_comes_out_with_its_percentages_worked_out_again(
    vector: str, saved: dict[str, str]
) -> None:
    sheet = report(asking(a_ledger(g12_change(vector)), BOTH, at_us=SEPTEMBER))
    found = {
        environment: shown(Kind.SHARE, money(sheet, environment, "cost")["saved_percent"])
        for environment in saved
    }
    assert found == saved
    row = money(sheet, "team", "cost")
    low = vector == "low"
    assert row["before_nanodollars"] == (4_000 if low else 17_000) * DOLLAR
    assert row["after_nanodollars"] == (600 if low else 2_000) * DOLLAR
    assert row["saved_nanodollars"] == (3_400 if low else 15_000) * DOLLAR


@pytest.mark.parametrize(("vector", "total", "each"), [("low", 3_990, 30), ("high", 16_800, 125)])
def test_five_developers_for_21_days_cost_what_the_table_says(vector: str, total: int, each: int) -> None:
    sheet = report(asking(a_ledger(g12(vector)), BOTH, at_us=SEPTEMBER))
    assert money(sheet, "all", "cost")["before_nanodollars"] == total * DOLLAR
    assert money(sheet, "development", "cost per developer a day")["before_nanodollars"] == each * DOLLAR
    assert money(sheet, "all", "cost")["after_nanodollars"] == 0
    assert money(sheet, "all", "cost per call")["after_nanodollars"] is None


def test_periods_that_are_not_equally_long_are_compared_by_the_day() -> None:
    rows = [a_call_of("1", at_us=AUGUST + number * DAY_US) for number in range(31)]
    sheet = report(asking(a_ledger(rows), Span(AUGUST, AUGUST + 30 * DAY_US), at_us=AUGUST + 10 * DAY_US))
    (cost, _) = rows_of(sheet, "money")
    assert cost["measure"] == "cost a day"
    assert cost["before_nanodollars"] == cost["after_nanodollars"] == DOLLAR
    assert cost["saved_percent"] == 0
    assert any("not equally long" in note for note in sheet.notes)


def test_runs_refusals_and_incidents_are_counted_on_both_sides() -> None:
    def before() -> Iterator[Row]:
        for row in g11(51, refused=20):
            yield row._replace(at_us=row.at_us - 31 * DAY_US, run=f"august-{row.run}")

    sheet = report(asking(a_ledger([*before(), *g11(10, refused=2)]), BOTH, at_us=SEPTEMBER))
    assert counts(sheet, "production", "refused") == (20, 2)
    assert counts(sheet, "production", "with a lowered output cap") == (31, 8)
    assert counts(sheet, "production", "runaway incidents") == (20, 2)
    assert counts(sheet, "production", "calls") == (980, 998)
    assert money(sheet, "production", "cost per run")["before_nanodollars"] is not None


def test_without_a_day_it_is_the_day_another_policy_came_in_force() -> None:
    store = a_ledger([a_call_of("1", at_us=AUGUST + number * DAY_US) for number in range(61)])
    assert report(asking(store, BOTH)).title == "Before and after 2026-08-31"  # the middle
    note_policy(store, AUGUST + 5 * DAY_US, None)
    assert report(asking(store, BOTH)).title == "Before and after 2026-08-31"  # the first one is no change
    note_policy(store, AUGUST + 9 * DAY_US + 7, "0011")
    assert report(asking(store, BOTH)).title == "Before and after 2026-08-10"


def note_policy(store: MemoryStore, at_us: int, before: str | None) -> None:
    store.add_act(policy_act(f"digest-{at_us}", at_us=at_us, by="ana", before=before))


def test_a_day_with_nothing_after_it_is_no_question() -> None:
    with pytest.raises(BadQuestion, match="nothing is known after 2026-10-01 in 2026-08-01 to 2026-09-30"):
        report(asking(a_ledger(g12_change()), BOTH, at_us=OCTOBER))


def test_a_day_before_the_span_has_as_many_days_before_it_as_after() -> None:
    rows = [a_call_of("1", at_us=AUGUST + number * DAY_US) for number in range(60)]
    sheet = report(asking(a_ledger(rows), Span(SEPTEMBER, SEPTEMBER + 10 * DAY_US), at_us=SEPTEMBER))
    assert sheet.span == Span(SEPTEMBER - 10 * DAY_US, SEPTEMBER + 10 * DAY_US)
    assert money(sheet, "development", "cost")["saved_percent"] == 0


def test_one_day_alone_has_no_before() -> None:
    with pytest.raises(BadQuestion, match="name a longer span"):
        report(asking(a_ledger(g12_change()), Span(AUGUST, AUGUST + DAY_US)))


def test_an_empty_ledger_says_what_to_do() -> None:
    sheet = report(asking(a_ledger(), BOTH))
    assert (sheet.tables, len(sheet.notes)) == ((), 1)


def test_one_environment_needs_no_total() -> None:
    sheet = report(asking(a_ledger(g12_change()), BOTH, at_us=SEPTEMBER, environment="staging"))
    assert {row["environment"] for row in rows_of(sheet, "money")} == {"staging"}
    assert money(sheet, "staging", "cost")["saved_percent"] == Fraction(55, 75)


def test_days_before_the_first_call_of_the_ledger_do_not_count() -> None:
    store = a_ledger([a_call_of("1", at_us=AUGUST + number * DAY_US) for number in range(20, 31)])
    sheet = report(asking(store, Span(AUGUST, AUGUST + 31 * DAY_US), at_us=AUGUST + 25 * DAY_US))
    assert sheet.span == Span(AUGUST + 20 * DAY_US, AUGUST + 31 * DAY_US)
    assert money(sheet, "development", "cost a day")["saved_percent"] == 0
    assert "The first call of the ledger is of 2026-08-21; days before it do not count." in sheet.notes
