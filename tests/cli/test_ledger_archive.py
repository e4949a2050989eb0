"""farthing ledger archive and forget: months go to files and come back in every answer."""

import sys
import time
from pathlib import Path

import pytest

from farthing.ledger.archiving import month_before, month_bounds, month_name
from tests.cli.conftest import Calls, CommandLine, complaint, told

NOW = month_name(time.time_ns() // 1_000)


def in_month(months_ago: int) -> int:
    return month_bounds(month_before(NOW, months_ago))[0] + 1


@pytest.fixture
def year(calls: Calls) -> Calls:
    """A call two months ago, two the month before last, and one now."""
    calls.spent(500, at_us=in_month(3))
    calls.spent(300, at_us=in_month(2))
    calls.spent(200, at_us=in_month(2))
    calls.spent(100, at_us=in_month(1))
    calls.spent(50)
    return calls


def test_months_that_ended_a_month_ago_go_beside_the_ledger(
    farthing: CommandLine, year: Calls, company: Path
) -> None:
    result = farthing("ledger", "archive", "--by", "ana")

    assert result.exit_code == 0, result.stderr
    assert month_before(NOW, 3) in result.stdout
    assert month_before(NOW, 1) not in result.stdout
    assert "keep it with the ledger" in result.stdout
    files = sorted((company / "farthing-archive").glob("entries/month=*/*.parquet"))
    assert [file.parent.name for file in files] == [f"month={month_before(NOW, ago)}" for ago in (3, 2)]
    listed = told(farthing("ledger", "archive", "--list", "--json"))["archived"]
    assert [(row["month"], row["entries"], row["cost_nanodollars"]) for row in listed] == [
        (month_before(NOW, 3), 1, 500),
        (month_before(NOW, 2), 2, 500),
    ]
    assert "farthing-archive" in farthing("ledger", "archive", "--list").stdout


def test_what_was_archived_is_verified_and_shown_as_before(farthing: CommandLine, year: Calls) -> None:
    before = told(farthing("spend", "--by", "environment", "--since", "2000-01-01", "--json"))

    farthing("ledger", "archive", "--keep-months", "0")

    assert told(farthing("spend", "--by", "environment", "--since", "2000-01-01", "--json")) == before
    verified = told(farthing("ledger", "verify", "--json"))
    assert (verified["ok"], verified["entries"]) == (True, {"ledger": 1, "archive": 4})
    assert "1 in the ledger, 4 in its archive" in farthing("ledger", "verify").stdout


def test_a_dry_run_moves_nothing(farthing: CommandLine, year: Calls, company: Path) -> None:
    result = farthing("ledger", "archive", "--before", NOW, "--dry-run", "--into", "elsewhere")

    assert "They would go to elsewhere" in result.stdout
    assert month_before(NOW, 1) in result.stdout
    assert not (company / "elsewhere").exists()
    plan = told(farthing("ledger", "archive", "--before", NOW, "--dry-run", "--json"))
    assert [row["entries"] for row in plan["going"]] == [1, 2, 1]
    assert plan["archived"] == []


def test_the_next_months_go_where_the_last_ones_went(
    farthing: CommandLine, year: Calls, company: Path
) -> None:
    farthing("ledger", "archive", "--into", "elsewhere")

    told(farthing("ledger", "archive", "--keep-months", "0", "--json"))

    assert len(list((company / "elsewhere").rglob("*.parquet"))) == 3


def test_a_month_with_a_call_in_flight_waits_and_is_named(farthing: CommandLine, calls: Calls) -> None:
    calls.spent(100, at_us=in_month(2))
    calls.spent(100, at_us=in_month(2), open_for_us=1)

    result = farthing("ledger", "archive")

    assert f"{month_before(NOW, 2)} stays: 1 call begun in it still in flight" in result.stdout


def test_nothing_to_archive_is_said(farthing: CommandLine, calls: Calls) -> None:
    calls.spent(100)

    assert "nothing to archive" in farthing("ledger", "archive").stdout
    assert "was archived yet" in farthing("ledger", "archive", "--list").stdout


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--before", "2026-13"), "2026-13 is no month"),
        (("--before", "August"), "August is no month"),
        (("--before", "2999-01"), "not every month before 2999-01 has ended"),
        (("--before", "2024-01", "--keep-months", "2"), "say the same thing"),
    ],
)
def test_months_that_make_no_sense_are_refused(
    farthing: CommandLine, year: Calls, arguments: tuple[str, ...], why: str
) -> None:
    result = farthing("ledger", "archive", *arguments, "--json")

    assert result.exit_code == 2
    error = complaint(result)
    assert why in str(error["message"])
    assert error["fix"]


