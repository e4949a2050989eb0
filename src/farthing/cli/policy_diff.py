"""farthing policy diff: only what two policies, or two environments of one, say differently."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from farthing.cli import options, screen
from farthing.cli.door import CommandError
from farthing.cli.opening import policy_paths

if TYPE_CHECKING:
    from farthing.config.comparing import Difference

Side = Annotated[str, typer.Argument(help="A policy file, or an environment of the policy.")]


def diff(one: Side, other: Side, policy: options.Policies = None, as_json: options.AsJson = False) -> None:
    """Compare two policy files, or two environments of one policy: only the keys that differ."""
    found = _compared(one, other, policy)
    if as_json:
        screen.print_json(
            {
                "one": one,
                "other": other,
                "differences": [{"key": row.key, "one": row.one, "other": row.other} for row in found],
            }
        )
        return
    if not found:
        screen.line(f"{one} and {other} say the same.")
        return
    columns = {"key": "left", one: "text", other: "text"}
    screen.table(columns, [(row.key, row.one or "", row.other or "") for row in found])


def _compared(one: str, other: str, policy: options.Policies) -> "list[Difference]":
    from farthing.config.comparing import NoSuchEnvironment, compare_environments, compare_files

    files = [Path(name) for name in (one, other)]
    if all(file.is_file() for file in files):
        return compare_files(files[:1], files[1:])
    if any(file.is_file() for file in files):
        missing = next(str(file) for file in files if not file.is_file())
        raise CommandError(f"there is no file {missing}", fix="name two files, or two environments")
    try:
        return compare_environments(policy_paths(policy), one, other)
    except NoSuchEnvironment as error:
        raise CommandError(f"{one} and {other} are not both environments", fix=str(error)) from error
