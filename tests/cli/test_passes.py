"""farthing pass: grant one, list them, end one."""

from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine, told

GRANT = ("pass", "grant", "--model", "gpt-4o", "--budget", "$2", "--for", "2h", "--by", "ana")
HERE = (*GRANT, "--reason", "check before merging", "--environment", "development")


def test_a_pass_is_granted_listed_and_ended(farthing: CommandLine, company: Path) -> None:
    result = farthing(*HERE, "--key", "alice")
    assert result.exit_code == 0, result.output
    assert "key alice in development may ask for gpt-4o and spend $2.00" in result.stdout

    (held,) = told(farthing("pass", "list", "--json"))["passes"]
    assert (held["live"], held["left"], held["by"]) == (True, "$2.00", "ana")
    assert "check before merging" in farthing("pass", "list").stdout

    ended = told(farthing("pass", "end", held["pass_id"], "--reason", "checked", "--by", "ben", "--json"))
    assert (ended["live"], ended["ended_by"], ended["ended_reason"]) == (False, "ben", "checked")
    assert farthing("pass", "list").stdout == "Nobody holds a pass.\n"
    assert "ended by ben" in farthing("pass", "list", "--all").stdout
    again = farthing("pass", "end", held["pass_id"])
    assert again.exit_code == 1
    assert "is live" in again.stderr


def test_a_developer_may_hold_a_pass(farthing: CommandLine, company: Path) -> None:
    made = told(farthing(*HERE, "--developer", "bob", "--json"))
    assert (made["developer"], made["key"]) == ("bob", None)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((*HERE,), "one key or for one developer"),
        ((*GRANT, "--reason", "x", "--key", "nobody"), "no living key nobody"),
        ((*GRANT, "--reason", "x", "--developer", "bob"), "name the environment"),
        ((*HERE, "--key", "alice", "--budget", "much"), "much"),
    ],
)
def test_a_pass_that_is_not_clear_is_not_granted(
    farthing: CommandLine, company: Path, words: tuple[str, ...], said: str
) -> None:
    result = farthing(*words)
    assert result.exit_code == 2
    assert said in result.stderr
