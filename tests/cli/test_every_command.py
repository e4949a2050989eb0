"""What every command has: help with an example, --json, and a quick start."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from farthing import __version__
from farthing.cli.main import app
from farthing.reports.catalog import REPORTS
from tests.cli.conftest import CommandLine


def _commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(_commands(typer.main.get_command(app)))


def test_the_tree_holds_every_command_of_the_design() -> None:
    assert {" ".join(path) for path in COMMANDS} == {
        "init", "serve", "demo", "doctor", "estimate", "spend", "export", "key create", "key list",
        "key rotate", "key revoke", "alert list", "budget list", "budget show", "price list", "price show",
        "price set",
        "policy check", "policy schema", "policy diff", "policy explain", "policy simulate",
        "policy observed", "annotation add", "annotation list", "annotation end", "ledger verify",
        "ledger archive", "ledger forget", "stop",
        "resume", "pass grant", "pass list", "pass end", "report outcomes", "cache show", "cache clear",
        "wallet list", "wallet show", "wallet credit", "token create", "token list", "token revoke",
        "audit list", "reconcile", "budget request", "budget requests", "budget approve", "budget deny",
        "budget raise",
        *(f"report {report.name}" for report in REPORTS),
    }  # fmt: skip


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_a_command_has_help_an_example_of_itself_and_json(
    path: tuple[str, ...], farthing: CommandLine
) -> None:
    result = farthing(*path, "--help")

    assert result.exit_code == 0
    assert COMMANDS[path].help
    assert f"Example: farthing {' '.join(path)}" in result.stdout
    assert "--json" in result.stdout


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_option_of_a_command_says_what_it_does(path: tuple[str, ...]) -> None:
    options = [one for one in COMMANDS[path].params if one.param_type_name == "option"]

    assert options
    assert [one.name for one in options if not one.help] == []


def test_the_version_is_told(farthing: CommandLine) -> None:
    assert farthing("--version").stdout == f"farthing {__version__}\n"


def test_help_loads_nothing_heavy() -> None:
    heavy = ("aiohttp", "fastapi", "pydantic", "uvicorn", "sqlite3", "ruamel", "farthing.prices.book")
    look = "import sys, farthing.cli.main; print(*(name for name in sys.argv[1:] if name in sys.modules))"

    loaded = subprocess.run([sys.executable, "-c", look, *heavy], capture_output=True, text=True, check=True)

    assert loaded.stdout.split() == []
