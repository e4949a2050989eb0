"""Whatever the policy and the calls: both doors decide and book alike, on every store (I12)."""

import random
from collections import Counter
from pathlib import Path

import pytest

from tests.builders import Clock
from tests.faults.conftest import FULL, Measured
from tests.faults.doors import Played, through_gateway, through_guard
from tests.generated import a_policy_file, calls_made

CALLS_EACH = 100
POLICIES = 100 if FULL else 15


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The only clock that either door looks at."""
    standing = Clock()
    monkeypatch.setattr("farthing.config.build.clock", standing)
    monkeypatch.setattr("farthing.sdk.runtime.clock", standing)
    return standing


def test_generated_calls_under_generated_policies_are_decided_alike_by_every_door_on_every_store(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, measured: Measured
) -> None:
    decided: Counter[str] = Counter()
    for seed in range(POLICIES):
        folder = tmp_path / str(seed)
        folder.mkdir()
        dice, policy = random.Random(seed), folder / "farthing.yaml"
        policy.write_text(a_policy_file(dice), encoding="utf-8")
        made = list(calls_made(dice, CALLS_EACH))

        one = through_gateway(policy, f"sqlite:///{folder}/gateway.db", made, clock)
        others = {
            "gateway, memory": through_gateway(policy, "memory://", made, clock),
            "guard, sqlite": through_guard(policy, f"sqlite:///{folder}/guard.db", made, clock, monkeypatch),
            "guard, memory": through_guard(policy, "memory://", made, clock, monkeypatch),
        }

        assert len(one.rows) == CALLS_EACH
        assert not one.wrong and not one.holds
        for which, other in others.items():
            assert differences(one, other) == [], f"seed {seed}: {which}"
        decided.update(f"{row['outcome']} {row['reason']}" for row in one.rows)
    measured(f"{POLICIES * CALLS_EACH:,} calls alike: {dict(decided.most_common())}")


def differences(one: Played, other: Played) -> list[object]:
    """Where two ledgers or providers tell different things, the first few."""
    found: list[object] = [
        (number, member, said, theirs[member])
        for number, (ours, theirs) in enumerate(zip(one.rows, other.rows, strict=False))
        for member, said in ours.items()
        if said != theirs[member]
    ]
    found += [pair for pair in zip(one.sent, other.sent, strict=False) if pair[0] != pair[1]]
    found += [pair for pair in zip(one.balances, other.balances, strict=False) if pair[0] != pair[1]]
    if (len(one.rows), len(one.sent)) != (len(other.rows), len(other.sent)):
        found.append((len(one.rows), len(one.sent), len(other.rows), len(other.sent)))
    return found[:5] + [other.wrong, other.holds] * bool(other.wrong or other.holds)
