"""What serve shows when it answers: lines that fit a small terminal and commands that can be pasted."""

from pathlib import Path

import pytest

from farthing.cli.opening import read_policy
from farthing.cli.start_screen import Start, show_start
from farthing.config.starter import starter_policy


def _shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    path = folder / "other.yaml"
    path.write_text(starter_policy(), encoding="utf-8")
    show_start(
        Start(
            url="http://127.0.0.1:8787",
            ledger="sqlite:///other.db",
            loaded=read_policy([path]),
            admin_token="fa-WjMduHuLFkoi1JhcXFu9G5uoM8ovFIHPzbOatgBXNpM",
            options=" --policy other.yaml",
        )
    )
    return capsys.readouterr().out.splitlines()


def test_the_line_that_makes_a_key_names_the_policy_in_use(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (line,) = (line for line in _shown(folder, capsys) if "key create" in line)

    assert line.endswith("key create --environment development --label NAME --policy other.yaml")


def test_it_fits_eighty_columns_but_for_the_command_to_paste(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    assert [line for line in _shown(folder, capsys) if len(line) > 80 and "key create" not in line] == []
