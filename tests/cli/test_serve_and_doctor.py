"""The gateway from its command: real processes, real HTTP, nothing but a simulated provider."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.cli.conftest import CommandLine, complaint, told

PATIENCE_SECONDS = 30


@contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[tuple["subprocess.Popen[str]", list[str]]]:
    """Farthing serve as a process, with the lines it prints until it says that it answers."""
    environ = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    process = subprocess.Popen(
        [sys.executable, "-m", "farthing.cli", "serve", "--port", "0", *arguments],
        cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    last = "}\n" if "--json" in arguments else "/api/docs\n"
    lines: list[str] = []
    try:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if line.endswith(last) and (last != "}\n" or line == last):
                break
        yield process, lines
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0


def test_the_lines_that_try_prints_work_as_they_are_pasted(company: Path, farthing: CommandLine) -> None:
    with serving(company, "--try") as (_, lines):
        pasted = [
            line.strip() for line in lines if line.startswith(("  curl ", "  ")) and "Say hello." in line
        ]
        answers = [
            subprocess.run(  # what a person's shell does with the line
                ["bash", "-c", line],
                cwd=company,
                capture_output=True,
                text=True,
                timeout=PATIENCE_SECONDS,
                check=True,
            ).stdout
            for line in pasted
        ]
        spent = told(farthing("spend", "--json"))["spend"]

    assert [shlex.split(line)[0] == "curl" for line in pasted] == [True, False, True, False]
    assert json.loads(answers[0])["model"].startswith("gpt-4o-mini")
    assert all(answers)
    assert {row["environment"]: row["calls"] for row in spent} == {"development": 2, "production": 2}
    assert all(row["cost_nanodollars"] > 0 for row in spent)


def test_the_first_start_shows_the_admin_token_and_later_ones_do_not(company: Path) -> None:
    documents: list[dict[str, Any]] = []
    for _ in range(2):
        with serving(company, "--try", "--json") as (_, lines):
            documents.append(json.loads("".join(lines)))
    first, second = documents

    assert str(first["admin_token"]).startswith("fa-")
    assert second["admin_token"] is None
    assert first["simulated"] == ["openai-simulated", "anthropic-simulated"]
    assert first["environments"]["production"]["budgets"] == ["prod-month", "prod-day"]
    assert [key["environment"] for key in second["trial"]] == ["development", "production"]
    assert first["trial"][0]["secret"] != second["trial"][0]["secret"]


def test_a_port_in_use_is_told(company: Path, farthing: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = farthing("serve", "--port", str(taken.getsockname()[1]), "--json")

    assert result.exit_code == 2
    assert "cannot listen" in str(complaint(result)["message"])


def test_a_missing_secret_is_told_before_anything_listens(company: Path, farthing: CommandLine) -> None:
    policy = company / "farthing.yaml"
    policy.write_text(policy.read_text(encoding="utf-8") + "    - {id: mistral, provider: mistral}\n")

    result = farthing("serve", "--port", "0", "--json")

    assert result.exit_code == 2
    assert "needs MISTRAL_API_KEY" in str(complaint(result)["why"])


def test_doctor_proves_a_gateway_and_finds_the_company_well(company: Path, farthing: CommandLine) -> None:
    farthing("key", "create", "--environment", "development", "--label", "alice")

    result = farthing("doctor", "--json")

    answer = told(result)
    verdicts = {check["name"]: check["verdict"] for check in answer["checks"]}
    assert (result.exit_code, answer["ok"]) == (0, True)
    for name in (
        "its cost is on the ledger, exactly",
        "it is settled with the usage it reported",
        "a call that does not fit is refused",
        "nothing went upstream after the limit",
        "every balance is the sum of its entries",
        "the policy makes sense",
        "the kernel's file lock holds",
        "the ledger opens",
    ):
        assert verdicts[name] == "good", name


def test_doctor_says_no_when_the_policy_is_wrong(company: Path, farthing: CommandLine) -> None:
    (company / "farthing.yaml").write_text("environments: {development: {modles: {}}}\n", encoding="utf-8")

    result = farthing("doctor")

    assert result.exit_code == 1
    assert "✗ the policy loads" in result.stdout
    assert "1 of " in result.stdout
