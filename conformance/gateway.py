"""Start a gateway as its own process, ask it, read its ledger through the API, end it."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from conformance.recordings import Json

ADMIN_TOKEN = "fa-conformance"  # noqa: S105 - a token of this run only
PROVIDER_SECRET = "provider-secret"  # noqa: S105
READY_SECONDS_MAX = 20.0
ANSWER_SECONDS_MAX = 60.0
END_SECONDS_MAX = 10.0

_SERVE = """
import sys
from farthing.gateway.serve import ServeOptions, serve
serve(ServeOptions(policy=(sys.argv[1],), ledger=sys.argv[2], port=int(sys.argv[3])))
"""


class GatewayDidNotStart(Exception):
    """The gateway ended, or kept silent, before it was ready."""


@dataclass(frozen=True)
class Told:
    """An answer as the caller receives it."""

    status: int
    headers: dict[str, str]
    body: bytes


class RunningGateway:
    """A gateway on a loopback port with a ledger in a file."""

    def __init__(self, folder: Path, policy: Json) -> None:
        self._policy = folder / "farthing.yaml"
        self._policy.write_text(json.dumps(policy, indent=1), encoding="utf-8")
        self._ledger = f"sqlite:///{folder / 'farthing.db'}"
        self._log = folder / "gateway.log"
        self._port = _free_port()
        self._keys: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def key_of(self, environment: str) -> str:
        """A key of an environment; made when it is first asked for."""
        if environment not in self._keys:
            told = self._admin("POST", "/api/keys", {"environment": environment, "label": "caller"})
            self._keys[environment] = told["key"]
        return self._keys[environment]

    def entry(self, call_id: str) -> Json:
        """What the ledger has of a call."""
        return self._admin("GET", f"/api/calls/{call_id}")

    def settled_nanodollars(self, budget: str) -> int:
        """What is settled on a budget, over all windows."""
        rows = self._admin("GET", f"/api/budgets?budget={budget}&current=false")["budgets"]
        return sum(int(row["spent_nanodollars"]) for row in rows)

    def ask(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Told:
        """Send one request on a connection of its own and read the whole answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_SECONDS_MAX)
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            told = {name.lower(): text for name, text in answer.getheaders()}
            return Told(answer.status, told, answer.read())
        finally:
            connection.close()

    def _admin(self, method: str, path: str, body: Json | None = None) -> Json:
        headers = {"authorization": f"Bearer {ADMIN_TOKEN}", "content-type": "application/json"}
        told = self.ask(method, path, headers, json.dumps(body).encode() if body else b"")
        if told.status >= 300:
            raise AssertionError(f"{method} {path} answered {told.status}: {told.body.decode()}")
        answer: Json = json.loads(told.body)
        return answer

    def __enter__(self) -> "RunningGateway":
        """Start it, and wait until it is ready."""
        environ = os.environ | {"FARTHING_ADMIN_TOKEN": ADMIN_TOKEN, "REPLAY_KEY": PROVIDER_SECRET}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-c", _SERVE, str(self._policy), self._ledger, str(self._port)],
                env=environ,
                stdout=log,
                stderr=log,
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self._stop()

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + READY_SECONDS_MAX
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                if self.ask("GET", "/readyz", {}, b"").status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise GatewayDidNotStart(self._log.read_text(encoding="utf-8"))

    def _stop(self) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(END_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
