"""Farthing's row in a table of guards: every column measured against providers that know the true price.

Loads, streams, entrances, prices, other clients, the limit, failures; and what a guarded call costs.
Usage: python -m benchmarks.guard_row [--json] [--without-tokens] [--only WORD]
"""

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

COST = "cost of one call"
FEATURES: dict[str, object] = {
    "periods": "hour, day, week, month, run, total",
    "persistence": "memory, or one SQLite file that processes and the gateway share",
    "labels": "any, on guard, fence and call; entries keep them",
    "downgrade": "always or from a share of the budget, never dearer, never another dialect",
    "retries": "each of the SDK's is an attempt of its own; a fence runs again, bounded by count and money",
    "decorator": "functions, generators, methods, sync and async",
    "nesting": "a child cannot spend more than its parent has left",
    "pytest": "a plugin: one cap for the run, budgets for tests, a table of what they spent",
    "async": "yes, held the same way",
    "fails open when": "told to (on_limit=warn); never by itself",
}
OTHERS = ("FARTHING_", "CI", "APP_ENV", "GITHUB_", "GITLAB_", "BUILDKITE", "CIRCLECI", "JENKINS_", "TF_BUILD")


def measure(*, only: str, counts: bool) -> Iterator[tuple[str, dict[str, object]]]:
    """Play every column on a stage of its own; tell each section once it is complete."""
    from benchmarks.guard_columns import SECTIONS
    from benchmarks.guard_stage import count_no_tokens, stage

    if not counts:
        count_no_tokens()
    with tempfile.TemporaryDirectory() as name:
        os.environ["HOME"] = name
        for section, columns in SECTIONS.items():
            found: dict[str, object] = {}
            for column, play in columns.items() if only in section else ():
                with stage(Path(name)) as played:
                    found[column] = play(played)
            if found:
                yield section, found
        if only in COST:
            yield COST, cost(Path(name))
    if only in "features":
        yield "features", FEATURES


def cost(folder: Path) -> dict[str, object]:
    """Microseconds that guarding adds, and milliseconds of its import."""
    from benchmarks.guard_cost import simulator, worker

    with simulator() as url:
        runs = [worker("farthing", url, folder, "--pairs", "400", "--sentences", "23") for _ in range(3)]
        imported = worker("farthing", url, folder, "--pairs", "0", "--sentences", "0", "--import-time")
    added, bare = (statistics.median(run[f"{name}_wall_us"] for run in runs) for name in ("added", "bare"))
    return {"µs a call": f"{added:.0f} (bare: {bare:.0f})", "import ms": imported["import_ms"]}


def show(section: str, columns: Mapping[str, object]) -> None:
    """Print one section."""
    table = Table(title=section, title_justify="left", show_header=False)
    for column, value in columns.items():
        table.add_row(column, str(value))
    Console().print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--without-tokens", action="store_true", help="as installed without the extra 'tokens'"
    )
    parser.add_argument("--only", default="", help="sections whose title has this word")
    chosen = parser.parse_args()
    for variable in list(os.environ):
        if variable.startswith(OTHERS):
            del os.environ[variable]
    row: dict[str, dict[str, object]] = {}
    for title, values in measure(only=chosen.only, counts=not chosen.without_tokens):
        row[title] = values
        if not chosen.json:
            show(title, values)
    if chosen.json:
        print(json.dumps(row, indent=2, ensure_ascii=False, default=str))
