"""Keep forks out of the middle of SQLite: a lock that another thread holds then stays locked in the child."""

import os
import threading

# A fork waits at most this long; one who asks a long question must not stop the program.
_PATIENCE_S = 5.0


class ForkGate:
    """Threads pass while they are inside SQLite; a fork waits until none is, and lets none in."""

    def __init__(self) -> None:
        self._reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self._close, after_in_parent=self._open, after_in_child=self._reset)

    def __enter__(self) -> None:
        with self._changed:
            while self._closed:
                self._changed.wait()
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._inside -= 1
            if self._closed:
                self._changed.notify_all()

    def _close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: self._inside == 0, _PATIENCE_S)

    def _open(self) -> None:
        with self._changed:
            self._closed = False
            self._changed.notify_all()

    def _reset(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._closed = False
