"""Exact figures as people and as programs read them."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.reports.sheet import Kind, mean_nanodollars, part
from farthing.reports.telling import percent, plain, ratio, rounded, shown


@pytest.mark.parametrize(
    ("dividend", "divisor", "told"),
    [
        (2_025, 3_600, "56.25"),  # two decimals where they tell it exactly
        (15_000, 200_000, "7.5"),
        (27_450, 63_450, "43.3"),
        (1, 3, "33.3"),
        (0, 5, "0.0"),
        (5, 5, "100.0"),
        (-1, 8, "-12.5"),
        (123, 1, "12,300.0"),
    ],
)
def test_a_share_is_told_in_percent(dividend: int, divisor: int, told: str) -> None:
    assert percent(Fraction(dividend, divisor)) == told


@pytest.mark.parametrize(
    ("of", "told"),
    [
        (Fraction(20_250, 36_000), "1:1.78"),
        (Fraction(1, 3), "1:3"),
        (Fraction(1, 5), "1:5"),
        (Fraction(1), "1:1"),
        (Fraction(120_000, 12_285), "9.8:1"),
        (Fraction(1_000_000), "1,000,000:1"),
        (Fraction(0), "0:1"),
    ],
)
def test_a_ratio_has_its_smaller_part_as_one(of: Fraction, told: str) -> None:
    assert ratio(of) == told


def test_every_kind_of_figure_is_told() -> None:
    assert shown(Kind.MONEY, 202_500_000_000) == "$202.50"
    assert shown(Kind.COUNT, 1_234_567) == "1,234,567"
    assert shown(Kind.TIMES, Fraction(15, 2)) == "7.5x"
    assert shown(Kind.NUMBER, Fraction(12_345, 2)) == "6,172.5"
    assert shown(Kind.MOMENT, 1_790_000_000_000_000) == "2026-09-21 14:13"
    assert shown(Kind.DURATION, 5_400_000_000) == "1 h 30 min"
    assert shown(Kind.DURATION, 90_000_000) == "1 min"
    assert shown(Kind.TEXT, "a") == "a"
    assert {kind: shown(kind, None) for kind in Kind} == dict.fromkeys(Kind, "")


@pytest.mark.parametrize(
    ("nanodollars", "told"),
    [
        (2_082_710, "$0.002083"),
        (13_500_000, "$0.0135"),
        (123_456_789_012, "$123.46"),
        (1_234_567_890, "$1.235"),
        (99_996_000, "$0.10"),
        (7, "$0.000000007"),
        (0, "$0.00"),
        (-2_082_710, "-$0.002083"),
    ],
)
def test_a_mean_is_told_with_the_digits_that_count(nanodollars: int, told: str) -> None:
    assert shown(Kind.MEAN, nanodollars) == told
    assert plain(Kind.MEAN, nanodollars) == nanodollars


def test_programs_read_whole_nanodollars_and_numbers() -> None:
    assert plain(Kind.MONEY, 202_500_000_000) == 202_500_000_000
    assert str(plain(Kind.SHARE, Fraction(27_450, 63_450))) == "43.2624"
    assert str(plain(Kind.TIMES, Fraction(1, 3))) == "0.3333"
    assert plain(Kind.RATIO, Fraction(1, 3)) == "1:3"
    assert plain(Kind.MOMENT, 0) == "1970-01-01T00:00:00.000000Z"
    assert {kind: plain(kind, None) for kind in Kind} == dict.fromkeys(Kind)


@given(st.fractions(), st.integers(0, 6))
def test_rounding_is_off_by_half_a_place_at_most(value: Fraction, places: int) -> None:
    off = abs(Fraction(rounded(value, places)) - value)
    assert off * 2 * 10**places <= 1


def test_nothing_is_divided_by_nothing() -> None:
    assert part(1, 0) is None
    assert mean_nanodollars(5, 0) is None
    assert mean_nanodollars(5, 2) == 3


def test_long_figures_keep_every_digit() -> None:
    assert str(rounded(Fraction(10**30 + 1), 3)) == f"{10**30 + 1}.000"
    assert str(rounded(Fraction(-1, 2), 0)) == "-1"
