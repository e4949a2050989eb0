"""Write a policy file to begin with."""

from pathlib import Path
from typing import Annotated

import typer

from farthing.cli import options, screen
from farthing.cli.door import CommandError, command
from farthing.cli.opening import POLICY
from farthing.cli.program import program

app = typer.Typer()


@command(app, "init", example="farthing init --path farthing.yaml")
def init(
    path: Annotated[Path, typer.Option(help="Where to write it.")] = POLICY,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Write a commented policy to begin with.

    It has development, staging, CI and production. It works without any provider key: a provider whose
    key is not set is simulated.
    """
    from farthing.config.starter import starter_policy

    if path.exists() and not force:
        raise CommandError(
            f"{path} is there already",
            why="a policy is not written over by accident",
            fix="choose another --path, or write over it with --force",
        )
    text = starter_policy()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    beside = "" if path == POLICY else f" --policy {path}"
    steps = {
        f"{program()} policy check{beside}": "look at what it says",
        f"{program()} serve{beside}": "start the gateway; providers without a key are simulated",
        f"{program()} key create --environment development --label NAME{beside}": "make a key to call",
        f"{program()} doctor{beside}": "prove on this machine that calls accrue and limits hold",
    }
    if as_json:
        screen.print_json({"path": str(path), "lines": text.count("\n"), "next": list(steps)})
        return
    screen.line(f"Wrote {path} ({text.count(chr(10))} lines): read it, it is meant to be edited.")
    screen.line("Then:")
    for step, purpose in steps.items():
        screen.line(f"  {step}")
        screen.line(f"      {purpose}", "dim")
