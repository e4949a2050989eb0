"""The report teams: spend and iterations of each group of keys, cheap models, kept answers, limits."""

from collections.abc import Iterator
from fractions import Fraction

import msgspec
import pytest

from farthing.ledger.entries import AtShort, Claim, Unit, account_name
from farthing.reports.teams import report
from farthing.scenarios.moments import DAY_US, WEEK_STARTS_AT_US
from farthing.scenarios.rows import Row
from tests.reports.ledgers import DOLLAR, a_call_of, a_ledger, asking, rows_of, total_of

TRIAL = Claim(
    account=account_name("trial", None, "2026-09"),
    unit=Unit.NANODOLLARS,
    limit=DOLLAR,
    at_short=AtShort.REFUSE,
    budget="trial",
    window="2026-09",
)


def refused_on(days: int, group: str | None = "search", *, times: int = 2) -> Iterator[Row]:
    """So many refusals on each of so many days, because the trial budget is used up."""
    for number in range(days):
        for time in range(times):
            yield a_call_of(
                "0.00",
                at_us=WEEK_STARTS_AT_US + number * DAY_US + time,
                group=group,
                refused="budget_exceeded",
                model_served=None,
                status=429,
                account=TRIAL,
            )


def test_each_team_has_its_iterations_cheap_calls_and_kept_answers() -> None:
    rows = [
        a_call_of("0.01", group="search", model="gpt-4o"),
        a_call_of("0.01", group="search", model="gpt-4o-mini"),
        a_call_of("0.01", group="search", model="gpt-4o-mini", environment="production"),
        a_call_of("0.00", group="search", model="gpt-4o-mini", cached=True, avoided_nanodollars=7),
        a_call_of("0.05", group="agents", model="gpt-4o"),
        *refused_on(1),
    ]
    agents, search = rows_of(report(asking(a_ledger(rows))), "teams")
    assert agents["team"] == "agents"
    assert search == {
        "team": "search",
        "calls": 4,
        "iterations": 3,
        "cost_nanodollars": 30_000_000,
        "cost_percent": Fraction(3, 8),
        "low_cost_percent": Fraction(3, 4),
        "cached": 1,
        "avoided_nanodollars": 7,
        "refused_at_limit": 2,
    }
    assert agents["low_cost_percent"] == 0


def test_the_limits_that_a_team_met_are_told() -> None:
    rows = [*refused_on(2), *refused_on(1, "agents"), a_call_of(group="search")]
    sheet = report(asking(a_ledger(rows)))
    assert rows_of(sheet, "limit_hits") == [
        {"team": "search", "budget": "trial", "reason": "budget_exceeded", "calls": 4, "days": 2},
        {"team": "agents", "budget": "trial", "reason": "budget_exceeded", "calls": 2, "days": 1},
    ]
    assert total_of(sheet, "limit_hits")["calls"] == 6


@pytest.mark.parametrize(("days", "flagged"), [(3, True), (2, False)])
def test_a_limit_met_on_three_days_is_met_repeatedly(days: int, flagged: bool) -> None:
    flag = report(asking(a_ledger(refused_on(days)))).flag("team_at_its_limit")
    assert (flag is not None) is flagged
    if flag is not None:
        assert flag.text == "search was refused 6 times at trial on 3 days."
        assert "farthing budget raise trial 50" in flag.fix


def test_each_kind_of_limit_has_its_own_way_on() -> None:
    rates = [row._replace(refused="rate_limited", account=None) for row in refused_on(3)]
    flag = report(asking(a_ledger(rates))).flag("team_at_its_limit")
    assert flag is not None
    assert "at a limit on its rate on 3 days" in flag.text
    assert "rate_limit" in flag.fix
    wallet = msgspec.structs.replace(TRIAL, budget="wallet:team_search", spent_reason="wallet_empty")
    flag = report(asking(a_ledger(row._replace(account=wallet) for row in refused_on(3)))).flags[0]
    assert flag.fix.endswith('farthing wallet credit team_search 50 --reason "..."')


def test_without_groups_there_is_one_row_and_the_way_to_have_more() -> None:
    sheet = report(asking(a_ledger([a_call_of(), *refused_on(3, None)])))
    assert [row["team"] for row in rows_of(sheet, "teams")] == ["(none)"]
    assert "consumer_groups" in sheet.notes[-1]
    assert sheet.flags[0].text.startswith("Calls without a group were refused 6 times")


def test_one_environment_alone_can_be_asked_for() -> None:
    store = a_ledger([a_call_of(group="a"), a_call_of(group="b", environment="production")])
    sheet = report(asking(store, environment="production"))
    assert [(row["team"], row["iterations"]) for row in rows_of(sheet, "teams")] == [("b", 0)]


def test_the_others_are_one_row() -> None:
    rows = [a_call_of(f"{number}.00", group=f"team-{number}") for number in range(1, 7)]
    sheet = report(asking(a_ledger(rows), top=2))
    told = rows_of(sheet, "teams")
    assert [row["team"] for row in told] == ["team-6", "team-5", "(others)"]
    assert sum(row["cost_nanodollars"] for row in told) == 21 * DOLLAR  # type: ignore[misc]
    assert total_of(sheet, "teams")["cost_nanodollars"] == 21 * DOLLAR


def test_an_empty_ledger_says_what_to_do() -> None:
    assert "Send one" in report(asking(a_ledger())).notes[0]
