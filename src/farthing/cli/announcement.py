"""Wait, beside a starting gateway, until it really answers; then say so once."""

import http.client
import sys
import threading
from collections.abc import Callable

_PAUSE_SECONDS = 0.05
_ANSWER_SECONDS_MAX = 5


class Announcement:
    """A thread that asks /readyz until the answer is yes, and then calls tell.

    made: whether it was told.
    """

    def __init__(self, host: str, port: int, tell: Callable[[], None]) -> None:
        self._host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
        self._port = port
        self._tell = tell
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._wait, name="farthing-announcement", daemon=True)
        self.made = False

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no longer."""
        self._stopped.set()
        self._thread.join(_ANSWER_SECONDS_MAX)

    def _wait(self) -> None:
        while not self._stopped.wait(_PAUSE_SECONDS):
            if self._ready():
                self._tell()
                sys.stdout.flush()
                self.made = True
                return

    def _ready(self) -> bool:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_ANSWER_SECONDS_MAX)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
