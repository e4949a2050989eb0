"""What each test of a run spent, read from the ledger, so that the rows are what the books say."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from farthing.config.stores import open_store
from farthing.domain.errors import LedgerUnavailable
from farthing.domain.money import decimal_text, dollars, nanodollars_from
from farthing.domain.period import Period, window_of
from farthing.ledger.entries import Entry, Outcome, account_name
from farthing.ledger.store import Store
from farthing.sdk.ci import CAP_NAME, as_label, run_cap
from farthing.sdk.runtime import store_in_use

_PAGE = 1_000
_OUTSIDE = "(outside of a test)"
_OTHERS = "(others in this run)"
_REACHED = {"run": "cap of the run reached", "test": "budget reached"}
_HEADS = ("test", "calls", "refused", "spent", "budget", "")


class Spend(msgspec.Struct):
    """What one test asked of models."""

    calls: int = 0
    refused: int = 0
    nanodollars: int = 0


def spend_table(
    ledgers: Sequence[str], *, since_us: int, budgets: Mapping[str, str], reached: Mapping[str, str]
) -> Iterator[str]:
    """The lines of the table: tests by spend, the dearest first, and their sum beside the cap of the run.

    budgets: dollars of tests that have their own; reached: which limit a test reached, run or test.
    """
    run, cap = run_cap()
    account = account_name(CAP_NAME, None, window_of(Period.RUN, since_us, "UTC", run=run).key)
    tests: dict[str, Spend] = {}
    others = held = 0
    for url in ledgers:
        try:
            store, is_ours = store_in_use(url), False
            if store is None:
                store, is_ours = open_store(url), True
            try:
                before = sum(spend.nanodollars for spend in tests.values())
                for entry in _entries(store, since_us=since_us):
                    if account in entry.accounts or entry.facts.run == run:
                        _add(tests, entry)
                here = sum(spend.nanodollars for spend in tests.values()) - before
                balance = store.balance(account)
            finally:
                if is_ours:
                    store.close()
        except LedgerUnavailable as error:
            yield f"the ledger cannot be read: {error}"
            continue
        if balance is not None:
            others += balance.settled - here
            held += balance.held
    if others:
        tests[_OTHERS] = Spend(nanodollars=others)
    limits = {as_label(test): dollars(nanodollars_from(amount)) for test, amount in budgets.items()}
    ends = {as_label(test): _REACHED[limit] for test, limit in reached.items()}
    rows = [
        (test, *_numbers(spend), limits.get(test, ""), ends.get(test, ""))
        for test, spend in sorted(tests.items(), key=lambda one: (-one[1].nanodollars, one[0]))
    ]
    total = Spend(
        sum(spend.calls for spend in tests.values()),
        sum(spend.refused for spend in tests.values()),
        sum(spend.nanodollars for spend in tests.values()),
    )
    rows.append(("total", *_numbers(total), dollars(cap), f"run {run}"))
    yield from _aligned([_HEADS, *rows])
    if held:
        yield f"and {dollars(held)} held by calls in flight"


def _entries(store: Store, *, since_us: int) -> Iterator[Entry]:
    before: tuple[int, str] | None = None
    while True:
        page = store.entries(limit=_PAGE, before=before, since_us=since_us)
        yield from page
        if len(page) < _PAGE:
            return
        before = (page[-1].at_us, page[-1].call_id)


def _add(tests: dict[str, Spend], entry: Entry) -> None:
    spend = tests.setdefault(entry.facts.labels.get("test", _OUTSIDE), Spend())
    if entry.outcome is Outcome.REFUSED:
        spend.refused += entry.count
    else:
        spend.calls += 1
        spend.nanodollars += entry.cost_nanodollars


def _numbers(spend: Spend) -> tuple[str, str, str]:
    return str(spend.calls), str(spend.refused), f"${decimal_text(spend.nanodollars)}"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns of one width; the amounts without the zeros that all of them end in."""
    spare = min(len(row[3]) - max(len(row[3].rstrip("0")), row[3].index(".") + 3) for row in rows[1:])
    rows = [rows[0], *((*row[:3], row[3][: len(row[3]) - spare], *row[4:]) for row in rows[1:])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADS))]
    for row in rows:
        first, *numbers, last = row
        shown = [first.ljust(widths[0])]
        shown += [number.rjust(width) for number, width in zip(numbers, widths[1:-1], strict=True)]
        yield "  ".join([*shown, last]).rstrip()
