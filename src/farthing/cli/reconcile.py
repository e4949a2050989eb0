"""Compare the bill of a provider with the ledger, line by line."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from farthing.cli import options, screen
from farthing.cli.door import ANSWER_IS_NO, CommandError, command
from farthing.cli.opening import open_ledger, policy_or_none, read_prices

if TYPE_CHECKING:
    from farthing.reports.provider_rows import Document

app = typer.Typer()

_EXAMPLE = "farthing reconcile usage.json costs.json --by day --by model"
_PAIR_FIX = "write the provider's key, an equals sign and yours:  --key key_abc=alice"


@command(app, "reconcile", example=_EXAMPLE)
def reconcile(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help="Usage and cost exports of OpenAI or Anthropic.")
    ],
    provider: Annotated[
        str | None, typer.Option(help="openai or anthropic; the files say it themselves, this makes sure.")
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(help="day, model or key; repeatable.", show_default="day, model, and key where paired"),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(
            metavar="THEIRS=OURS", help="The provider's key that one of ours stands for; repeatable."
        ),
    ] = None,
    key_map: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Such pairs, one a line; # begins a remark.")
    ] = None,
    tolerance: Annotated[
        str | None,
        typer.Option(
            help="How far a cost may be apart, such as $0.01.", show_default="what rounding can make"
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Show the lines that agree too.")] = False,
    layout: Annotated[
        str | None, typer.Option("--format", help="markdown or html, instead of a drawing for this screen.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Write it to this file.")] = None,
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """Compare what a provider exported with the ledger: by UTC day, model and key, figure by figure.

    Quantities must be the same to the token. Exits with 1 where a line differs, with its likely cause.
    docs/reports.md says how to fetch the files. --json has every line.
    """
    from farthing.cli.report_command import check_layout, tell_sheet
    from farthing.domain.money import nanodollars_from
    from farthing.reports import reconcile as comparison
    from farthing.reports.provider_rows import BadExport
    from farthing.reports.reconcile_sheet import reconcile_sheet

    check_layout(layout, as_json=as_json)
    wanted = comparison.Wanted(
        by=_dimensions(by, key, key_map),
        keys=_pairs(key or [], key_map),
        tolerance=None if tolerance is None else nanodollars_from(tolerance),
        now_us=time.time_ns() // 1_000,
    )
    loaded = policy_or_none(policy, ledger)
    try:
        documents = _read(files, provider)
        with open_ledger(ledger, policy) as store, _progress("Looking at calls", None) as heard:
            compared = comparison.reconcile(documents, store, read_prices(loaded), wanted, heard=heard)
    except BadExport as error:
        raise CommandError(error.message, why=error.why, fix=error.fix) from error
    sheet = reconcile_sheet(compared, every=every or as_json, paired=bool(wanted.keys))
    tell_sheet(sheet, layout=layout, output=output, as_json=as_json)
    if not all(one.agrees for one in compared):
        raise typer.Exit(ANSWER_IS_NO)


def _read(files: Sequence[Path], provider: str | None) -> "list[Document]":
    from farthing.reports.provider_files import read_files
    from farthing.reports.provider_rows import PROVIDERS

    if provider is not None and provider not in PROVIDERS:
        raise CommandError(
            f"exports of {provider!r} cannot be read", fix=f"choose from {' and '.join(PROVIDERS)}"
        )
    with _progress("Reading", sum(path.stat().st_size for path in files)) as heard:
        documents = read_files(files, heard=heard)
    others = sorted({document.source for document in documents if provider not in (None, document.provider)})
    if others:
        raise CommandError(
            f"{', '.join(others)}: not an export of {provider}", fix="leave --provider away, or the file"
        )
    return documents


def _dimensions(by: list[str] | None, key: list[str] | None, key_map: Path | None) -> tuple[str, ...]:
    from farthing.reports.reconcile import DIMENSIONS, KEY

    wanted = tuple(by or DIMENSIONS)
    unknown = [name for name in wanted if name not in DIMENSIONS]
    if unknown:
        raise CommandError(
            f"lines cannot be told by {unknown[0]!r}", fix=f"choose from {', '.join(DIMENSIONS)}:  {_EXAMPLE}"
        )
    if by and KEY in by and not key and key_map is None:
        raise CommandError(
            "keys can be told apart only where theirs are paired with ours",
            why="the provider's keys have names of their own, and one of them may serve many of ours",
            fix=_PAIR_FIX,
        )
    return wanted


def _pairs(given: Sequence[str], file: Path | None) -> dict[str, str]:
    """Which key of ours each key of theirs stands for."""
    lines = [(f"--key {text}", text) for text in given]
    if file is not None:
        try:
            written = file.read_text("utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise CommandError(f"{file} is no text", fix=_PAIR_FIX) from error
        lines += [(f"{file}:{number}", text) for number, text in enumerate(written, start=1)]
    pairs: dict[str, str] = {}
    for where, text in lines:
        pair = text.partition("#")[0].strip()
        if not pair:
            continue
        theirs, equals, ours = (part.strip() for part in pair.partition("="))
        if not (theirs and equals and ours):
            raise CommandError(f"{where} is no pair of keys", fix=_PAIR_FIX)
        if pairs.setdefault(theirs, ours) != ours:
            raise CommandError(
                f"{where}: the provider's key {theirs} is paired with {pairs[theirs]} already",
                fix="pair each of their keys once; several of theirs may stand for one of ours",
            )
    return pairs


@contextmanager
def _progress(what: str, whole: int | None) -> Iterator[Callable[[int], None]]:
    """Show on a terminal how far it has come; elsewhere be silent."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=screen.aside(), transient=True) as drawn:
        task = drawn.add_task(what, total=whole)
        yield lambda amount: drawn.advance(task, amount)
