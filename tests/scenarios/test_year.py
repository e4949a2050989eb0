"""A year of traffic: as many calls as asked for, in order of time, the same every time."""

from collections import Counter
from pathlib import Path

import pytest

from farthing.ledger.memory import MemoryStore
from farthing.ledger.sqlite import SqliteStore
from farthing.scenarios.moments import DAY_US, HOUR_US, day
from farthing.scenarios.rows import Row
from farthing.scenarios.writing import write
from farthing.scenarios.year import Year

ENDS_AT_US = day(2026, 11, 22)


@pytest.fixture(scope="module")
def year() -> Year:
    return Year(20_000, ends_at_us=ENDS_AT_US)


@pytest.fixture(scope="module")
def rows(year: Year) -> list[Row]:
    return list(year.rows())


@pytest.mark.parametrize("entries", [0, 1, 999, 20_000])
def test_there_are_as_many_calls_as_asked_for(entries: int) -> None:
    assert len(list(Year(entries, ends_at_us=ENDS_AT_US).rows())) == entries


def test_they_come_in_order_of_time_over_twelve_months(rows: list[Row]) -> None:
    moments = [row.at_us for row in rows]
    assert moments == sorted(moments)
    assert ENDS_AT_US - 366 * DAY_US < moments[0] < ENDS_AT_US - 364 * DAY_US
    assert ENDS_AT_US - DAY_US < moments[-1] < ENDS_AT_US


def test_a_year_is_the_same_every_time_and_another_with_another_seed(year: Year, rows: list[Row]) -> None:
    outcomes = list(year.outcomes)
    assert list(year.rows()) == rows
    assert year.outcomes == outcomes
    assert list(Year(20_000, ends_at_us=ENDS_AT_US, seed=2).rows()) != rows


def test_environments_people_models_and_users_are_those_of_a_company(rows: list[Row]) -> None:
    assert {row.environment for row in rows} == {"development", "staging", "ci", "production"}
    assert len({row.developer for row in rows} - {None}) == 12
    assert {row.provider for row in rows} == {"openai", "anthropic", "google"}
    assert {row.labels.get("tier") for row in rows} == {None, "free", "pro", "enterprise"}
    assert len({row.labels.get("user_id") for row in rows}) > 500
    assert all(row.developer for row in rows if row.environment == "development")


def test_everything_happens_that_a_report_asks_for(year: Year, rows: list[Row]) -> None:
    happened = Counter(
        name
        for row in rows
        for name, is_so in {
            "cached": row.cached,
            "refused at a cap": row.refused == "budget_exceeded" and row.account is not None,
            "refused by a rule": row.refused is not None and row.account is None,
            "clamped": row.clamped_to is not None,
            "uncapped": row.call_limit_nanodollars is None and row.account is None,
            "downgraded": row.model_served not in (None, row.model_asked),
            "assumed": row.assumed_rule is not None,
            "released": "deployment" in row.labels,
            "on a branch": "branch" in row.labels,
        }.items()
        if is_so
    )
    assert len(happened) == 9, happened
    hashes = Counter(row.prompt_hash for row in rows if row.prompt_hash)
    assert hashes.most_common(1)[0][1] >= 3
    assert {outcome.name for outcome in year.outcomes} == {"conversion", "better"}


def test_there_is_more_at_the_end_of_the_year_and_less_at_night(rows: list[Row]) -> None:
    quarter = (ENDS_AT_US - rows[0].at_us) // 4
    first, last = (
        sum(start <= row.at_us - rows[0].at_us < start + quarter for row in rows)
        for start in (0, 3 * quarter)
    )
    assert last > 1.4 * first
    by_hour = Counter(row.at_us // HOUR_US % 24 for row in rows)
    assert by_hour[12] > 2 * by_hour[3]


def test_a_run_stops_at_its_limit(rows: list[Row]) -> None:
    store = MemoryStore()
    write(rows, store)
    balances = store.balances(budget="ci-run")
    assert balances
    assert all(balance.settled <= balance.limit for balance in balances)


def test_a_ledger_in_a_file_agrees_with_what_was_generated(tmp_path: Path, rows: list[Row]) -> None:
    store = SqliteStore(tmp_path / "ledger.db")
    some = rows[:4_000]
    write(some, store)
    assert store.verify() == []
    (total,) = store.spend(by=[])
    assert total.cost_nanodollars == sum(row.cost_nanodollars for row in some)
    assert total.avoided_nanodollars == sum(row.avoided_nanodollars for row in some)
    assert (total.calls, total.refused) == (
        sum(row.refused is None for row in some),
        sum(row.refused is not None for row in some),
    )
    store.close()
