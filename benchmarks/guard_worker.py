"""Time pairs of a bare and a guarded call in this process; it runs in the environment of the guard it times.

Started by benchmarks.guard_cost. Imports nothing of this repository but the guard that is asked for.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import openai

DOLLARS = 1_000
MODEL = "gpt-4o-mini"
OUTPUT_TOKENS = 100
WARMING = 30
# A sentence of twenty words; o200k and cl100k make one token of each and one of the full stop.
SENTENCE = "the sun was low and all men sat for tea but one dog ran far out and our cat saw him. "

Call = Callable[..., Any]


def tokenfence(client: openai.OpenAI, _: str) -> Call:
    from tokenfence import guard  # type: ignore[import-not-found]

    create: Call = guard(client, budget=DOLLARS, on_limit="raise").chat.completions.create
    return create


def backstop(client: openai.OpenAI, _: str) -> Call:
    from backstop import Backstop, BackstopConfig  # type: ignore[import-not-found]

    wrapped = Backstop.wrap(
        client, budget=10**12, budget_usd=Decimal(DOLLARS), config=BackstopConfig(initial_concurrency=4)
    )
    create: Call = wrapped.chat.completions.create
    return create


def floe(client: openai.OpenAI, _: str) -> Call:
    from floe_guard import BudgetGuard  # type: ignore[import-not-found]
    from floe_guard.integrations.openai import guarded_completion  # type: ignore[import-not-found]

    guard = BudgetGuard(limit_usd=float(DOLLARS))
    return lambda **request: guarded_completion(guard, client, **request)


def floe_sqlite(client: openai.OpenAI, file: str) -> Call:
    from floe_guard import BudgetGuard, SqliteStore
    from floe_guard.integrations.openai import guarded_completion

    guard = BudgetGuard(limit_usd=float(DOLLARS), window="utc-day", store=SqliteStore(file))
    return lambda **request: guarded_completion(guard, client, **request)


def farthing(client: openai.OpenAI, _: str) -> Call:
    from farthing import guard

    return guard(client, budget=DOLLARS).chat.completions.create


def farthing_file(client: openai.OpenAI, file: str) -> Call:
    from farthing import guard

    return guard(client, budget=DOLLARS, ledger=f"sqlite:///{file}").chat.completions.create


GUARDS: dict[str, Callable[[openai.OpenAI, str], Call]] = {
    "farthing": farthing,
    "farthing-file": farthing_file,
    "tokenfence": tokenfence,
    "backstop-ai": backstop,
    "floe-guard": floe,
    "floe-guard-sqlite": floe_sqlite,
}
MODULES = {"backstop-ai": "import backstop", "floe-guard": "import floe_guard.integrations.openai"}


def pairs(bare: Call, guarded: Call, *, count: int, sentences: int) -> dict[str, float]:
    """Make each call bare and guarded, in turns; tell the medians and those of the differences."""
    wall: dict[Call, list[int]] = {bare: [], guarded: []}
    cpu: dict[Call, list[int]] = {bare: [], guarded: []}
    for number in range(WARMING + count):
        said = [{"role": "user", "content": f"Question {number}. " + SENTENCE * sentences}]
        for call in (bare, guarded) if number % 2 else (guarded, bare):
            wall_before, cpu_before = time.perf_counter_ns(), time.process_time_ns()
            call(model=MODEL, messages=said, max_tokens=OUTPUT_TOKENS)
            if number >= WARMING:
                cpu[call].append(time.process_time_ns() - cpu_before)
                wall[call].append(time.perf_counter_ns() - wall_before)
    return {
        f"{name}_us": round(value / 1_000, 1)
        for kind, found in (("wall", wall), ("cpu", cpu))
        for name, value in (
            (f"bare_{kind}", statistics.median(found[bare])),
            (f"added_{kind}", statistics.median(map(int.__sub__, found[guarded], found[bare]))),
        )
    }


def import_ms(statement: str) -> float:
    """Time an import after openai's, in new interpreters: the median of five."""
    program = (
        "import time, openai; began = time.perf_counter();"
        f"{statement}; print((time.perf_counter() - began) * 1000)"
    )
    runs = [
        subprocess.run([sys.executable, "-c", program], capture_output=True, check=True) for _ in range(5)
    ]
    return round(statistics.median(float(run.stdout) for run in runs), 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("guard", choices=GUARDS)
    parser.add_argument("--url", required=True)
    parser.add_argument("--file", required=True)
    parser.add_argument("--pairs", type=int, required=True)
    parser.add_argument("--sentences", type=int, required=True)
    parser.add_argument("--import-time", action="store_true")
    told = parser.parse_args()
    if told.import_time:
        package = told.guard.removesuffix("-file").removesuffix("-sqlite")
        usual = "from farthing import guard" if package == "farthing" else f"import {package}"
        print(json.dumps({"import_ms": import_ms(MODULES.get(package, usual))}))
        return
    with (
        openai.OpenAI(base_url=told.url, api_key="any") as client,
        openai.OpenAI(base_url=told.url, api_key="any") as other,
    ):
        guarded = GUARDS[told.guard](other, told.file)
        bare = client.chat.completions.create
        print(json.dumps(pairs(bare, guarded, count=told.pairs, sentences=told.sentences)))


if __name__ == "__main__":
    main()
