"""The report users: who costs the most, means and percentiles over users, tiers, growth."""

from collections.abc import Iterator
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.reports.spans import Span
from farthing.reports.users import percentile_of, report
from farthing.scenarios.moments import DAY_US, MONTH_STARTS_AT_US, day
from farthing.scenarios.rows import Row
from tests.reports.ledgers import DOLLAR, MONTH, a_call_of, a_ledger, asking, rows_of, total_of

DOLLAR_MILLI = DOLLAR // 1_000


def used(user: str, cost: str, *, tier: str | None = None, at_us: int = MONTH_STARTS_AT_US) -> Row:
    labels = {"user_id": user} | ({"tier": tier} if tier else {})
    return a_call_of(cost, labels=labels, at_us=at_us, environment="production")


def hundred() -> Iterator[Row]:
    """A hundred users; the n-th costs n tenths of a cent."""
    for number in range(1, 101):
        yield used(f"user-{number:03}", f"0.{number:03}")


def test_users_are_ranked_with_their_cost_a_day() -> None:
    sheet = report(asking(a_ledger(hundred()), MONTH, top=2))
    first, second, others = rows_of(sheet, "dearest")
    assert first == {
        "user_id": "user-100",
        "calls": 1,
        "cost_nanodollars": 100 * DOLLAR_MILLI,
        "cost_percent": Fraction(100, 5_050),
        "cost_per_day_nanodollars": 3_333_333,  # a tenth of a dollar over thirty days
        "times_median": 2,
    }
    assert second["user_id"] == "user-099"
    assert (others["user_id"], others["calls"]) == ("(others)", 98)
    footer = total_of(sheet, "dearest")
    assert (footer["user_id"], footer["cost_nanodollars"]) == ("100 users", 5_050 * DOLLAR_MILLI)


def test_percentiles_are_over_users() -> None:
    (row,) = rows_of(report(asking(a_ledger(hundred()), MONTH)), "each")
    assert row == {
        "users": 100,
        "cost_nanodollars": 5_050 * DOLLAR_MILLI,
        "mean_nanodollars": 50_500_000,
        "p50_nanodollars": 50 * DOLLAR_MILLI,
        "p95_nanodollars": 95 * DOLLAR_MILLI,
        "p99_nanodollars": 99 * DOLLAR_MILLI,
        "most_nanodollars": 100 * DOLLAR_MILLI,
    }


@given(st.lists(st.integers(0, 1_000), min_size=1), st.integers(1, 100))
def test_a_percentile_is_the_least_that_enough_do_not_exceed(costs: list[int], per_cent: int) -> None:
    found = percentile_of(sorted(costs), per_cent)
    assert found in costs
    assert sum(cost <= found for cost in costs) * 100 >= per_cent * len(costs)
    assert sum(cost < found for cost in costs) * 100 < per_cent * len(costs)


def test_each_day_has_its_users_and_what_one_costs() -> None:
    rows = [
        used("a", "1.00"),
        used("b", "2.00"),
        used("a", "4.00", at_us=MONTH_STARTS_AT_US + DAY_US),
        used("a", "1.00", at_us=MONTH_STARTS_AT_US + DAY_US + 5),
    ]
    sheet = report(asking(a_ledger(rows), Span(MONTH_STARTS_AT_US, MONTH_STARTS_AT_US + 3 * DAY_US)))
    assert [tuple(row.values()) for row in rows_of(sheet, "days")] == [
        ("2026-09-01", 2, 3 * DOLLAR, 1_500_000_000),
        ("2026-09-02", 1, 5 * DOLLAR, 5 * DOLLAR),
    ]


def test_a_month_that_runs_is_told_to_this_day() -> None:
    rows = [used("a", "1.00", at_us=MONTH_STARTS_AT_US + number * DAY_US) for number in range(10)]
    sheet = report(asking(a_ledger(rows), MONTH, now_us=MONTH_STARTS_AT_US + 9 * DAY_US + 1))
    assert rows_of(sheet, "dearest")[0]["cost_per_day_nanodollars"] == DOLLAR
    assert [row["day"] for row in rows_of(sheet, "days")] == [
        f"2026-09-{number:02}" for number in range(4, 11)
    ]
    assert sheet.provisional


