"""The command line: nouns first, then verbs; every command in one tree."""

import io
import sys
from typing import Annotated

import typer

from farthing import __version__
from farthing.cli import (
    alert,
    annotation,
    audit,
    budget,
    cache,
    demo,
    doctor,
    estimate,
    export,
    init,
    key,
    ledger,
    policy,
    premium_pass,
    price,
    reconcile,
    report,
    serve,
    spend,
    stop,
    token,
    wallet,
)
from farthing.cli.door import CommandLine

HELP = "Governs what software spends on AI models: budgets, models, limits and an exact ledger."

app = typer.Typer(
    name="farthing",
    cls=CommandLine,
    epilog="Start with  farthing init  and  farthing serve.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"farthing {__version__}")
        raise typer.Exit


@app.callback(help=HELP)
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Hold the options that stand before any command."""


MODULES = (
    init, serve, demo, doctor, estimate, spend, report, export, reconcile, key, token, budget, wallet,
    alert, price, policy, ledger, annotation, cache, stop, premium_pass, audit,
)  # fmt: skip
for module in MODULES:
    app.add_typer(module.app)


def run() -> None:
    """Run the console script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a bar or a tick shows a question mark, and no error.
            stream.reconfigure(errors="replace")
    app(prog_name="farthing")
