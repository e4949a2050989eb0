"""farthing export: files for a schedule, rows for a pipe, and errors that say how to go on."""

import hashlib
import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from farthing.domain.period import from_microseconds, to_microseconds
from tests.cli.conftest import Calls, CommandLine, complaint, told

HOUR_US = 3_600_000_000
OCTOBER_US = to_microseconds(datetime(2024, 10, 9, 12, tzinfo=UTC))


@pytest.fixture
def october(calls: Calls) -> Calls:
    """Three calls in October 2024, one of them of development."""
    calls.spent(480_000, environment="production", at_us=OCTOBER_US, labels={"feature": "search"})
    calls.spent(20_000, environment="production", at_us=OCTOBER_US + HOUR_US)
    calls.spent(7, environment="development", at_us=OCTOBER_US + 2 * HOUR_US, labels={"experiment": "=e1"})
    return calls


def summary(farthing: CommandLine, *arguments: str) -> dict[str, Any]:
    """What --json tells of an export."""
    document: dict[str, Any] = told(farthing("export", *arguments, "--json"))
    return document


@pytest.mark.usefixtures("october")
def test_rows_go_to_a_pipe_and_what_they_are_is_told_beside_them(farthing: CommandLine) -> None:
    result = farthing("export", "--month", "2024-10", "--environment", "production")

    heading, *rows = result.stdout.splitlines()
    assert heading.startswith("call_id,request_id,attempt,at,environment,")
    assert [row.partition(",")[0] for row in rows] == ["call_1", "call_2"]
    assert (
        "2 entries of 2024-10-01T00Z to 2024-11-01T00Z, $0.0005, the same as on the ledger" in result.stderr
    )
    assert "Provisional" not in result.stderr


@pytest.mark.usefixtures("october")
def test_the_monthly_export_of_production_gets_its_name_and_is_left_alone_when_it_is_the_same(
    farthing: CommandLine, folder: Path
) -> None:
    """R147: a calendar month of production only; its sum is the report's; a second run is byte-identical."""
    arguments = ("--month", "2024-10", "--environment", "production", "--output", "exports/")
    first = summary(farthing, *arguments)
    file = folder / "exports" / "farthing-production-2024-10.csv"
    before = file.read_bytes()
    spent = told(
        farthing("spend", "--since", "2024-10-01T00:00+00:00", "--until", "2024-11-01T00:00+00:00", "--json")
    )

    again = summary(farthing, *arguments)

    assert (first["outcome"], again["outcome"]) == ("written", "unchanged")
    assert file.read_bytes() == before
    assert first["file"] == str(file.relative_to(folder))
    assert first["sha256"] == hashlib.sha256(before).hexdigest()
    (production,) = [row for row in spent["spend"] if row["environment"] == "production"]
    for figure in ("cost_nanodollars", "calls", "input_tokens", "output_tokens", "refused"):
        assert first[figure] == production[figure]
    assert (first["entries"], first["provisional"]) == (2, False)
    assert (first["since"], first["until"]) == ("2024-10-01T00:00:00.000000Z", "2024-11-01T00:00:00.000000Z")


@pytest.mark.usefixtures("october")
def test_other_prices_and_another_policy_do_not_change_what_was(farthing: CommandLine, company: Path) -> None:
    """R148: cost, price version, policy digest and decision are those of the call, and stay."""
    arguments = ("--month", "2024-10", "--output", "x.csv")
    summary(farthing, *arguments)

    with (company / "farthing.yaml").open("a", encoding="utf-8") as policy:
        policy.write("\nprices: {gpt-4o-mini: {input: 999.00, output: 999.00}}\n")

    assert summary(farthing, *arguments)["outcome"] == "unchanged"


@pytest.mark.usefixtures("october")
def test_the_weekly_export_of_development_has_experiments_and_prompts(
    farthing: CommandLine, folder: Path
) -> None:
    """R146: an ISO week of development only, with columns for the experiment and the hash of the prompt."""
    arguments = ("--week", "2024-W41", "--environment", "development", "--output", "exports/")
    as_csv = summary(farthing, *arguments)
    summary(farthing, *arguments, "--format", "jsonl")

    heading, row = (folder / "exports/farthing-development-2024-W41.csv").read_text().splitlines()
    cells = dict(zip(heading.split(","), row.split(","), strict=False))
    assert cells["label_experiment"] == "'=e1"
    assert "prompt_hash" in cells
    assert as_csv["made_harmless"] == 1
    (line,) = (folder / "exports/farthing-development-2024-W41.jsonl").read_text().splitlines()
    assert json.loads(line)["labels"] == {"experiment": "=e1"}


