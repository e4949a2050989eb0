"""Annotations: say that a feature is being built, so that reports expect development to cost more."""

import time
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from farthing.cli import options, screen
from farthing.cli.author import By, author
from farthing.cli.door import ANSWER_IS_NO, CommandError, command, noun
from farthing.cli.opening import open_ledger

if TYPE_CHECKING:
    from farthing.ledger.report_store import Annotation

app = noun("annotation", "Say why development costs more for a while: which feature, until when.")

_DAY = "DAY"


@command(
    app,
    "add",
    example="farthing annotation add --feature checkout --starts 2026-11-02 --ships 2026-11-20",
)
def add(
    feature: Annotated[str, typer.Option(help="The feature, as its calls name it in the label feature.")],
    starts: Annotated[str, typer.Option(metavar=_DAY, help="The day that work on it starts, in UTC.")],
    ships: Annotated[str, typer.Option(metavar=_DAY, help="The day that it ships.")],
    until: Annotated[
        str | None, typer.Option(metavar=_DAY, help="The day that it expires; else 14 days after it ships.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why it costs more; it is kept for good.")] = "",
    by: By = None,
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """Announce a feature: until this expires, farthing report ratio accepts what development costs.

    The same feature and start once more replaces what was said before.
    """
    from farthing.reports.annotations import BadAnnotation, annotation_json, new_annotation

    now_us = time.time_ns() // 1_000
    try:
        made = new_annotation(
            feature=feature, starts=_day(starts), ships=_day(ships), until=_day(until) if until else None,
            note=reason, by=author(by), at_us=now_us,
        )  # fmt: skip
    except BadAnnotation as error:
        raise CommandError(str(error), fix="see  farthing annotation add --help") from error
    with open_ledger(ledger, policy, make=True) as store:
        store.annotate(made)
    told = annotation_json(made, now_us=now_us)
    if as_json:
        screen.print_json(told)
        return
    screen.line(f"{made.feature} is expected to cost more until {str(told['until'])[:10]}.")


@command(app, "list", example="farthing annotation list --all")
def list_annotations(
    everything: Annotated[bool, typer.Option("--all", help="Also those that expired.")] = False,
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """List annotations, the latest start first."""
    from farthing.reports.annotations import annotation_json, in_force

    now_us = time.time_ns() // 1_000
    with open_ledger(ledger, policy, empty=True) as store:
        rows = [one for one in in_force(store.annotations()) if everything or one.until_us > now_us]
    if as_json:
        screen.print_json({"annotations": [annotation_json(one, now_us=now_us) for one in rows]})
        return
    if not rows:
        screen.line("No annotations. Announce a feature with  farthing annotation add")
        return
    columns = dict.fromkeys(("feature", "starts", "ships", "until", "by"), "left") | {"why": "text"}
    screen.table(columns, [_cells(one, now_us) for one in rows])


@command(app, "end", example='farthing annotation end checkout --reason "cleaned up"')
def end(
    feature: Annotated[
        str, typer.Argument(metavar="FEATURE", help="The feature, as annotation list shows it.")
    ],
    reason: Annotated[str, typer.Option(help="Why; it is kept for good.")] = "",
    by: By = None,
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """Let the annotations of a feature expire now. They stay in the list."""
    from farthing.reports.annotations import annotation_json, end_annotations

    now_us = time.time_ns() // 1_000
    with open_ledger(ledger, policy) as store:
        ended = end_annotations(store, feature, by=author(by), note=reason, at_us=now_us)
    if not ended:
        raise CommandError(
            f"no annotation of {feature} is in force",
            fix="farthing annotation list --all shows every one",
            exit_code=ANSWER_IS_NO,
        )
    if as_json:
        screen.print_json({"annotations": [annotation_json(one, now_us=now_us) for one in ended]})
        return
    screen.line(f"From now on nothing more is expected of {feature}.")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"{text!r} is no day", fix="write it like 2026-11-20") from error


def _cells(one: "Annotation", now_us: int) -> tuple[str, ...]:
    from farthing.reports.annotations import annotation_json

    told = annotation_json(one, now_us=now_us)
    starts, ships, until = (str(told[name])[:10] for name in ("starts_at", "ships_at", "until"))
    return one.feature, starts, ships, until + (" (expired)" if told["expired"] else ""), one.by, one.note
