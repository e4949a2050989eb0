"""Seed ledgers of any size with twelve months of traffic; one that was broken off goes on."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from farthing.config.starter import starter_policy
from farthing.config.stores import open_store
from farthing.ledger.store import Store
from farthing.scenarios.moments import HOUR_US
from farthing.scenarios.writing import write
from farthing.scenarios.year import Year

_MARK = "benchmark"
_TELL_SECONDS = 30


def ledger_of(folder: Path, entries: int) -> Path:
    """The ledger of so many entries in a folder, seeded where it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    policy = folder / "farthing.yaml"
    if not policy.exists():
        policy.write_text(starter_policy(), encoding="utf-8")
    file = folder / f"{entries}.db"
    store = open_store(str(file))
    try:
        _seed(store, entries)
    finally:
        store.close()
    return file


def _seed(store: Store, entries: int) -> None:
    this_hour_us = time.time_ns() // 1_000 // HOUR_US * HOUR_US
    begun = json.loads(store.remember(_MARK, json.dumps({"entries": entries, "ends_at_us": this_hour_us})))
    written = sum(row.calls + row.refused for row in store.spend(by=[]))
    if store.recall(f"{_MARK}-whole") is not None:
        return
    year = Year(entries, ends_at_us=begun["ends_at_us"])
    with _progress(entries, written) as tell:
        rows = islice(year.rows(), written, None)
        write(rows, store, name="year", first=written, progress=lambda count: tell(written + count))
    for outcome in year.outcomes:
        store.add_outcome(outcome)
    store.remember(f"{_MARK}-whole", "yes")


@contextmanager
def _progress(entries: int, written: int) -> Iterator[Callable[[int], None]]:
    """A bar with rate and time left; elsewhere than on a terminal a line now and then."""
    began = time.monotonic()
    if not sys.stderr.isatty():
        yield _lines(entries, written, began)
        return
    rate_shown = TextColumn("{task.fields[rate]:,.0f} a second")
    columns = (TextColumn("seeding"), BarColumn(), MofNCompleteColumn(), rate_shown, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as drawn:
        task = drawn.add_task("", total=entries, completed=written, rate=0.0)

        def tell(done: int) -> None:
            drawn.update(task, completed=done, rate=(done - written) / (time.monotonic() - began))

        yield tell


def _lines(entries: int, written: int, began: float) -> Callable[[int], None]:
    told = began

    def tell(done: int) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told < _TELL_SECONDS and done < entries:
            return
        told, rate = now, (done - written) / (now - began)
        left = (entries - done) / rate / 60
        print(
            f"{done:,} of {entries:,} entries, {rate:,.0f} a second, {left:.0f} min left",
            file=sys.stderr,
            flush=True,
        )

    return tell
