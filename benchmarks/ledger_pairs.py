"""Ask how many holds and settlements one SQLite file takes from several processes, and how long a hold is.

Each thread holds and settles calls in a closed loop, over five accounts. A second run has a budget so
tight that it is used up, to see whether it is ever passed and how much of it is usable. Run it as

    python benchmarks/ledger_pairs.py [--processes 4] [--threads 16] [--seconds 4] [--json]
"""

import argparse
import json
import multiprocessing
import resource
import tempfile
import threading
import time
from collections.abc import Iterator
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path

from farthing.domain.usage import Usage
from farthing.ledger.committer import Committer
from farthing.ledger.entries import (
    AtShort,
    Balance,
    Claim,
    EntryFacts,
    Held,
    Hold,
    Need,
    Offer,
    Settle,
    Short,
    Unit,
)
from farthing.ledger.sqlite import SqliteStore

Results = SimpleQueue[tuple[int, int, list[float], float]]

CEILING_NANODOLLARS = 2_637_600
COST_NANODOLLARS = 480_000
ACCOUNTS = ("dev-month", "per-developer/alice", "wallet", "openai", "rate")


def now_us() -> int:
    return time.time_ns() // 1_000


def an_offer(limit: int) -> Offer:
    def claim(name: str) -> Claim:
        unit = Unit.REQUESTS if name == "rate" else Unit.NANODOLLARS
        bound = 10**12 if name == "rate" else limit
        return Claim(account=f"{name}/2026-11", unit=unit, limit=bound, at_short=AtShort.REFUSE, budget=name)

    return Offer(
        target="openai-mini",
        provider="openai",
        model="gpt-4o-mini",
        needs={Unit.NANODOLLARS: Need(CEILING_NANODOLLARS), Unit.REQUESTS: Need(1)},
        claims=tuple(claim(name) for name in ACCOUNTS),
        price_version="2026-11-01",
    )


def a_hold(call_id: str, owner: str, offer: Offer) -> Hold:
    facts = EntryFacts(
        request_id=call_id,
        environment="development",
        dialect="openai.chat",
        model_asked="gpt-4o",
        group="product-dev",
        key="alice",
        key_id="key-1",
        developer="alice",
        wallet="team_product_dev",
        labels={"feature": "search"},
        run=f"run-{call_id[15:]}",
        prompt_hash="0123456789abcdef0123456789abcdef",
        policy_digest="0123456789abcdef",
    )
    return Hold(call_id=call_id, at_us=now_us(), owner=owner, facts=facts, offers=(offer,))


def a_settlement(call_id: str) -> Settle:
    return Settle(
        call_id=call_id,
        at_us=now_us(),
        cost_nanodollars=COST_NANODOLLARS,
        cost_asked_nanodollars=8_000_000,
        usage=Usage(input_tokens=1200, cached_read=0, output_tokens=500, reasoning=0),
        status=200,
        model_answered="gpt-4o-mini-2024-07-18",
        latency_ms=812,
        first_byte_ms=305,
    )


def work(
    path: str, name: int, threads: int, seconds: float, limit: int, start: Barrier, results: Results
) -> None:
    store = SqliteStore(path)
    committer = Committer(store, now_us)
    committer.start()
    offer = an_offer(limit)
    owner = committer.owner
    holds_s: list[float] = []
    pairs = [0] * threads
    refused = [0] * threads

    def loop(thread: int) -> None:
        while time.perf_counter() < until:
            call_id = f"{now_us():014x}-{name}-{thread}"  # as the engine mints them: in order of time
            began = time.perf_counter()
            answer = committer.submit(a_hold(call_id, owner, offer))
            if not isinstance(answer, Held):
                refused[thread] += 1
                if isinstance(answer, Short) and answer.final:
                    return
                continue
            holds_s.append(time.perf_counter() - began)
            committer.submit(a_settlement(call_id))
            pairs[thread] += 1

    start.wait()
    until = time.perf_counter() + seconds
    cpu_before = resource.getrusage(resource.RUSAGE_SELF)
    team = [threading.Thread(target=loop, args=(thread,)) for thread in range(threads)]
    for member in team:
        member.start()
    for member in team:
        member.join()
    cpu_after = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = sum(cpu_after[:2]) - sum(cpu_before[:2])
    committer.stop()
    store.close()
    results.put((sum(pairs), sum(refused), holds_s, cpu_s))


def measure(processes: int, threads: int, seconds: float, limit: int) -> dict[str, object]:
    """Run one closed loop on a fresh file."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "ledger.db")
        spawn = multiprocessing.get_context("spawn")
        start, results = spawn.Barrier(processes + 1), spawn.SimpleQueue()
        workers = [
            spawn.Process(target=work, args=(path, name, threads, seconds, limit, start, results))
            for name in range(processes)
        ]
        for worker in workers:
            worker.start()
        start.wait()
        began = time.perf_counter()
        answers = [results.get() for _ in workers]
        took_s = time.perf_counter() - began
        for worker in workers:
            worker.join()
        store = SqliteStore(path)
        settled = money(store.balances())
        differences = store.verify()
        store.close()
    pairs = sum(answer[0] for answer in answers)
    holds_ms = sorted(hold * 1e3 for answer in answers for hold in answer[2])
    return {
        "processes": processes,
        "threads": threads,
        "pairs": pairs,
        "pairs_per_second": round(pairs / min(took_s, seconds)),
        "cpu_us_per_pair": round(sum(answer[3] for answer in answers) / max(pairs, 1) * 1e6),
        "hold_p50_ms": round(quantile(holds_ms, 50), 2),
        "hold_p99_ms": round(quantile(holds_ms, 99), 2),
        "hold_max_ms": round(holds_ms[-1], 2),
        "refused": sum(answer[1] for answer in answers),
        "limit_nanodollars": limit,
        "settled_nanodollars": settled,
        "overshoot_nanodollars": max(settled - limit, 0),
        "differences": len(differences),
    }


def money(balances: list[Balance]) -> int:
    return max(balance.settled for balance in balances if balance.unit is Unit.NANODOLLARS)


def quantile(ordered: list[float], percent: int) -> float:
    return ordered[min(len(ordered) * percent // 100, len(ordered) - 1)]


def rows(arguments: argparse.Namespace) -> Iterator[dict[str, object]]:
    loose = 10**18
    yield measure(arguments.processes, arguments.threads, arguments.seconds, loose)
    if arguments.all:
        yield measure(1, arguments.threads, arguments.seconds, loose)
        yield measure(arguments.processes, 1, arguments.seconds, loose)
    # A budget of two thousand calls: is it ever passed, and how much of it is usable?
    tight = measure(arguments.processes, arguments.threads, arguments.seconds, 2_000 * COST_NANODOLLARS)
    usable = int(str(tight["settled_nanodollars"])) / int(str(tight["limit_nanodollars"]))
    yield tight | {"usable_percent": round(usable * 100, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--all", action="store_true", help="also one process, and one thread each")
    parser.add_argument("--json", action="store_true", help="print one JSON object per run")
    arguments = parser.parse_args()
    for row in rows(arguments):
        if arguments.json:
            print(json.dumps(row))
        else:
            print("  ".join(f"{name}={value}" for name, value in row.items()))


if __name__ == "__main__":
    main()
