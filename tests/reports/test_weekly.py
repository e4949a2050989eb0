"""The weekly sheet of development: the other reports together, with totals that are theirs."""

from collections.abc import Iterator
from fractions import Fraction

from farthing.domain.outcome import RecordedOutcome
from farthing.ledger.memory import MemoryStore
from farthing.reports import environments, models, sessions, teams, weekly
from farthing.reports.spans import Span
from farthing.scenarios.moments import DAY_US, WEEK_STARTS_AT_US
from farthing.scenarios.rows import Row
from farthing.scenarios.seeds_people import g2, g3
from tests.reports.conftest import Months
from tests.reports.ledgers import DOLLAR, MONTH, a_call_of, a_ledger, asking, rows_of, total_of
from tests.reports.test_teams import refused_on

PROMPT = "a" * 32


def experiments() -> Iterator[Row]:
    """Two experiments of twenty calls and one of three, one prompt sent twenty times, and production."""
    for name, calls, cost in (("short", 20, "0.10"), ("long", 20, "0.30"), ("tiny", 3, "1.00")):
        for number in range(calls):
            yield a_call_of(
                cost,
                at_us=WEEK_STARTS_AT_US + number,
                labels={"experiment": name},
                developer="alice",
                group="search",
                model="gpt-4o-mini",
                prompt_hash=PROMPT if name == "short" else f"{name}{number}",
            )
    yield a_call_of("90.00", environment="production")
    yield a_call_of("4.50", at_us=WEEK_STARTS_AT_US - DAY_US)


def told_better(store: MemoryStore, experiment: str, *values: bool) -> None:
    for number, value in enumerate(values):
        store.add_outcome(
            RecordedOutcome(
                outcome_id=f"{experiment}-{number}",
                at_us=WEEK_STARTS_AT_US + 1,
                environment="development",
                name="better",
                value=value,
                labels={"experiment": experiment},
            )
        )


def test_the_week_of_engineer_b_names_her_the_model_the_money_and_the_line() -> None:
    sheet = weekly.report(asking(a_ledger(g3())))
    (flag,) = sheet.flags
    assert "engineer-b spent $19.15 on gpt-4o in development" in flag.text
    assert "$18.00 avoidable" in flag.text
    assert flag.fix == (
        "in the policy,  environments: {development: {models: {allow: [gpt-4o-mini], otherwise: downgrade}, "
        "downgrade: {gpt-4o: gpt-4o-mini}}}"
    )
    (row,) = rows_of(sheet, "avoidable")
    assert (row["developer"], row["avoidable_nanodollars"]) == ("engineer-b", 18_002_880_000)


def test_its_totals_are_those_of_the_other_reports(months: Months) -> None:
    store = months()
    asked = asking(store, MONTH)
    here = asking(store, MONTH, environment="development")
    (spend,) = rows_of(weekly.report(asked), "spend")
    (split,) = [
        row for row in rows_of(environments.report(asked), "split") if row["environment"] == "development"
    ]
    assert spend["cost_nanodollars"] == split["cost_nanodollars"] == 202_500_000_000
    assert spend["cost_percent"] == split["cost_percent"] == Fraction(20_250, 63_450)
    sheet = weekly.report(asked)
    assert total_of(models.report(here), "use")["cost_nanodollars"] == spend["cost_nanodollars"]
    assert total_of(sheet, "teams") == total_of(teams.report(here), "teams")
    assert total_of(sheet, "teams")["cost_nanodollars"] == spend["cost_nanodollars"]
    assert total_of(sheet, "sessions") == total_of(sessions.report(here), "sessions")
    assert total_of(sheet, "sessions")["cost_nanodollars"] == spend["cost_nanodollars"]


def test_spend_is_held_against_the_week_before() -> None:
    (row,) = rows_of(weekly.report(asking(a_ledger(experiments()))), "spend")
    assert row["cost_nanodollars"] == 11 * DOLLAR
    assert row["cost_percent"] == Fraction(11, 101)
    assert row["cost_before_nanodollars"] == 4_500_000_000
    assert row["change_percent"] == Fraction(11, 1) / Fraction(9, 2) - 1


