"""What guarding one call costs inside the caller's process, beside three other guards, in one run.

Each guard stands in a virtual environment of its own, made from requirements/peers-*.lock below run/peers,
and is used as its own documentation shows. In each process a bare and a guarded call are made in turns.
Usage: python -m benchmarks.guard_cost [--json] [--pairs 400] [--rounds 3]
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parent.parent
ENVIRONMENTS = ROOT / "run" / "peers"
PEERS = {
    "tokenfence": "tokenfence 0.3.2",
    "backstop-ai": "backstop-ai 0.8.0, dollars",
    "floe-guard": "floe-guard 0.25.2, its adapter",
    "floe-guard-sqlite": "floe-guard 0.25.2, SQLite",
}
OURS = {"farthing": "farthing, memory", "farthing-file": "farthing, shared file"}
PROMPTS = {"2 KB": 23, "40,000 tokens": 1_900}  # sentences of the worker
LONG_PAIRS_MAX = 60
IMPORTED = ("farthing", "tokenfence", "backstop-ai", "floe-guard")


def python_of(package: str) -> str:
    """The interpreter of a peer's environment, which is made anew where its lock has changed."""
    lock = ROOT / "requirements" / f"peers-{package}.lock"
    folder = ENVIRONMENTS / package
    python, stamp = folder / "bin" / "python", folder / "lock.sha256"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != digest:
        uv = str(Path(sys.executable).with_name("uv"))
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True)
        install = [
            uv,
            "pip",
            "install",
            "--quiet",
            "--python",
            str(python),
            "--require-hashes",
            "-r",
            str(lock),
        ]
        subprocess.run(install, check=True)
        stamp.write_text(digest)
    return str(python)


def interpreter(guard: str) -> str:
    return sys.executable if guard in OURS else python_of(guard.removesuffix("-sqlite"))


@contextmanager
def simulator() -> Iterator[str]:
    """Fake providers in a process of their own."""
    command = [sys.executable, "-m", "farthing.simulator", "--kept-calls", "10"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(10)


def worker(guard: str, url: str, folder: Path, *more: str) -> dict[str, float]:
    """What one process of a guard found."""
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".db") as file:
        name = file.name + "x"  # floe-guard and farthing make the file themselves
        surroundings = {"HOME": str(folder), "PATH": os.environ["PATH"], "FARTHING_ENV": "development"}
        if guard in OURS and "PYTHONPATH" in os.environ:
            surroundings["PYTHONPATH"] = os.environ["PYTHONPATH"]  # an older version, to compare
        command = [interpreter(guard), str(ROOT / "benchmarks" / "guard_worker.py"), guard]
        done = subprocess.run(
            [*command, "--url", f"{url}/v1", "--file", name, *more],
            stdout=subprocess.PIPE, text=True, check=True, cwd=folder, env=surroundings,
        )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout)
    return found


def run(options: argparse.Namespace) -> dict[str, dict[str, dict[str, float]]]:
    """Time all guards by turns; of each figure the median of the rounds."""
    guards = [*OURS, *PEERS]
    found: dict[str, dict[str, list[dict[str, float]]]] = {
        prompt: {guard: [] for guard in guards} for prompt in PROMPTS
    }
    imports: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name, simulator() as url:
        folder = Path(name)
        for number in range(options.rounds):
            for prompt, sentences in PROMPTS.items():
                if number and prompt != "2 KB":
                    continue  # once is enough for what differs by so much
                count = options.pairs if prompt == "2 KB" else min(options.pairs, LONG_PAIRS_MAX)
                for guard in guards:
                    told = ("--pairs", str(count), "--sentences", str(sentences))
                    found[prompt][guard].append(worker(guard, url, folder, *told))
        for guard in IMPORTED:
            imports[guard] = worker(guard, url, folder, "--pairs", "0", "--sentences", "0", "--import-time")
    medians = {
        prompt: {
            guard: {figure: statistics.median(row[figure] for row in rows) for figure in rows[0]}
            for guard, rows in by_guard.items()
        }
        for prompt, by_guard in found.items()
    }
    return {**medians, "import": imports}


def show(result: dict[str, dict[str, dict[str, float]]]) -> None:
    """Print the figures as tables."""
    for prompt in PROMPTS:
        table = Table(
            "guard", "adds µs", "CPU µs", "bare µs", "guarded ÷ bare", "CPU ÷ farthing's",
            title=f"one call with a prompt of {prompt}",
        )  # fmt: skip
        rows = result[prompt]
        for guard, name in (OURS | PEERS).items():
            row = rows[guard]
            table.add_row(
                name,
                f"{row['added_wall_us']:,.0f}",
                f"{row['added_cpu_us']:,.0f}",
                f"{row['bare_wall_us']:,.0f}",
                f"{1 + row['added_wall_us'] / row['bare_wall_us']:.2f}",
                f"{row['added_cpu_us'] / rows['farthing']['added_cpu_us']:.2f}",
            )
        Console().print(table)
    table = Table("guard", "import after openai, ms")
    for guard in IMPORTED:
        name = (OURS | PEERS)[guard].partition(",")[0]
        table.add_row(name, f"{result['import'][guard]['import_ms']:.0f}")
    Console().print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--pairs", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    outcome = run(chosen)
    if chosen.json:
        print(json.dumps(outcome, indent=2))
    else:
        show(outcome)
