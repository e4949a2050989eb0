"""What a decision costs under a small policy and under a large one, in one run.

A decision is all that the policy does to a call before the ledger is asked: may it, where may it go, who
pays, what can it cost at most. Both policies make a call pay from five budgets; the large one has 500 of
them, 100 groups and 50 targets, matched by group, key, feature, provider and model.
Usage: python -m benchmarks.policy_size [--json] [--calls 4000] [--rounds 5]
"""

import argparse
import json
import random
import statistics
import time
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from farthing.domain.call import Call, Identity, RequestFacts
from farthing.domain.period import Period
from farthing.engine.governor import Governor
from farthing.engine.terms import NO_TERMS
from farthing.ledger.committer import Committer
from farthing.ledger.memory import MemoryStore
from farthing.policy.rules import Budget, Environment, Group, Otherwise, Policy, Target
from farthing.prices.book import load_book

AT_US = 1_790_000_000_000_000
BUDGETS, GROUPS, TARGETS = 500, 100, 50
MODELS = ("gpt-4o", "gpt-4o-mini", "gpt-4.1-mini", "o3")
RATIO_MAX = 2.0


def a_budget(name: str, per: str | None = None, **match: str) -> Budget:
    """A monthly budget that never ends."""
    return Budget(
        name=name,
        limit_nanodollars=10**15,
        period=Period.MONTHLY,
        zone="UTC",
        per=per,
        match={fact: (value,) for fact, value in match.items()},
    )


def a_policy(budgets: Sequence[Budget], groups: int, targets: int) -> Policy:
    """Development, with models that are allowed and one that is downgraded."""
    environment = Environment(
        name="development",
        allow=("gpt-4o", "gpt-4o-mini", "gpt-4.1-*"),
        otherwise=Otherwise.DOWNGRADE,
        downgrade=(("o3", "gpt-4.1-mini"),),
    )
    others = ("gpt-4.1-nano", "gpt-4", "gpt-3.5-turbo", "o1", "gpt-5")
    return Policy(
        digest="0" * 16,
        environments={"development": environment},
        budgets=tuple(budgets),
        targets=(
            Target(id="openai", provider="openai", base_url="http://127.0.0.1:1/v1"),
            *(
                Target(
                    id=f"target-{number}",
                    provider="openai",
                    model=others[number % len(others)],
                    base_url="http://127.0.0.1:1/v1",
                )
                for number in range(1, targets)
            ),
        ),
        groups=tuple(Group(name=f"group-{number}", environment="development") for number in range(groups)),
    )


def small() -> Policy:
    """Five budgets, each of which covers every call."""
    names = ("month", "developer", "group", "feature", "provider")
    pers = (None, "developer", "group", "feature", "provider")
    return a_policy(
        [a_budget(name, per, environment="development") for name, per in zip(names, pers, strict=True)], 1, 1
    )


def large() -> Policy:
    """Five hundred budgets, of which five cover a call: one of each kind."""
    each = (BUDGETS - 2) // 3
    budgets = [
        a_budget("month", environment="development"),
        a_budget("provider", provider="openai"),
        *(a_budget(f"group-{number}", group=f"group-{number}") for number in range(GROUPS)),
        *(a_budget(f"feature-{number}", feature=f"feature-{number}") for number in range(each)),
    ]
    rest = BUDGETS - len(budgets)
    budgets += [a_budget(f"key-{number}", key=f"key-{number}") for number in range(rest)]
    return a_policy(budgets, GROUPS, TARGETS)


def calls(count: int) -> list[Call]:
    """Calls of many keys, groups and features."""
    chance = random.Random(1)
    return [a_call(number, chance) for number in range(count)]


def a_call(number: int, chance: random.Random) -> Call:
    """One call of somebody for something."""
    key, group = chance.randrange(200), chance.randrange(GROUPS)
    return Call(
        call_id=f"call_{number}",
        request_id=f"call_{number}",
        at_us=AT_US + number,
        identity=Identity(
            environment="development",
            key=f"key-{key}",
            key_id=f"key-{key}",
            group=f"group-{group}",
            developer=f"developer-{key}",
        ),
        facts=RequestFacts(
            dialect="openai.chat", model=chance.choice(MODELS), input_bytes=2_000, output_cap=1_000
        ),
        labels={"feature": f"feature-{chance.randrange(150)}"},
    )


def governor(policy: Policy) -> Governor:
    """A governor on a ledger that is never asked."""
    committer = Committer(MemoryStore(), lambda: AT_US, inline=True)
    return Governor(policy=policy, prices=load_book(), committer=committer, clock=lambda: AT_US)


def microseconds_each(deciding: Governor, made: Sequence[Call]) -> float:
    """The CPU of one decision."""
    began = time.process_time_ns()
    for call in made:
        deciding._prepare(call, None, NO_TERMS)
    return (time.process_time_ns() - began) / 1_000 / len(made)


def measure(count: int, rounds: int) -> dict[str, float]:
    """The medians of rounds in turns, after a round that is not counted, and the ratio of the best."""
    made = calls(count)
    policies = {"small": governor(small()), "large": governor(large())}
    for deciding in policies.values():
        paying = {len(deciding._prepare(call, None, NO_TERMS).hold.offers[0].claims) for call in made[:50]}
        assert paying <= {4, 5}, paying
        microseconds_each(deciding, made)
    seen: dict[str, list[float]] = {name: [] for name in policies}
    for _ in range(rounds):
        for name, deciding in policies.items():
            seen[name].append(microseconds_each(deciding, made))
    told = {f"{name}_us": statistics.median(values) for name, values in seen.items()}
    return {**told, "ratio": min(seen["large"]) / min(seen["small"])}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--calls", type=int, default=4_000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    told = measure(asked.calls, asked.rounds)
    if asked.json:
        print(json.dumps(told, indent=2))
        return
    table = Table("policy", "CPU of a decision")
    table.add_row("5 budgets, 1 group, 1 target", f"{told['small_us']:.1f} µs")
    table.add_row(f"{BUDGETS} budgets, {GROUPS} groups, {TARGETS} targets", f"{told['large_us']:.1f} µs")
    console = Console()
    console.print(table)
    console.print(f"ratio {told['ratio']:.2f}; the bar is {RATIO_MAX:.0f}")


if __name__ == "__main__":
    main()
