"""The report tokens: mean tokens of a call by feature and environment, beside production's."""

from collections.abc import Iterator
from fractions import Fraction

import pytest

from farthing.reports.tokens import report
from farthing.scenarios.moments import WEEK_STARTS_AT_US
from farthing.scenarios.rows import Row
from tests.reports.conftest import Months
from tests.reports.ledgers import MONTH, a_call_of, a_ledger, asking, rows_of


def chatbot(development: int = 400, production: int = 150) -> Iterator[Row]:
    """A chatbot whose answers are longer where it is developed."""
    for environment, output in (("development", development), ("production", production)):
        for number in range(4):
            yield a_call_of(
                environment=environment,
                tokens=(1_000, output),
                labels={"feature": "chatbot"},
                at_us=WEEK_STARTS_AT_US + number,
            )


def test_each_feature_has_its_means_and_their_multiple_of_productions() -> None:
    rows = rows_of(report(asking(a_ledger(chatbot()))), "tokens")
    assert [row["environment"] for row in rows] == ["development", "production"]
    assert rows[0] == {
        "feature": "chatbot",
        "environment": "development",
        "answered": 4,
        "input_tokens_per_call": 1_000,
        "input_times_production": 1,
        "output_tokens_per_call": 400,
        "output_times_production": Fraction(400, 150),
    }
    assert rows[1]["output_times_production"] == 1


@pytest.mark.parametrize(("development", "flagged"), [(300, True), (299, False)])
def test_answers_twice_as_long_as_in_production_are_pointed_at(development: int, flagged: bool) -> None:
    flag = report(asking(a_ledger(chatbot(development)))).flag("longer_answers")
    assert (flag is not None) is flagged
    if flag is not None:
        assert flag.text == (
            "Answers in development are 2.0 times as long as in production for chatbot: "
            "300 tokens against 150."
        )
        assert flag.fix.endswith("environments: {development: {output_bound: 300}}")


def test_the_month_has_the_tokens_it_was_made_of_and_hits_have_none(months: Months) -> None:
    rows = {row["environment"]: row for row in rows_of(report(asking(months(), MONTH)), "tokens")}
    figures = ("answered", "input_tokens_per_call", "output_tokens_per_call")
    assert [rows["development"][name] for name in figures] == [15_000, 1_200, 500]
    assert [rows["staging"][name] for name in figures] == [6_800, 1_000, 400]
    assert [rows["production"][name] for name in figures] == [70_000, 450, 180]


def test_one_environment_alone_is_still_held_against_production() -> None:
    (row,) = rows_of(report(asking(a_ledger(chatbot()), environment="development")), "tokens")
    assert row["output_times_production"] == Fraction(400, 150)


def test_without_production_there_is_nothing_to_hold_against() -> None:
    sheet = report(asking(a_ledger([a_call_of(labels={"feature": "chatbot"})])))
    (row,) = rows_of(sheet, "tokens")
    assert row["output_times_production"] is None
    assert sheet.flags == ()


def test_calls_without_a_feature_are_told_how_to_get_one() -> None:
    sheet = report(asking(a_ledger([a_call_of()])))
    assert rows_of(sheet, "tokens")[0]["feature"] == "(none)"
    assert 'X-Metering-Tags: {"feature": "search"}' in sheet.notes[0]
    assert report(asking(a_ledger(chatbot()))).notes == ()


def test_features_beyond_the_top_are_together() -> None:
    rows = [
        a_call_of(f"{number}.00", labels={"feature": f"feature-{number}"}, tokens=(100 * number, 10))
        for number in range(1, 6)
    ]
    told = rows_of(report(asking(a_ledger(rows), top=2)), "tokens")
    assert [row["feature"] for row in told] == ["feature-5", "feature-4", "(others)"]
    assert told[-1]["answered"] == 3
    assert told[-1]["input_tokens_per_call"] == 200


def test_answers_from_the_cache_alone_have_no_mean() -> None:
    sheet = report(asking(a_ledger([a_call_of("0.00", cached=True, avoided_nanodollars=1)])))
    assert rows_of(sheet, "tokens")[0]["output_tokens_per_call"] is None


def test_an_empty_ledger_says_what_to_do() -> None:
    assert "Send one" in report(asking(a_ledger())).notes[0]
