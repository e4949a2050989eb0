"""How long reports, pages and exports take over a ledger of a million entries, and of ten million.

Each ledger holds twelve months of traffic, written through the store; it is seeded once and used again. Then
a real gateway on loopback is asked: each question cold (the first of a fresh process whose API is awake) and
warm (the median of some more), with the most memory that process ever had; and each report as a command in a
process of its own, from its start to its end.
Usage: python -m benchmarks.reports --entries 1000000 --entries 10000000 --folder DIR [--keep] [--json]
"""

import argparse
import http.client
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.processes import free_port, started, wait_for
from benchmarks.report_ledgers import ledger_of
from farthing.reports.catalog import REPORTS

TOKEN = "fa-benchmark"
SECONDS_MAX = 1.0
MEMORY_MB_MAX = 500
RATIO_MAX = 1.5
_PATIENCE_SECONDS = 600
_FINE_SECONDS = 0.02  # below this a ratio says more about the machine than about the ledger


class Asked(NamedTuple):
    """One question: what it is called, where it is asked, and up to how many lines of the answer count.

    is_whole_file: the answer is made before its first byte, so it is asked once, and no bar applies.
    """

    name: str
    path: str
    first_lines: int | None = None
    report: str | None = None
    is_whole_file: bool = False


class Seen(NamedTuple):
    """What one question took over one ledger; status is 200 where it was answered."""

    status: int
    cold_seconds: float
    warm_seconds: float
    memory_mb: float
    command_seconds: float | None
    command_memory_mb: float | None


def questions() -> Iterator[Asked]:
    """Every report as it comes and over a year, and what stands behind pages and exports."""
    for report in REPORTS:
        path = f"/api/reports/{report.name}"
        yield Asked(f"report {report.name}", path, report=report.name)
        yield Asked(f"report {report.name}, a year", f"{path}?since=364d")
    yield Asked("calls, newest 100", "/api/calls?limit=100")
    yield Asked("calls of production", "/api/calls?limit=100&environment=production")
    yield Asked("calls that were refused", "/api/calls?limit=100&outcome=refused")
    yield Asked("spend by environment and model", "/api/spend?by=environment&by=model")
    yield Asked("spend by developer", "/api/spend?by=developer")
    yield Asked("spend by feature", "/api/spend?by=label:feature")
    yield Asked("budgets", "/api/budgets")
    for form in ("csv", "jsonl", "focus"):
        lines = 1 if form == "jsonl" else 2
        yield Asked(f"first row of a month, {form}", f"/api/exports?format={form}&month=last", lines)
    yield Asked("a whole month, parquet", "/api/exports?format=parquet&month=last", is_whole_file=True)


# ── measuring ───────────────────────────────────────────────────────────────────────────────────


@contextmanager
def gateway(folder: Path, ledger: Path, log: Path) -> Iterator[tuple[int, int]]:
    """A gateway on a ledger: its port and its process."""
    port = free_port()
    command = [
        sys.executable, "-m", "farthing.cli", "serve", "--policy", str(folder / "farthing.yaml"),
        "--ledger", str(ledger), "--port", str(port),
    ]  # fmt: skip
    with started(command, cpu="0-1", env={"FARTHING_ADMIN_TOKEN": TOKEN}, log=log) as process:
        wait_for(f"http://127.0.0.1:{port}/readyz")
        yield port, process


def ask(port: int, asked: Asked) -> tuple[int, float]:
    """Ask once: the status, and the seconds to the whole answer or to the lines that count."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_SECONDS)
    began = time.perf_counter()
    connection.request("GET", asked.path, headers={"authorization": f"Bearer {TOKEN}"})
    answer = connection.getresponse()
    if asked.first_lines is None or answer.status != http.HTTPStatus.OK:
        answer.read()
    else:
        for _ in range(asked.first_lines):
            answer.readline()
    seconds = time.perf_counter() - began
    connection.close()
    return answer.status, seconds


def measure(folder: Path, ledger: Path, asked: Asked, log: Path, *, times: int) -> Seen:
    """Ask a fresh gateway once, and some more times; and a command, where there is one."""
    with gateway(folder, ledger, log) as (port, process):
        ask(port, Asked("wake the API", "/api/reports"))
        status, cold_seconds = ask(port, asked)
        again = 0 if asked.is_whole_file else times
        warm_seconds = statistics.median([ask(port, asked)[1] for _ in range(again)] or [cold_seconds])
        memory_mb = _most_memory_mb(process)
    command = _command(folder, ledger, asked.report, log) if asked.report else (None, None)
    return Seen(status, cold_seconds, warm_seconds, memory_mb, *command)


def _command(folder: Path, ledger: Path, report: str, log: Path) -> tuple[float, float]:
    """Run a report as a command: the seconds of its whole process, and its memory."""
    arguments = [
        sys.executable, "-m", "farthing.cli", "report", report, "--policy", str(folder / "farthing.yaml"),
        "--ledger", str(ledger), "--json",
    ]  # fmt: skip
    began = time.perf_counter()
    with log.open("ab") as output:
        actions = [(os.POSIX_SPAWN_DUP2, output.fileno(), 1), (os.POSIX_SPAWN_DUP2, output.fileno(), 2)]
        process = os.posix_spawn(sys.executable, arguments, os.environ, file_actions=actions)
        _, _, used = os.wait4(process, 0)
    return time.perf_counter() - began, used.ru_maxrss * 1024 / 1e6


def _most_memory_mb(process: int) -> float:
    """The most memory that a process has had."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


