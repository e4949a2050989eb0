"""Snippets around a guarded client run as they stand: environments, branches, CI."""

import os
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import openai
import pytest
from pydantic import BaseModel

import farthing
from farthing import BudgetExceeded, branch_name, guard
from farthing.simulator.server import SimulatorServer
from tests.sdk.asking import desk_of, entries_of, messages, report_of
from tests.sdk.snippets import run, surroundings

__all__ = ["surroundings"]

ENVIRONMENTS = """
from farthing import guard
import openai
import os

ENV_BUDGETS = {
    "development": 2.00,
    "staging": 5.00,
    "production": 25.00,
}

env = os.getenv("APP_ENV", "development")
budget = ENV_BUDGETS.get(env, 2.00)

client = guard(
    openai.OpenAI(),
    budget=budget,
    downgrade_model="gpt-4o-mini" if env == "development" else None
)

response = client.chat.completions.create(
    model="gpt-4o",
    messages=[{"role": "user", "content": "Analyze this document..."}]
)
"""


# ── S1: a budget for each environment ───────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("said", "limit", "served", "counts_as"),
    [
        (None, 2, "gpt-4o-mini", "development"),
        ("development", 2, "gpt-4o-mini", "development"),
        ("staging", 5, "gpt-4o", "staging"),
        ("production", 25, "gpt-4o", "production"),
        ("prd", 2, "gpt-4o", "development"),
        ("PRODUCTION", 2, "gpt-4o", "production"),
    ],
)
def test_the_same_file_has_another_limit_in_each_environment(
    surroundings: SimulatorServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    said: str | None,
    limit: int,
    served: str,
    counts_as: str,
) -> None:
    if said is not None:
        monkeypatch.setenv("APP_ENV", said)
    client = run(ENVIRONMENTS)["client"]
    (entry,) = entries_of(client)
    assert report_of(client).limit == limit
    assert (entry.facts.model_asked, entry.model_served) == ("gpt-4o", served)
    assert entry.facts.environment == counts_as
    assert ("'prd'" in caplog.text) == (said == "prd")


def test_in_development_a_loop_ends_at_two_dollars(surroundings: SimulatorServer) -> None:
    client = run(ENVIRONMENTS)["client"]
    with pytest.raises(BudgetExceeded):
        for _ in range(20):
            client.chat.completions.create(
                model="gpt-4o", messages=messages("[[sim output=16384]] hello"), max_tokens=16_384, n=20
            )
    assert Decimal("1.99") < report_of(client).spent <= 2
    rows = entries_of(client)
    assert {(row.facts.model_asked, row.model_served) for row in rows if row.outcome == "settled"} == {
        ("gpt-4o", "gpt-4o-mini")
    }
    saved = sum(row.cost_asked_nanodollars or 0 for row in rows) - sum(row.cost_nanodollars for row in rows)
    assert saved > 10 * 2_000_000_000


