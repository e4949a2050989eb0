"""farthing price: list, show, set."""

from pathlib import Path

import pytest

from farthing.cli.price_file import with_price
from tests.cli.conftest import POLICY, CommandLine, complaint, told


def test_prices_of_a_provider_are_listed_in_dollars_per_million(farthing: CommandLine) -> None:
    rows = told(farthing("price", "list", "--provider", "openai", "--match", "gpt-4o-mini", "--json"))[
        "prices"
    ]

    mini = next(row for row in rows if row["model"] == "gpt-4o-mini")
    assert (mini["input"], mini["output"], mini["cache_read"]) == ("0.15", "0.60", "0.075")


def test_a_price_is_shown_with_tiers_limits_and_source(farthing: CommandLine) -> None:
    price = told(farthing("price", "show", "gpt-4o", "--json"))["prices"][0]

    assert price["cards"][0]["dollars_per_million"]["output"] == "10.00"
    assert price["tiers"]["batch"][0]["dollars_per_million"]["input"] == "1.25"
    assert price["output_tokens_max"] == 16_384
    assert "genai-prices" in price["source"]
    assert "web search" in farthing("price", "show", "gpt-4o").stdout


def test_a_price_of_the_past_is_shown_as_it_was(farthing: CommandLine) -> None:
    def input_at(day: str) -> str:
        price = told(farthing("price", "show", "o3", "--provider", "openai", "--at", day, "--json"))[
            "prices"
        ][0]
        rate: str = price["cards"][0]["dollars_per_million"]["input"]
        return rate

    assert (input_at("2025-06-01"), input_at("2025-07-01")) == ("10.00", "2.00")


def test_a_model_without_a_price_is_met_with_a_question_and_the_way_to_one(farthing: CommandLine) -> None:
    result = farthing("price", "show", "gpt-4oo", "--json")

    assert result.exit_code == 1
    assert str(complaint(result)["fix"]).startswith("did you mean gpt-4o?")
    assert "farthing price set gpt-4oo" in str(complaint(result)["fix"])


def test_a_price_is_set_and_everything_else_in_the_file_stays(farthing: CommandLine, company: Path) -> None:
    result = farthing("price", "set", "my-finetune", "--input", "3.00", "--output", "12.00", "--json")

    text = (company / "farthing.yaml").read_text(encoding="utf-8")
    assert result.exit_code == 0
    assert told(result)["sample"] == {
        "input_tokens": 1_000,
        "output_tokens": 500,
        "before_nanodollars": None,
        "after_nanodollars": 9_000_000,
    }
    assert text.startswith(POLICY.rstrip())
    assert text.endswith("prices:\n  my-finetune: {input: 3.00, output: 12.00}\n")


def test_the_price_of_a_known_model_is_shown_before_and_after(farthing: CommandLine, company: Path) -> None:
    shown = farthing(
        "price", "set", "gpt-4o", "--input", "$2", "--output", "8.00", "--cache-read", "0.50"
    ).stdout

    assert "$0.0075 before, $0.006 now" in shown
    price = told(farthing("price", "show", "gpt-4o", "--json"))["prices"][0]
    assert price["source"] == "declared in the policy"
    assert price["cards"][0]["dollars_per_million"]["cache_read"] == "0.50"


def test_a_price_in_dollars_per_token_is_taken_for_a_slip(farthing: CommandLine, company: Path) -> None:
    result = farthing("price", "set", "mine", "--input", "0.000003", "--json")

    assert result.exit_code == 2
    assert "write 3.00" in str(complaint(result)["fix"])
    assert (company / "farthing.yaml").read_text(encoding="utf-8") == POLICY


def test_a_price_beyond_any_model_is_taken_for_a_slip_unless_one_is_sure(
    farthing: CommandLine, company: Path
) -> None:
    assert farthing("price", "set", "mine", "--input", "3000000").exit_code == 2
    assert farthing("price", "set", "mine", "--input", "3000000", "--sure").exit_code == 0


def test_free_is_a_price_and_a_negative_one_is_none(farthing: CommandLine, company: Path) -> None:
    assert farthing("price", "set", "mine", "--input", "0").exit_code == 0
    assert farthing("price", "set", "mine", "--input", "-3").exit_code == 2
    assert farthing("price", "set", "mine", "--input", "cheap").exit_code == 2


def test_a_file_that_would_not_load_is_left_as_it_was(farthing: CommandLine, company: Path) -> None:
    result = farthing("price", "set", "a model\nof two lines", "--input", "3.00")

    assert result.exit_code == 2
    assert "farthing.yaml" in result.stderr
    assert (company / "farthing.yaml").read_text(encoding="utf-8") == POLICY
    assert sorted(path.name for path in company.iterdir()) == ["farthing.yaml"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "prices:   # ours\n  mine: {input: 1.00}  # old\n\n# the end\nbudgets: []   # none\n",
            "prices:   # ours\n  mine: {input: 3.00}  # old\n\n# the end\nbudgets: []   # none\n",
        ),
        (
            "a: 1\nprices:\n  other:\n    input: 1.00   # agreed in May\nlast: [1,\n       2]\n",
            "a: 1\nprices:\n  other:\n    input: 1.00   # agreed in May\n"
            "  mine: {input: 3.00}\nlast: [1,\n       2]\n",
        ),
        (
            "a: 1",
            "a: 1\n\n# USD per million tokens, over the bundled prices\nprices:\n  mine: {input: 3.00}\n",
        ),
        ("{a: 1}\n", "{a: 1, prices: {mine: {input: 3.00}}}\n"),
    ],
    ids=["in its place", "beside another", "as a new section", "in a file on one line"],
)
def test_a_price_is_written_and_comments_stay(before: str, after: str) -> None:
    assert with_price(before, "mine", {"input": "3.00"}, None) == after
