"""Who does what a command does: as told, else the user of this computer."""

import getpass
from typing import Annotated

import typer

By = Annotated[str | None, typer.Option(help="Who does it.", show_default="the user of this computer")]


def author(by: str | None) -> str:
    """The name that is kept."""
    if by is not None:
        return by
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container without a name for its user
        return "unknown"
