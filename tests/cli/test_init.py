"""farthing init: a policy to begin with."""

from pathlib import Path

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
