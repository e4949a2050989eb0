"""farthing export: the entries of a window as a file, which sums to the ledger."""

import enum
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from farthing.cli import options, screen
from farthing.cli.door import ANSWER_IS_NO, CommandError, command
from farthing.cli.opening import did_you_mean, open_ledger, policy_or_none
from farthing.cli.progress import calls_passing
from farthing.domain.money import dollars
from farthing.domain.period import iso_utc

if TYPE_CHECKING:
    from farthing.config.load import Loaded
    from farthing.reports.export import Export
    from farthing.reports.export_writing import Layout, Writing

app = typer.Typer()

_EXAMPLE = "farthing export --environment production --month last --output exports/"


class Form(enum.StrEnum):
    """What an export looks like."""

    CSV = "csv"
    JSON_LINES = "jsonl"
    PARQUET = "parquet"
    FOCUS = "focus"


class FocusFile(enum.StrEnum):
    """What the rows of FOCUS are written as."""

    CSV = "csv"
    PARQUET = "parquet"


class FocusVersion(enum.StrEnum):
    """The versions of FOCUS."""

    V1_2 = "1.2"
    V1_3 = "1.3"


@command(app, "export", example=_EXAMPLE)
def export(
    form: Annotated[
        Form | None, typer.Option("--format", help="Else as the name of the file ends; else csv.")
    ] = None,
    environment: Annotated[str | None, typer.Option(help="Only this environment.")] = None,
    month: Annotated[
        str | None, typer.Option(help="2026-10, this or last.", show_default="last, where no window is named")
    ] = None,
    week: Annotated[str | None, typer.Option(help="2026-W46, this or last; Monday to Sunday.")] = None,
    since: Annotated[
        str | None, typer.Option(help="A whole hour in UTC, such as 2026-11-01T06:00, or how long ago: 7d.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="The same; this hour is not included.")] = None,
    output: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="A file, or a folder/ where it gets a name by what is in it."),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Write over a file that says something else.")
    ] = False,
    focus_as: Annotated[
        FocusFile | None, typer.Option(help="FOCUS as csv or parquet; else as the file's name ends.")
    ] = None,
    focus_version: Annotated[FocusVersion, typer.Option(help="The version of FOCUS.")] = FocusVersion.V1_2,
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """Write one row for each call of a window: CSV, JSON lines, Parquet, or the columns of FOCUS.

    Windows are counted in UTC. The rows are added up and held against the ledger; a second export of the
    same window is the same, byte for byte, and leaves its file alone. A window that has not ended, or has
    calls in flight, is provisional. Without --output, text goes to stdout.
    """
    from farthing.reports.export import Export, check_environment
    from farthing.reports.export_window import window_asked
    from farthing.reports.export_writing import Writing
    from farthing.reports.spans import BadMoment

    now_us = time.time_ns() // 1_000
    try:
        window = window_asked(month, week, since, until, now_us=now_us)
    except BadMoment as error:
        raise CommandError(str(error), fix=_EXAMPLE) from error
    loaded = policy_or_none(policy, ledger)
    layout = _layout(form, output, focus_as, focus_version, loaded)
    if output is None and (as_json or layout.encoding.value == "parquet"):
        what = "Parquet" if layout.encoding.value == "parquet" else "the rows beside the summary of --json"
        raise CommandError(f"no file is named for {what}", fix=f"add  --output calls.{layout.ending}")
    with open_ledger(ledger, policy, empty=True) as store, _told(environment):
        check_environment(environment, store, loaded.policy.environments if loaded is not None else ())
        asked = Export(store, window, environment=environment, now_us=now_us)
        with calls_passing(asked.expected.calls + asked.expected.refused) as passing:
            asked.passing = passing
            writing = Writing(asked, layout)
            if output is None:
                _print(writing)
                summary = _summary(writing, asked, layout)
            else:
                file = _file(output, asked, layout, now_us)
                summary = _write(writing, asked, layout, file, replace=replace)
    if as_json:
        screen.print_json(summary)
    else:
        _remark(summary)


# ── what is asked ───────────────────────────────────────────────────────────────────────────────


def _layout(
    form: Form | None,
    output: str | None,
    focus_as: FocusFile | None,
    version: FocusVersion,
    loaded: "Loaded | None",
) -> "Layout":
    """What to write: as it was told, else as the name of the file ends."""
    from farthing.reports.export_writing import Encoding, Layout

    ending = Path(output).suffix.removeprefix(".") if output is not None and not _is_folder(output) else ""
    if form is Form.FOCUS:
        organization = loaded.policy.organization if loaded is not None else ""
        named = FocusFile.PARQUET if ending == FocusFile.PARQUET.value else FocusFile.CSV
        return Layout(encoding=Encoding((focus_as or named).value), focus=version.value, account=organization)
    if focus_as is not None:
        raise CommandError("--focus-as is of --format focus", fix="add  --format focus")
    if form is None:
        form = _form_of(ending)
    return Layout(encoding=Encoding(form.value))


def _is_folder(output: str) -> bool:
    return output.endswith(("/", os.sep)) or Path(output).is_dir()


def _form_of(ending: str) -> Form:
    """The format that the name of a file tells. Raises CommandError where it tells another one."""
    if not ending:
        return Form.CSV
    forms = {"csv": Form.CSV, "txt": Form.CSV, "jsonl": Form.JSON_LINES, "parquet": Form.PARQUET}
    form = forms.get(ending.lower())
    if form is None:
        raise CommandError(
            f"no export has a file that ends in .{ending}",
            fix=f"name it .{', .'.join(forms)}, or add  --format csv  (a spreadsheet opens it)",
        )
    return form


def _file(output: str, asked: "Export", layout: "Layout", now_us: int) -> Path:
    """The file to write: the one that was named, or one of a name by what is in it."""
    from farthing.reports.export_window import file_name

    path = Path(output)
    if not _is_folder(output):
        if not path.parent.is_dir():
            raise CommandError(
                f"there is no folder {path.parent}",
                fix=f"make it, or write  --output {path.parent}/  which makes it and names the file",
            )
        return path
    path.mkdir(parents=True, exist_ok=True)
    return path / file_name(
        asked.window, asked.environment, layout.ending, provisional=asked.provisional, now_us=now_us
    )


# ── writing and telling ─────────────────────────────────────────────────────────────────────────


@contextmanager
def _told(environment: str | None) -> Iterator[None]:
    """Say what can go wrong: what is missing, what differs, what is there already."""
    from farthing.reports.export import ExportDiffers, Forgotten, UnknownEnvironment
    from farthing.reports.export_parquet import NoParquet
    from farthing.reports.export_writing import FileDiffers

    try:
        yield
    except UnknownEnvironment as error:
        meant = did_you_mean(environment or "", error.known)
        raise CommandError(str(error), fix=meant or "see  farthing spend --by environment") from error
    except Forgotten as error:
        fix = "farthing report environments has the sums; exports made before have the rows"
        raise CommandError(str(error), fix=fix, exit_code=ANSWER_IS_NO) from error
    except NoParquet as error:
        raise CommandError(
            str(error), fix="pip install 'farthing[parquet]', or choose --format csv"
        ) from error
    except FileDiffers as error:
        raise CommandError(
            str(error), fix="add --replace, or name another file with --output", exit_code=ANSWER_IS_NO
        ) from error
    except ExportDiffers as error:
        raise CommandError(
            str(error),
            why="what was written is not to be used; no file was made",
            fix="export it again; if that is no help, farthing ledger verify tells which sum is wrong",
            exit_code=ANSWER_IS_NO,
        ) from error


def _print(writing: "Writing") -> None:
    """Write text to stdout; who reads it may have seen enough."""
    try:
        for chunk in writing.chunks():
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(ANSWER_IS_NO) from None


def _write(
    writing: "Writing", asked: "Export", layout: "Layout", file: Path, *, replace: bool
) -> dict[str, object]:
    """Write a file; one of a provisional name gives way to what is newer."""
    from farthing.reports.export_window import PROVISIONAL
    from farthing.reports.export_writing import beside, put, sha256_of

    with beside(file) as part:
        writing.into(part)
        outcome = put(part, file, replace=replace or PROVISIONAL in file.suffixes)
    return {
        "file": str(file),
        "outcome": outcome,
        "sha256": sha256_of(file),
        **_summary(writing, asked, layout),
    }


def _summary(writing: "Writing", asked: "Export", layout: "Layout") -> dict[str, object]:
    exported = writing.exported
    assert exported is not None
    return {
        "format": f"focus {layout.focus}" if layout.focus else layout.encoding,
        "environment": asked.environment,
        "since": iso_utc(asked.window.since_us),
        "until": iso_utc(asked.window.until_us),
        "provisional": exported.provisional,
        "entries": exported.entries,
        **exported.sums,
        "made_harmless": writing.made_harmless,
    }


def _remark(summary: dict[str, object]) -> None:
    """Tell beside the rows what they are, and what to know about them."""
    entries, cost, harmless = summary["entries"], summary["cost_nanodollars"], summary["made_harmless"]
    assert isinstance(entries, int)
    assert isinstance(cost, int)
    assert isinstance(harmless, int)
    said = {"written": "Wrote", "replaced": "Replaced", "unchanged": "Nothing changed in"}
    where = f"{said[str(summary['outcome'])]} {summary['file']}: " if "file" in summary else ""
    span = f"{summary['since']} to {summary['until']}".replace(":00:00.000000Z", "Z")
    noun = "entry" if entries == 1 else "entries"
    screen.remark(f"{where}{entries:,} {noun} of {span}, {dollars(cost)}, the same as on the ledger.")
    if not entries:
        screen.remark("No call is in that window; --month this has those of this month.")
    if summary["provisional"]:
        screen.remark(
            "Provisional: the window has not ended, or calls of it are in flight; export it again then."
        )
    if harmless:
        cells = screen.count(harmless, "cell")
        screen.remark(f"{cells} that a spreadsheet would run as a formula got an apostrophe in front.")
