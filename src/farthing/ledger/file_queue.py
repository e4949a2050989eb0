"""A queue of processes before one file: a kernel lock with a deadline, freed when its holder dies."""

import os
import sys
import threading
from pathlib import Path

from farthing.domain.errors import LedgerUnavailable

if sys.platform != "win32":
    import fcntl


class FileQueue:
    """Lets one process at a time pass. The kernel wakes those who wait; nobody sleeps and asks again.

    One thread of a process may wait at a time. A blocking kernel lock knows no deadline, so when the
    lock is taken a thread of our own waits for it and the caller waits for that thread, with one.
    """

    def __init__(self, path: Path, *, deadline_s: float) -> None:
        self._path = path
        self._deadline_s = deadline_s
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._changed = threading.Condition()
        self._wanted = False
        self._granted = False
        self._asking = False
        self._closed = False
        self._waiter: threading.Thread | None = None

    def enter(self) -> None:
        """Wait for our turn. Raises LedgerUnavailable when it does not come before the deadline."""
        with self._changed:
            # While the waiting thread asks the kernel, the lock it will get is the same as ours.
            if not self._asking and self._try():
                return
            if self._waiter is None:
                self._waiter = threading.Thread(target=self._wait, name="farthing-file-queue", daemon=True)
                self._waiter.start()
            self._wanted = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._granted, self._deadline_s)
            self._wanted = False
            if self._granted:
                self._granted = False
                return
        raise LedgerUnavailable(
            f"another process has kept {self._path} locked for {self._deadline_s:g} s; "
            "it may be stopped: look for it with `fuser`"
        )

    def leave(self) -> None:
        """Let the next one pass."""
        if sys.platform != "win32":
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Give the file up; a thread that still waits ends when its turn comes."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            waits = self._waiter is not None and self._waiter.is_alive()
        if not waits:
            os.close(self._descriptor)

    def abandon(self) -> None:
        """Close the file in a forked child, where the lock and its waiting thread are the parent's."""
        os.close(self._descriptor)

    def _try(self) -> bool:
        if sys.platform == "win32":
            return True  # SQLite's own lock is the only one there
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _wait(self) -> None:
        """Take the lock whenever it is wanted; give it back when nobody wants it any more."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: (self._wanted and not self._granted) or self._closed)
                if self._closed:
                    os.close(self._descriptor)
                    return
                self._asking = True
            if sys.platform != "win32":
                fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            with self._changed:
                self._asking = False
                if self._wanted:
                    self._granted = True
                    self._changed.notify_all()
                else:
                    self.leave()
