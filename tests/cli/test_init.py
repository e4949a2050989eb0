"""farthing init: a policy to begin with."""

from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine, told


def test_the_policy_it_writes_passes_its_own_check(farthing: CommandLine, folder: Path) -> None:
    written = told(farthing("init", "--json"))

    assert written["path"] == "farthing.yaml"
    assert (folder / "farthing.yaml").read_text(encoding="utf-8").count("\n") == written["lines"]
    assert farthing("policy", "check").exit_code == 0


def test_a_file_that_is_there_is_not_written_over_by_accident(farthing: CommandLine, folder: Path) -> None:
    (folder / "farthing.yaml").write_text("mine", encoding="utf-8")

    refused = farthing("init")
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    assert (folder / "farthing.yaml").read_text(encoding="utf-8") == "mine"

    assert farthing("init", "--force").exit_code == 0
    assert (folder / "farthing.yaml").read_text(encoding="utf-8") != "mine"


def test_what_to_do_next_is_said_with_the_path_that_was_chosen(farthing: CommandLine, folder: Path) -> None:
    shown = farthing("init", "--path", "run/farthing.yaml").stdout

    assert "farthing serve --policy run/farthing.yaml" in shown
    assert (folder / "run" / "farthing.yaml").is_file()


def test_five_thousand_for_five_developers_is_split_to_the_cent_and_told(
    farthing: CommandLine, folder: Path
) -> None:
    shown = farthing("init", "--total", "5000", "--developers", "5").stdout

    for line in (
        "$5,000.00 a month:",
        "production       $3,750.00",
        "development        $750.00 = 5 x $150.00",
        "staging            $400.00",
        "CI                 $100.00",
        "Development to production is 1:5.",
        "25.0 % is not production.",
    ):
        assert line in shown
    assert farthing("policy", "check").exit_code == 0


def test_a_split_with_too_much_for_development_is_written_and_judged(
    farthing: CommandLine, folder: Path
) -> None:
    shown = farthing("init", "--total", "$5,000", "--developers", "15").stdout
    split = told(farthing("init", "--total", "$5,000", "--developers", "15", "--force", "--json"))["split"]

    assert "1:1.1; sound is 1:3 or less" in shown
    assert "aim at 25 % or less" in shown
    parts = ("production", "development", "staging", "ci")
    assert sum(split[f"{part}_nanodollars"] for part in parts) == 5_000_000_000_000


@pytest.mark.parametrize(
    ("options", "total", "developers"),
    [
        (["--developers", "10"], 10_000, 10),
        (["--total", "10000"], 10_000, 10),
        (["--total", "200"], 200, 1),
        (["--total", "2000", "--developers", "3", "--per-developer", "100"], 2_000, 3),
    ],
)
def test_what_is_not_said_follows_from_the_rest(
    farthing: CommandLine, folder: Path, options: list[str], total: int, developers: int
) -> None:
    split = told(farthing("init", *options, "--json"))["split"]

    assert split["total_nanodollars"] == total * 1_000_000_000
    assert split["development_nanodollars"] == developers * split["per_developer_nanodollars"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--total", "500", "--developers", "5"],
            "5 developers with $150.00 each leave too little of $500.00",
        ),
        (["--total", "much"], "--total: "),
        (["--total", "0.01"], "too little to split"),
    ],
)
def test_a_split_that_cannot_be_is_refused_and_nothing_is_written(
    farthing: CommandLine, folder: Path, options: list[str], said: str
) -> None:
    refused = farthing("init", *options)

    assert refused.exit_code == 2
    assert said in refused.stderr
    assert not (folder / "farthing.yaml").exists()


def test_each_environment_may_have_a_file_of_its_own(farthing: CommandLine, folder: Path) -> None:
    for name in ("development", "staging", "ci", "production"):
        shown = farthing("init", "--environment", name, "--path", f"{name}.yaml").stdout
        assert f"key create --environment {name}" in shown
        assert farthing("policy", "check", "--policy", f"{name}.yaml").exit_code == 0

    both = ["--policy", "development.yaml", "--policy", "production.yaml"]
    assert farthing("policy", "check", *both).exit_code == 0
