"""Prove on this very installation that calls accrue and limits hold; then look at the user's own set-up."""

import typer
from rich.text import Text

from farthing.cli import options, screen
from farthing.cli.door import ANSWER_IS_NO, command
from farthing.cli.examination import Check, Verdict

app = typer.Typer()

_MARKS = {Verdict.GOOD: ("✓", "green"), Verdict.BAD: ("✗", "red"), Verdict.NOTE: ("·", "yellow")}


@command(app, "doctor", example="farthing doctor --policy farthing.yaml")
def doctor(
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """Prove that calls accrue and limits hold; check your set-up.

    The proof runs a real gateway with a simulated provider in a temporary folder: nothing of yours is
    touched, nothing leaves this machine. Exit 1 if anything fails.
    """
    from farthing.cli.installation import examine_installation
    from farthing.cli.proof import prove

    checks: list[Check] = []
    for heading, examining in (
        ("On this machine, with a temporary gateway", prove()),
        ("Your set-up", examine_installation(policy, ledger)),
    ):
        if not as_json:
            screen.line(heading, "bold")
        for check in examining:
            checks.append(check)
            if not as_json:
                _draw(check)
    failed = sum(check.verdict is Verdict.BAD for check in checks)
    if as_json:
        screen.print_json({"ok": not failed, "checks": [check.shown() for check in checks]})
    elif failed:
        screen.line(f"{failed} of {len(checks)} checks failed.", "bold red")
    else:
        screen.line(f"All is well: {len(checks)} checks.", "bold green")
    if failed:
        raise typer.Exit(ANSWER_IS_NO)


def _draw(check: Check) -> None:
    mark, style = _MARKS[check.verdict]
    text = Text(f"  {mark} ", style=style).append(check.name, style="default")
    if check.figure:
        text.append(f"  {check.figure}", style="dim")
    screen.screen().print(text, soft_wrap=True)
    if check.fix:
        screen.line(f"      To go on: {check.fix}", style)
