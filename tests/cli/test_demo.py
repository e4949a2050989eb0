"""The demo from its command: a month in a folder of its own, twice the same, and a gateway that answers."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from farthing.cli.program import program
from tests.cli.conftest import CommandLine, complaint, told
from tests.cli.test_serve_and_doctor import PATIENCE_SECONDS


def test_a_demo_fills_a_ledger_that_agrees_with_itself(folder: Path, farthing: CommandLine) -> None:
    made = told(farthing("demo", "--entries", "600", "--no-serve", "--json"))
    policy = ("--policy", made["policy"])

    assert made["entries"] == 600
    assert Path(made["folder"]) == Path("farthing-demo")
    spent = told(farthing("spend", *policy, "--json", "--since", "60d"))["spend"]
    assert {row["environment"] for row in spent} == {"development", "staging", "ci", "production"}
    assert sum(row["calls"] + row["refused"] for row in spent) == 600
    assert farthing("ledger", "verify", *policy).exit_code == 0
    assert farthing("policy", "check", *policy).exit_code == 0
    budgets = told(farthing("budget", "list", *policy, "--json"))["budgets"]
    assert any(row["spent_nanodollars"] > 0 for row in budgets)


def test_the_commands_that_a_demo_names_are_there_and_find_it(folder: Path, farthing: CommandLine) -> None:
    made = told(farthing("demo", "--entries", "200", "--no-serve", "--json"))

    for line in made["next"]:
        assert farthing(*line.removeprefix(program()).split()).exit_code == 0, line


def test_the_second_time_the_folder_is_used_as_it_is(folder: Path, farthing: CommandLine) -> None:
    farthing("demo", "--entries", "200", "--no-serve")
    before = Path("farthing-demo/farthing.yaml").stat().st_mtime_ns

    again = told(farthing("demo", "--entries", "500", "--no-serve", "--json"))

    assert again["entries"] == 200
    assert Path("farthing-demo/farthing.yaml").stat().st_mtime_ns == before


def test_keys_that_are_passed_over_are_named_and_still_there_afterwards(
    folder: Path, farthing: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a key that nobody may use")

    result = farthing("demo", "--entries", "200", "--no-serve")

    assert "passed over: OPENAI_API_KEY" in result.stderr
    assert os.environ["OPENAI_API_KEY"] == "a key that nobody may use"


def test_a_folder_of_something_else_is_left_alone(company: Path, farthing: CommandLine) -> None:
    result = farthing("demo", "--folder", ".", "--no-serve", "--json")

    assert result.exit_code == 2
    assert "is not the folder of a demo" in str(complaint(result)["message"])
    assert "--folder" in str(complaint(result)["fix"])


def test_a_demo_that_fails_leaves_nothing(
    folder: Path, farthing: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("farthing.scenarios.writing.write", full)

    assert farthing("demo", "--no-serve", "--json").exit_code == 2
    assert list(folder.iterdir()) == []


def test_keys_of_providers_are_passed_over_and_a_pasted_call_is_answered(folder: Path) -> None:
    environ = {**os.environ, "OPENAI_API_KEY": "a key that nobody may use"}
    arguments = ["demo", "--entries", "200", "--port", "0", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "farthing.cli", *arguments],
        cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line == "}\n":
                break
        started = json.loads("".join(lines))
        key = started["trial"][0]
        body = {"model": key["model"], "messages": [{"role": "user", "content": "Say hello."}]}
        answer = subprocess.run(
            [
                "curl", "-s", f"{started['url']}/v1/chat/completions",
                "-H", f"Authorization: Bearer {key['secret']}",
                "-H", "Content-Type: application/json", "-d", json.dumps(body),
            ],
            capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True,
        ).stdout  # fmt: skip
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_SECONDS)

    assert "openai-simulated" in started["simulated"]
    assert json.loads(answer)["choices"]
    assert process.returncode == 0
