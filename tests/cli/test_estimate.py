"""farthing estimate: the most a request can cost."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine, complaint, told


def test_a_ceiling_is_input_bound_and_output_cap_at_their_rates(farthing: CommandLine, company: Path) -> None:
    farthing("price", "set", "mine", "--input", "1.00", "--output", "4.00")

    row = told(
        farthing("estimate", "--message", "hello", "--model", "mine", "--output-cap", "500", "--json")
    )["estimates"][0]

    assert row["input_bound_by"] == "bytes"
    assert row["output_tokens"] == 500
    assert row["ceiling_nanodollars"] == row["input_tokens"] * 1_000 + 500 * 4_000
    assert row["typical_nanodollars"] == row["input_tokens"] * 1_000 + 125 * 4_000
    assert int(row["ceiling_usd"].replace(".", "")) == row["ceiling_nanodollars"]


def test_where_a_vocabulary_ships_the_input_is_counted_exactly(farthing: CommandLine) -> None:
    rows = told(
        farthing(
            "estimate",
            "--message",
            "hello " * 200,
            "--model",
            "gpt-4o",
            "--model",
            "claude-haiku-4-5",
            "--json",
        )
    )["estimates"]

    assert [row["input_bound_by"] for row in rows] == ["exact count", "bytes"]
    assert rows[0]["input_tokens"] < rows[1]["input_tokens"] / 3


def test_a_body_is_read_from_a_file_or_from_stdin(farthing: CommandLine, folder: Path) -> None:
    body = json.dumps(
        {"model": "gpt-4o-mini", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}
    )
    (folder / "body.json").write_text(body, encoding="utf-8")

    of_file = told(farthing("estimate", "body.json", "--json"))
    of_stdin = told(farthing("estimate", "-", "--json", stdin=body))

    assert of_file == of_stdin
    assert of_file["estimates"][0]["model"] == "gpt-4o-mini"
    assert of_file["estimates"][0]["output_tokens"] == 100


@pytest.mark.parametrize(
    ("dialect", "model"),
    [
        ("openai.chat", "gpt-4o-mini"),
        ("openai.responses", "gpt-4o-mini"),
        ("openai.embeddings", "text-embedding-3-small"),
        ("anthropic.messages", "claude-haiku-4-5"),
        ("gemini.generate", "gemini-2.5-flash"),
    ],
)
def test_messages_are_bounded_in_every_dialect(farthing: CommandLine, dialect: str, model: str) -> None:
    result = farthing(
        "estimate",
        "--message",
        "hello",
        "--dialect",
        dialect,
        "--model",
        model,
        "--output-cap",
        "100",
        "--json",
    )

    row = told(result)["estimates"][0]
    assert row["refused"] is None
    assert row["ceiling_nanodollars"] > 0
    assert row["output_tokens"] == (0 if dialect == "openai.embeddings" else 100)


def test_what_is_billed_but_not_in_the_body_counts_as_a_whole_context(farthing: CommandLine) -> None:
    body = {"model": "gpt-4o", "input": "go on", "previous_response_id": "resp_1", "max_output_tokens": 100}

    row = told(farthing("estimate", "-", "--dialect", "openai.responses", "--json", stdin=json.dumps(body)))[
        "estimates"
    ][0]

    assert (row["input_bound_by"], row["input_tokens"]) == ("context window", 128_000)


def test_a_model_without_a_price_is_told_beside_the_others(farthing: CommandLine) -> None:
    both = farthing("estimate", "--message", "hi", "--model", "nobody", "--model", "gpt-4o")
    alone = farthing("estimate", "--message", "hi", "--model", "nobody")

    assert both.exit_code == 0
    assert "nobody of openai has no price" in both.stdout
    assert alone.exit_code == 1


def test_the_bound_of_an_environment_holds_where_the_caller_sets_none(
    farthing: CommandLine, company: Path
) -> None:
    policy = company / "farthing.yaml"
    policy.write_text(
        policy.read_text(encoding="utf-8").replace("100/minute", "100/minute\n    output_bound: 777")
    )

    answer = told(
        farthing("estimate", "--message", "hi", "--model", "gpt-4o", "--environment", "production", "--json")
    )

    assert answer["estimates"][0]["output_tokens"] == 777


def test_without_a_model_those_of_the_policys_targets_are_taken(farthing: CommandLine, company: Path) -> None:
    answer = told(farthing("estimate", "--message", "hi", "--dialect", "anthropic.messages", "--json"))

    assert [row["model"] for row in answer["estimates"]] == ["claude-haiku-4-5"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("estimate",), "nothing to estimate"),
        (("estimate", "--message", "hi"), "no model was named"),
        (
            ("estimate", "--message", "hi", "--dialect", "openai.chta"),
            "openai.chta is not a dialect known here",
        ),
        (("estimate", "nowhere.json"), "nowhere.json: No such file or directory"),
        (("estimate", "--message", "hi", "--environment", "dev"), "the policy has no environment dev"),
    ],
)
def test_a_wrong_question_is_told(farthing: CommandLine, arguments: tuple[str, ...], message: str) -> None:
    result = farthing(*arguments, "--json")

    assert result.exit_code == 2
    assert complaint(result)["message"] == message


def test_a_body_that_cannot_be_read_is_told(farthing: CommandLine) -> None:
    assert farthing("estimate", "-", stdin="not json").exit_code == 2