def test_without_a_key_the_error_is_the_sdks_own(
    surroundings: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(openai.OpenAIError, match="OPENAI_API_KEY"):
        run(ENVIRONMENTS)


def test_a_budget_may_be_written_with_its_sign(surroundings: SimulatorServer) -> None:
    written = run(ENVIRONMENTS.replace("2.00", '"$2"'))
    assert report_of(written["client"]).limit == 2


@pytest.mark.parametrize("asked", ["gpt-4o-mini", "gpt-4.1-nano"])
def test_a_model_that_is_no_dearer_than_the_downgrade_stays(
    surroundings: SimulatorServer, asked: str
) -> None:
    client = run(ENVIRONMENTS.replace('model="gpt-4o"', f'model="{asked}"'))["client"]
    assert entries_of(client)[0].model_served == asked


# ── S2: the cheaper model, whatever is asked for ────────────────────────────────────────────────

DOWNGRADED = """
dev_client = guard(openai.OpenAI(), budget=2.00, downgrade_model="gpt-4o-mini")

response = dev_client.chat.completions.create(
    model="gpt-4o",
    messages=[{"role": "user", "content": "hello"}]
)
"""


class Verdict(BaseModel):
    good: bool


ASKED: dict[str, Any] = {"model": "gpt-4o", "messages": messages("hello [[sim output=500]]")}
VERDICT: dict[str, Any] = {"model": "gpt-4o", "messages": messages('hello [[sim text={"good":true}]]')}
WAYS: dict[str, Callable[[openai.OpenAI], object]] = {
    "streamed": lambda client: list(client.chat.completions.create(**ASKED, stream=True)),
    "parsed": lambda client: client.chat.completions.parse(**VERDICT, response_format=Verdict),
    "raw": lambda client: client.chat.completions.with_raw_response.create(**ASKED),
    "with_options": lambda client: client.with_options(timeout=9).chat.completions.create(**ASKED),
    "responses": lambda client: client.responses.create(model="gpt-4o", input="hello"),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_asking_reaches_the_cheaper_model(surroundings: SimulatorServer, way: str) -> None:
    client = run(DOWNGRADED, guard=guard, openai=openai)["dev_client"]
    WAYS[way](client)
    assert [str(call.model).partition("-20")[0] for call in surroundings.record.calls] == ["gpt-4o-mini"] * 2
    assert [row.facts.model_asked for row in entries_of(client)] == ["gpt-4o"] * 2


def test_what_the_downgrade_saved_stands_on_the_entry(surroundings: SimulatorServer) -> None:
    (entry,) = entries_of(run(DOWNGRADED, guard=guard, openai=openai)["dev_client"])
    assert entry.cost_asked_nanodollars is not None
    assert 16 < entry.cost_asked_nanodollars / entry.cost_nanodollars < 17


# ── S3: a budget for each branch ────────────────────────────────────────────────────────────────

BRANCHES = """
import subprocess

branch = subprocess.check_output(
    ["git", "rev-parse", "--abbrev-ref", "HEAD"]
).decode().strip()

client = guard(
    openai.OpenAI(),
    budget=5.00,
    workflow_id=f"branch-{branch}"
)
"""
FIVE_DOLLARS: dict[str, Any] = {
    "model": "gpt-4o", "messages": messages("[[sim output=16384]] hello"), "max_tokens": 16_384, "n": 31,
}  # fmt: skip


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A git repository to work in, and a way to tell git something."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.chdir(tmp_path)

    def git(*words: str) -> None:
        who = ("-c", "user.name=alice", "-c", "user.email=alice@example.com")
        subprocess.run(["git", *who, *words], check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    git("commit", "-q", "--allow-empty", "-m", "begin")
    return git


@pytest.mark.parametrize("branch", ["feature/search", "größe-日本"])
def test_a_branch_has_five_dollars_a_day_and_no_other_branch_pays(
    surroundings: SimulatorServer, repository: Callable[..., None], branch: str
) -> None:
    def client() -> openai.OpenAI:
        made: openai.OpenAI = run(BRANCHES, guard=guard, openai=openai)["client"]
        return made

    repository("checkout", "-q", "-b", branch)
    first, second = client(), client()
    first.chat.completions.create(**FIVE_DOLLARS)
    with pytest.raises(BudgetExceeded) as caught:
        second.chat.completions.create(**FIVE_DOLLARS)
    assert caught.value.budget == f"branch-{branch}"
    assert caught.value.resets_at is not None
    assert report_of(first).spent == report_of(second).spent > Decimal("4.9")
    repository("checkout", "-q", "main")
    other = client()
    assert report_of(other).limit == 5
    assert report_of(other).spent == 0


def test_a_budget_of_a_branch_belongs_to_one_day(
    surroundings: SimulatorServer, repository: Callable[..., None]
) -> None:
    client = run(BRANCHES, guard=guard, openai=openai)["client"]
    client.chat.completions.create(model="gpt-4o-mini", messages=messages("hello"))
    (entry,) = entries_of(client)
    (account,) = entry.accounts
    day = account.removeprefix("branch-main/")
    assert len(day.split("-")) == 3 and day != account


@pytest.mark.parametrize("variable", [None, "GITHUB_HEAD_REF"])
def test_a_commit_without_a_branch_has_the_budget_of_its_ci_branch_or_its_own(
    surroundings: SimulatorServer,
    repository: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    variable: str | None,
) -> None:
    repository("checkout", "-q", "--detach")
    plain = run(BRANCHES, guard=guard, openai=openai)
    assert report_of(plain["client"]).name == "branch-HEAD"  # all such jobs of a machine would share it
    if variable is not None:
        monkeypatch.setenv(variable, "feature/search")
    asked_git, _, rest = BRANCHES.partition("client =")
    ours = run(f"branch = branch_name()\nclient ={rest}", guard=guard, openai=openai, branch_name=branch_name)
    name = report_of(ours["client"]).name
    assert name == "branch-feature/search" if variable else len(name) == len("branch-") + 40
    assert "rev-parse" in asked_git


# ── S4: a capped client for tests ───────────────────────────────────────────────────────────────

TESTS_IN_CI = '''
CI_BUDGET = float(os.getenv("CI_AI_BUDGET", "3.00"))

@pytest.fixture
def ai_client():
    """Provide a budget-capped AI client for tests."""
    return guard(
        openai.OpenAI(),
        budget=CI_BUDGET,
        downgrade_model="gpt-4o-mini"
    )

def test_agent_summarization(ai_client):
    result = my_agent.summarize(client=ai_client, document=SAMPLE_DOC)
    assert len(result) > 100
'''
BEFORE_THEM = """
import os

import openai
import pytest

from farthing import guard

SAMPLE_DOC = "It was a dark and stormy night. [[sim output=200]]"


class my_agent:
    @staticmethod
    def summarize(client, document, **more):
        asked = [{"role": "user", "content": document}]
        answer = client.chat.completions.create(model="gpt-4o", messages=asked, **more)
        return answer.choices[0].message.content
"""
AFTER_THEM = """
@pytest.mark.parametrize("number", range(4))
def test_that_runs_away(ai_client, number):
    for _ in range(10_000):
        my_agent.summarize(ai_client, "[[sim output=16384]] hello", max_tokens=16_384, n=20)
"""


def test_the_cap_of_the_run_stands_above_the_budget_of_every_test(
    surroundings: SimulatorServer, tmp_path: Path
) -> None:
    (tmp_path / "test_in_ci.py").write_text(BEFORE_THEM + TESTS_IN_CI + AFTER_THEM, "utf-8")
    ledger = f"sqlite:///{tmp_path / 'ci.db'}"
    environ = {**os.environ, "CI": "true", "CI_AI_BUDGET": "1.50", "FARTHING_LEDGER": ledger}
    # Without our plugin for pytest: the guard alone holds the cap.
    options = ["-rA", "--tb=line", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:farthing"]
    command = [sys.executable, "-m", "pytest", *options, "test_in_ci.py"]
    ended = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    told = ended.stdout
    assert "PASSED test_in_ci.py::test_agent_summarization" in told, told
    assert "4 failed, 1 passed" in told, told
    assert "OpenAIBudgetExceeded" in told and "ci-run" in told
    books = desk_of(guard(openai.OpenAI(), budget=0, ledger=ledger)).runtime.store
    (cap,) = books.balances(budget="ci-run")
    assert 1_490_000_000 < cap.settled <= 1_500_000_000


def test_the_cap_of_a_run_is_three_dollars_unless_told(
    surroundings: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("CI_AI_BUDGET", "")
    client = guard(openai.OpenAI(), budget=10)
    client.chat.completions.create(**FIVE_DOLLARS)
    with pytest.raises(BudgetExceeded) as caught:
        client.chat.completions.create(**FIVE_DOLLARS)
    assert caught.value.budget == "ci-run"
    assert caught.value.limit == 3
    assert Decimal("2.99") < report_of(client).spent <= 3


def test_a_run_that_is_started_again_has_its_cap_again(
    surroundings: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("CI_AI_BUDGET", "0.01")
    monkeypatch.setenv("GITHUB_RUN_ID", "77")
    for attempt in ("1", "2"):
        monkeypatch.setenv("GITHUB_RUN_ATTEMPT", attempt)
        client = guard(openai.OpenAI(), budget=3)
        client.chat.completions.create(
            model="gpt-4o-mini", messages=messages("[[sim output=16384]] hello"), max_tokens=16_384
        )
        with pytest.raises(BudgetExceeded):
            client.chat.completions.create(model="gpt-4o", messages=messages("hello"), max_tokens=1_000)


# ── S5: the package ─────────────────────────────────────────────────────────────────────────────


def test_what_is_installed_under_this_name_is_imported_under_it() -> None:
    told = metadata("farthing")
    assert (told["Name"], told["Version"]) == (farthing.__name__, farthing.__version__)
    assert {"guard", "Fence", "BudgetExceeded"} <= set(farthing.__all__)
