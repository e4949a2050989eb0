"""Gateways and simulators as real processes, each in a process group of its own that ends with its test."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

START_SECONDS_MAX = 30.0
_POLL_SECONDS = 0.02


def eventually(fact: Callable[[], bool], seconds: float, what: str) -> float:
    """Ask until a fact is true; answer after how many seconds it was. Fails at the deadline."""
    began = time.monotonic()
    while not fact():
        waited = time.monotonic() - began
        assert waited < seconds, f"{what}: not within {seconds:g} s"
        time.sleep(_POLL_SECONDS)
    return time.monotonic() - began


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


class Simulator:
    """Simulated providers in a process of their own, which outlives every gateway."""

    def __init__(self, log: Path, *behaviour: str) -> None:
        self.log = log
        command = [sys.executable, "-m", "farthing.simulator", "--log", str(log), "--kept-calls", "10"]
        self._process = subprocess.Popen(
            [*command, "--behaviour", *behaviour], stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        assert self.url.startswith("http://127.0.0.1:"), "the simulator did not start"

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.communicate(timeout=START_SECONDS_MAX)


class Gateway:
    """`python -m farthing serve` on a policy file and a ledger, in a process group of its own."""

    def __init__(self, policy: Path, ledger: Path, *, workers: int = 1, options: Sequence[str] = ()) -> None:
        self.port = free_port()
        self.errors = policy.with_name("gateway.log")
        command = [sys.executable, "-m", "farthing", "serve", "--policy", str(policy)]
        command += ["--ledger", f"sqlite:///{ledger}", "--port", str(self.port), "--workers", str(workers)]
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                [*command, *options],
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
                env={**os.environ, "FARTHING_ADMIN_TOKEN": "faults"},
            )

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def wait_until_ready(self) -> None:
        """Wait until it answers and its ledger does."""
        eventually(self._answers, START_SECONDS_MAX, "the gateway answers")

    def serving_processes(self) -> list[int]:
        """The processes that serve calls: the workers, or the only process."""
        workers = [pid for pid in _children(self.process.pid) if b"spawn_main" in _command_line(pid)]
        return workers or [self.process.pid]

    def signal_all(self, number: int) -> None:
        """Send a signal to the master and every worker at once."""
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        """Kill master and workers with no warning, and wait until they are gone."""
        if self.process.poll() is None:
            self.signal_all(signal.SIGKILL)
        self.process.wait(START_SECONDS_MAX)

    def stop(self, seconds: float = 90.0) -> int:
        """Ask it to stop, as an init system does; answer its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.errors.read_text(errors="replace")[-4_000:]
        return status_of(self.port, "/readyz") == http.HTTPStatus.OK


def status_of(port: int, path: str) -> int | None:
    """The status of a GET on a loopback port; None where nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


@contextmanager
def a_simulator(log: Path, *behaviour: str) -> Iterator[Simulator]:
    """A simulator that is ended afterwards."""
    simulator = Simulator(log, *behaviour)
    try:
        yield simulator
    finally:
        simulator.stop()


@contextmanager
def a_gateway(
    policy: Path, ledger: Path, *, workers: int = 1, options: Sequence[str] = ()
) -> Iterator[Gateway]:
    """A gateway that answers, and that is killed afterwards if it still runs."""
    gateway = Gateway(policy, ledger, workers=workers, options=options)
    try:
        gateway.wait_until_ready()
        yield gateway
    finally:
        gateway.kill()


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text(encoding="ascii").split()]


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
