"""Run a real gateway on a real socket for tests, with a simulator as the only provider it knows."""

import http.client
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any

import uvicorn

from farthing.config.build import build
from farthing.gateway.api import admin_sha256
from farthing.gateway.app import Gateway
from farthing.gateway.calls import Limits
from farthing.simulator.server import SimulatorServer

ADMIN_TOKEN = "fa-the-admin-token-of-the-tests"
PROVIDER_SECRETS = {
    "OPENAI_API_KEY": "sk-secret-of-openai",
    "ANTHROPIC_API_KEY": "sk-ant-secret-of-anthropic",
    "GEMINI_API_KEY": "AIza-secret-of-google",
}
START_SECONDS_MAX = 10.0
POLL_SECONDS = 0.01

Json = dict[str, Any]
_numbers = count(1)


@dataclass(frozen=True)
class CallKey:
    """A key that may call models."""

    secret: str
    key_id: str
    label: str
    environment: str

    @property
    def bearer(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.secret}"}


@dataclass(frozen=True, kw_only=True)
class Heard:
    """An answer as it came; whole is False where the connection ended before the body did."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    whole: bool = True

    def header(self, name: str) -> str | None:
        return next((value for known, value in self.headers if known == name), None)

    def all(self, name: str) -> list[str]:
        return [value for known, value in self.headers if known == name]

    def json(self) -> Json:
        decoded = json.loads(self.body)
        assert isinstance(decoded, dict), decoded
        return decoded


class Log(logging.Handler):
    """Everything that was logged, as text; errors apart."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line, with its traceback."""
        text = self.format(record)
        self.lines.append(text)
        if record.levelno >= logging.ERROR or record.exc_info:
            self.errors.append(text)


class RunningGateway:
    """A gateway in a thread of its own; everything it is asked goes over its socket."""

    def __init__(
        self,
        policy: str,
        folder: Path,
        simulator: SimulatorServer,
        *,
        limits: Limits | None = None,
        answer_seconds: float = 30.0,
        metrics_open: bool = True,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.simulator = simulator
        file = folder / "farthing.yaml"
        file.write_text(policy.replace("SIMULATOR", simulator.url), "utf-8")
        self.ledger_file = folder / "farthing.db"
        self.running = build([file], environ={**PROVIDER_SECRETS, **(environ or {})})
        token_sha256, _ = admin_sha256(self.running.store, ADMIN_TOKEN)
        gateway = Gateway(
            self.running,
            admin_sha256=token_sha256,
            simulator_url=simulator.url,
            limits=limits or Limits(drain_seconds=5.0),
            answer_seconds=answer_seconds,
            metrics_open=metrics_open,
        )
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.host = "127.0.0.1"
        self.port: int = self._socket.getsockname()[1]
        # What farthing serve tells uvicorn, but for the log, which stays with pytest.
        config = uvicorn.Config(
            gateway, loop="uvloop", http="httptools", ws="none", lifespan="on", access_log=False,
            log_config=None, server_header=False, date_header=False, proxy_headers=False,
            timeout_keep_alive=75, timeout_graceful_shutdown=2,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=lambda: self._server.run(sockets=[self._socket]), name="gateway", daemon=True
        )

    def __enter__(self) -> "RunningGateway":
        """Serve; when this returns, calls are answered."""
        self._thread.start()
        wait_until(lambda: self._server.started, seconds=START_SECONDS_MAX)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and wait until nothing is left."""
        self._server.should_exit = True
        self._thread.join(START_SECONDS_MAX)
        self._socket.close()

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def openai_url(self) -> str:
        return f"{self.url}/v1"

    # ── what a caller does ──────────────────────────────────────────────────────────────────────

    def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Heard:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=15)
        try:
            connection.request(method, path, body, {"content-type": "application/json", **(headers or {})})
            return hear(connection)
        finally:
            connection.close()

    def post(
        self, path: str, body: Json | bytes, key: CallKey | None, headers: Mapping[str, str] | None = None
    ) -> Heard:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.request("POST", path, raw, {**(key.bearer if key else {}), **(headers or {})})

    def chat(
        self,
        key: CallKey,
        text: str,
        *,
        model: str = "gpt-4o-mini",
        headers: Mapping[str, str] | None = None,
        **members: object,
    ) -> Heard:
        body = {"model": model, "messages": [{"role": "user", "content": text}], **members}
        return self.post("/v1/chat/completions", body, key, headers)

    # ── what the administrator does ─────────────────────────────────────────────────────────────

    def admin(self, path: str, method: str = "GET", body: Json | None = None) -> Heard:
        raw = b"" if body is None else json.dumps(body).encode()
        return self.request(method, path, raw, {"authorization": f"Bearer {ADMIN_TOKEN}"})

    def key(self, environment: str = "production", label: str | None = None, **more: str) -> CallKey:
        """Make a key that nobody has used; its label is unique unless given."""
        label = label or f"key-{next(_numbers)}"
        made = self.admin("/api/keys", "POST", {"environment": environment, "label": label, **more})
        assert made.status == 201, made.body
        told = made.json()
        return CallKey(told["key"], told["key_id"], label, environment)

    def entries(self, key: CallKey) -> list[Json]:
        """The entries of a key, newest first, read by the key's owner."""
        heard = self.request("GET", "/api/calls?limit=1000", headers=key.bearer)
        assert heard.status == 200, heard.body
        rows: list[Json] = heard.json()["calls"]
        return rows

    def entry(self, key: CallKey) -> Json:
        """The one entry that a key has; waits for those that nobody was made to wait for."""
        wait_until(lambda: bool(self.entries(key)))
        (entry,) = self.entries(key)
        return entry

    def metric(self, name: str, **labels: str) -> int:
        """The sum of the samples of a metric that carry these labels."""
        total = 0.0
        for line in self.admin("/metrics").body.decode().splitlines():
            if line.startswith(f"{name}{{") and all(
                f'{one}="{told}"' in line for one, told in labels.items()
            ):
                total += float(line.rpartition(" ")[2])
        return int(total)

    def holds(self) -> list[Json]:
        rows: list[Json] = self.admin("/api/holds").json()["holds"]
        return rows


def hear(connection: http.client.HTTPConnection) -> Heard:
    """Read an answer to its end, or as far as it goes."""
    response = connection.getresponse()
    try:
        body, whole = response.read(), True
    except http.client.IncompleteRead as broken:
        body, whole = broken.partial, False
    headers = [(name.lower(), value) for name, value in response.getheaders()]
    return Heard(status=response.status, headers=headers, body=body, whole=whole)


def wait_until(fact: Callable[[], bool], *, seconds: float = 5.0) -> None:
    """Ask again and again until something is true; fail when it takes too long."""
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(POLL_SECONDS)
