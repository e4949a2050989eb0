"""Stand in for every provider at once: answer /CASE/… with what was recorded for that case."""

import json
import socket
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar

from conformance.recordings import Recording

# The test says with this header how an answer is to be cut; gateways pass unknown headers on.
MANNER = "x-replay-manner"
WHOLE, BYTE_BY_BYTE, IN_PIECES = "whole", "byte-by-byte", "in-pieces"
PIECE_BYTES = 1_000


@dataclass(frozen=True)
class Received:
    """A request as it came here."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class Replay:
    """The server, on a loopback port, in threads of its own."""

    def __init__(self, recordings: Iterable[Recording]) -> None:
        self._by_id = {recording.id: recording for recording in recordings}
        self.received: dict[str, list[Received]] = {name: [] for name in self._by_id}
        handler = type("Handler", (_Handler,), {"replay": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def base_url(self, recording: Recording) -> str:
        """What the official SDK of its dialect would be given to reach this case."""
        url = f"http://127.0.0.1:{self._server.server_port}/{recording.id}"
        return f"{url}/v1" if recording.family == "openai" else url

    def recording_at(self, path: str) -> Recording | None:
        """The case that a path names."""
        return self._by_id.get(path.split("/")[1])

    def __enter__(self) -> "Replay":
        """Start serving."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    replay: ClassVar[Replay]
    protocol_version = "HTTP/1.1"
    wbufsize = 0  # every write is a segment of its own

    def setup(self) -> None:
        """Send small pieces at once."""
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def do_POST(self) -> None:
        """Answer as recorded."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        recording = self.replay.recording_at(self.path)
        if recording is None:
            self.send_error(404)
            return
        headers = {name.lower(): text for name, text in self.headers.items()}
        received = Received(self.path.removeprefix(f"/{recording.id}"), headers, json.loads(body))
        self.replay.received[recording.id].append(received)
        self.send_response_only(recording.status)
        for name, text in recording.answer_headers.items():
            self.send_header(name, text)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for piece in _cut(recording.answer_on_the_wire, headers.get(MANNER, WHOLE)):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def _cut(body: bytes, manner: str) -> Iterator[bytes]:
    size = {WHOLE: max(len(body), 1), IN_PIECES: PIECE_BYTES, BYTE_BY_BYTE: 1}[manner]
    for start in range(0, len(body), size):
        yield body[start : start + size]
