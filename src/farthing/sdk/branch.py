"""Which branch this program runs on, as git or the CI service says: for budgets and labels of a branch."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

NO_BRANCH = "no-branch"
_HEADS = "refs/heads/"
# What CI services call the branch under test; the source of a merge request before its target.
_VARIABLES = (
    "GITHUB_HEAD_REF",
    "GITHUB_REF_NAME",
    "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME",
    "CI_COMMIT_REF_NAME",
    "BUILDKITE_BRANCH",
    "CIRCLE_BRANCH",
    "CHANGE_BRANCH",
    "BRANCH_NAME",
    "SYSTEM_PULLREQUEST_SOURCEBRANCH",
    "BUILD_SOURCEBRANCH",
    "TRAVIS_PULL_REQUEST_BRANCH",
    "TRAVIS_BRANCH",
    "BITBUCKET_BRANCH",
    "DRONE_SOURCE_BRANCH",
)
_GIT_SECONDS_MAX = 5.0


def branch_name() -> str:
    """Name the branch of the working folder, for ``workflow_id=f"branch-{branch_name()}"``.

    A branch that is checked out counts first. CI services check out a commit and not a branch: there
    their own variables count, else it is the commit id. Without a repository and without such a
    variable it is "no-branch", a name that all such programs share.
    """
    return branch_or_none() or NO_BRANCH


def branch_or_none(environ: Mapping[str, str] | None = None, folder: Path | None = None) -> str | None:
    """Do as branch_name does; None where nothing tells a branch."""
    environ = os.environ if environ is None else environ
    repository = _git_folder(environ, folder or Path.cwd())
    head = None if repository is None else _head_of(repository)
    if head is not None and head.startswith("ref:"):
        return head.removeprefix("ref:").strip().removeprefix(_HEADS)
    for name in _VARIABLES:
        branch = environ.get(name, "").strip().removeprefix(_HEADS)
        if branch:
            return branch
    return head


def _git_folder(environ: Mapping[str, str], folder: Path) -> Path | None:
    """The folder that holds HEAD: .git, or what a .git file of a worktree or a submodule points to."""
    if environ.get("GIT_DIR"):
        return folder / environ["GIT_DIR"]
    for place in (folder, *folder.parents):
        git = place / ".git"
        if git.is_dir():
            return git
        try:
            return place / git.read_text("utf-8", "replace").removeprefix("gitdir:").strip()
        except OSError:
            continue
    return None


def _head_of(repository: Path) -> str | None:
    """What HEAD says: "ref: refs/heads/main", or a commit id; None for a folder that is no repository."""
    try:
        head = (repository / "HEAD").read_text("utf-8", "replace").strip()
    except OSError:
        return None
    if head.endswith("/.invalid"):
        return _asked_of_git(repository)  # a repository of the reftable format says it to git alone
    return head or None


def _asked_of_git(repository: Path) -> str | None:
    for question, form in ((("symbolic-ref", "-q"), "ref: {}"), (("rev-parse", "--verify", "-q"), "{}")):
        command = ["git", f"--git-dir={repository}", *question, "HEAD"]
        try:
            told = subprocess.run(  # noqa: S603 - no shell, and nothing of it comes from outside
                command, capture_output=True, timeout=_GIT_SECONDS_MAX, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        if told.returncode == 0:
            return form.format(told.stdout.decode("utf-8", "replace").strip())
    return None
