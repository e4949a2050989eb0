"""What a hit of the response cache costs beside a miss, and a miss beside a call without a cache.

One client asks one gateway, by turns, in front of an nginx that answers at once; prompts of about 2 KB.
Usage: python -m benchmarks.cache [--json] [--calls 400] [--rounds 5] [--filled 5000]
"""

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.gateway import ANSWER, PATH, nginx
from benchmarks.processes import LOAD_CPU, SERVER_CPU, cpu_seconds, free_port, need, started, wait_for

POLICY = """
environments:
  without: {{}}
  with: {{cache: {{enabled: true, max_entries: 20000}}}}
budgets:
  - {{name: month, match: {{provider: openai}}, limit: $900000, period: monthly}}
  - {{name: per-key, match: {{provider: openai}}, per: key, limit: $900000, period: monthly}}
providers:
  targets:
    - {{id: upstream, provider: openai, model: gpt-4o-mini, base_url: "http://127.0.0.1:{port}/v1",
       secret_key_ref: {{env: BENCH_KEY}}}}
"""
ENV = {"BENCH_KEY": "sk-upstream"}
TEXT = "please explain why the costs of inference changed between the regions last quarter. " * 24
# What is asked: in which environment, and whether each prompt is a new one.
KINDS = {"no cache": ("without", True), "miss": ("with", True), "hit": ("with", False)}
_numbers = count()


def key_for(environment: str, policy: Path) -> str:
    """Make a key that may call."""
    command = ["key", "create", "--environment", environment, "--label", environment, "--policy", str(policy)]
    made = subprocess.run(
        [sys.executable, "-m", "farthing", *command, "--json"],
        env={**os.environ, **ENV}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    key: str = json.loads(made.stdout)["key"]
    return key


def prompts(*, new: bool) -> Iterator[bytes]:
    """Requests without end, each with a prompt of its own or all alike."""
    while True:
        text = f"{next(_numbers) if new else 'the same'}: {TEXT}"
        message = {"role": "user", "content": text}
        yield json.dumps({"model": "gpt-4o-mini", "messages": [message], "max_tokens": 256}).encode()


def ask(port: int, key: str, kind: str, calls: int) -> list[float]:
    """Ask one after the other on one connection; seconds of each."""
    environment, new = KINDS[kind]
    expected = {"without": "off", "with": "miss" if new else "hit"}[environment]
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    seconds = []
    for body, _ in zip(prompts(new=new), range(calls), strict=False):
        began = time.perf_counter()
        connection.request("POST", PATH, body, headers)
        answer = connection.getresponse()
        answer.read()
        seconds.append(time.perf_counter() - began)
        state = answer.getheader("x-farthing-cache")
        if answer.status != 200 or (state != expected and len(seconds) > 1):
            sys.exit(f"expected {expected} and got {answer.status}, {state}")
    connection.close()
    return seconds


def run(options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Measure every kind by turns; medians of the rounds."""
    need("nginx", "taskset")
    rows: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder, upstream, port = Path(name), free_port(), free_port()
        answer = f"server {{ listen 127.0.0.1:{upstream}; location / {{ return 200 '{ANSWER}'; }} }}"
        nginx(stack, folder, "mock", answer, LOAD_CPU)
        policy = folder / "farthing.yaml"
        policy.write_text(POLICY.format(port=upstream))
        keys = {environment: key_for(environment, policy) for environment in ("without", "with")}
        command = [sys.executable, "-m", "farthing", "serve", "--policy", str(policy), "--port", str(port)]
        pid = stack.enter_context(started(command, cpu=SERVER_CPU, env=ENV, log=folder / "log"))
        wait_for(f"http://127.0.0.1:{port}/readyz")
        ask(port, keys["with"], "miss", options.filled)
        for _ in range(options.rounds):
            for kind, (environment, _) in KINDS.items():
                before = cpu_seconds(pid)
                took = sorted(ask(port, keys[environment], kind, options.calls))
                cpu_us = (cpu_seconds(pid) - before) / options.calls * 1e6
                p99 = took[int(len(took) * 0.99)]
                rows[kind].append(
                    {"p50_us": statistics.median(took) * 1e6, "p99_us": p99 * 1e6, "cpu_us": cpu_us}
                )
    return {
        kind: {column: statistics.median(row[column] for row in found) for column in found[0]}
        for kind, found in rows.items()
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--calls", type=int, default=400, help="calls of each kind in a round")
    parser.add_argument("--rounds", type=int, default=5, help="rounds; medians are shown")
    parser.add_argument("--filled", type=int, default=5_000, help="answers that are kept before it begins")
    options = parser.parse_args()
    figures = run(options)
    if options.json:
        print(json.dumps(figures, indent=2))
        return
    table = Table("call", "p50 µs", "p99 µs", "CPU µs", "CPU beside no cache")
    for kind, row in figures.items():
        beside = row["cpu_us"] / figures["no cache"]["cpu_us"]
        told = (f"{row[column]:,.0f}" for column in ("p50_us", "p99_us", "cpu_us"))
        table.add_row(kind, *told, f"{beside:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
