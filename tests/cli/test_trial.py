"""Keys to try a gateway with: new ones each time, and a model that will be served."""

from pathlib import Path

import pytest

from farthing.cli.opening import read_policy
from farthing.cli.trial import make_trial
from farthing.config.stores import open_store

NOW_US = 1_790_000_000_000_000
TARGETS = """
providers:
  targets:
    - {id: anthropic, provider: anthropic}
    - {id: openai, provider: openai}
"""


def _policy(folder: Path, environments: str, targets: str = TARGETS) -> Path:
    path = folder / "farthing.yaml"
    path.write_text(f"environments:\n{environments}{targets}", encoding="utf-8")
    return path


def test_a_new_trial_ends_the_keys_of_the_one_before(folder: Path) -> None:
    loaded = read_policy([_policy(folder, "  development: {}\n  production: {}\n")])
    store = open_store("memory://")

    trials = [make_trial(store, loaded, at_us=NOW_US, options="") for _ in range(3)]

    keys = store.keys()
    alive = [row.revoked_at_us is None for row in keys if row.environment == "production"]
    assert [key.environment for key in trials[-1].keys] == ["development", "production"]
    assert {row.label for row in keys} == {"try"}
    assert sorted(alive) == [False, False, True]


def test_keys_that_people_made_are_left_alone(folder: Path) -> None:
    from farthing.gateway.key_admin import create_key

    loaded = read_policy([_policy(folder, "  development: {}\n")])
    store = open_store("memory://")
    for label in ("alice", "tryout"):
        create_key(store, loaded.policy, environment="development", label=label, by="ana", at_us=NOW_US)

    make_trial(store, loaded, at_us=NOW_US, options="")

    keys = store.keys()
    assert [row.label for row in keys if row.revoked_at_us is None] == ["alice", "try", "tryout"]


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        ("{allow: [claude-haiku-4-5, gpt-4o-mini]}", "gpt-4o-mini"),  # the first that the dialect reaches
        ("{allow: [claude-haiku-4-5]}", "auto"),
        ('{allow: ["gpt-*"]}', "auto"),
    ],
)
def test_the_model_to_try_is_one_that_will_be_served(folder: Path, models: str, expected: str) -> None:
    loaded = read_policy([_policy(folder, f"  development: {{models: {models}}}\n")])

    trial = make_trial(open_store("memory://"), loaded, at_us=NOW_US, options="")

    assert [key.model for key in trial.keys] == [expected]


def test_a_model_that_a_target_names_comes_first(folder: Path) -> None:
    targets = """
providers:
  targets:
    - {id: staged, provider: vllm, model: other, base_url: "http://127.0.0.1:1/v1", environments: [staging]}
    - {id: own, provider: vllm, model: our-own, base_url: "http://127.0.0.1:1/v1"}
"""
    loaded = read_policy([_policy(folder, "  development: {}\n  staging: {}\n", targets)])

    trial = make_trial(open_store("memory://"), loaded, at_us=NOW_US, options="")

    assert [(key.environment, key.model) for key in trial.keys] == [("development", "our-own")]