def test_a_week_under_way_is_held_against_the_same_days_of_the_week_before() -> None:
    week_us = 7 * DAY_US
    spent = [a_call_of("2.00", at_us=WEEK_STARTS_AT_US), a_call_of("1.00", at_us=WEEK_STARTS_AT_US - week_us)]
    on_sunday = a_call_of("50.00", at_us=WEEK_STARTS_AT_US - DAY_US)
    sheet = weekly.report(asking(a_ledger([*spent, on_sunday]), now_us=WEEK_STARTS_AT_US + DAY_US))
    (row,) = rows_of(sheet, "spend")
    assert row["cost_before_nanodollars"] == DOLLAR
    assert row["change_percent"] == 1


def test_experiments_are_told_by_spend_and_by_what_came_of_them() -> None:
    store = a_ledger(experiments())
    told_better(store, "short", True, True, False)
    rows = {row["experiment"]: row for row in rows_of(weekly.report(asking(store)), "experiments")}
    assert list(rows) == ["long", "tiny", "short"]
    assert rows["short"] == {
        "experiment": "short",
        "calls": 20,
        "cost_nanodollars": 2 * DOLLAR,
        "cost_percent": Fraction(2, 11),
        "outcomes": 3,
        "true": 2,
        "cost_per_true_nanodollars": DOLLAR,
    }
    assert rows["long"]["outcomes"] == 0


def test_what_is_tried_often_without_an_outcome_is_worth_an_evaluation() -> None:
    store = a_ledger(experiments())
    told_better(store, "short", False)
    candidates = rows_of(weekly.report(asking(store)), "evaluation_candidates")
    assert [(row["what"], row["name"], row["calls"]) for row in candidates] == [
        ("experiment", "long", 20),
        ("prompt", PROMPT, 20),
    ]
    assert candidates[1]["developer"] == "alice"


def test_limits_prompts_and_sessions_are_in_it() -> None:
    sheet = weekly.report(asking(a_ledger([*experiments(), *refused_on(3)])))
    assert [table.name for table in sheet.tables] == [
        "spend",
        "experiments",
        "teams",
        "limit_hits",
        "evaluation_candidates",
        "prompts",
        "sessions",
    ]
    assert {flag.name for flag in sheet.flags} == {"team_at_its_limit", "repeated_prompt"}
    assert rows_of(sheet, "limit_hits")[0]["team"] == "search"
    assert rows_of(sheet, "prompts")[0]["prompt_hash"] == PROMPT


def test_a_developer_without_money_is_in_it() -> None:
    flag = weekly.report(asking(a_ledger(g2()), MONTH)).flag("developer_budget_spent")
    assert flag is not None
    assert flag.text.startswith("alice has spent $150.00 of $150.00")


def test_another_environment_can_be_the_one_that_is_developed_in() -> None:
    sheet = weekly.report(asking(a_ledger([a_call_of(environment="sandbox")]), environment="sandbox"))
    assert sheet.title == "The week of sandbox"
    assert rows_of(sheet, "spend")[0]["environment"] == "sandbox"


def test_without_experiments_the_sheet_says_how_to_name_them() -> None:
    sheet = weekly.report(asking(a_ledger([a_call_of()])))
    assert "experiments" not in [table.name for table in sheet.tables]
    assert 'X-Metering-Tags: {"experiment"' in sheet.notes[-1]


def test_an_empty_ledger_says_what_to_do_and_another_one_where_calls_are() -> None:
    assert "Send one" in weekly.report(asking(a_ledger())).notes[0]
    sheet = weekly.report(asking(a_ledger([a_call_of(environment="production")])))
    assert sheet.tables == ()
    assert "There are calls of production" in sheet.notes[0]


def test_a_longer_review_leaves_out_what_is_told_one_by_one() -> None:
    store = a_ledger([a_call_of(developer="alice")])
    sheet = weekly.report(asking(store, Span(WEEK_STARTS_AT_US, WEEK_STARTS_AT_US + 100 * DAY_US)))
    assert sheet.title == "Review of development"
    assert "sessions" not in [table.name for table in sheet.tables]
