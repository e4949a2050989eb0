"""farthing spend: slices that add up."""

import time

import pytest

from farthing.cli.door import CommandError
from farthing.cli.spend import moment
from farthing.domain.period import iso_utc
from tests.cli.conftest import Calls, CommandLine, complaint, told

DAY_US = 86_400_000_000
NOON_US = 1_790_000_000_000_000  # 2026-09-21T13:33:20Z


def test_slices_are_dearest_first_and_add_up(farthing: CommandLine, calls: Calls) -> None:
    calls.spent(100, environment="development")
    calls.spent(700, environment="production")
    calls.spent(200, environment="production", model="gpt-4o")

    answer = told(farthing("spend", "--by", "environment", "--by", "model", "--json"))

    assert [(row["environment"], row["model"], row["cost_nanodollars"]) for row in answer["spend"]] == [
        ("production", "gpt-4o-mini", 700),
        ("production", "gpt-4o", 200),
        ("development", "gpt-4o-mini", 100),
    ]
    assert answer["total"]["cost_nanodollars"] == 1_000
    assert answer["total"]["calls"] == 3
    assert answer["total"]["input_tokens"] == 300


def test_the_table_tells_shares_and_the_total(farthing: CommandLine, calls: Calls) -> None:
    calls.spent(250_000_000, environment="development")
    calls.spent(750_000_000, environment="production")

    lines = farthing("spend").stdout.splitlines()

    assert any("production" in line and "$0.75" in line and "75.0 %" in line for line in lines)
    assert any("total" in line and "$1.00" in line and "100.0 %" in line for line in lines)


@pytest.mark.parametrize(("staging", "is_told"), [(201, True), (200, False)])
def test_staging_that_is_dearer_a_call_than_production_is_flagged(
    farthing: CommandLine, calls: Calls, staging: int, is_told: bool
) -> None:
    calls.spent(staging * 1_000_000, environment="staging")
    for _ in range(2):
        calls.spent(200_000_000, environment="production")

    answer = told(farthing("spend", "--json"))

    flag = "staging costs $0.201 a call and production $0.20, at fewer calls"
    assert answer["flags"] == ([flag] if is_told else [])


def test_calls_without_the_label_are_a_slice_of_their_own(farthing: CommandLine, calls: Calls) -> None:
    calls.spent(100, labels={"feature": "search"})
    calls.spent(40)

    answer = told(farthing("spend", "--by", "label:feature", "--json"))

    assert [(row["label:feature"], row["cost_nanodollars"]) for row in answer["spend"]] == [
        ("search", 100),
        (None, 40),
    ]
    assert answer["total"]["cost_nanodollars"] == 140
    assert "(none)" in farthing("spend", "--by", "label:feature").stdout


def test_only_calls_since_then_are_counted(farthing: CommandLine, calls: Calls) -> None:
    now_us = time.time_ns() // 1_000
    calls.spent(100, at_us=now_us - 40 * DAY_US)
    calls.spent(30, at_us=now_us)

    assert told(farthing("spend", "--since", "30d", "--json"))["total"]["cost_nanodollars"] == 30
    assert told(farthing("spend", "--until", "30d", "--json"))["total"]["cost_nanodollars"] == 100
    assert told(farthing("spend", "--json"))["total"]["cost_nanodollars"] == 130


def test_hours_stand_in_the_order_of_time(farthing: CommandLine, calls: Calls) -> None:
    calls.spent(1, at_us=NOON_US)
    calls.spent(900, at_us=NOON_US + DAY_US)
    calls.spent(2, at_us=NOON_US + 2 * DAY_US)

    rows = told(farthing("spend", "--by", "hour", "--json"))["spend"]

    assert [row["cost_nanodollars"] for row in rows] == [1, 900, 2]


def test_an_unknown_slice_names_those_there_are(farthing: CommandLine, calls: Calls) -> None:
    calls.spent(1)

    unknown = farthing("spend", "--by", "colour", "--json")
    together = farthing("spend", "--by", "label:feature", "--by", "model", "--json")

    assert unknown.exit_code == 2
    assert "label:NAME" in str(complaint(unknown)["message"])
    assert together.exit_code == 2
    assert "together go" in str(complaint(together)["message"])


def test_an_empty_ledger_has_nothing_to_show(farthing: CommandLine, company: object) -> None:
    result = farthing("spend")

    assert result.exit_code == 0
    assert "Nothing was spent" in result.stdout


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2h", NOON_US - 7_200_000_000),
        ("45min", NOON_US - 2_700_000_000),
        ("1w", NOON_US - 7 * DAY_US),
        ("2026-07-01", "2026-06-30T23:00:00.000000Z"),  # midnight in London, in summer
        ("2026-11-01", "2026-11-01T00:00:00.000000Z"),
        ("2026-11-01T12:00+02:00", "2026-11-01T10:00:00.000000Z"),
    ],
)
def test_a_moment_is_read_as_people_write_it(text: str, expected: int | str) -> None:
    found = moment(text, NOON_US, "Europe/London")

    assert (found if isinstance(expected, int) else iso_utc(found)) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "30 parsecs", "2026-13-01", "-3d"])
def test_what_is_no_moment_is_told(text: str) -> None:
    with pytest.raises(CommandError, match="is not a moment"):
        moment(text, NOON_US, "UTC")
