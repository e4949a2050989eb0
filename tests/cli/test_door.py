"""Errors: what happened, why, and how to go on; never a traceback for what a user can cause."""

from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine, complaint


def test_a_missing_policy_is_told_with_the_way_to_one(farthing: CommandLine, folder: Path) -> None:
    result = farthing("policy", "check")

    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "farthing: there is no policy file farthing.yaml",
        f"  looked in {folder}",
        "  To go on: write one with  farthing init --path farthing.yaml  or name yours with --policy FILE",
    ]


def test_a_policy_that_is_wrong_is_told_with_file_line_and_fix(farthing: CommandLine, company: Path) -> None:
    (company / "farthing.yaml").write_text(
        "environments:\n  development:\n    modles: {}\n", encoding="utf-8"
    )

    result = farthing("policy", "check")

    assert result.exit_code == 2
    assert "farthing.yaml:3: environments.development.modles: is not a known key" in result.stderr
    assert "did you mean models?" in result.stderr


@pytest.mark.parametrize("text", ["environments: [", "\tenvironments: {}", "a: &a [*a]\n", "\x00"])
def test_text_that_is_no_yaml_is_told_and_not_thrown(farthing: CommandLine, company: Path, text: str) -> None:
    (company / "farthing.yaml").write_text(text, encoding="utf-8")

    result = farthing("budget", "list")

    assert result.exit_code == 2
    assert result.stderr.startswith("farthing: the policy")


def test_with_json_an_error_is_one_document_too(farthing: CommandLine) -> None:
    result = farthing("spend", "--json")

    assert result.exit_code == 2
    assert result.stdout == ""
    assert complaint(result)["message"] == "there is no policy file farthing.yaml"


def test_a_misspelt_command_is_met_with_a_question(farthing: CommandLine) -> None:
    result = farthing("budgets", "--json")

    assert result.exit_code == 2
    assert complaint(result) == {
        "message": "No such command 'budgets'. Did you mean 'budget'?",
        "why": None,
        "fix": "see  farthing --help",
    }


def test_a_missing_option_names_the_help_to_read(farthing: CommandLine) -> None:
    result = farthing("key", "create", "--environment", "development")

    assert result.exit_code == 2
    assert "--label" in result.stderr
    assert "see  farthing key create --help" in result.stderr


def test_a_noun_alone_shows_its_verbs(farthing: CommandLine) -> None:
    result = farthing("key")

    assert result.exit_code == 2
    assert "create" in result.output
    assert "To go on" not in result.output


def test_a_ledger_that_is_none_is_told_and_not_thrown(farthing: CommandLine, company: Path) -> None:
    (company / "notes.db").write_text("these are my notes, not a database\n" * 100, encoding="utf-8")

    result = farthing("ledger", "verify", "--ledger", "notes.db")

    assert result.exit_code == 2
    assert result.stderr.startswith("farthing: the ledger cannot be used")


def test_a_ledger_of_an_unknown_kind_is_told(farthing: CommandLine, company: Path) -> None:
    result = farthing("spend", "--ledger", "mysql://somewhere", "--json")

    assert result.exit_code == 2
    assert "mysql" in str(complaint(result)["why"])


def test_a_named_ledger_that_is_not_there_is_an_error_and_is_not_made(
    farthing: CommandLine, company: Path
) -> None:
    result = farthing("budget", "list", "--ledger", "sqlite:///typo.db")

    assert result.exit_code == 2
    assert "there is no ledger at typo.db" in result.stderr
    assert not (company / "typo.db").exists()


def test_a_file_that_cannot_be_written_is_told(farthing: CommandLine, folder: Path) -> None:
    (folder / "file").write_text("", encoding="utf-8")

    result = farthing("init", "--path", "file/farthing.yaml")

    assert result.exit_code == 2
    assert "file" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_folder_in_the_place_of_a_policy_is_told_as_one(farthing: CommandLine, folder: Path) -> None:
    (folder / "policies").mkdir()

    result = farthing("budget", "list", "--policy", "policies")

    assert result.exit_code == 2
    assert "policies is a folder, not a policy file" in result.stderr
    assert "--policy policies/farthing.yaml" in result.stderr


def test_a_policy_file_without_its_option_is_told_how_to_be_named(
    farthing: CommandLine, company: Path
) -> None:
    result = farthing("policy", "check", "farthing.yaml")

    assert result.exit_code == 2
    assert "a policy file is named with --policy FILE; see  farthing policy check --help" in result.stderr
