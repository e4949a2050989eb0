"""The scenario sets come out at the nanodollar, as their table says, when a ledger has booked them."""

from collections import Counter
from fractions import Fraction

import pytest

from farthing.ledger.memory import MemoryStore
from farthing.ledger.store import Store
from farthing.scenarios.moments import DAY_US, MONTH_STARTS_AT_US, day
from farthing.scenarios.seeds import SETS
from farthing.scenarios.seeds_environments import RATIOS, SHIPPED_AT_US, g1, g4, g5, g6, g9
from farthing.scenarios.seeds_limits import g7, g11, g13, g14
from farthing.scenarios.seeds_models import g8, g10
from farthing.scenarios.seeds_people import (
    CHANGED_AT_US,
    DEVELOPER_LIMIT_NANODOLLARS,
    developer_account,
    g2,
    g3,
    g12,
    g12_change,
)
from farthing.scenarios.writing import write
from tests.scenarios.conftest import Written

DOLLAR = 1_000_000_000
CENT = 10_000_000


def cost_by(
    store: Store, *by: str, since_us: int | None = None, until_us: int | None = None
) -> dict[tuple[str | None, ...], int]:
    """What each slice cost."""
    rows = store.spend(by=by, since_us=since_us, until_us=until_us)
    return {tuple(row.by[name] for name in by): row.cost_nanodollars for row in rows}


@pytest.mark.parametrize("name", SETS)
def test_a_set_is_the_same_every_time_and_in_order_of_time(name: str) -> None:
    one, other = list(SETS[name]()), list(SETS[name]())
    assert one == other
    assert [row.at_us for row in one] == sorted(row.at_us for row in one)


def test_g1_a_month_of_three_environments(written: Written) -> None:
    rows = {row.by["environment"]: row for row in written("G1", g1).spend(by=["environment"])}
    assert {
        name: (row.calls, row.cost_nanodollars, Fraction(row.cached, row.calls)) for name, row in rows.items()
    } == {
        "development": (15_000, 202 * DOLLAR + 50 * CENT, 0),
        "staging": (8_000, 72 * DOLLAR, Fraction(15, 100)),
        "production": (200_000, 360 * DOLLAR, Fraction(65, 100)),
    }


@pytest.mark.parametrize(
    ("profile", "development", "staging", "production"),
    [
        ("launch", 202 * DOLLAR + 50 * CENT, 74 * DOLLAR + 80 * CENT, 346 * DOLLAR + 50 * CENT),
        ("live", 120 * DOLLAR, 44 * DOLLAR + 20 * CENT, 12_285_000_000),
    ],
)
def test_g1_the_same_month_at_other_prices(
    profile: str, development: int, staging: int, production: int
) -> None:
    costs = Counter[str]()
    for row in g1(profile):
        costs[row.environment] += row.cost_nanodollars
    assert costs == {"development": development, "staging": staging, "production": production}


def test_g2_a_developer_uses_up_a_budget_to_the_last_call(written: Written) -> None:
    store = written("G2", g2)
    balance = store.balance(developer_account("alice").account)
    assert balance is not None
    assert (balance.settled, balance.remaining) == (DEVELOPER_LIMIT_NANODOLLARS, 0)
    assert store.spend(by=[], where={"developer": "alice"})[0].calls == 18_750
    assert [entry.at_us for entry in store.entries(outcome="refused")] == [max(row.at_us for row in g2())]


def test_g3_a_week_of_five_engineers(written: Written) -> None:
    costs = cost_by(written("G3", g3), "developer")
    assert costs.pop(("engineer-b",)) == 19_152_000_000
    assert set(costs.values()) == {300 * 480_000}
    assert len(costs) == 4


def test_g4_seven_months_of_development_beside_production(written: Written) -> None:
    store = written("G4", g4)
    found = []
    for month in range(3, 10):
        costs = cost_by(store, "environment", since_us=day(2026, month), until_us=day(2026, month + 1))
        found.append(Fraction(costs[("development",)], costs[("production",)]))
    assert found == [Fraction(ratio, 10_000) for ratio in RATIOS]


def test_g5_development_costs_twice_as_much_for_24_days(written: Written) -> None:
    store = written("G5", g5)
    daily = [
        store.spend(
            by=["environment"],
            since_us=SHIPPED_AT_US + number * DAY_US,
            until_us=SHIPPED_AT_US + (number + 1) * DAY_US,
            where={"environment": "development"},
        )[0].cost_nanodollars
        for number in (-56, -1, 0, 23, 24, 29)
    ]
    assert daily == [10 * DOLLAR, 10 * DOLLAR, 20 * DOLLAR, 20 * DOLLAR, 10 * DOLLAR, 10 * DOLLAR]


