"""Start servers on one core, load them from the other, and read what they cost."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
SERVER_CPU, LOAD_CPU = "0", "1"


def need(*programs: str) -> None:
    """Stop with what to install when a program of the comparison is missing."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        sys.exit(f"the comparison needs {', '.join(missing)}: apt-get install nginx-light wrk")


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def started(command: list[str], *, cpu: str, env: dict[str, str] | None = None, log: Path) -> Iterator[int]:
    """Run a server pinned to one core; yields its process id and ends the whole group afterwards."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            ["taskset", "-c", cpu, *command],
            env={**os.environ, **(env or {})},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            yield process.pid
        finally:
            for sign in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(process.pid, sign)
                    process.wait(5)
                except (ProcessLookupError, subprocess.TimeoutExpired):
                    continue
                break


def wait_for(url: str, *, seconds: float = 20, data: bytes | None = None, key: str = "") -> float:
    """Wait until a URL answers 200; returns how long that took."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        request = urllib.request.Request(
            url, data=data, headers={"authorization": f"Bearer {key}", "content-type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                if answer.status == 200:
                    return time.monotonic() - began
        except urllib.error.HTTPError as error:
            if error.code != 503:
                sys.exit(f"{url} answered {error.code}: {error.read()[:300]!r}")
        except OSError:
            pass
        time.sleep(0.05)
    sys.exit(f"{url} did not answer within {seconds} s")


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            children.setdefault(int(stat[stat.rindex(")") + 2 :].split()[1]), []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        current = waiting.pop()
        found.append(current)
        waiting += children.get(current, [])
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time that a process and its descendants have used."""
    ticks = 0
    for member in family(pid):
        try:
            stat = Path(f"/proc/{member}/stat").read_text()
        except OSError:
            continue
        fields = stat[stat.rindex(")") + 2 :].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS


def resident_mb(pid: int) -> float:
    """Memory of a process and its descendants, in megabytes."""
    total = 0
    for member in family(pid):
        try:
            total += int(Path(f"/proc/{member}/statm").read_text().split()[1])
        except OSError:
            continue
    return total * os.sysconf("SC_PAGE_SIZE") / 1e6


_RESULT = re.compile(r"RESULT (\d+) (\d+) (\d+) ([\d.]+) ([\d.]+)")


def load(url: str, path: str, *, body: Path, key: str, connections: int, seconds: int) -> dict[str, float]:
    """Load a server with wrk in a closed loop. Returns calls, errors, rate and latencies in microseconds."""
    script = Path(__file__).with_name("post.lua")
    done = subprocess.run(
        [
            "taskset",
            "-c",
            LOAD_CPU,
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{seconds}s",
            "--timeout",
            "20s",
            "-s",
            str(script),
            url,
        ],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "BODY_FILE": str(body), "KEY": key, "REQUEST_PATH": path},
    )
    found = _RESULT.search(done.stdout)
    if found is None:
        sys.exit(f"wrk said nothing: {done.stdout[-300:]}{done.stderr[-300:]}")
    calls, micros, errors = (int(found[index]) for index in (1, 2, 3))
    return {
        "calls": calls - errors,
        "errors": errors,
        "rate": calls / (micros / 1e6),
        "p50_us": float(found[4]),
        "p99_us": float(found[5]),
    }
