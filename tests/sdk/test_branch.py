"""The branch of a program, for budgets and labels: read from real repositories and from CI's variables."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import openai
import pytest

import farthing
from farthing import BudgetExceeded, branch_name, guard
from farthing.domain.period import to_microseconds
from farthing.sdk.branch import NO_BRANCH, branch_or_none
from farthing.simulator.server import SimulatorServer
from tests.sdk.asking import messages, report_of


def git(folder: Path, *command: str) -> str:
    """Run git as somebody who has no settings."""
    nobody = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    for role in ("AUTHOR", "COMMITTER"):
        nobody |= {f"GIT_{role}_NAME": "nobody", f"GIT_{role}_EMAIL": "nobody@example.com"}
    return subprocess.run(
        ["git", *command], cwd=folder, env=os.environ | nobody, capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    git(folder, "commit", "-q", "--allow-empty", "-m", "Begin")
    return folder


@pytest.mark.parametrize("branch", ["main", "feature/search", "größe-日本", "a.b_c-1"])
def test_the_branch_that_is_checked_out_counts_before_any_variable(repository: Path, branch: str) -> None:
    git(repository, "checkout", "-q", "-B", branch)
    assert branch_or_none({"GITHUB_HEAD_REF": "of-the-service"}, repository) == branch
    assert git(repository, "rev-parse", "--abbrev-ref", "HEAD") == branch


def test_a_folder_deep_in_the_repository_has_its_branch(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = repository / "a" / "b"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    assert branch_name() == "main"


def test_a_branch_without_a_commit_and_one_with_packed_references_have_names(repository: Path) -> None:
    git(repository, "pack-refs", "--all")
    assert branch_or_none({}, repository) == "main"
    git(repository, "checkout", "-q", "--orphan", "empty")
    assert branch_or_none({}, repository) == "empty"


def test_each_worktree_has_a_branch_of_its_own(repository: Path) -> None:
    beside = repository.parent / "beside"
    git(repository, "worktree", "add", "-q", "-b", "other", str(beside))
    assert (branch_or_none({}, beside), branch_or_none({}, repository)) == ("other", "main")


def test_a_submodule_has_the_branch_of_its_own_repository(repository: Path) -> None:
    outer = repository.parent / "outer"
    outer.mkdir()
    git(outer, "init", "-q", "-b", "outer-branch")
    git(outer, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(repository), "inner")
    git(outer / "inner", "checkout", "-q", "-b", "inner-branch")
    assert branch_or_none({}, outer / "inner") == "inner-branch"
    assert branch_or_none({}, outer) == "outer-branch"


def test_a_repository_named_by_a_variable_counts(repository: Path, tmp_path: Path) -> None:
    assert branch_or_none({"GIT_DIR": str(repository / ".git")}, tmp_path) == "main"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"GITHUB_HEAD_REF": "feature/x", "GITHUB_REF_NAME": "12/merge"}, "feature/x"),
        ({"GITHUB_HEAD_REF": "", "GITHUB_REF_NAME": "main"}, "main"),
        ({"CI_COMMIT_REF_NAME": "größe"}, "größe"),
        ({"CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "x", "CI_COMMIT_REF_NAME": "refs/merge-requests/1"}, "x"),
        ({"BUILDKITE_BRANCH": "b"}, "b"),
        ({"CIRCLE_BRANCH": "b"}, "b"),
        ({"CHANGE_BRANCH": "b", "BRANCH_NAME": "PR-3"}, "b"),
        ({"BRANCH_NAME": "b"}, "b"),
        ({"BUILD_SOURCEBRANCH": "refs/heads/feature/b"}, "feature/b"),
        ({"TRAVIS_PULL_REQUEST_BRANCH": "b", "TRAVIS_BRANCH": "main"}, "b"),
        ({"TRAVIS_BRANCH": "b"}, "b"),
        ({"BITBUCKET_BRANCH": "b"}, "b"),
        ({"DRONE_SOURCE_BRANCH": "b"}, "b"),
    ],
)
def test_of_a_commit_that_is_checked_out_the_service_says_the_branch(
    repository: Path, tmp_path: Path, environ: dict[str, str], expected: str
) -> None:
    git(repository, "checkout", "-q", "--detach")
    assert branch_or_none(environ, repository) == expected
    assert branch_or_none(environ, tmp_path) == expected  # an image without the repository


def test_a_commit_that_nobody_calls_a_branch_is_its_own_id(repository: Path) -> None:
    git(repository, "checkout", "-q", "--detach")
    assert branch_or_none({}, repository) == git(repository, "rev-parse", "HEAD")


def test_without_a_repository_programs_share_one_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(os.environ):
        if "BRANCH" in name or name.startswith(("GIT", "CI_", "BUILD")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    assert branch_or_none({}, tmp_path) is None
    assert branch_name() == NO_BRANCH == "no-branch"


def test_a_repository_that_tells_its_branch_to_git_alone_is_asked_through_git(
    repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # What the reftable format leaves in HEAD; older versions of git cannot make one.
    (repository / ".git" / "HEAD").write_text("ref: refs/heads/.invalid\n", "utf-8")
    asked = tmp_path / "asked"
    git_of_test = tmp_path / "bin" / "git"
    git_of_test.parent.mkdir()
    git_of_test.write_text(f'#!/bin/sh\necho "$@" > "{asked}"\necho refs/heads/feature/new\n', "utf-8")
    git_of_test.chmod(0o755)
    monkeypatch.setenv("PATH", str(git_of_test.parent))
    assert branch_or_none({}, repository) == "feature/new"
    assert asked.read_text("utf-8").split() == [
        f"--git-dir={repository / '.git'}", "symbolic-ref", "-q", "HEAD"
    ]  # fmt: skip
    monkeypatch.setenv("PATH", str(tmp_path))
    assert branch_or_none({}, repository) is None


def test_asking_for_the_branch_loads_nothing_else() -> None:
    program = (
        "import sys; from farthing import branch_name; branch_name();"
        "assert not {'msgspec', 'pydantic', 'openai', 'sqlite3'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert farthing.branch_name is branch_name


# ── a budget of a branch ────────────────────────────────────────────────────────────────────────

POLICY = "timezone: America/Los_Angeles\nenvironments: {development: {}}\n"
SPEND = """
import sys
from pathlib import Path

