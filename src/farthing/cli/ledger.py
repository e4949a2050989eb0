"""The ledger itself: whether its balances are the sums of its entries."""

import time

from farthing.cli import options, screen
from farthing.cli.door import ANSWER_IS_NO, command, noun
from farthing.cli.opening import ledger_in_use, open_ledger

app = noun("ledger", "The ledger: verify it.")


@command(app, "verify", example="farthing ledger verify --ledger sqlite:///farthing.db")
def verify(
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """Recompute every balance and every sum from the entries; exit 1 on any difference."""
    import typer

    url = ledger_in_use(ledger, policy)
    began = time.monotonic_ns()
    with (
        open_ledger(ledger, policy) as store,
        screen.aside().status(f"Recomputing {url} from its entries ..."),
    ):
        differences = store.verify()
        accounts = len(store.balances())
    milliseconds = (time.monotonic_ns() - began) // 1_000_000
    if as_json:
        rows = [{"what": row.what, "expected": row.expected, "found": row.found} for row in differences]
        screen.print_json(
            {
                "ledger": url,
                "ok": not rows,
                "accounts": accounts,
                "milliseconds": milliseconds,
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
            f"✓ {screen.count(accounts, 'account')} and every roll-up equal the sums of their entries "
            f"({milliseconds} ms)."
        )
    if differences:
        raise typer.Exit(ANSWER_IS_NO)
