"""The report percentiles: cost per call by environment and feature, exact or nearly so, and it says which."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farthing.domain.usage import Usage
from farthing.ledger.cost_buckets import bucket_bounds, cost_bucket
from farthing.ledger.memory import MemoryStore
from farthing.ledger.report_store import EXACT_MAX, CostCount
from farthing.ledger.store import Store
from farthing.reports.asking import Question
from farthing.reports.percentiles import report
from farthing.reports.quantiles import PERCENTS, percentile, percentiles
from farthing.reports.sheet import Sheet
from farthing.reports.spans import Span
from farthing.scenarios.moments import MONTH_ENDS_AT_US, MONTH_STARTS_AT_US, evenly
from farthing.scenarios.rows import Row
from farthing.scenarios.seeds_limits import g14
from farthing.scenarios.writing import write
from tests.reports.conftest import Months

MONTH = Span(MONTH_STARTS_AT_US, MONTH_ENDS_AT_US)
USAGE = Usage(input_tokens=10, output_tokens=1)


def asked(store: Store, **given: object) -> Sheet:
    """The report over the month."""
    return report(Question(store=store, span=MONTH, now_us=MONTH_ENDS_AT_US, **given))  # type: ignore[arg-type]


def calls(costs: list[int], environment: str = "production", feature: str | None = "search") -> list[Row]:
    """One call for each cost."""
    moments = evenly(len(costs), MONTH_STARTS_AT_US, MONTH_ENDS_AT_US)
    return [
        Row(
            at_us=at_us, environment=environment, model_asked="gpt-4o", model_served="gpt-4o", usage=USAGE,
            cost_nanodollars=cost, labels={"feature": feature} if feature else {},
        )
        for at_us, cost in zip(moments, costs, strict=True)
    ]  # fmt: skip


def nearest_rank(costs: list[int], percent: int) -> int:
    """The definition: the smallest cost that at least so many percent do not exceed."""
    return next(
        cost
        for cost in sorted(costs)
        if Fraction(sum(one <= cost for one in costs), len(costs)) >= Fraction(percent, 100)
    )


_COSTS = st.lists(st.integers(0, 10**13), min_size=1, max_size=60)


@given(_COSTS, st.sampled_from([1, 50, 95, 99, 100]))
def test_few_costs_have_exact_percentiles(costs: list[int], percent: int) -> None:
    counts = [
        CostCount(by={}, least_nanodollars=cost, most_nanodollars=cost, count=costs.count(cost))
        for cost in sorted({*costs})
    ]

    assert percentile(counts, percent) == nearest_rank(costs, percent)


@given(_COSTS, st.sampled_from([1, 50, 95, 99, 100]))
def test_buckets_are_within_one_percent(costs: list[int], percent: int) -> None:
    buckets = sorted({cost_bucket(cost) for cost in costs})
    counts = [
        CostCount(
            by={},
            least_nanodollars=bucket_bounds(bucket)[0],
            most_nanodollars=bucket_bounds(bucket)[1],
            count=sum(cost_bucket(cost) == bucket for cost in costs),
        )
        for bucket in buckets
    ]

    told, true = percentile(counts, percent), nearest_rank(costs, percent)

    assert told is not None
    assert abs(told - true) * 100 <= true


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=40))
def test_the_report_tells_the_percentiles_of_what_was_booked(costs: list[int]) -> None:
    store = MemoryStore()
    write(calls(costs), store)

    (row,) = asked(store).table("environments").named_rows()

    assert [row[f"p{percent}_nanodollars"] for percent in PERCENTS] == [
        nearest_rank(costs, percent) for percent in PERCENTS
    ]


def test_many_calls_are_told_from_the_histogram_and_it_says_so() -> None:
    store = MemoryStore()
    costs = [1_000_000 + 37 * number for number in range(EXACT_MAX)]
    write(calls(costs), store)
    assert "exact: nearest rank over 10,000 calls" in asked(store).notes[0]

    write(calls([5_000_000_000]), store)
    sheet = asked(store)

    assert "within 1 %" in sheet.notes[0] and "10,001 calls" in sheet.notes[0]
    (row,) = sheet.table("environments").named_rows()
    for percent in PERCENTS:
        told, true = row[f"p{percent}_nanodollars"], nearest_rank([*costs, 5_000_000_000], percent)
        assert isinstance(told, int)
        assert abs(told - true) * 100 <= true


def test_each_environment_and_feature_has_its_own() -> None:
    store = MemoryStore()
    write(calls([1] * 90 + [50] * 10, feature="search"), store)
    write(calls([7] * 3, feature=None), store)
    write(calls([1_000], "development", "agents"), store)

    sheet = asked(store)

    assert [
        (row["environment"], row["feature"], row["calls"], row["p50_nanodollars"], row["p95_nanodollars"])
        for row in sheet.table("features").named_rows()
    ] == [
        ("development", "agents", 1, 1_000, 1_000),
        ("production", "search", 100, 1, 50),
        ("production", "(none)", 3, 7, 7),
    ]
    assert [row["environment"] for row in sheet.table("environments").named_rows()] == [
        "development",
        "production",
    ]
    (only,) = asked(store, environment="development").table("environments").rows
    assert only[:2] == ("development", 1)


def test_the_rest_of_many_features_is_one_row_with_percentiles_of_its_own() -> None:
    store = MemoryStore()
    for number in range(6):
        write(calls([number] * (10 - number), feature=f"f{number}"), store)

    *_, others = asked(store, top=2).table("features").named_rows()

    assert (others["feature"], others["calls"], others["p50_nanodollars"]) == ("(others)", 8 + 7 + 6 + 5, 3)


def test_the_month_of_three_environments_has_the_percentiles_of_its_table(months: Months) -> None:
    store = months()

    told = {str(row["environment"]): row for row in asked(store).table("environments").named_rows()}

    exact = {"development": 13_500_000, "staging": 10_588_000, "production": 5_143_000}
    for environment, cost in exact.items():
        half = told[environment]["p50_nanodollars"]
        assert isinstance(half, int)
        assert abs(half - cost) * 100 <= cost
    assert {name: row["calls"] for name, row in told.items()} == {
        "development": 15_000, "staging": 6_800, "production": 70_000,
    }  # fmt: skip


def test_answers_from_the_cache_are_no_paid_calls() -> None:
    store = MemoryStore()
    write(g14(), store)

    (row,) = asked(store).table("environments").named_rows()

    assert (row["calls"], row["p50_nanodollars"]) == (200, 8_000_000)


def test_calls_that_cost_nothing_have_no_ratio() -> None:
    store = MemoryStore()
    write(calls([0, 0, 0]), store)

    (row,) = asked(store).table("environments").named_rows()

    assert (row["p99_nanodollars"], row["p99_times_p50"]) == (0, None)


@pytest.mark.parametrize("feature", [None, "search"])
def test_without_features_it_says_how_to_send_one(feature: str | None) -> None:
    store = MemoryStore()
    write(calls([1], feature=feature), store)

    assert any("X-Metering-Tags" in note for note in asked(store).notes) is (feature is None)


def test_an_empty_ledger_says_what_to_do() -> None:
    sheet = asked(MemoryStore())

    assert sheet.tables == () and "farthing" in sheet.notes[0]
    assert percentiles([]) == (None, None, None)
