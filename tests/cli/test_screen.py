"""Bars, shares and ages."""

import pytest

from farthing.cli import screen


@pytest.mark.parametrize(
    ("parts", "whole", "expected"),
    [
        ((0, 0), 100, "░░░░░░░░░░"),
        ((50, 25), 100, "█████▒▒░░░"),
        ((1, 0), 1_000_000, "█░░░░░░░░░"),  # never nothing for something
        ((300, 300), 100, "██████████"),  # never more than the bar
        ((5, 0), 0, "██████████"),  # anything of nothing is all of it
    ],
)
def test_a_bar_shows_shares_of_a_whole(parts: tuple[int, int], whole: int, expected: str) -> None:
    spent, held = parts

    assert screen.bar([(spent, "green"), (held, "green")], whole, width=10).plain == expected


@pytest.mark.parametrize(
    ("part", "whole", "expected"),
    [(1, 3, "33.3 %"), (2, 3, "66.7 %"), (1, 1, "100.0 %"), (1, 2_000, "0.1 %"), (1, 0, "")],
)
def test_a_share_is_rounded_to_a_tenth(part: int, whole: int, expected: str) -> None:
    assert screen.share(part, whole) == expected


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [
        (-5, "0 s"),
        (59_999, "59 s"),
        (60_000, "1 min"),
        (125_000, "2 min 5 s"),
        (11_520_000, "3 h 12 min"),
        (183_600_000, "2 d 3 h"),
    ],
)
def test_an_age_is_told_in_its_two_largest_units(milliseconds: int, expected: str) -> None:
    assert screen.age(milliseconds) == expected
