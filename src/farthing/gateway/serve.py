"""Run the gateway under uvicorn: one process, or several workers on one ledger."""

import ipaddress
import os
import signal
import sys
import threading
from pathlib import Path
from typing import NoReturn

import msgspec
import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import Multiprocess

from farthing.config.build import build
from farthing.gateway.api import admin_sha256
from farthing.gateway.app import Gateway, UpstreamClient
from farthing.gateway.calls import Limits

_OPTIONS = "FARTHING_WORKER_OPTIONS"
GRACEFUL_SECONDS = 75
KEEP_ALIVE_SECONDS = 75


class ServeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to run the gateway. Times are seconds.

    simulator_url: where simulated and mock targets are answered; None where the policy has none.
    """

    policy: tuple[str, ...] = ("farthing.yaml",)
    ledger: str | None = None
    host: str = "127.0.0.1"
    port: int = 8787
    workers: int = 1
    body_limit_mib: int = 32
    answer_seconds: float = 600.0
    drain_seconds: float = 60.0
    simulator_url: str | None = None
    upstream_client: UpstreamClient = "own"
    log_level: str = "warning"


_decode_options = msgspec.json.Decoder(ServeOptions).decode


def serve(options: ServeOptions) -> None:
    """Serve until told to stop; a first SIGTERM or SIGINT lets open calls end."""
    if threading.current_thread() is threading.main_thread():
        # A single process raises the signal anew once it has stopped: to stop when asked is a success.
        signal.signal(signal.SIGTERM, _exit_as_asked)
    os.environ[_OPTIONS] = msgspec.json.encode(options).decode()
    config = uvicorn.Config(
        "farthing.gateway.serve:worker_app",
        factory=True,
        host=options.host,
        port=options.port,
        workers=options.workers,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_level=options.log_level,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
    )
    if options.workers > 1:
        Workers(config, sockets=[config.bind_socket()]).run()
        return
    config.load_app()
    server = uvicorn.Server(config)
    server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)


class Workers(Multiprocess):
    """The parent of several workers. Told by SIGHUP that the policy changed, it tells them."""

    def handle_hup(self) -> None:
        """Pass the signal on; nobody is started anew."""
        for worker in self.processes:
            if worker.pid is not None and worker.process.is_alive():
                os.kill(worker.pid, signal.SIGHUP)


def _exit_as_asked(*_: object) -> NoReturn:
    raise SystemExit(0)


def worker_app() -> Gateway:
    """Build the application of one worker process, from the options its parent left in the environment."""
    options = _decode_options(os.environ[_OPTIONS])
    running = build([Path(path) for path in options.policy], ledger=options.ledger)
    token_sha256, _ = admin_sha256(running.store, os.environ.get("FARTHING_ADMIN_TOKEN"))
    return Gateway(
        running,
        admin_sha256=token_sha256,
        simulator_url=options.simulator_url,
        worker=os.getpid(),
        limits=Limits(body_bytes=options.body_limit_mib * 1024 * 1024, drain_seconds=options.drain_seconds),
        answer_seconds=options.answer_seconds,
        upstream_client=options.upstream_client,
        metrics_open=is_loopback(options.host),
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
