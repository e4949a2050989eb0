"""farthing ledger archive and forget: entries of closed months go to files, and such files on purpose."""

import re
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from farthing.cli import options, screen
from farthing.cli.author import By, author
from farthing.cli.door import CommandError
from farthing.cli.opening import file_of, ledger_in_use, open_ledger
from farthing.cli.progress import progress_in_steps

if TYPE_CHECKING:
    from farthing.ledger.archiving import Month, Partition
    from farthing.ledger.store import Store

_KEPT_MONTHS = 1
# VACUUM writes the file anew, beside it and through its journal.
_ROOM_TO_SHRINK = 2

Before = Annotated[
    str | None, typer.Option(metavar="YYYY-MM", help="Months before this one, by UTC; it must have begun.")
]


def archive(
    before: Before = None,
    keep_months: Annotated[
        int | None,
        typer.Option(min=0, help="Leave so many months that have ended.", show_default=str(_KEPT_MONTHS)),
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where the files go.",
            show_default="where the last ones went, else beside the ledger",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would go.")] = False,
    list_them: Annotated[bool, typer.Option("--list", help="Only list what was archived.")] = False,
    shrink: Annotated[
        bool,
        typer.Option(
            "--shrink",
            help="Give the room back to the disk too: calls wait meanwhile, and twice the room is needed.",
        ),
    ] = False,
    by: By = None,
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """Move the entries of months that ended a month ago, or as told, to one Parquet file a month.

    Balances and sums stay. Every question, export and verify reads both.
    """
    url = ledger_in_use(ledger, policy)
    now_us = time.time_ns() // 1_000
    until_us = _until(before, keep_months, now_us)
    with open_ledger(ledger, policy) as store:
        if list_them:
            _list(store, url, as_json=as_json)
            return
        folder = into or _folder(store, url)
        if dry_run:
            _tell([], _going(store, until_us), folder, url, as_json=as_json, dry_run=True)
            return
        if shrink:
            _check_room(url)
        with progress_in_steps() as progress:
            done = store.archive(folder, until_us=until_us, at_us=now_us, by=author(by), progress=progress)
        if shrink:
            with screen.aside().status("Giving room back to the disk; calls wait meanwhile ..."):
                store.shrink()
        _tell(done, _going(store, until_us), folder, url, as_json=as_json, dry_run=False)


def forget(
    before: Annotated[
        str, typer.Option(metavar="YYYY-MM", help="Months before this one, by UTC; it must have begun.")
    ],
    reason: Annotated[str, typer.Option(help="Why; kept in the audit.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be deleted.")] = False,
    by: By = None,
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """Delete the files of archived months, for good. Balances and sums stay, and are taken on trust."""
    now_us = time.time_ns() // 1_000
    until_us = _until(before, None, now_us)
    with open_ledger(ledger, policy) as store:
        going = [row for row in store.partitions() if row.until_us <= until_us and not row.forgotten_at_us]
        if not dry_run:
            going = store.forget_partitions(until_us=until_us, at_us=now_us, by=author(by), reason=reason)
        if as_json:
            screen.print_json({"dry_run": dry_run, "forgotten": [_partition_json(row) for row in going]})
            return
    if not going:
        screen.line(f"Nothing was archived of the months before {before}, so nothing is forgotten.")
        return
    entries = sum(row.entries for row in going)
    deleted = "Would be deleted" if dry_run else "Deleted"
    screen.line(f"{deleted}: the entries of {_months_of(going)}, {entries:,} in all. Their sums stay.")


# ── which months ────────────────────────────────────────────────────────────────────────────────


def _until(before: str | None, keep_months: int | None, now_us: int) -> int:
    """The moment by which months must have ended. Raises CommandError for one that is still to come."""
    from farthing.ledger.archiving import month_before, month_bounds, month_name

    current = month_name(now_us)
    if before is None:
        return month_bounds(month_before(current, _KEPT_MONTHS if keep_months is None else keep_months))[0]
    if keep_months is not None:
        raise CommandError("--before and --keep-months say the same thing", fix="give one of them")
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", before):
        raise CommandError(f"{before} is no month", fix="write it like 2026-09")
    if before > current:
        raise CommandError(
            f"not every month before {before} has ended",
            why=f"this is {current}, in UTC",
            fix=f"say --before {current} at most",
        )
    return month_bounds(before)[0]


def _going(store: "Store", until_us: int) -> "list[Month]":
    return [month for month in store.months() if month.until_us <= until_us]


def _folder(store: "Store", url: str) -> Path:
    """Where the last partition went; the first goes beside the ledger, into a folder named after it."""
    file = file_of(url)
    if file is None:  # it says itself why it cannot be archived
        return Path()
    partitions = store.partitions()
    if partitions:
        latest = max(partitions, key=lambda row: row.number)
        return (file.parent / latest.file).parents[2]
    return file.with_name(f"{file.stem}-archive")


def _check_room(url: str) -> None:
    file = file_of(url)
    if file is None:
        return
    needed, free = _ROOM_TO_SHRINK * file.stat().st_size, shutil.disk_usage(file.absolute().parent).free
    if free < needed:
        raise CommandError(
            f"there is no room to shrink {file}",
            why=f"it takes {_megabytes(needed)} for a while, and {_megabytes(free)} are free",
            fix="make room on the disk, or archive without --shrink: the room is used again for new entries",
        )


# ── what is shown ───────────────────────────────────────────────────────────────────────────────


def _tell(
    done: "Sequence[Partition]",
    left: "Sequence[Month]",
    folder: Path,
    url: str,
    *,
    as_json: bool,
    dry_run: bool,
) -> None:
    waiting = [month for month in left if month.open_holds]
    going = [month for month in left if not month.open_holds]
    if as_json:
        screen.print_json(
            {
                "ledger": url,
                "folder": str(folder),
                "dry_run": dry_run,
                "archived": [_partition_json(row) for row in done],
                "going": [_month_json(month) for month in going],
                "waiting": [_month_json(month) for month in waiting],
            }
        )
        return
    if done:
        _table(done)
        screen.line(f"Their entries are in {folder} now; keep it with the ledger.")
    if dry_run and going:
        columns = {"month": "left", "entries": "right"}
        screen.table(columns, [(month.month, f"{month.entries:,}") for month in going])
        screen.line(f"They would go to {folder}.")
    for month in waiting:
        calls = screen.count(month.open_holds, "call")
        screen.line(f"{month.month} stays: {calls} begun in it still in flight.", "yellow")
    if not done and not left:
        screen.line("There is nothing to archive: no entries of months that ended so long ago.")


def _list(store: "Store", url: str, *, as_json: bool) -> None:
    partitions = store.partitions()
    if as_json:
        screen.print_json({"ledger": url, "archived": [_partition_json(row) for row in partitions]})
    elif partitions:
        _table(partitions)
    else:
        screen.line(f"Nothing of {url} was archived yet; farthing ledger archive does it.")


def _table(partitions: "Sequence[Partition]") -> None:
    from farthing.domain.money import dollars

    columns = {"month": "left", "entries": "right", "cost": "right", "size": "right", "file": "text"}
    rows = [
        (
            row.month,
            f"{row.entries:,}",
            dollars(row.cost_nanodollars),
            "" if row.forgotten_at_us else _megabytes(row.file_bytes),
            f"forgotten by {row.forgotten_by}: {row.forgotten_reason}" if row.forgotten_at_us else row.file,
        )
        for row in partitions
    ]
    screen.table(columns, rows)


def _partition_json(row: "Partition") -> dict[str, object]:
    from farthing.domain.period import iso_utc

    return {
        "month": row.month,
        "state": row.state.value,
        "entries": row.entries,
        "cost_nanodollars": row.cost_nanodollars,
        "file": row.file,
        "file_bytes": row.file_bytes,
        "sha256": row.sha256,
        "archived_at": iso_utc(row.archived_at_us),
        "archived_by": row.archived_by,
        "forgotten_at": iso_utc(row.forgotten_at_us) if row.forgotten_at_us else None,
        "forgotten_by": row.forgotten_by,
        "forgotten_reason": row.forgotten_reason,
    }


def _month_json(month: "Month") -> dict[str, object]:
    return {"month": month.month, "entries": month.entries, "open_holds": month.open_holds}


def _months_of(partitions: "Sequence[Partition]") -> str:
    months = sorted({row.month for row in partitions})
    return months[0] if len(months) == 1 else f"{months[0]} to {months[-1]}"


def _megabytes(number: int) -> str:
    return f"{(number + 50_000) // 100_000 / 10:.1f} MB"
