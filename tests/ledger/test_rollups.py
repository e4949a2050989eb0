"""The buckets of the cost histogram: exact, in order, and narrow."""

from hypothesis import given
from hypothesis import strategies as st

from farthing.domain.money import NANODOLLARS_MAX
from farthing.ledger.cost_buckets import bucket_bounds, cost_bucket
from farthing.ledger.rollups import Measures

costs = st.integers(0, NANODOLLARS_MAX)


@given(costs)
def test_a_cost_lies_within_the_bounds_of_its_bucket(cost: int) -> None:
    least, greatest = bucket_bounds(cost_bucket(cost))

    assert least <= cost <= greatest


@given(st.integers(0, 3_000))
def test_buckets_follow_each_other_without_a_gap(bucket: int) -> None:
    least, greatest = bucket_bounds(bucket)

    assert cost_bucket(least) == cost_bucket(greatest) == bucket
    assert bucket_bounds(bucket + 1)[0] == greatest + 1


@given(costs)
def test_the_middle_of_a_bucket_is_within_one_percent_of_every_cost_in_it(cost: int) -> None:
    least, greatest = bucket_bounds(cost_bucket(cost))

    assert (greatest - least) * 64 <= max(least, 1)
    assert abs((least + greatest) - 2 * cost) * 100 <= 2 * cost


def test_a_negative_cost_counts_as_nothing() -> None:
    assert cost_bucket(-5) == 0


def test_measures_add_and_subtract_figure_by_figure() -> None:
    some, more = Measures(calls=1, cost=5), Measures(calls=2, cost=3, reasoning=4)

    assert some.plus(more) == Measures(calls=3, cost=8, reasoning=4)
    assert some.plus(more).minus(more) == some
