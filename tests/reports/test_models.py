"""The report models: who uses which model, which are premium, and what would be saved."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from farthing.config.load import load_policy
from farthing.domain.names import names_model
from farthing.policy.decide import Proposal, decide
from farthing.policy.price_list import Prices
from farthing.policy.rules import AtLimit, Environment, Otherwise, Policy
from farthing.prices.book import load_book
from farthing.reports.models import HABIT_PERCENT, report
from farthing.reports.sheet import Level
from farthing.reports.spans import Span
from farthing.scenarios.moments import DAY_US, WEEK_STARTS_AT_US
from farthing.scenarios.rows import Row
from farthing.scenarios.seeds_people import g3
from tests.builders import NOON_US, a_call
from tests.reports.conftest import Months
from tests.reports.ledgers import MONTH, WEEK, a_call_of, a_ledger, asking, rows_of, total_of


def of_development(**rules: Any) -> Policy:
    environment = Environment(name="development", **rules)
    return Policy(digest="0123456789abcdef", environments={"development": environment})


# ── the week of engineer B ──────────────────────────────────────────────────────────────────────


def test_engineer_b_alone_spent_on_a_premium_model_what_would_have_cost_a_sixteenth() -> None:
    sheet = report(asking(a_ledger(g3())))
    (row,) = rows_of(sheet, "avoidable")
    assert row == {
        "environment": "development",
        "developer": "engineer-b",
        "model": "gpt-4o",
        "calls": 2_394,
        "cost_nanodollars": 19_152_000_000,
        "cheaper_model": "gpt-4o-mini",
        "cost_there_nanodollars": 1_149_120_000,
        "avoidable_nanodollars": 18_002_880_000,
        "rule": "model family",
    }
    (flag,) = sheet.flags
    assert flag.name == "premium_in_development"
    assert flag.text == (
        "engineer-b spent $19.15 on gpt-4o in development (2,394 calls); the same tokens cost $1.15 "
        "on gpt-4o-mini: $18.00 avoidable."
    )


def test_every_use_of_the_week_is_told_with_its_share() -> None:
    sheet = report(asking(a_ledger(g3())))
    rows = rows_of(sheet, "use")
    assert [(row["developer"], row["model"], row["premium"], row["calls"]) for row in rows] == [
        ("engineer-b", "gpt-4o", "premium", 2_394),
        ("engineer-a", "gpt-4o-mini", None, 300),
        ("engineer-c", "gpt-4o-mini", None, 300),
        ("engineer-d", "gpt-4o-mini", None, 300),
        ("engineer-e", "gpt-4o-mini", None, 300),
    ]
    total = 19_152_000_000 + 4 * 300 * 480_000
    assert {row["period"] for row in rows} == {"2026-W37"}
    assert rows[0]["cost_percent"] == Fraction(19_152_000_000, total)
    assert total_of(sheet, "use")["cost_nanodollars"] == total
    assert sum(row["cost_percent"] for row in rows) == 1  # type: ignore[misc]


def test_the_line_that_is_named_leads_the_calls_to_the_cheaper_model(tmp_path: Path) -> None:
    """Written into a policy as it is told, it downgrades the very calls that are flagged."""
    (flag,) = report(asking(a_ledger(g3()))).flags
    begins = "in the policy,  "
    assert flag.fix.startswith(begins)
    file = tmp_path / "farthing.yaml"
    targets = "providers: {targets: [{id: openai, provider: openai, base_url: 'http://127.0.0.1:9/v1'}]}"
    file.write_text(f"{flag.fix.removeprefix(begins)}\n{targets}\n", encoding="utf-8")
    policy = load_policy([file], {}).policy
    decided = decide(a_call("gpt-4o"), policy, dearness=Prices(load_book(), NOON_US).dearness)
    assert isinstance(decided, Proposal)
    assert decided.candidates[0].model == "gpt-4o-mini"
    # The models that are in use and not premium stay allowed.
    allow = policy.environments["development"].allow
    assert allow is not None
    assert any(names_model(name, "gpt-4o-mini") for name in allow)


def test_the_policy_in_force_names_the_cheaper_model() -> None:
    policy = of_development(downgrade=(("gpt-4o", "gpt-4.1-nano"),))
    sheet = report(asking(a_ledger(g3()), policy=policy))
    (row,) = [row for row in rows_of(sheet, "avoidable") if row["model"] == "gpt-4o"]
    assert (row["cheaper_model"], row["rule"]) == ("gpt-4.1-nano", "downgrade map")
    there = 2_394 * (1_200 * 100 + 500 * 400)
    assert row["cost_there_nanodollars"] == there


def test_a_policy_that_keeps_from_the_model_already_is_not_told_to() -> None:
    store = a_ledger(g3())

    def fix(**rules: Any) -> str:
        policy = of_development(allow=("gpt-4o-mini",), **rules)
        return report(asking(store, policy=policy)).flags[0].fix

    assert fix(otherwise=Otherwise.DOWNGRADE) == (
        "nothing: the policy in force downgrades gpt-4o in development; "
        "these calls came before it, or with a pass"
    )
    assert "refuses gpt-4o" in fix(otherwise=Otherwise.REFUSE)
    assert fix(at_limit=AtLimit.OBSERVE) == (
        "in the policy,  environments: {development: {at_limit: clamp}}  makes its allowlist hold"
    )


def test_an_allowlist_with_the_model_is_told_without_it() -> None:
    policy = of_development(allow=("gpt-4o", "claude-haiku-4-5", "gpt-4o-mini"))
    (flag,) = report(asking(a_ledger(g3()), policy=policy)).flags
    assert "allow: [gpt-4o-mini, claude-haiku-4-5], otherwise: downgrade" in flag.fix


# ── premium for everything ──────────────────────────────────────────────────────────────────────


def mixed(premium: int, of: int, environment: str = "production") -> Iterator[Row]:
    for number in range(of):
        model, cost = ("gpt-4o", "0.008") if number < premium else ("gpt-4o-mini", "0.00048")
        yield a_call_of(cost, at_us=WEEK_STARTS_AT_US + number, environment=environment, model=model)


@pytest.mark.parametrize(("premium", "flagged"), [(901, True), (900, False)])
def test_more_than_ninety_in_a_hundred_calls_on_one_premium_model_are_flagged(
    premium: int, flagged: bool
) -> None:
    sheet = report(asking(a_ledger(mixed(premium, 1_000))))
    flag = sheet.flag("premium_for_everything")
    assert (flag is not None) is flagged
    assert HABIT_PERCENT == 90
    if flag is not None:
        assert flag.text == (
            "gpt-4o serves 90.1 % of the calls in production; all of them on gpt-4o-mini would save "
            "$6.78 of $7.21."
        )
        assert "farthing policy simulate" in flag.fix


def test_production_may_use_premium_models_without_being_told_by_name() -> None:
    sheet = report(asking(a_ledger(mixed(500, 1_000))))
    assert sheet.flags == ()
    assert [table.name for table in sheet.tables] == ["use"]


def test_the_habit_of_several_people_is_one_flag() -> None:
    rows = [a_call_of("0.008", developer=name, at_us=WEEK_STARTS_AT_US) for name in ("alice", "bob")]
    sheet = report(asking(a_ledger(rows)))
    assert [flag.name for flag in sheet.flags] == ["premium_in_development"] * 2 + ["premium_for_everything"]


# ── other ledgers ───────────────────────────────────────────────────────────────────────────────


def test_an_empty_ledger_says_what_to_do() -> None:
    sheet = report(asking(a_ledger()))
    assert sheet.tables == ()
    assert "Send one" in sheet.notes[0]


def test_the_month_has_weeks_and_the_year_has_months(months: Months) -> None:
    store = months()
    month = report(asking(store, MONTH, top=100))
    assert {row["period"] for row in rows_of(month, "use")} == {f"2026-W{week}" for week in range(36, 41)}
    assert total_of(month, "use")["cost_nanodollars"] == 634_500_000_000  # 202.50 + 72.00 + 360.00
    year = report(asking(store, Span(MONTH.since_us - 300 * DAY_US, MONTH.until_us)))
    assert {row["period"] for row in rows_of(year, "use")} == {"2026-09"}
    assert total_of(year, "use") == total_of(month, "use") | {"period": "total"}
    assert rows_of(year, "avoidable") == rows_of(month, "avoidable")


def test_one_environment_alone_can_be_asked_for(months: Months) -> None:
    sheet = report(asking(months(), MONTH, environment="staging"))
    assert {row["environment"] for row in rows_of(sheet, "use")} == {"staging"}
    assert total_of(sheet, "use")["cost_nanodollars"] == 72_000_000_000


def test_a_ranking_keeps_its_sums_whole() -> None:
    rows = [a_call_of(f"{cost}.00", developer=f"dev-{cost}") for cost in range(1, 8)]
    sheet = report(asking(a_ledger(rows), top=3))
    shown = rows_of(sheet, "use")
    assert [row["developer"] for row in shown] == ["dev-7", "dev-6", "dev-5", ""]
    assert shown[-1]["period"] == "(others)"
    assert sum(row["cost_nanodollars"] for row in shown) == total_of(sheet, "use")["cost_nanodollars"]  # type: ignore[misc]
    avoidable = rows_of(sheet, "avoidable")
    assert len(avoidable) == 4
    assert (
        sum(row["avoidable_nanodollars"] for row in avoidable)  # type: ignore[misc]
        == total_of(sheet, "avoidable")["avoidable_nanodollars"]
    )
    assert len(sheet.flags) == 6  # five people and the habit of all
    assert "2 more uses" in sheet.notes[-1]


def test_hits_refusals_and_calls_that_cost_nothing_are_no_reason_to_complain() -> None:
    rows = [
        a_call_of("0.00", cached=True, avoided_nanodollars=5, developer="alice"),
        a_call_of("0.00", refused="budget_exceeded", model_served=None, developer="alice"),
        a_call_of("0.00", model="local-model", developer="alice"),
    ]
    sheet = report(asking(a_ledger(rows), WEEK))
    assert [table.name for table in sheet.tables] == ["use"]
    assert total_of(sheet, "use")["calls"] == 2
    assert sheet.flags == ()


def test_one_line_mends_all_premium_models_of_an_environment() -> None:
    """A second line would take the place of the first."""
    rows = [
        a_call_of("5.00", developer="alice"),
        a_call_of("0.50", developer="bob", model="claude-sonnet-4-5", provider="anthropic"),
        a_call_of("0.01", developer="bob", model="gpt-4.1-mini"),
    ]
    alice, bob = report(asking(a_ledger(rows))).flags
    assert alice.fix == bob.fix
    assert "allow: [gpt-4o-mini, claude-haiku-4-5, gpt-4.1-mini], otherwise: downgrade" in alice.fix
    assert "downgrade: {gpt-4o: gpt-4o-mini, claude-sonnet-4-5: claude-haiku-4-5}" in alice.fix
    assert (alice.level, bob.level) == (Level.WARNING, Level.NOTE)  # less than a dollar is a note


def test_an_environment_without_calls_is_told_where_there_are_some() -> None:
    sheet = report(asking(a_ledger([a_call_of("1")]), environment="dev"))
    assert sheet.tables == ()
    assert "No call of dev is on this ledger in that span. There are calls of development:" in sheet.notes[0]


def test_weeks_and_months_are_headed_as_what_they_are() -> None:
    store = a_ledger([a_call_of()])
    weeks = report(asking(store)).table("use")
    months = report(asking(store, Span(WEEK_STARTS_AT_US, WEEK_STARTS_AT_US + 70 * DAY_US))).table("use")
    assert [weeks.columns[0].heading, months.columns[0].heading] == ["Week", "Month"]
