"""The report developers: what each spent, and what is left of the budget of each."""

from typing import Any

import pytest

from farthing.domain.period import Period
from farthing.ledger.raising import Raise
from farthing.policy.rules import Policy
from farthing.reports.developers import USUAL_LIMIT_NANODOLLARS, report
from farthing.reports.spans import Span
from farthing.scenarios.moments import DAY_US, MONTH_STARTS_AT_US, day
from farthing.scenarios.rows import Row
from farthing.scenarios.seeds_people import DEVELOPERS, developer_account, g2, g3
from tests.builders import a_budget, a_policy
from tests.reports.ledgers import DOLLAR, MONTH, a_call_of, a_ledger, asking, rows_of, total_of


def with_budget(**facts: Any) -> Policy:
    return a_policy(a_budget("150", name="per-developer", per="developer", **facts))


def test_alice_has_used_up_her_150_dollars_and_the_others_have_not() -> None:
    sheet = report(asking(a_ledger(g2()), MONTH, policy=with_budget()))
    rows = {row["developer"]: row for row in rows_of(sheet, "developers")}
    assert set(rows) == set(DEVELOPERS)
    assert rows["alice"] == {
        "developer": "alice",
        "calls": 18_750,
        "cost_nanodollars": 150 * DOLLAR,
        "cost_percent": rows["alice"]["cost_percent"],
        "limit_nanodollars": 150 * DOLLAR,
        "limit_spent_nanodollars": 150 * DOLLAR,
        "limit_used_percent": 1,
        "remaining_nanodollars": 0,
        "refused_at_limit": 1,
    }
    assert rows["bob"]["remaining_nanodollars"] == 142 * DOLLAR
    (flag,) = sheet.flags
    assert flag.text == "alice has spent $150.00 of $150.00 in 2026-09 and was refused 1 time."
    assert flag.fix == 'farthing budget raise per-developer 50 --value alice --reason "..."'
    assert "2,000 calls for $16.00 have no developer" in sheet.notes[1]
    assert total_of(sheet, "developers")["cost_nanodollars"] == 182 * DOLLAR


def test_without_a_budget_of_each_the_usual_one_is_shown() -> None:
    sheet = report(asking(a_ledger(g2()), MONTH, environment="development"))
    rows = {row["developer"]: row for row in rows_of(sheet, "developers")}
    assert USUAL_LIMIT_NANODOLLARS == 150 * DOLLAR
    assert rows["alice"]["remaining_nanodollars"] == 0
    assert rows["erin"]["remaining_nanodollars"] == 142 * DOLLAR
    assert "per: developer, limit: $150" in sheet.flags[0].fix
    assert len(sheet.notes) == 1


def test_a_week_of_the_month_is_held_against_the_budget_of_the_month() -> None:
    sheet = report(asking(a_ledger(g3())))
    rows = {row["developer"]: row for row in rows_of(sheet, "developers")}
    assert rows["engineer-b"]["cost_nanodollars"] == 19_152_000_000
    assert rows["engineer-b"]["remaining_nanodollars"] == 150 * DOLLAR - 19_152_000_000
    assert next(iter(rows)) == "engineer-b"
    assert sheet.flags == ()


def paid(developer: str, cost: str, at_us: int) -> Row:
    return a_call_of(cost, developer=developer, at_us=at_us, account=developer_account(developer))


def test_the_budget_is_shown_as_raised() -> None:
    store = a_ledger([paid("alice", "120.00", MONTH_STARTS_AT_US)])
    claim = developer_account("alice")
    store.apply(
        [
            Raise(
                raise_id="r1",
                claim=claim,
                at_us=MONTH_STARTS_AT_US,
                amount=50 * DOLLAR,
                by="carol",
                reason="demo",
            )
        ]
    )
    (row,) = rows_of(report(asking(store, MONTH, policy=with_budget())), "developers")
    assert row["limit_nanodollars"] == 200 * DOLLAR
    assert row["remaining_nanodollars"] == 80 * DOLLAR


def test_a_past_month_has_the_budget_of_that_month() -> None:
    store = a_ledger(
        [
            paid("alice", "120.00", MONTH_STARTS_AT_US),
            a_call_of("1.00", developer="alice", at_us=day(2026, 10, 2)),
        ]
    )
    later = asking(store, MONTH, policy=with_budget(), now_us=day(2026, 10, 20))
    (row,) = rows_of(report(later), "developers")
    assert row["remaining_nanodollars"] == 30 * DOLLAR
    october = Span(day(2026, 10), day(2026, 11))
    (row,) = rows_of(report(asking(store, october, policy=with_budget())), "developers")
    assert (row["limit_spent_nanodollars"], row["remaining_nanodollars"]) == (0, 150 * DOLLAR)


@pytest.mark.parametrize(("environment", "name"), [("development", True), ("staging", False)])
def test_the_longest_budget_that_covers_the_environment_is_shown(environment: str, name: bool) -> None:
    policy = a_policy(
        a_budget("15", name="dev-day", per="developer", period=Period.DAILY),
        a_budget("150", name="dev-month", per="developer"),
        a_budget("5", name="all", period=Period.TOTAL),
    )
    store = a_ledger([a_call_of(developer="alice", environment=environment)])
    sheet = report(asking(store, policy=policy, environment=environment))
    assert ("dev-month of the policy" in sheet.notes[0]) is name


def test_the_others_are_one_row_and_only_the_dearest_are_flagged() -> None:
    rows = [
        a_call_of(f"{150 + number}.00", developer=f"dev-{number}", at_us=MONTH_STARTS_AT_US + number)
        for number in range(8)
    ]
    sheet = report(asking(a_ledger(rows), MONTH, top=3))
    told = rows_of(sheet, "developers")
    assert [row["developer"] for row in told] == ["dev-7", "dev-6", "dev-5", "(others)"]
    assert told[-1]["limit_nanodollars"] is None
    assert sum(row["cost_nanodollars"] for row in told) == total_of(sheet, "developers")["cost_nanodollars"]  # type: ignore[misc]
    assert len(sheet.flags) == 5


def test_refusals_that_no_limit_would_have_let_pass_are_not_counted() -> None:
    rows = [
        a_call_of(developer="alice"),
        a_call_of("0.00", developer="alice", refused="model_not_allowed", model_served=None),
        a_call_of("0.00", developer="alice", refused="rate_limited", model_served=None),
    ]
    (row,) = rows_of(report(asking(a_ledger(rows))), "developers")
    assert row["refused_at_limit"] == 1


def test_without_developers_the_report_says_how_to_name_them() -> None:
    for rows in ([], [a_call_of()]):
        sheet = report(asking(a_ledger(rows), Span(MONTH.since_us, MONTH.since_us + 30 * DAY_US)))
        assert sheet.tables == ()
        assert "--label alice" in sheet.notes[0]
