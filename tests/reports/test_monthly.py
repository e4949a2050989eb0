"""The monthly sheet of production: burn against plan, why it changed, and whether the money will last."""

from fractions import Fraction
from typing import Any

import msgspec
import pytest

from farthing.domain.outcome import RecordedOutcome
from farthing.domain.period import Period
from farthing.domain.usage import Usage
from farthing.ledger.entries import AtShort, Claim, Unit, account_name
from farthing.ledger.memory import MemoryStore
from farthing.ledger.store import Store
from farthing.policy.rules import Group, Wallet
from farthing.reports import forecast, monthly, weekly
from farthing.reports.asking import Question
from farthing.reports.percentiles import report as percentiles
from farthing.reports.sheet import Sheet
from farthing.reports.spans import Span
from farthing.scenarios.moments import DAY_US, HOUR_US, MONTH_ENDS_AT_US, MONTH_STARTS_AT_US, day
from farthing.scenarios.rows import Row
from farthing.scenarios.seeds_limits import g11
from farthing.scenarios.writing import write
from tests.builders import a_budget, a_policy
from tests.reports.conftest import Months

MONTH = Span(MONTH_STARTS_AT_US, MONTH_ENDS_AT_US)
DOLLAR = 1_000_000_000
PLAN = a_budget("$400", name="prod-month", environment="production")
OPENAI = a_budget("$300", name="openai", provider="openai")


def asked(store: Store, **given: Any) -> Question:
    """The question about the month, when it is over."""
    return Question(**{"store": store, "span": MONTH, "now_us": MONTH_ENDS_AT_US + HOUR_US, **given})


def sheet_of(store: Store, **given: Any) -> Sheet:
    """The monthly sheet."""
    return monthly.report(asked(store, **given))


def claim(
    budget: str,
    limit: int = 1_000 * DOLLAR,
    window: str = "2026-09",
    *,
    lasts: tuple[int, int] | None = (MONTH_STARTS_AT_US, MONTH_ENDS_AT_US),
) -> Claim:
    """An account that pays."""
    return Claim(
        account=account_name(budget, None, window), unit=Unit.NANODOLLARS, limit=limit,
        at_short=AtShort.PASS, budget=budget, window=window, starts_at_us=lasts[0] if lasts else None,
        ends_at_us=lasts[1] if lasts else None,
    )  # fmt: skip


