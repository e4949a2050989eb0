"""The report forecast: where the month ends, beside the plan, and which budgets will not last."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from farthing.domain.period import Period, from_microseconds
from farthing.ledger.entries import AtShort, Claim, Unit
from farthing.policy.rules import Policy
from farthing.reports.forecast import report
from farthing.reports.pace import pace_of
from farthing.reports.sheet import Sheet
from farthing.reports.spans import midnight_us
from farthing.scenarios.moments import DAY_US, day
from farthing.scenarios.rows import Row
from tests.builders import a_budget, a_policy
from tests.reports.ledgers import DOLLAR, MONTH, a_call_of, a_ledger, asking, rows_of, total_of

SEPTEMBER, OCTOBER = day(2026, 9), day(2026, 10)
WEEKDAYS = 5


def working_days(since: int, until: int, **facts: object) -> Iterator[Row]:
    """Ten dollars at noon of each working day."""
    for at_us in range(since, until, DAY_US):
        if from_microseconds(at_us).weekday() < WEEKDAYS:
            yield a_call_of("10", at_us=at_us + DAY_US // 2, **facts)  # type: ignore[arg-type]


def told(rows: Iterator[Row], now_us: int, policy: Policy | None = None, **facts: object) -> Sheet:
    return report(asking(a_ledger(rows), MONTH, now_us=now_us, policy=policy, **facts))


# ── environments ────────────────────────────────────────────────────────────────────────────────


def test_the_weekdays_of_the_last_four_weeks_tell_where_the_month_ends() -> None:
    now_us = day(2026, 9, 19)  # Saturday: two weekends and 14 working days are over, 8 working days are left
    (row,) = rows_of(told(working_days(day(2026, 8), now_us), now_us), "environments")
    assert row["spent_nanodollars"] == 140 * DOLLAR
    assert row["forecast_nanodollars"] == 220 * DOLLAR
    assert row["method"] == "weekdays of the last 4 weeks"


def test_a_few_days_are_drawn_on_in_a_straight_line() -> None:
    now_us = day(2026, 9, 6)  # Sunday: four working days since the first
    sheet = told(working_days(SEPTEMBER, now_us), now_us)
    (row,) = rows_of(sheet, "environments")
    assert row["forecast_nanodollars"] == 40 * DOLLAR + 25 * 8 * DOLLAR
    assert row["method"] == "straight line over 6 days"
    assert any("knows no weekends" in note for note in sheet.notes)


def test_one_hour_of_one_day_is_taken_for_a_day() -> None:
    now_us = SEPTEMBER + 3_600_000_000
    (row,) = rows_of(told(iter([a_call_of("10", at_us=SEPTEMBER)]), now_us), "environments")
    assert row["expected_a_day_nanodollars"] == 10 * DOLLAR
    assert row["forecast_nanodollars"] == 10 * DOLLAR + 10 * DOLLAR * (30 * 24 - 1) // 24


def test_a_month_that_is_over_is_what_was_spent() -> None:
    sheet = told(working_days(day(2026, 8), OCTOBER), day(2026, 11))
    (row,) = rows_of(sheet, "environments")
    assert row["forecast_nanodollars"] == row["spent_nanodollars"] == 220 * DOLLAR
    assert "The span is over: what is forecast is what was spent." in sheet.notes


def test_an_environment_that_spent_last_month_only_is_expected_to_go_on() -> None:
    now_us = SEPTEMBER + 1
    (row,) = rows_of(told(working_days(day(2026, 7), SEPTEMBER), now_us), "environments")
    assert row["spent_nanodollars"] == 0
    assert row["forecast_nanodollars"] == 220 * DOLLAR


def test_a_forecast_beyond_the_plan_is_flagged() -> None:
    now_us = day(2026, 9, 19)
    policy = a_policy(
        a_budget("$219.99", name="dev-month"),
        a_budget("$1", name="dev-search", environment="development", feature="search"),
        a_budget("$1", name="each", per="developer"),
        a_budget("$1", name="day", period=Period.DAILY),
    )
    sheet = told(working_days(day(2026, 8), now_us), now_us, policy)
    (row,) = rows_of(sheet, "environments")
    assert row["plan_nanodollars"] == 219_990_000_000
    assert total_of(sheet, "environments")["plan_nanodollars"] == 219_990_000_000
    flag = sheet.flag("forecast_over_plan")
    assert flag is not None
    assert flag.text == (
        "development will have spent $220.00 when the month ends, 100.0 % of the $219.99 planned."
    )
    enough = a_policy(a_budget("$220", name="dev-month"))
    assert told(working_days(day(2026, 8), now_us), now_us, enough).flag("forecast_over_plan") is None


def test_an_empty_ledger_says_what_to_do() -> None:
    sheet = told(iter(()), day(2026, 9, 19))
    assert (sheet.tables, len(sheet.notes)) == ((), 1)


def test_what_costs_nothing_is_expected_to_cost_nothing() -> None:
    sheet = told(iter([a_call_of("0", at_us=SEPTEMBER)]), day(2026, 9, 2))
    assert sheet.tables == ()


# ── budgets ─────────────────────────────────────────────────────────────────────────────────────


def a_claim(limit: int, budget: str = "dev-month", value: str | None = None) -> Claim:
    """On a monthly account of September."""
    name = "/".join(part for part in (budget, value, "2026-09") if part)
    return Claim(
        account=name, unit=Unit.NANODOLLARS, limit=limit * DOLLAR, at_short=AtShort.PASS, budget=budget,
        value=value, window="2026-09", starts_at_us=SEPTEMBER, ends_at_us=OCTOBER,
    )  # fmt: skip


def test_a_budget_that_will_not_last_is_flagged_with_the_day() -> None:
    now_us = day(2026, 9, 19)
    rows = [*working_days(day(2026, 8), SEPTEMBER), *working_days(SEPTEMBER, now_us, account=a_claim(180))]
    sheet = told(iter(rows), now_us, a_policy(a_budget("$180", name="dev-month")))
    (row,) = rows_of(sheet, "budgets")
    assert row["spent_nanodollars"] == 140 * DOLLAR
    assert row["forecast_nanodollars"] == 220 * DOLLAR
    assert row["forecast_of_limit_percent"] == Fraction(220, 180)
    assert row["reached_on"] == "2026-09-24"  # Thursday, the fourth working day from now
    flag = sheet.flag("budget_will_be_reached")
    assert flag is not None
    assert "dev-month will reach its limit of $180.00 on 2026-09-24" in flag.text
    assert flag.fix == 'farthing budget raise dev-month AMOUNT --reason "…"'


def test_a_budget_that_lasts_is_not_flagged_and_one_that_is_spent_says_so() -> None:
    now_us = day(2026, 9, 19)
    rows = [
        *working_days(SEPTEMBER, now_us, account=a_claim(500, "lasts")),
        *working_days(SEPTEMBER, now_us, account=a_claim(100, "spent", "alice")),
    ]
    sheet = told(iter(sorted(rows, key=lambda row: row.at_us)), now_us)
    assert [(row["budget"], row["value"], row["reached_on"]) for row in rows_of(sheet, "budgets")] == [
        ("spent", "alice", "reached"),
        ("lasts", None, None),
    ]
    assert sheet.flag("budget_will_be_reached") is None


def test_many_accounts_are_ranked_by_how_full_they_will_be() -> None:
    now_us = day(2026, 9, 2)
    rows = [
        a_call_of(str(number), at_us=SEPTEMBER, account=a_claim(1_000, "each", f"dev-{number}"))
        for number in range(1, 9)
    ]
    table = rows_of(told(iter(rows), now_us, top=3), "budgets")
    assert [row["value"] for row in table] == ["dev-8", "dev-7", "dev-6", None]
    assert sum(int(row["spent_nanodollars"] or 0) for row in table) == 36 * DOLLAR


# ── the pace ────────────────────────────────────────────────────────────────────────────────────


@given(st.dictionaries(st.integers(0, 40), st.integers(0, 10**12)), st.integers(0, 24), st.integers(1, 60))
def test_a_pace_sums_and_reaches_what_it_says(costs: dict[int, int], hour: int, days: int) -> None:
    today = date(2026, 9, 20)
    now_us = midnight_us(today) + hour * DAY_US // 25
    pace = pace_of({today - timedelta(days=ago): cost for ago, cost in costs.items()}, now_us)
    middle, end = now_us + days * DAY_US // 2, now_us + days * DAY_US
    assert pace.between(now_us, middle) + pace.between(middle, end) == pace.between(now_us, end)
    total = pace.between(now_us, end)
    reached = pace.reaches(total / 2, since_us=now_us, until_us=end)
    assert reached is not None
    assert pace.between(now_us, max(reached, now_us)) <= total / 2
    assert pace.reaches(total + 1, since_us=now_us, until_us=end) is None


def test_a_pace_of_whole_weeks_is_their_mean() -> None:
    today = date(2026, 9, 20)
    pace = pace_of(
        {today - timedelta(days=ago): 7 for ago in range(1, 36)},
        int(datetime(2026, 9, 20, tzinfo=UTC).timestamp()) * 1_000_000,
    )
    assert pace.by_weekday
    assert pace.a_day == Fraction(7)
