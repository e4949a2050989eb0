"""The ledger itself: whether its balances are the sums of its entries, and where these are."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from farthing.cli import options, screen
from farthing.cli.door import ANSWER_IS_NO, command, noun
from farthing.cli.ledger_archive import archive, forget
from farthing.cli.opening import ledger_in_use, open_ledger
from farthing.cli.progress import progress_in_steps

if TYPE_CHECKING:
    from farthing.ledger.archiving import Partition

app = noun("ledger", "The ledger: verify it, archive old entries.")
command(app, "archive", example="farthing ledger archive --keep-months 3")(archive)
command(app, "forget", example='farthing ledger forget --before 2024-01 --reason "two years"')(forget)


@command(app, "verify", example="farthing ledger verify --ledger sqlite:///farthing.db")
def verify(
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """Recompute every balance and every sum from the entries, archived ones too; exit 1 on any difference."""
    import typer

    url = ledger_in_use(ledger, policy)
    began = time.monotonic_ns()
    with open_ledger(ledger, policy) as store, progress_in_steps() as progress:
        progress(f"recomputing {url}", 0, 1)
        differences = store.verify(progress)
        accounts = len(store.balances())
        here = sum(month.entries for month in store.months())
        partitions = store.partitions()
    forgotten = [row for row in partitions if row.forgotten_at_us]
    archived = sum(row.entries for row in partitions if not row.forgotten_at_us)
    milliseconds = (time.monotonic_ns() - began) // 1_000_000
    if as_json:
        rows = [{"what": row.what, "expected": row.expected, "found": row.found} for row in differences]
        screen.print_json(
            {
                "ledger": url,
                "ok": not rows,
                "accounts": accounts,
                "milliseconds": milliseconds,
                "entries": {"ledger": here, "archive": archived},
                "on_trust": [_forgotten_json(row) for row in forgotten],
                "differences": rows,
            }
        )
    elif differences:
        columns = {"what": "left", "sum of the entries": "right", "found": "right", "difference": "right"}
        screen.table(
            columns,
            [
                (row.what, f"{row.expected:,}", f"{row.found:,}", f"{row.found - row.expected:+,}")
                for row in differences
            ],
        )
        screen.line(
            f"{screen.count(len(differences), 'difference')}: do not trust this ledger; "
            "restore it or ask for help.",
            "red",
        )
    else:
        screen.line(
            f"✓ {screen.count(accounts, 'account')} and every roll-up equal the sums of their entries: "
            f"{here:,} in the ledger, {archived:,} in its archive ({milliseconds} ms)."
        )
    if not as_json:
        _tell_of_trust(forgotten)
    if differences:
        raise typer.Exit(ANSWER_IS_NO)


def _tell_of_trust(forgotten: "Sequence[Partition]") -> None:
    from farthing.domain.period import iso_utc

    for row in forgotten:
        when = iso_utc(row.forgotten_at_us or 0)[:10]
        screen.line(
            f"The sums of {row.month} are taken on trust: its entries, {row.entries:,} in all, were deleted "
            f"by {row.forgotten_by} on {when} ({row.forgotten_reason}).",
            "yellow",
        )


def _forgotten_json(row: "Partition") -> dict[str, object]:
    from farthing.domain.period import iso_utc

    return {
        "month": row.month,
        "entries": row.entries,
        "forgotten_at": iso_utc(row.forgotten_at_us or 0),
        "forgotten_by": row.forgotten_by,
        "forgotten_reason": row.forgotten_reason,
    }