# ── telling ─────────────────────────────────────────────────────────────────────────────────────


def quotient(seen: Sequence[Seen]) -> float | None:
    """How much longer the largest ledger takes than the smallest; None where that says nothing."""
    first, last = seen[0].warm_seconds, seen[-1].warm_seconds
    if len(seen) < 2 or last < _FINE_SECONDS or any(one.status != 200 for one in seen):
        return None
    return last / first


def drawn(sizes: Sequence[int], found: dict[str, list[Seen]]) -> Table:
    """Both sizes side by side, warm and cold, and the quotient; what misses a bar is red."""
    table = Table("seconds over so many entries")
    for what in ("warm", "cold", "command", "MB"):
        for size in sizes:
            table.add_column(f"{what}\n{size:,}", justify="right")
    table.add_column("quotient", justify="right")
    for name, seen in found.items():
        ratio = quotient(seen)
        table.add_row(
            name if all(one.status == 200 for one in seen) else f"{name} [red]({seen[-1].status})",
            *[_cell(one.warm_seconds, SECONDS_MAX) for one in seen],
            *[_cell(one.cold_seconds, SECONDS_MAX) for one in seen],
            *[_cell(one.command_seconds, SECONDS_MAX) for one in seen],
            *[_cell(max(one.memory_mb, one.command_memory_mb or 0), MEMORY_MB_MAX, 0) for one in seen],
            "" if ratio is None else _cell(ratio, RATIO_MAX, 2),
        )
    return table


def _cell(value: float | None, bar: float, digits: int = 3) -> str:
    if value is None:
        return ""
    return f"[red]{value:.{digits}f}" if value >= bar else f"{value:.{digits}f}"


def documents(sizes: Sequence[int], found: dict[str, list[Seen]]) -> dict[str, object]:
    """The same for programs."""
    return {
        "entries": list(sizes),
        "questions": {
            name: {"seen": [one._asdict() for one in seen], "quotient": quotient(seen)}
            for name, seen in found.items()
        },
    }


def main() -> None:
    """Seed, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--entries", type=int, action="append", help="repeatable; 1,000,000 unless given")
    parser.add_argument("--folder", type=Path, help="where the ledgers are; a temporary one unless given")
    parser.add_argument("--keep", action="store_true", help="leave the ledgers for the next time")
    parser.add_argument("--only", default="", help="only questions whose name has this in it")
    parser.add_argument("--times", type=int, default=5, help="how often each is asked, warm")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    sizes = sorted(asked.entries or [1_000_000])
    folder = asked.folder or Path(tempfile.mkdtemp(prefix="farthing-reports-"))
    log = folder / "gateway.log"
    try:
        ledgers = [ledger_of(folder, size) for size in sizes]
        found: dict[str, list[Seen]] = {}
        for question in questions():
            if asked.only in question.name:
                seen = [measure(folder, ledger, question, log, times=asked.times) for ledger in ledgers]
                warm = ", ".join(f"{one.warm_seconds:.3f} s" for one in seen)
                print(f"{question.name}: {warm}", file=sys.stderr, flush=True)
                if any(one.status != http.HTTPStatus.BAD_REQUEST for one in seen):
                    found[question.name] = seen  # else it is a span that the report does not cover
    finally:
        if not asked.keep:
            shutil.rmtree(folder, ignore_errors=True)
    if asked.json:
        print(json.dumps(documents(sizes, found), indent=2))
        return
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(drawn(sizes, found))


if __name__ == "__main__":
    main()
