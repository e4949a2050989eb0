"""The response cache: what it keeps and has saved, and to clear it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from farthing.cli import options, screen
from farthing.cli.door import CommandError, command, noun
from farthing.cli.opening import did_you_mean, ledger_in_use, open_ledger, policy_or_none
from farthing.domain.money import dollars
from farthing.domain.period import iso_utc

if TYPE_CHECKING:
    from farthing.cache.kept import Filled
    from farthing.reports.kept import KeptStanding

app = noun("cache", "The response cache: show what it keeps and has saved, clear it.")


@command(app, "show", example="farthing cache show --ledger sqlite:///farthing.db")
def show(
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """Show what each environment keeps for identical requests, for how long, and what that has saved."""
    from farthing.config.stores import cache_file
    from farthing.reports.kept import kept_json, kept_standings

    loaded = policy_or_none(policy, ledger)
    file = cache_file(ledger_in_use(ledger, policy))
    filled = _filled(file) if file is not None else []
    with open_ledger(ledger, policy, empty=True) as store:
        rows = kept_standings(loaded.policy.environments if loaded else {}, filled, store)
    if as_json:
        screen.print_json({"cache": [kept_json(row) for row in rows], "file": str(file) if file else None})
        return
    if not rows:
        screen.line("No environment keeps answers. In the policy:  cache: {enabled: true}")
        return
    columns = {"environment": "left", "kept for": "right", "answers": "right", "of": "right"}
    columns |= {"KB": "right", "oldest": "left", "hits": "right", "of calls": "right", "avoided": "right"}
    screen.table(columns, [_cells(row) for row in rows])
    screen.remark(f"Answers, with their text, stand in {file}." if file else "Answers stand in memory.")


@command(app, "clear", example="farthing cache clear --environment development")
def clear(
    environment: Annotated[str | None, typer.Option(help="Only the answers kept for this one.")] = None,
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """Forget every answer that is kept, or those of one environment; running gateways buy them anew.

    Their text is overwritten on the disk. A file that cannot be read any more is removed.
    """
    from farthing.config.stores import cache_file

    file = cache_file(ledger_in_use(ledger, policy))
    cleared = _clear(file, environment) if file is not None and file.exists() else 0
    if cleared == 0 and environment is not None:
        _check_name(environment, policy, ledger)
    if as_json:
        screen.print_json({"cleared": cleared, "environment": environment})
        return
    whose = f" of {environment}" if environment else ""
    if cleared is None:
        screen.line(f"{file} could not be read; it is removed, and made anew with the next answer.")
        return
    screen.line(f"Forgot {cleared:,} answers{whose}." if cleared else f"There were no answers{whose}.")


def _filled(file: Path) -> "list[Filled]":
    from farthing.cache.kept import CacheUnavailable
    from farthing.config.stores import open_answers

    if not file.exists():
        return []
    try:
        answers = open_answers(file)
        filled = answers.filled()
        answers.close()
    except CacheUnavailable as error:
        raise CommandError(str(error), fix="farthing cache clear  removes it; calls go without it") from error
    return filled


def _clear(file: Path, environment: str | None) -> int | None:
    """Forget answers; None where the whole file had to go."""
    from farthing.cache.kept import CacheBusy, CacheUnavailable
    from farthing.config.stores import open_answers, remove_answers

    try:
        answers = open_answers(file)
        cleared = answers.clear(environment)
        answers.close()
    except CacheBusy as error:
        raise CommandError(str(error), fix="try again in a moment") from error
    except CacheUnavailable as error:
        if environment is not None:
            raise CommandError(
                str(error), fix="farthing cache clear  without --environment removes it"
            ) from error
        remove_answers(file)
        return None
    return cleared


def _check_name(environment: str, policy: options.Policies, ledger: options.Ledger) -> None:
    """Tell a misspelt name from an environment that keeps nothing."""
    loaded = policy_or_none(policy, ledger)
    if loaded is not None and environment not in loaded.policy.environments:
        known = list(loaded.policy.environments)
        raise CommandError(
            f"the policy has no environment {environment}",
            why=f"it has {', '.join(known)}",
            fix=did_you_mean(environment, known) or "name one of them",
        )


def _cells(row: "KeptStanding") -> tuple[str, ...]:
    caching, filled = row.caching, row.filled
    return (
        row.environment,
        f"{caching.ttl_seconds:,} s" if caching else "off",
        f"{filled.entries:,}" if filled else "0",
        f"{caching.entries_max:,}" if caching else "",
        f"{-(-filled.bytes // 1024):,}" if filled else "0",
        iso_utc(filled.oldest_at_us)[:16].replace("T", " ") if filled and filled.oldest_at_us else "",
        f"{row.hits:,}",
        f"{row.calls:,} ({row.hit_percent} %)",
        dollars(row.avoided_nanodollars),
    )