import openai

from farthing import BudgetExceeded, branch_name, guard

client = guard(
    openai.OpenAI(base_url=sys.argv[1], api_key="any", max_retries=0),
    budget="$0.05",
    workflow_id=f"branch-{branch_name()}",
    ledger=sys.argv[2],
    environment="development",
)
made = 0
while True:
    asked = [{"role": "user", "content": "hello [[sim output=1000]]"}]
    try:
        client.chat.completions.create(model="gpt-4o", messages=asked, max_tokens=1_000)
    except BudgetExceeded as exceeded:
        print(made, exceeded.budget)
        break
    made += 1
"""


def test_two_processes_on_one_branch_stop_together_at_its_budget(
    simulator: SimulatorServer, repository: Path, tmp_path: Path
) -> None:
    git(repository, "checkout", "-q", "-b", "feature/search")
    ledger = f"sqlite:///{tmp_path / 'branches.db'}"
    command = [sys.executable, "-c", SPEND, simulator.openai_url, ledger]
    both = [subprocess.Popen(command, cwd=repository, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=60)[0].split() for process in both]
    assert all(budget == "branch-feature/search" for _, budget in told)
    assert sum(int(made) for made, _ in told) == len(simulator.record.calls)
    client = guard(
        openai.OpenAI(api_key="any"), budget="$0.05", workflow_id="branch-feature/search", ledger=ledger
    )
    assert Decimal("0.04") <= report_of(client).spent <= Decimal("0.05")


def test_on_the_next_day_of_the_configured_zone_a_branch_may_spend_again(
    simulator: SimulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime(2026, 11, 21, 23, 30, tzinfo=ZoneInfo("America/Los_Angeles"))
    monkeypatch.setattr("farthing.sdk.runtime.clock", lambda: to_microseconds(now.astimezone(UTC)))
    policy = tmp_path / "farthing.yaml"
    policy.write_text(POLICY, "utf-8")

    def spends() -> bool:
        """Two programs, one after the other, both of this branch."""
        client = guard(
            openai.OpenAI(base_url=simulator.openai_url, api_key="any", max_retries=0),
            budget="$0.012",
            workflow_id="branch-main",
            policy=policy,
            ledger=f"sqlite:///{tmp_path / 'days.db'}",
            environment="development",
        )
        asked = messages("hello [[sim output=1000]]")
        try:
            client.chat.completions.create(model="gpt-4o", messages=asked, max_tokens=1_000)
        except BudgetExceeded as exceeded:
            assert exceeded.resets_at == "2026-11-22T08:00:00.000000Z"
            return False
        return True

    assert (spends(), spends()) == (True, False)
    now += timedelta(minutes=29)  # already tomorrow in UTC, and not in the zone of the policy
    assert not spends()
    now += timedelta(minutes=2)
    assert spends()