@pytest.mark.parametrize(("free", "flagged"), [("1.01", True), ("1.00", False)])
def test_a_free_user_who_costs_more_than_a_paying_one_is_flagged(free: str, flagged: bool) -> None:
    rows = [used("f", free, tier="free"), used("p", "1.00", tier="pro"), used("e", "9.00", tier="enterprise")]
    sheet = report(asking(a_ledger(rows), MONTH))
    told = {row["tier"]: row for row in rows_of(sheet, "tiers")}
    assert list(told) == ["enterprise", "free", "pro"]
    assert told["pro"]["cost_per_user_nanodollars"] == told["pro"]["median_nanodollars"] == DOLLAR
    flag = sheet.flag("free_tier_costs_more")
    assert (flag is not None) is flagged
    if flag is not None:
        assert flag.text == "A user of tier free costs $1.01, one of pro $1.00."
        assert "match: {tier: free}, per: user_id" in flag.fix


def grown(users: int, cost: str) -> list[Row]:
    """One user for a dollar in August, and so many for so much each in September."""
    later = [used(f"user-{number}", cost) for number in range(users)]
    return [*[used(f"user-{number}", "1.00", at_us=day(2026, 8, 5)) for number in range(10)], *later]


@pytest.mark.parametrize(("users", "cost", "flagged"), [(12, "1.01", True), (12, "1.00", False)])
def test_cost_that_grows_faster_than_users_is_flagged(users: int, cost: str, flagged: bool) -> None:
    sheet = report(asking(a_ledger(grown(users, cost)), MONTH))
    august, september = rows_of(sheet, "months")
    assert (august["month"], august["users_growth_percent"]) == ("2026-08", None)
    assert september["users_growth_percent"] == Fraction(1, 5)
    assert september["cost_growth_percent"] == Fraction(int(cost.replace(".", "")) * 12, 1_000) - 1
    flag = sheet.flag("cost_outgrows_users")
    assert (flag is not None) is flagged
    if flag is not None:
        assert flag.text == (
            "In 2026-09 the cost of users changed by 21.2 % and their number by 20.0 %: "
            "one costs $1.01, after $1.00 in 2026-08."
        )


def test_a_month_that_has_not_ended_has_no_growth_yet() -> None:
    sheet = report(asking(a_ledger(grown(3, "9.00")), MONTH, now_us=MONTH.until_us - 1))
    assert rows_of(sheet, "months")[1]["cost_growth_percent"] is None
    assert sheet.flags == ()


def test_months_without_users_between_are_no_growth() -> None:
    rows = [used("a", "1.00", at_us=day(2026, 7, 5)), used("a", "9.00")]
    sheet = report(asking(a_ledger(rows), Span(day(2026, 7), MONTH.until_us)))
    assert [row["cost_growth_percent"] for row in rows_of(sheet, "months")] == [None, None]


def test_users_who_cost_nothing_are_no_trouble() -> None:
    sheet = report(asking(a_ledger([used("a", "0.00"), used("b", "0.00")]), MONTH))
    assert rows_of(sheet, "dearest")[0]["times_median"] is None
    assert sheet.flags == ()


def test_without_users_the_report_says_how_to_name_them() -> None:
    for rows in ([], [a_call_of(at_us=MONTH_STARTS_AT_US)]):
        sheet = report(asking(a_ledger(rows), MONTH))
        assert sheet.tables == ()
        assert '"user_id": "4711"' in sheet.notes[0]


def test_without_tiers_the_report_says_how_to_compare_them() -> None:
    sheet = report(asking(a_ledger(hundred()), MONTH))
    assert "tiers" not in [table.name for table in sheet.tables]
    assert "to compare tiers" in sheet.notes[-1]
