"""Write a policy file to begin with."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from farthing.cli import options, screen
from farthing.cli.door import CommandError, command
from farthing.cli.opening import POLICY
from farthing.cli.program import program
from farthing.domain.money import NANODOLLARS_PER_DOLLAR, BadAmount, dollars, nanodollars_from

if TYPE_CHECKING:
    from farthing.config.starter import Split

app = typer.Typer()

_DEVELOPER_SHARE = 15  # percent of all money, where nobody says how many developers there are
_EnvironmentName = Literal["development", "staging", "ci", "production"]


@command(app, "init", example="farthing init --total 5000 --developers 5")
def init(
    path: Annotated[Path, typer.Option(help="Where to write it.")] = POLICY,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    environment: Annotated[
        _EnvironmentName | None,
        typer.Option(help="Only this environment, for files side by side.", show_default="all four"),
    ] = None,
    total: Annotated[
        str | None, typer.Option(metavar="DOLLARS", help="All money of a month.", show_default="5000")
    ] = None,
    developers: Annotated[
        int | None, typer.Option(min=1, help="How many people develop.", show_default="5")
    ] = None,
    per_developer: Annotated[
        str, typer.Option(metavar="DOLLARS", help="What each of them may spend in a month.")
    ] = "150",
    as_json: options.AsJson = False,
) -> None:
    """Write a commented policy to begin with.

    It has development, staging, CI and production, and splits a month's money among them. It works
    without any provider key: a provider whose key is not set is simulated.
    """
    from farthing.config.starter import ENVIRONMENTS, starter_policy

    if path.exists() and not force:
        raise CommandError(
            f"{path} is there already",
            why="a policy is not written over by accident",
            fix="choose another --path, or write over it with --force",
        )
    split = _split(total, developers, per_developer)
    wanted = [environment] if environment else ENVIRONMENTS
    text = starter_policy(split=split, environments=wanted)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    beside = "" if path == POLICY else f" --policy {path}"
    steps = {
        f"{program()} policy check{beside}": "look at what it says",
        f"{program()} serve{beside}": "start the gateway; providers without a key are simulated",
        f"{program()} key create --environment {wanted[0]} --label NAME{beside}": "make a key to call",
        f"{program()} doctor{beside}": "prove on this machine that calls accrue and limits hold",
    }
    if as_json:
        screen.print_json(
            {"path": str(path), "lines": text.count("\n"), "split": _split_json(split), "next": list(steps)}
        )
        return
    screen.line(f"Wrote {path} ({text.count(chr(10))} lines): read it, it is meant to be edited.")
    _tell(split)
    screen.line("Then:")
    for step, purpose in steps.items():
        screen.line(f"  {step}")
        screen.line(f"      {purpose}", "dim")


def _split(total: str | None, developers: int | None, per_developer: str) -> "Split":
    """Split what is given; what is not given follows from the rest."""
    from farthing.config.starter import BadSplit, split_of

    each = _amount("--per-developer", per_developer)
    if total is None:
        count = developers or 5
        whole = count * each * 100 // _DEVELOPER_SHARE
    else:
        whole = _amount("--total", total)
        count = developers or max(whole * _DEVELOPER_SHARE // 100 // each, 1)
    try:
        return split_of(whole, count, per_developer=each)
    except BadSplit as error:
        raise CommandError(
            str(error), fix="raise --total, or lower --developers or --per-developer"
        ) from error


def _amount(option: str, given: str) -> int:
    try:
        amount = nanodollars_from(given)
    except BadAmount as error:
        raise CommandError(f"{option}: {error}") from error
    if amount < NANODOLLARS_PER_DOLLAR:
        raise CommandError(f"{option} {given} is too little to split", fix="give a dollar or more")
    return amount


def _split_json(split: "Split") -> dict[str, object]:
    return {
        "total_nanodollars": split.total,
        "production_nanodollars": split.production,
        "development_nanodollars": split.development,
        "staging_nanodollars": split.staging,
        "ci_nanodollars": split.ci,
        "per_developer_nanodollars": split.per_developer,
        "development_to_production": split.ratio,
        "non_production_percent": split.non_production_percent,
    }


def _tell(split: "Split") -> None:
    """Tell who may spend what, and whether that is a sound proportion."""
    count = split.development // split.per_developer
    screen.line(f"{dollars(split.total)} a month:")
    for name, amount, beside in (
        ("production", split.production, ""),
        ("development", split.development, f" = {count} x {dollars(split.per_developer)}"),
        ("staging", split.staging, ""),
        ("CI", split.ci, ""),
    ):
        screen.line(f"  {name:<12}{dollars(amount):>14}{beside}")
    high = "" if split.development * 3 <= split.production else "; sound is 1:3 or less"
    screen.line(f"Development to production is {split.ratio}{high}.")
    much = "" if (split.total - split.production) * 4 <= split.total else "; aim at 25 % or less"
    screen.line(f"{split.non_production_percent} % is not production{much}.")
