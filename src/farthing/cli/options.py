"""The options that many commands share, so that they are named and explained once."""

from pathlib import Path
from typing import Annotated

import typer

Policies = Annotated[
    list[Path] | None,
    typer.Option(
        "--policy",
        metavar="FILE",
        envvar="FARTHING_POLICY",
        show_default="farthing.yaml",
        help="Policy file; repeat it for several files side by side.",
    ),
]
Ledger = Annotated[
    str | None,
    typer.Option(
        "--ledger",
        metavar="URL",
        envvar="FARTHING_LEDGER",
        show_default="the SQLite file farthing.db beside the policy",
        help="Ledger: sqlite:///relative, sqlite:////absolute, or a path.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
