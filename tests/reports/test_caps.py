"""The report caps: how often a cap is hit, which tasks ran away, and what has no cap at all."""

from fractions import Fraction
from typing import Any

import msgspec
import pytest

from farthing.domain.period import Period
from farthing.domain.stop import new_stop
from farthing.domain.usage import Usage
from farthing.ledger.entries import AtShort, Claim, Unit, account_name
from farthing.ledger.memory import MemoryStore
from farthing.ledger.store import Store
from farthing.policy.definition import definition_name, definition_of
from farthing.reports.asking import Question
from farthing.reports.caps import report
from farthing.reports.sheet import Level, Sheet
from farthing.reports.spans import Span
from farthing.scenarios.moments import DAY_US, HOUR_US, MONTH_ENDS_AT_US, MONTH_STARTS_AT_US
from farthing.scenarios.rows import Row
from farthing.scenarios.seeds_limits import g7, g11
from farthing.scenarios.writing import write
from tests.builders import a_budget
from tests.reports.conftest import Months

MONTH = Span(MONTH_STARTS_AT_US, MONTH_ENDS_AT_US)
USAGE = Usage(input_tokens=10, output_tokens=1)


def asked(store: Store, **given: object) -> Sheet:
    """The report over the month."""
    return report(Question(store=store, span=MONTH, now_us=MONTH_ENDS_AT_US, **given))  # type: ignore[arg-type]


def one_call(number: int = 0, environment: str = "production", **given: Any) -> Row:
    """A call, one an hour."""
    row = Row(
        at_us=MONTH_STARTS_AT_US + number * HOUR_US, environment=environment, model_asked="gpt-4o",
        model_served="gpt-4o", usage=USAGE, cost_nanodollars=1_000,
    )  # fmt: skip
    return row._replace(**given)


def refused(
    number: int,
    budget: str,
    *,
    reason: str = "budget_exceeded",
    value: str | None = None,
    window: str = "2026-09",
) -> Row:
    """A call that a budget was too short for."""
    account = Claim(
        account=account_name(budget, value, window),
        unit=Unit.NANODOLLARS,
        limit=0,
        at_short=AtShort.REFUSE,
        budget=budget,
        value=value,
        window=window,
        spent_reason=reason,
    )
    return one_call(
        number, refused=reason, account=account, model_served=None, usage=None, cost_nanodollars=0, status=429
    )


@pytest.mark.parametrize("refusals", [0, 20, 51])
@pytest.mark.parametrize(("at_cap", "flagged"), [(50, False), (51, True)])
def test_g11_51_of_1000_at_the_cap_are_flagged_and_50_are_not(
    at_cap: int, flagged: bool, refusals: int
) -> None:
    store = MemoryStore()
    write(g11(at_cap, refused=min(refusals, at_cap)), store)

    sheet = asked(store)

    (row,) = sheet.table("environments").named_rows()
    assert row["requests"] == 1_000
    assert row["refused_at_cap"] == min(refusals, at_cap)
    assert row["cap_hit_percent"] == Fraction(at_cap, 1_000)
    flag = sheet.flag("cap_hit_too_often")
    assert (flag is not None) is flagged
    if flag is not None:
        assert flag.text.startswith("5.1 % of the requests of production hit a cap (51 of 1,000)")
        assert "Raise the budget, or look at the agent" in flag.text
        assert "farthing report runs --environment production" in flag.fix
        assert flag.level is Level.WARNING


def test_the_budget_that_refused_most_is_named() -> None:
    store = MemoryStore()
    write([refused(number, "prod-day") for number in range(3)], store)
    write([refused(number, "prod-month") for number in range(3, 8)], store)
    write([one_call(number) for number in range(8, 10)], store)

    sheet = asked(store)

    assert [
        (row["budget"], row["refused_at_cap"], row["accounts"]) for row in sheet.table("budgets").named_rows()
    ] == [("prod-month", 5, 1), ("prod-day", 3, 1)]
    flag = sheet.flag("cap_hit_too_often")
    assert flag is not None and "farthing budget show prod-month" in flag.fix
    assert sheet.table("budgets").named_rows()[0]["of_requests_percent"] == Fraction(1, 2)