def test_a_ledger_in_memory_cannot_be_archived(farthing: CommandLine, company: Path) -> None:
    result = farthing("ledger", "archive", "--ledger", "memory://", "--json")

    assert result.exit_code == 2
    assert "in memory" in str(complaint(result)["why"])


def test_without_duckdb_the_extra_is_named(
    farthing: CommandLine, year: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)

    result = farthing("ledger", "archive", "--json")

    assert result.exit_code == 2
    assert complaint(result)["fix"] == "pip install 'farthing[parquet]'"


def test_shrinking_needs_room_and_gives_it_back(
    farthing: CommandLine, year: Calls, company: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        usage = type("Usage", (), {"free": 10})
        patch.setattr("farthing.cli.ledger_archive.shutil.disk_usage", lambda _: usage)
        result = farthing("ledger", "archive", "--shrink")
        assert result.exit_code == 2
        assert "no room to shrink" in result.stderr

    assert farthing("ledger", "archive", "--shrink").exit_code == 0
    assert told(farthing("ledger", "verify", "--json"))["ok"] is True


def test_a_file_that_is_gone_is_named_and_the_answer_is_no(
    farthing: CommandLine, year: Calls, company: Path
) -> None:
    farthing("ledger", "archive")
    next((company / "farthing-archive").rglob("*.parquet")).unlink()

    result = farthing("ledger", "verify")

    assert result.exit_code == 1
    assert "is missing" in result.stdout


def test_forgetting_keeps_the_sums_and_says_whom_they_are_trusted_to(
    farthing: CommandLine, year: Calls, company: Path
) -> None:
    farthing("ledger", "archive")
    before = month_before(NOW, 2)
    spent = farthing("spend", "--since", "2000-01-01", "--json").stdout

    planned = farthing(
        "ledger", "forget", "--before", before, "--reason", "old", "--dry-run", "--json"
    ).stdout
    result = farthing("ledger", "forget", "--before", before, "--reason", "old", "--by", "bob")

    assert month_before(NOW, 3) in planned
    assert f"Deleted: the entries of {month_before(NOW, 3)}, 1 in all" in result.stdout
    assert len(list((company / "farthing-archive").rglob("*.parquet"))) == 1
    assert farthing("spend", "--since", "2000-01-01", "--json").stdout == spent
    verified = farthing("ledger", "verify")
    assert verified.exit_code == 0
    assert f"The sums of {month_before(NOW, 3)} are taken on trust" in verified.stdout
    assert "1 in all, were deleted by bob" in verified.stdout
    (trusted,) = told(farthing("ledger", "verify", "--json"))["on_trust"]
    assert (trusted["forgotten_by"], trusted["forgotten_reason"]) == ("bob", "old")
    assert "forgotten by bob: old" in farthing("ledger", "archive", "--list").stdout
    assert "ledger forget" in farthing("audit", "list").stdout


def test_what_was_not_archived_is_not_forgotten(farthing: CommandLine, year: Calls) -> None:
    result = farthing("ledger", "forget", "--before", NOW, "--reason", "old")

    assert "Nothing was archived" in result.stdout
    assert told(farthing("ledger", "verify", "--json"))["entries"]["ledger"] == 5