def test_g6_development_and_staging_cost_half_as_much_again_as_production(written: Written) -> None:
    costs = cost_by(written("G6", g6), "environment")
    assert costs[("production",)] == 3_000 * DOLLAR
    assert costs[("development",)] + costs[("staging",)] == 4_500 * DOLLAR


def test_g7_a_storm_and_what_stops_it(written: Written) -> None:
    store = written("G7", g7)
    runs = {row.by["run"]: row for row in store.spend(by=["run"])}
    assert {name: (row.calls, row.refused, row.cost_nanodollars) for name, row in runs.items()} == {
        "storm": (50, 0, 750 * CENT),
        "four-attempts": (4, 0, 60 * CENT),
        "one-dollar": (3, 1, 90 * CENT),
    }


@pytest.mark.parametrize(
    ("flat", "short", "long"), [(True, CENT, 444_000_000), (False, 1_250_000, 55_500_000)]
)
def test_g8_a_long_context_costs_44_times_what_a_short_one_does(flat: bool, short: int, long: int) -> None:
    cheap, dear = g8(flat=flat)
    assert (cheap.cost_nanodollars, dear.cost_nanodollars) == (short, long)
    assert Fraction(dear.cost_nanodollars, cheap.cost_nanodollars) == Fraction("44.4")


def test_g9_a_day_of_each_stage_of_growth(written: Written) -> None:
    costs = cost_by(written("G9", g9), "label:stage")
    assert {stage: 30 * cost for (stage,), cost in costs.items()} == {
        "pre-launch": 30 * DOLLAR,
        "beta": 3_750 * DOLLAR,
        "launch": 60_000 * DOLLAR,
        "growth": 525_000 * DOLLAR,
    }


def test_g10_most_requests_go_to_the_cheapest_model(written: Written) -> None:
    store = written("G10", g10)
    rows = {row.by["label:tier"]: row for row in store.spend(by=["label:tier"])}
    assert {name: row.calls for name, row in rows.items()} == {
        "simple": 9_000,
        "complex": 900,
        "critical": 100,
    }
    cost = sum(row.cost_nanodollars for row in rows.values())
    all_on_one = 10_000 * rows["complex"].cost_nanodollars // 900
    assert 1 - Fraction(cost, all_on_one) == Fraction("0.736")


@pytest.mark.parametrize("at_cap", [50, 51])
@pytest.mark.parametrize("refused", [0, 11])
def test_g11_so_many_of_a_thousand_requests_are_at_the_cap(at_cap: int, refused: int) -> None:
    rows = list(g11(at_cap, refused=refused))
    assert len(rows) == 1_000
    assert sum(row.clamped_to is not None for row in rows) == at_cap - refused
    assert sum(row.refused is not None for row in rows) == refused
    assert rows[0].at_us >= MONTH_STARTS_AT_US


@pytest.mark.parametrize(("vector", "dollars"), [("low", 3_990), ("high", 16_800)])
def test_g12_five_developers_for_21_days(vector: str, dollars: int) -> None:
    rows = list(g12(vector))
    assert sum(row.cost_nanodollars for row in rows) == dollars * DOLLAR
    assert len({row.at_us // DAY_US for row in rows}) == 21


@pytest.mark.parametrize(
    ("vector", "savings"),
    [("low", ("86.8", "73.3", "87.5", "85.0")), ("high", ("90.6", "83.3", "91.4", "88.2"))],
)
def test_g12_what_rules_save(vector: str, savings: tuple[str, ...]) -> None:
    store = MemoryStore()
    write(g12_change(vector), store)
    before = cost_by(store, "environment", until_us=CHANGED_AT_US)
    after = cost_by(store, "environment", since_us=CHANGED_AT_US)
    saved = [
        1 - Fraction(after[(name,)], before[(name,)]) for name in ("development", "staging", "ci", "team")
    ]
    assert [f"{float(100 * share):.1f}" for share in saved] == list(savings)


def test_g13_ten_writers_spend_a_limit_to_the_last_cent(written: Written) -> None:
    store = written("G13", g13)
    (balance,) = store.balances(budget="organization")
    assert (balance.settled, balance.remaining) == (500 * DOLLAR, 0)
    rows = store.spend(by=["key"])
    assert len(rows) == 10
    assert sum(row.refused for row in rows) == 1


def test_g14_four_answers_of_five_come_from_the_cache(written: Written) -> None:
    (row,) = written("G14", g14).spend(by=[])
    assert (row.calls, row.cached) == (1_000, 800)
    assert row.cost_nanodollars == 200 * 8_000_000
    assert row.avoided_nanodollars == 800 * 8_000_000
