"""What a call to a provider costs with each upstream client, side by side: CPU per call and per stream.

Both clients run in processes of their own, by turns, against the same nginx and the same streaming server.
Usage: python -m benchmarks.upstream_clients [--json] [--calls 20000] [--streams 640] [--rounds 5]
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import uvloop
from rich.console import Console
from rich.table import Table
from yarl import URL

from benchmarks.gateway import nginx
from benchmarks.processes import LOAD_CPU, SERVER_CPU, free_port, need, started, wait_for
from farthing.gateway.aiohttp_client import AiohttpClient
from farthing.gateway.http_client import HttpClient
from farthing.gateway.upstream import Upstream

CLIENTS = {"own": HttpClient, "aiohttp": AiohttpClient}
ANSWER = b'{"text":"%s"}' % (b"x" * 1_012)
BODY = b'{"prompt":"%s"}' % (b"y" * 2_033)
HEADERS = [
    ("content-type", "application/json"),
    ("user-agent", "OpenAI/Python 3.0.0"),
    ("accept", "application/json"),
    ("accept-encoding", "identity"),
    ("authorization", "Bearer sk-benchmark"),
]
CHUNKS, GAP_MS = 50, 5
CALLS_AT_ONCE, STREAMS_AT_ONCE = 16, 32


async def ask(upstream: Upstream, url: URL, count: int) -> None:
    """Ask again and again, and read each answer to its end."""
    for _ in range(count):
        answer = await upstream.send("POST", url, HEADERS, BODY)
        async for _ in answer.chunks():
            pass


async def cost_us(upstream: Upstream, url: URL, *, at_once: int, count: int) -> float:
    """CPU microseconds of this process for one call."""
    await asyncio.gather(*(ask(upstream, url, 4) for _ in range(at_once)))
    before = time.process_time()
    await asyncio.gather(*(ask(upstream, url, count // at_once) for _ in range(at_once)))
    return (time.process_time() - before) / (count // at_once * at_once) * 1e6


async def measure(client: str, ports: tuple[int, int], calls: int, streams: int) -> dict[str, float]:
    """Both figures of one client."""
    upstream = CLIENTS[client]()
    plain, streaming = ports
    try:
        call_us = await cost_us(
            upstream, URL(f"http://127.0.0.1:{plain}/v1/x"), at_once=CALLS_AT_ONCE, count=calls
        )
        stream_us = await cost_us(
            upstream, URL(f"http://127.0.0.1:{streaming}/v1/x"), at_once=STREAMS_AT_ONCE, count=streams
        )
    finally:
        await upstream.close()
    return {"call_us": call_us, "stream_us": stream_us}


def run(options: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """Measure both clients by turns."""
    need("nginx", "taskset")
    rows: dict[str, list[dict[str, float]]] = {client: [] for client in CLIENTS}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder, plain, streaming = Path(name), free_port(), free_port()
        said = ANSWER.decode()
        server = f"server {{ listen 127.0.0.1:{plain} backlog=4096; location / {{ return 200 '{said}'; }} }}"
        nginx(stack, folder, "provider", server, LOAD_CPU)
        stream = [
            sys.executable,
            "-m",
            "benchmarks.stream_upstream",
            str(streaming),
            str(CHUNKS),
            str(GAP_MS),
        ]
        stack.enter_context(started(stream, cpu=LOAD_CPU, log=folder / "stream.log"))
        wait_for(f"http://127.0.0.1:{plain}/")
        wait_for(f"http://127.0.0.1:{streaming}/", data=b"{}")
        for _ in range(options.rounds):
            for client in CLIENTS:
                done = subprocess.run(
                    [
                        "taskset", "-c", SERVER_CPU, sys.executable, "-m", "benchmarks.upstream_clients",
                        "--client", client, "--ports", str(plain), str(streaming),
                        "--calls", str(options.calls), "--streams", str(options.streams),
                    ],
                    capture_output=True, text=True, check=True,
                )  # fmt: skip
                rows[client].append(json.loads(done.stdout))
    return {
        client: {
            figure: sorted([min(values), statistics.median(values), max(values)])
            for figure in ("call_us", "stream_us")
            for values in [[row[figure] for row in found]]
        }
        for client, found in rows.items()
    }


def show(result: dict[str, dict[str, list[float]]]) -> None:
    """Print the figures as a table."""
    table = Table("client", "CPU µs a call (least/median/most)", f"CPU µs a stream of {CHUNKS} chunks")
    for client, figures in result.items():
        table.add_row(client, *("/".join(f"{value:.1f}" for value in values) for values in figures.values()))
    Console().print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--streams", type=int, default=640)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--client", choices=CLIENTS, help=argparse.SUPPRESS)
    parser.add_argument("--ports", type=int, nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.client:
        print(json.dumps(uvloop.run(measure(chosen.client, chosen.ports, chosen.calls, chosen.streams))))
    elif chosen.json:
        print(json.dumps(run(chosen), indent=2))
    else:
        show(run(chosen))