def test_refusals_that_no_money_is_missing_for_hit_no_cap() -> None:
    store = MemoryStore()
    write(
        [one_call(number, refused="model_not_allowed", model_served=None, usage=None, cost_nanodollars=0)
         for number in range(5)],
        store,
    )  # fmt: skip

    sheet = asked(store)

    assert sheet.table("environments").named_rows()[0]["cap_hit_percent"] == 0
    assert sheet.flag("cap_hit_too_often") is None


def test_g7_a_storm_that_its_limit_ended_is_an_incident() -> None:
    store = MemoryStore()
    write(g7(), store)

    sheet = asked(store)

    (row,) = sheet.table("incidents").named_rows()
    assert (row["month"], row["incidents"], row["refused"]) == ("2026-09", 1, 1)


def test_each_run_counts_once_however_often_it_was_refused() -> None:
    store = MemoryStore()
    rows = [refused(number, "ci-run", window=f"run:{number % 2}") for number in range(6)]
    write(rows, store)

    (row,) = asked(store).table("incidents").named_rows()

    assert (row["budget"], row["incidents"], row["refused"]) == ("ci-run", 2, 6)


@pytest.mark.parametrize(
    ("per", "period", "is_incident"),
    [
        (None, Period.MONTHLY, False),
        ("developer", Period.MONTHLY, False),
        ("branch", Period.DAILY, True),
        (None, Period.RUN, True),
    ],
)
def test_only_tasks_run_away(per: str | None, period: Period, is_incident: bool) -> None:
    store = MemoryStore()
    budget = a_budget("$5", name="limit", per=per, period=period)
    store.remember(definition_name("limit"), msgspec.json.encode(definition_of(budget)).decode())
    write([refused(0, "limit", value="some" if per else None)], store)

    sheet = asked(store)

    assert any(table.name == "incidents" for table in sheet.tables) is is_incident


def test_an_empty_wallet_is_no_incident_but_hits_a_cap() -> None:
    store = MemoryStore()
    write([refused(0, "wallet:team", reason="wallet_empty")], store)

    sheet = asked(store)

    assert [table.name for table in sheet.tables] == ["environments", "budgets"]
    assert sheet.table("environments").named_rows()[0]["refused_at_cap"] == 1


def test_stops_are_incidents_of_their_month() -> None:
    store = MemoryStore()
    write([one_call()], store)
    for at_us in (MONTH_STARTS_AT_US, MONTH_STARTS_AT_US + DAY_US, MONTH_ENDS_AT_US):
        match = {"workflow": "nightly", "environment": "production"}
        store.add_stop(new_stop(match, reason="runs away", by="ana", at_us=at_us))

    (row,) = asked(store).table("incidents").named_rows()

    assert (row["month"], row["environment"], row["budget"], row["incidents"]) == (
        "2026-09", "production", "(stop)", 2,
    )  # fmt: skip
    assert len(asked(store, environment="staging").tables) == 0


def test_production_without_a_limit_on_call_or_run_is_flagged() -> None:
    store = MemoryStore()
    write([one_call(number, call_limit_nanodollars=1_000_000) for number in range(3)], store)
    assert asked(store).flag("uncapped_production") is None

    write([one_call(3), one_call(4, cached=True, usage=None, cost_nanodollars=0)], store)
    sheet = asked(store)

    flag = sheet.flag("uncapped_production")
    assert flag is not None and flag.text.startswith("25.0 % of production's calls (1 of 4)")
    assert "call_limit" in flag.fix
    assert sheet.table("environments").named_rows()[0]["uncapped"] == 1


def test_development_without_a_limit_is_not() -> None:
    store = MemoryStore()
    write([one_call(environment="development")], store)

    sheet = asked(store)

    assert sheet.flags == ()
    assert sheet.table("environments").named_rows()[0]["uncapped_percent"] == 1


def test_the_month_without_caps_hits_none(months: Months) -> None:
    sheet = asked(months())

    assert [row["cap_hit_percent"] for row in sheet.table("environments").named_rows()] == [0, 0, 0]
    flag = sheet.flag("uncapped_production")
    assert flag is not None and "70,000 of 70,000" in flag.text


def test_an_empty_ledger_says_what_to_do() -> None:
    sheet = asked(MemoryStore())

    assert sheet.tables == () and sheet.flags == () and sheet.notes
