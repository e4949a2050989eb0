"""farthing stop and resume: one line stops, one line lets go on, and the list tells who did what."""

from pathlib import Path

import pytest

from farthing.config.stores import open_store
from tests.cli.conftest import Calls, CommandLine, complaint, told


@pytest.fixture
def ledger(company: Path, calls: Calls) -> Path:
    """A ledger with a call on it."""
    calls.spent(500, labels={"feature": "search"})
    return company / "farthing.db"


def live(ledger: Path) -> list[dict[str, str]]:
    store = open_store(f"sqlite:///{ledger}")
    try:
        return [dict(stop.match) for stop in store.stops(live=True)]
    finally:
        store.close()


def test_everything_is_stopped_and_resumed(farthing: CommandLine, ledger: Path) -> None:
    result = farthing("stop", "--all", "--reason", "bill explodes", "--by", "ana")

    assert result.exit_code == 0
    assert result.stdout.startswith(
        "Stopped everything on sqlite:///farthing.db. Lift it:  farthing resume stop_"
    )
    assert live(ledger) == [{}]
    assert "bill explodes" in farthing("stop", "--list").stdout

    lifted = told(farthing("resume", "--all", "--reason", "mended", "--by", "ben", "--json"))

    assert [row["resumed_by"] for row in lifted["resumed"]] == ["ben"]
    assert live(ledger) == []
    (kept,) = told(farthing("stop", "--list", "--json"))["stops"]
    assert (kept["by"], kept["reason"], kept["resumed_reason"]) == ("ana", "bill explodes", "mended")
    assert "resumed" in farthing("stop", "--list").stdout


def test_options_together_stop_what_has_them_all(farthing: CommandLine, ledger: Path) -> None:
    options = (
        "--environment", "development", "--key", "alice", "--group", "g", "--developer", "d", "--workflow",
        "dev-month", "--label", "feature=search", "--label", "note=a=b", "--provider", "openai",
        "--model", "gpt-4o-mini",
    )  # fmt: skip

    stopped = told(farthing("stop", *options, "--reason", "x", "--json"))

    assert stopped["match"] == {
        "environment": "development", "group": "g", "key": "alice", "developer": "d", "workflow": "dev-month",
        "provider": "openai", "model": "gpt-4o-mini", "label:feature": "search", "label:note": "a=b",
    }  # fmt: skip
    assert stopped["never_seen"] == ["group", "developer", "label:note"]
    assert stopped["by"]
    assert told(farthing("resume", *options, "--json"))["resumed"][0]["stop_id"] == stopped["stop_id"]


def test_a_stop_is_lifted_by_its_id(farthing: CommandLine, ledger: Path) -> None:
    first = told(farthing("stop", "--model", "gpt-4o", "--reason", "one", "--json"))
    told(farthing("stop", "--model", "gpt-4o", "--reason", "two", "--json"))

    assert "Resumed model gpt-4o" in farthing("resume", first["stop_id"]).stdout

    assert live(ledger) == [{"model": "gpt-4o"}]


def test_a_name_that_no_call_had_is_stopped_with_a_remark(farthing: CommandLine, ledger: Path) -> None:
    result = farthing("stop", "--environment", "devlopment", "--reason", "x")

    assert result.exit_code == 0
    assert (
        "No call on this ledger had environment devlopment so far. Did you mean development?" in result.stderr
    )
    assert live(ledger) == [{"environment": "devlopment"}]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("stop", "--reason", "x"), "it is not said what to stop"),
        (("stop", "--all"), "a stop needs a reason"),
        (("stop", "--all", "--reason", " "), "a stop needs a 'reason'"),
        (("stop", "--all", "--key", "alice", "--reason", "x"), "--all is every call"),
        (("stop", "--label", "feature", "--reason", "x"), "'feature' is no label"),
        (("stop", "--environment", "", "--reason", "x"), "environment is empty"),
        (("resume",), "name the stop to lift"),
        (("resume", "stop_1", "--all"), "name the stop to lift"),
    ],
)
def test_what_is_not_clear_stops_nothing(
    farthing: CommandLine, ledger: Path, arguments: tuple[str, ...], said: str
) -> None:
    result = farthing(*arguments, "--json")

    assert result.exit_code == 2
    assert said in (complaint(result)["message"] or "")
    assert live(ledger) == []


def test_lifting_what_is_not_stopped_is_answered_with_no(farthing: CommandLine, ledger: Path) -> None:
    farthing("stop", "--environment", "development", "--reason", "x")

    result = farthing("resume", "--environment", "production", "--json")

    assert result.exit_code == 1
    assert "environment development was stopped by" in (complaint(result)["why"] or "")
    assert live(ledger) == [{"environment": "development"}]


def test_a_ledger_that_is_not_there_cannot_be_stopped(farthing: CommandLine, company: Path) -> None:
    result = farthing("stop", "--all", "--reason", "x")

    assert result.exit_code == 2
    assert "there is no ledger" in result.stderr
    assert farthing("stop", "--list").stdout == "Nothing is stopped, and nothing was.\n"