@pytest.mark.usefixtures("october")
@pytest.mark.parametrize(
    ("arguments", "name", "kind"),
    [
        (("--output", "x.jsonl"), "x.jsonl", "jsonl"),
        (("--output", "x.parquet"), "x.parquet", "parquet"),
        (("--output", "x.txt"), "x.txt", "csv"),
        (("--format", "jsonl", "--output", "."), "farthing-2024-10.jsonl", "jsonl"),
        (("--format", "focus", "--output", "./"), "farthing-2024-10.focus.csv", "focus 1.2"),
        (("--format", "focus", "--output", "f.parquet"), "f.parquet", "focus 1.2"),
        (
            ("--format", "focus", "--focus-as", "parquet", "--output", "./"),
            "farthing-2024-10.focus.parquet",
            "focus 1.2",
        ),
        (("--format", "focus", "--focus-version", "1.3", "--output", "f.csv"), "f.csv", "focus 1.3"),
    ],
)
def test_the_format_is_as_told_or_as_the_name_ends(
    farthing: CommandLine, folder: Path, arguments: tuple[str, ...], name: str, kind: str
) -> None:
    written = summary(farthing, "--month", "2024-10", *arguments)

    assert (written["format"], written["file"]) == (kind, name)
    content = (folder / name).read_bytes()
    assert content.startswith(b"PAR1") == (b"parquet" in name.encode())
    assert hashlib.sha256(content).hexdigest() == written["sha256"]


def test_a_file_that_says_something_else_is_kept_until_told(
    farthing: CommandLine, october: Calls, folder: Path
) -> None:
    summary(farthing, "--month", "2024-10", "--output", "x.csv")
    before = (folder / "x.csv").read_bytes()
    october.spent(1, at_us=OCTOBER_US)

    refused = farthing("export", "--month", "2024-10", "--output", "x.csv", "--json")
    assert refused.exit_code == 1
    assert complaint(refused) == {
        "message": "x.csv is there already and says something else",
        "why": None,
        "fix": "add --replace, or name another file with --output",
    }
    assert (folder / "x.csv").read_bytes() == before
    assert summary(farthing, "--month", "2024-10", "--output", "x.csv", "--replace")["outcome"] == "replaced"
    assert [path.name for path in folder.glob("*x.csv*")] == ["x.csv"]


def test_a_window_that_has_not_ended_is_provisional_in_name_and_word(
    farthing: CommandLine, calls: Calls, folder: Path
) -> None:
    calls.spent(480_000)
    month = f"{from_microseconds(time.time_ns() // 1_000):%Y-%m}"
    result = farthing("export", "--month", month, "--output", "./")
    assert "Provisional: the window has not ended, or calls of it are in flight" in result.stderr
    file = folder / f"farthing-{month}.provisional.csv"
    before = file.read_bytes()

    calls.spent(480_000)
    again = summary(farthing, "--month", month, "--output", "./")

    assert again["provisional"] is True
    assert again["outcome"] == "replaced"  # what is provisional gives way without being told
    assert file.read_bytes() != before


def test_an_empty_window_says_where_to_look(farthing: CommandLine, calls: Calls) -> None:
    calls.spent(1)
    result = farthing("export", "--month", "2024-01")
    assert result.stdout.count("\r\n" if "\r\n" in result.stdout else "\n") == 1
    assert "No call is in that window; --month this has those of this month." in result.stderr


@pytest.mark.usefixtures("october")
@pytest.mark.parametrize(
    ("arguments", "message", "fix"),
    [
        (("--since", "2024-10-01T00:30"), "does not begin an hour in UTC", "farthing export"),
        (("--month", "soon"), "is not a month", "farthing export"),
        (
            ("--environment", "prodction", "--output", "x.csv"),
            "there is no environment prodction",
            "did you mean production?",
        ),
        (
            ("--environment", "zzz", "--output", "x.csv"),
            "calls are of: development, production",
            "farthing spend --by environment",
        ),
        (("--format", "parquet"), "no file is named for Parquet", "--output calls.parquet"),
        (("--format", "focus", "--focus-as", "parquet"), "no file is named", "--output calls.focus.parquet"),
        (("--focus-as", "parquet"), "--focus-as is of --format focus", "add  --format focus"),
        ((), "no file is named for the rows beside the summary", "--output calls.csv"),
        (("--output", "october.xlsx"), "no export has a file that ends in .xlsx", "--format csv"),
        (("--output", "nowhere/x.csv"), "there is no folder nowhere", "--output nowhere/"),
    ],
)
def test_what_cannot_be_exported_is_told_with_the_way_on(
    farthing: CommandLine, arguments: tuple[str, ...], message: str, fix: str
) -> None:
    result = farthing("export", *arguments, "--json")
    assert result.exit_code == 2
    said = complaint(result)
    assert message in str(said["message"])
    assert fix in str(said["fix"])


@pytest.mark.usefixtures("october")
def test_a_reader_that_has_seen_enough_is_no_error(folder: Path) -> None:
    command = [sys.executable, "-m", "farthing", "export", "--month", "2024-10"]
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = subprocess.run(
            command, cwd=folder, stdout=writing, stderr=subprocess.PIPE, text=True, check=False, timeout=60
        )
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (1, "")
