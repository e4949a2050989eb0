"""Runs by environment, and the dearest of them: every store gives the same answer."""

import pytest

from farthing.domain.usage import Usage
from farthing.ledger.store import Store
from farthing.scenarios.moments import DAY_US, HOUR_US, MONTH_STARTS_AT_US
from farthing.scenarios.rows import Row
from farthing.scenarios.writing import write


def spent(store: Store, run: str, *costs: int, environment: str = "production", day: int = 0) -> None:
    """Calls of one run, an hour between them."""
    rows = [
        Row(
            at_us=MONTH_STARTS_AT_US + day * DAY_US + number * HOUR_US, environment=environment, run=run,
            model_asked="gpt-4o", model_served="gpt-4o", usage=Usage(input_tokens=1, output_tokens=1),
            cost_nanodollars=cost,
        )
        for number, cost in enumerate(costs)
    ]  # fmt: skip
    write(rows, store)


@pytest.fixture
def filled(store: Store) -> Store:
    """Three runs of production, two of development; one that began on the next day."""
    spent(store, "a", 5, 5)
    spent(store, "b", 30)
    spent(store, "c", 10)
    spent(store, "a", 7, environment="development")
    spent(store, "late", 100, day=1)
    return store


def test_runs_are_summed_by_environment(filled: Store) -> None:
    found = filled.dear_runs(top=0)

    assert [(row.environment, row.runs, row.calls, row.cost_nanodollars) for row in found.environments] == [
        ("development", 1, 1, 7),
        ("production", 4, 5, 150),
    ]
    assert found.dearest == []


def test_the_dearest_come_first_and_ties_by_name(filled: Store) -> None:
    found = filled.dear_runs(top=4, where={"environment": "production"})

    assert [(row.by["run"], row.cost_nanodollars) for row in found.dearest] == [
        ("late", 100), ("b", 30), ("a", 10), ("c", 10),
    ]  # fmt: skip


def test_a_run_counts_where_it_began(filled: Store) -> None:
    day_us = MONTH_STARTS_AT_US + DAY_US

    assert [row.by["run"] for row in filled.dear_runs(top=9, since_us=day_us).dearest] == ["late"]
    assert filled.dear_runs(top=9, until_us=day_us).environments[1].runs == 3


def test_a_run_that_bought_nothing_is_not_counted(store: Store) -> None:
    write(
        [
            Row(
                at_us=MONTH_STARTS_AT_US, environment="production", run="hit", model_asked="gpt-4o",
                model_served="gpt-4o", cached=True, avoided_nanodollars=5,
            )
        ],
        store,
    )  # fmt: skip

    assert store.dear_runs(top=9).environments == []


def test_runs_are_narrowed_by_environment_alone(store: Store) -> None:
    with pytest.raises(ValueError, match="cannot be told by developer"):
        store.dear_runs(top=1, where={"developer": "alice"})


def test_a_run_that_goes_on_after_it_was_counted_is_counted_anew(store: Store) -> None:
    spent(store, "a", 10)
    spent(store, "b", 20)
    spent(store, "later", 1, day=3)  # closes the hours before it
    closed = store.dear_runs(top=2, until_us=MONTH_STARTS_AT_US + DAY_US)
    assert [(row.by["run"], row.cost_nanodollars) for row in closed.dearest] == [("b", 20), ("a", 10)]

    spent(store, "a", 15, day=4)  # began on the first day, and is open again
    opened = store.dear_runs(top=2, until_us=MONTH_STARTS_AT_US + DAY_US)
    assert [(row.by["run"], row.cost_nanodollars) for row in opened.dearest] == [("a", 25), ("b", 20)]
    assert [(row.runs, row.calls, row.cost_nanodollars) for row in opened.environments] == [(2, 3, 45)]

    spent(store, "last", 2, day=5)
    assert store.dear_runs(top=2, until_us=MONTH_STARTS_AT_US + DAY_US) == opened
    assert store.verify() == []


def test_many_days_of_runs_tell_the_dearest_of_all(store: Store) -> None:
    for day in range(8):
        for number in range(6):
            spent(store, f"run-{day}-{number}", 1 + (day * 7 + number * 11) % 40, day=day)

    found = store.dear_runs(top=5)

    costs = sorted(
        (1 + (day * 7 + number * 11) % 40 for day in range(8) for number in range(6)), reverse=True
    )
    assert [row.cost_nanodollars for row in found.dearest] == costs[:5]
    assert [row.runs for row in found.environments] == [48]
    assert store.verify() == []
