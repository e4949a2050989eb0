"""Which streams the code that runs now is reading: a call that it makes meanwhile waits for them in vain."""

import os
import threading
import weakref
from asyncio import Task, current_task
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol


class Reader(NamedTuple):
    """Who read a stream last: a thread, and in an event loop the task."""

    thread: int
    task: "weakref.ref[Task[Any]] | None"


class Stream(Protocol):
    """An answer that is being read, and what is held for it in the accounts of a ledger."""

    @property
    def reader(self) -> Reader:
        """Who read it last."""
        ...

    @property
    def holds(self) -> Mapping[str, int]:
        """Nanodollars by account."""
        ...


# Those that are open, by the ledger's address and the call's id.
_open: dict[tuple[str, str], Stream] = {}


def this_thread() -> Reader:
    """The reader of a stream that a thread reads."""
    return Reader(threading.get_ident(), None)


def this_task() -> Reader:
    """The reader of a stream that a task reads."""
    task = current_task()
    return Reader(threading.get_ident(), None if task is None else weakref.ref(task))


def begun(ledger: str, call_id: str, stream: Stream) -> None:
    """Take note of a stream that is open from now on."""
    _open[ledger, call_id] = stream


def ended(ledger: str, call_id: str) -> None:
    """Forget a stream that is settled."""
    _open.pop((ledger, call_id), None)


def held_by(asker: Reader, ledger: str) -> dict[str, int]:
    """What the streams that the asker itself is reading hold of each account; a task's alone for a task."""
    held: dict[str, int] = {}
    if _open:
        for stream in _read_by(asker, ledger):
            for account, nanodollars in stream.holds.items():
                held[account] = held.get(account, 0) + nanodollars
    return held


def _read_by(asker: Reader, ledger: str) -> Iterator[Stream]:
    for (where, _), stream in list(_open.items()):
        reader = stream.reader
        # Who does not ask as a task stops all of its thread, and with it every task there.
        is_same = reader.thread == asker.thread if asker.task is None else reader.task == asker.task
        if where == ledger and is_same:
            yield stream


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_open.clear)  # what the parent reads
