"""Show on a terminal how far something long has come; elsewhere be silent."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from farthing.cli import screen

if TYPE_CHECKING:
    from farthing.ledger.entries import Entry


@contextmanager
def calls_passing(whole: int) -> "Iterator[Callable[[Iterable[Entry]], Iterator[Entry]]]":
    """A bar of how many calls have passed, of so many."""
    if not sys.stderr.isatty():
        yield iter
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    with Progress(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=screen.aside()) as drawn:
        task = drawn.add_task("calls", total=whole)

        def passing(entries: "Iterable[Entry]") -> "Iterator[Entry]":
            for entry in entries:
                drawn.advance(task, entry.count)
                yield entry

        yield passing


@contextmanager
def progress_of(what: str, whole: int) -> "Iterator[Callable[[int], None]]":
    """A bar that is told how many of so many are done."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen.aside()) as drawn:
        task = drawn.add_task(what, total=whole)
        yield lambda done: drawn.update(task, completed=done)


@contextmanager
def progress_in_steps() -> "Iterator[Callable[[str, int, int], None]]":
    """A bar for one step after another, each with its name, how much of it is done, and of how much."""
    if not sys.stderr.isatty():
        yield lambda what, done, whole: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=screen.aside(), transient=True) as drawn:
        task = drawn.add_task("", total=None)
        yield lambda what, done, whole: drawn.update(task, description=what, completed=done, total=whole)
