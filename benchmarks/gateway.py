"""What a governed call costs through the gateway, beside nginx as a plain proxy in the same run.

CPU of the server per call and per streamed chunk, added latency at 1 and 16 clients, memory.
Usage: python -m benchmarks.gateway [--json] [--seconds 4] [--rounds 3] [--soak CALLS]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.processes import (
    LOAD_CPU,
    SERVER_CPU,
    cpu_seconds,
    free_port,
    load,
    need,
    resident_mb,
    started,
    wait_for,
)

CHUNKS, GAP_MS, STREAMS = 50, 5, 32
PATH = "/v1/chat/completions"
ANSWER = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "logprobs": None,
                "message": {"role": "assistant", "refusal": None, "content": "All is well. " * 40},
            }
        ],
        "usage": {
            "prompt_tokens": 312,
            "completion_tokens": 50,
            "total_tokens": 362,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
        "service_tier": "default",
    }
)

POLICY = """
environments:
  bench: {{models: {{allow: [gpt-4o-mini]}}}}
budgets:
  - {{name: month, match: {{environment: bench}}, limit: $900000, period: monthly}}
  - {{name: day, match: {{environment: bench}}, limit: $900000, period: daily}}
  - {{name: per-key, match: {{environment: bench}}, per: key, limit: $900000, period: monthly}}
  - {{name: provider, match: {{provider: openai}}, limit: $900000, period: monthly}}
  - {{name: model, match: {{model: gpt-4o-mini}}, per: model, limit: $900000, period: monthly}}
providers:
  targets:
    - {{id: upstream, provider: openai, model: gpt-4o-mini, base_url: "http://127.0.0.1:{port}/v1",
       secret_key_ref: {{env: BENCH_KEY}}}}