def spent(days: int, dollars: int, *, environment: str = "production", **given: Any) -> list[Row]:
    """One call a day from the first day of the month on."""
    return [
        Row(
            at_us=MONTH_STARTS_AT_US + number * DAY_US + 12 * HOUR_US, environment=environment,
            model_asked="gpt-4o", model_served="gpt-4o", usage=Usage(input_tokens=9, output_tokens=9),
            cost_nanodollars=dollars * DOLLAR,
        )._replace(**given)
        for number in range(days)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def published(months: Months) -> Store:
    """The published month."""
    return months()


def test_g1_the_month_of_production(published: Store) -> None:
    sheet = sheet_of(published, policy=a_policy(PLAN))

    (month,) = sheet.table("month").named_rows()
    assert (month["calls"], month["cost_nanodollars"], month["change_percent"]) == (
        200_000, 360 * DOLLAR, None,
    )  # fmt: skip
    assert month["cache_hit_percent"] == Fraction(65, 100)
    (plan,) = sheet.table("plan").named_rows()
    assert (plan["plan_nanodollars"], plan["cost_of_plan_percent"]) == (400 * DOLLAR, Fraction(9, 10))
    assert (plan["elapsed_percent"], plan["forecast_nanodollars"]) == (1, 360 * DOLLAR)


def test_g1_the_month_is_split_into_what_earns_and_what_prepares(published: Store) -> None:
    rows = sheet_of(published).table("streams").named_rows()

    assert {row["stream"]: row["cost_nanodollars"] for row in rows} == {
        "revenue-bearing": 360 * DOLLAR,
        "development and evaluation": 274_500_000_000,
    }


def test_both_sheets_read_the_same_sums(published: Store) -> None:
    """One span, two views: what the weekly sheet tells of development is part of the monthly total."""
    month = sheet_of(published)
    week = weekly.report(asked(published))

    (development,) = week.table("spend").named_rows()
    parts = {row["environment"]: row for row in month.table("parts").named_rows()}
    total = month.table("streams").named(month.table("streams").footer or ())
    assert development["cost_nanodollars"] == parts["development"]["cost_nanodollars"]
    assert development["calls"] == parts["development"]["calls"]
    assert month.table("month").named_rows()[0]["cost_nanodollars"] == parts["production"]["cost_nanodollars"]
    assert total["cost_nanodollars"] == sum(int(row["cost_nanodollars"] or 0) for row in parts.values())
    cost = Fraction(development["cost_nanodollars"] or 0)
    assert cost / Fraction(development["cost_percent"] or 1) == total["cost_nanodollars"]
    every = published.spend(by=[], since_us=MONTH.since_us, until_us=MONTH.until_us)
    assert total["cost_nanodollars"] == every[0].cost_nanodollars


def test_percentiles_are_those_of_their_report(published: Store) -> None:
    own = percentiles(asked(published, environment="production"))

    assert sheet_of(published).table("percentiles").rows == own.table("environments").rows


def test_the_change_to_the_month_before_is_told_with_its_causes() -> None:
    store = MemoryStore()
    write(spent(10, 2, at_us=day(2026, 8, 3)), store)
    write(spent(15, 2), store)

    sheet = sheet_of(store)

    (month,) = sheet.table("month").named_rows()
    assert (month["cost_before_nanodollars"], month["change_percent"]) == (20 * DOLLAR, Fraction(1, 2))
    (effects,) = sheet.table("effects").named_rows()
    assert effects["volume_nanodollars"] == 10 * DOLLAR
    assert sheet.table("models").named_rows()[0]["model"] == "gpt-4o"


def test_burn_ahead_of_the_plan_is_flagged() -> None:
    store = MemoryStore()
    write(spent(10, 20), store)

    sheet = sheet_of(store, policy=a_policy(PLAN), now_us=MONTH_STARTS_AT_US + 10 * DAY_US)

    (plan,) = sheet.table("plan").named_rows()
    assert plan["elapsed_percent"] == Fraction(1, 3)
    assert plan["cost_of_plan_percent"] == Fraction(1, 2)
    assert int(plan["forecast_nanodollars"] or 0) > 400 * DOLLAR
    assert sheet.flag("forecast_over_plan") is not None
    assert sheet.provisional


def test_budgets_of_providers_are_held_against_what_is_used_of_them() -> None:
    store = MemoryStore()
    write(spent(10, 20, account=claim("openai", 300 * DOLLAR)), store)

    sheet = sheet_of(store, policy=a_policy(OPENAI), now_us=MONTH_STARTS_AT_US + 10 * DAY_US)

    (row,) = sheet.table("provider_budgets").named_rows()
    assert (row["provider"], row["limit_nanodollars"], row["spent_nanodollars"]) == (
        "openai", 300 * DOLLAR, 200 * DOLLAR,
    )  # fmt: skip
    assert row["spent_of_limit_percent"] == Fraction(2, 3)
    assert int(row["expected_nanodollars"] or 0) > 300 * DOLLAR
    flag = sheet.flag("provider_budget_short")
    assert flag is not None and "openai has $300.00 in 2026-09" in flag.text
    assert flag.fix.startswith("farthing budget raise openai")


def test_wallets_are_held_against_what_will_be_asked_of_them() -> None:
    store = MemoryStore()
    write(spent(10, 20, group="prod", account=claim("wallet:team", window="total", lasts=None)), store)
    groups = (Group(name="prod", environment="production", wallet="team"),)
    policy = msgspec.structs.replace(
        a_policy(),
        groups=groups,
        wallets=(Wallet(team_id="team", owner="ana", allocation_nanodollars=500 * DOLLAR),),
    )

    sheet = sheet_of(store, policy=policy, now_us=MONTH_STARTS_AT_US + 10 * DAY_US)

    (row,) = sheet.table("wallets").named_rows()
    assert (row["wallet"], row["owner"]) == ("team", "ana")
    assert (row["funded_nanodollars"], row["remaining_nanodollars"]) == (500 * DOLLAR, 300 * DOLLAR)
    assert int(row["expected_nanodollars"] or 0) > 500 * DOLLAR
    flag = sheet.flag("wallet_short")
    assert flag is not None and flag.fix.startswith("farthing wallet credit team")
    assert [
        table.name for table in sheet_of(store, policy=a_policy()).tables if table.name == "wallets"
    ] == []


def test_a_budget_of_a_day_is_expected_to_go_on_for_its_day_and_not_for_the_month() -> None:
    store = MemoryStore()
    today_us = MONTH_STARTS_AT_US + 9 * DAY_US
    today = claim("openai", 30 * DOLLAR, "2026-09-10", lasts=(today_us, today_us + DAY_US))
    write([*spent(9, 20), *spent(1, 20, at_us=today_us + HOUR_US, account=today)], store)
    daily = a_budget("$30", name="openai", period=Period.DAILY, provider="openai")

    asks = asked(store, policy=a_policy(daily), now_us=today_us + 12 * HOUR_US)
    sheet = monthly.report(asks)

    (row,) = sheet.table("provider_budgets").named_rows()
    (told,) = forecast.report(asks).table("budgets").named_rows()
    assert row["expected_nanodollars"] == told["forecast_nanodollars"]
    assert 20 * DOLLAR <= int(row["expected_nanodollars"] or 0) <= 30 * DOLLAR
    assert sheet.flag("provider_budget_short") is None


def test_what_a_wallet_without_an_end_spent_in_other_months_is_not_asked_of_it_again() -> None:
    store = MemoryStore()
    team = claim("wallet:team", window="total", lasts=None)
    write(spent(20, 40, group="prod", account=team, at_us=day(2026, 7, 3)), store)
    write(spent(10, 20, group="prod", account=team), store)
    policy = msgspec.structs.replace(
        a_policy(),
        groups=(Group(name="prod", environment="production", wallet="team"),),
        wallets=(Wallet(team_id="team", owner="ana", allocation_nanodollars=1_500 * DOLLAR),),
    )

    sheet = sheet_of(store, policy=policy, now_us=MONTH_STARTS_AT_US + 10 * DAY_US)

    (row,) = sheet.table("wallets").named_rows()
    (plan,) = sheet.table("plan").named_rows()
    still_to_come = int(plan["forecast_nanodollars"] or 0) - 200 * DOLLAR
    assert row["spent_nanodollars"] == 1_000 * DOLLAR
    assert row["expected_nanodollars"] == 1_000 * DOLLAR + still_to_come
    assert sheet.flag("wallet_short") is None


def test_outcomes_and_caps_are_on_the_sheet() -> None:
    store = MemoryStore()
    write(g11(), store)
    store.add_outcome(
        RecordedOutcome(outcome_id="o", at_us=MONTH_STARTS_AT_US, environment="production", name="conversion")
    )

    sheet = sheet_of(store)

    (outcome,) = sheet.table("outcomes").named_rows()
    assert outcome["cost_nanodollars"] == sheet.table("month").named_rows()[0]["cost_nanodollars"]
    assert sheet.flag("cap_hit_too_often") is not None


def test_without_a_plan_it_says_how_to_make_one() -> None:
    store = MemoryStore()
    write(spent(1, 1), store)

    sheet = sheet_of(store)

    assert any("There is no plan for production" in note for note in sheet.notes)
    assert sheet.table("plan").named_rows()[0]["plan_nanodollars"] is None


def test_calls_that_cost_nothing_make_a_sheet() -> None:
    store = MemoryStore()
    write(spent(2, 0), store)

    sheet = sheet_of(store, policy=a_policy(PLAN))

    assert sheet.table("month").named_rows()[0]["cost_nanodollars"] == 0


def test_where_production_is_missing_the_others_are_named() -> None:
    store = MemoryStore()
    write(spent(1, 1, environment="staging"), store)

    assert "There are calls of staging" in sheet_of(store).notes[0]
    assert sheet_of(store, environment="staging").title == "The month of staging"
    assert "farthing demo" in sheet_of(MemoryStore()).notes[0]