"""

NGINX = """
worker_processes 1; daemon off; pid {folder}/{name}.pid; error_log {folder}/{name}.err warn;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 100000000; keepalive_timeout 600s; client_body_buffer_size 2m;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder}; default_type application/json;
  {servers}
}}
"""


def body(folder: Path, name: str, **members: object) -> Path:
    """Write a chat request of about 2 KB."""
    text = "please explain why the costs of inference changed between the regions last quarter. " * 4
    messages = [
        {"role": role, "content": text}
        for role in ("system", "user", "assistant", "user", "assistant", "user")
    ]
    path = folder / name
    path.write_text(
        json.dumps(
            {"model": "gpt-4o-mini", "messages": messages, "max_tokens": 256, "temperature": 0.2, **members}
        )
    )
    return path


def nginx(stack: ExitStack, folder: Path, name: str, servers: str, cpu: str) -> int:
    """Start an nginx with these servers."""
    config = folder / f"{name}.conf"
    config.write_text(NGINX.format(folder=folder, name=name, servers=servers))
    return stack.enter_context(started(["nginx", "-c", str(config)], cpu=cpu, log=folder / f"{name}.log"))


def gateway(stack: ExitStack, folder: Path, name: str, upstream_port: int) -> tuple[int, int, str, float]:
    """Start a gateway in front of an upstream. Returns process, port, key and seconds until ready."""
    home = folder / name
    home.mkdir()
    policy = home / "farthing.yaml"
    policy.write_text(POLICY.format(port=upstream_port))
    env = {"BENCH_KEY": "sk-upstream"}
    farthing = [sys.executable, "-m", "farthing"]
    made = subprocess.run(
        [
            *farthing,
            "key",
            "create",
            "--environment",
            "bench",
            "--label",
            "load",
            "--policy",
            str(policy),
            "--json",
        ],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=True,
    )
    key = json.loads(made.stdout)["key"]
    port = free_port()
    pid = stack.enter_context(
        started(
            [*farthing, "serve", "--policy", str(policy), "--port", str(port)],
            cpu=SERVER_CPU,
            env=env,
            log=home / "log",
        )
    )
    ready = wait_for(f"http://127.0.0.1:{port}/readyz")
    return pid, port, key, ready


def measure_calls(
    name: str,
    pid: int | None,
    port: int,
    sample: Path,
    key: str,
    options: argparse.Namespace,
    figures: dict[str, dict[str, float]],
) -> None:
    """Load with 1 and 16 clients, several rounds; medians."""
    url = f"http://127.0.0.1:{port}"
    load(url, PATH, body=sample, key=key, connections=8, seconds=1)
    for clients in (1, 16):
        rows = []
        for _ in range(options.rounds):
            before = cpu_seconds(pid) if pid else 0.0
            row = load(url, PATH, body=sample, key=key, connections=clients, seconds=options.seconds)
            row["cpu_us"] = ((cpu_seconds(pid) if pid else 0.0) - before) / max(row["calls"], 1) * 1e6
            rows.append(row)
        figures[f"{name}, {clients} clients"] = {
            column: statistics.median(row[column] for row in rows) for column in rows[0]
        }


def measure_streams(
    name: str,
    pid: int,
    port: int,
    sample: Path,
    key: str,
    options: argparse.Namespace,
    figures: dict[str, dict[str, float]],
) -> None:
    """32 streams at once of 50 chunks each; CPU per chunk."""
    rows = []
    for round_number in range(options.rounds + 1):
        before = cpu_seconds(pid)
        done = subprocess.run(
            [
                "taskset",
                "-c",
                LOAD_CPU,
                sys.executable,
                "-m",
                "benchmarks.stream_load",
                str(port),
                PATH,
                str(STREAMS),
                str(STREAMS * 12),
                str(sample),
                key,
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        row: dict[str, float] = json.loads(done.stdout)
        row["cpu_us_per_chunk"] = (cpu_seconds(pid) - before) / (row["streams"] * CHUNKS) * 1e6
        if round_number:  # the first round warms up
            rows.append(row)
    figures[f"{name}, {STREAMS} streams"] = {
        column: statistics.median(row[column] for row in rows) for column in rows[0]
    }


def run(options: argparse.Namespace) -> dict[str, object]:
    """Measure everything once."""
    need("nginx", "wrk", "taskset")
    figures: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        mock, sse, plain, plain_sse = (free_port() for _ in range(4))
        answer = f"server {{ listen 127.0.0.1:{mock} backlog=4096; location / {{ return 200 '{ANSWER}'; }} }}"
        nginx(stack, folder, "mock", answer, LOAD_CPU)
        stack.enter_context(
            started(
                [sys.executable, "-m", "benchmarks.stream_upstream", str(sse), str(CHUNKS), str(GAP_MS)],
                cpu=LOAD_CPU,
                log=folder / "sse.log",
            )
        )
        servers = "".join(
            f"upstream u{port} {{ server 127.0.0.1:{port}; keepalive 128; keepalive_requests 100000000; }}\n"
            f"server {{ listen 127.0.0.1:{front} backlog=4096; location / {{ proxy_pass http://u{port}; "
            f'proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering {buffering}; }} }}\n'
            for port, front, buffering in ((mock, plain, "on"), (sse, plain_sse, "off"))
        )
        proxy = nginx(stack, folder, "proxy", servers, SERVER_CPU)
        sample, streamed = (
            body(folder, "body.json"),
            body(folder, "stream.json", stream=True, stream_options={"include_usage": True}),
        )
        wait_for(f"http://127.0.0.1:{plain}{PATH}", data=sample.read_bytes())
        pid, port, key, ready = gateway(stack, folder, "calls", mock)
        stream_pid, stream_port, stream_key, _ = gateway(stack, folder, "streams", sse)
        measure_calls("direct", None, mock, sample, key, options, figures)
        measure_calls("nginx", proxy, plain, sample, key, options, figures)
        measure_calls("farthing", pid, port, sample, key, options, figures)
        measure_streams("nginx", proxy, plain_sse, streamed, key, options, figures)
        measure_streams("farthing", stream_pid, stream_port, streamed, stream_key, options, figures)
        memory = {"ready_s": ready, "resident_mb": resident_mb(pid)}
        if options.soak:
            soak = load(
                f"http://127.0.0.1:{port}",
                PATH,
                body=sample,
                key=key,
                connections=16,
                seconds=max(1, int(options.soak / figures["farthing, 16 clients"]["rate"])),
            )
            memory |= {"soak_calls": soak["calls"], "resident_mb_after_soak": resident_mb(pid)}
        verified = subprocess.run(
            [
                sys.executable,
                "-m",
                "farthing",
                "ledger",
                "verify",
                "--policy",
                str(folder / "calls" / "farthing.yaml"),
                "--json",
            ],
            env={**os.environ, "BENCH_KEY": "x"},
            capture_output=True,
            text=True,
            check=False,
        )
        memory["ledger_verify_exit"] = verified.returncode
    return {"figures": figures, "ratios": ratios(figures), "process": memory}


def ratios(figures: dict[str, dict[str, float]]) -> dict[str, float]:
    """The claims: what farthing costs for each unit that nginx costs, and the latency it adds."""
    calls, plain = figures["farthing, 16 clients"], figures["nginx, 16 clients"]
    stream, plain_stream = figures[f"farthing, {STREAMS} streams"], figures[f"nginx, {STREAMS} streams"]
    lone, direct = figures["farthing, 1 clients"], figures["direct, 1 clients"]
    return {
        "cpu_per_call_of_nginx": calls["cpu_us"] / plain["cpu_us"],
        "cpu_per_chunk_of_nginx": stream["cpu_us_per_chunk"] / plain_stream["cpu_us_per_chunk"],
        "added_p50_ms_at_1": (lone["p50_us"] - direct["p50_us"]) / 1000,
        "added_p99_ms_at_1": (lone["p99_us"] - direct["p99_us"]) / 1000,
        "added_p50_ms_at_16": (calls["p50_us"] - figures["direct, 16 clients"]["p50_us"]) / 1000,
        "added_p99_ms_at_16": (calls["p99_us"] - figures["direct, 16 clients"]["p99_us"]) / 1000,
    }


def show(result: dict[str, object]) -> None:
    """Print the figures as tables."""
    console = Console()
    figures: dict[str, dict[str, float]] = result["figures"]  # type: ignore[assignment]
    table = Table("server", "CPU µs", "calls/s", "p50 µs", "p99 µs", "errors")
    for name, row in figures.items():
        cpu = row.get("cpu_us", row.get("cpu_us_per_chunk", 0))
        table.add_row(
            name,
            f"{cpu:.1f}",
            f"{row.get('rate', 0):.0f}",
            f"{row.get('p50_us', row.get('first_byte_p50_us', 0)):.0f}",
            f"{row.get('p99_us', row.get('first_byte_p99_us', 0)):.0f}",
            f"{row.get('errors', 0):.0f}",
        )
    console.print(table)
    for group in ("ratios", "process"):
        for name, value in result[group].items():  # type: ignore[attr-defined]
            console.print(f"{name:28} {value:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--soak", type=int, default=0)
    chosen = parser.parse_args()
    outcome = run(chosen)
    if chosen.json:
        print(json.dumps(outcome, indent=2))
    else:
        show(outcome)
