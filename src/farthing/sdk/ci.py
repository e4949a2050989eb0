"""The run that a process belongs to, and the cap that every guard in it joins."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from farthing.domain.errors import Refusal

RUN = "FARTHING_RUN"
CAP = "CI_AI_BUDGET"
CAP_DOLLARS = "3.00"
CAP_NAME = "ci-run"
# Each CI service's own words for one run; a run that is started again is a new one.
_RUNS = (
    (RUN, ""),
    ("GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT"),
    ("CI_PIPELINE_ID", "CI_JOB_ID"),
    ("BUILDKITE_BUILD_ID", "BUILDKITE_RETRY_COUNT"),
    ("CIRCLE_WORKFLOW_ID", ""),
    ("BITBUCKET_PIPELINE_UUID", "BITBUCKET_STEP_RUN_NUMBER"),
    ("TRAVIS_BUILD_ID", ""),
    ("BUILD_TAG", ""),
    ("BUILD_BUILDID", "SYSTEM_JOBATTEMPT"),
    ("PYTEST_XDIST_TESTRUNUID", ""),
)
LABEL_MAX = 256

# What guards of this process did in the run: the ledgers that keep its cap, and what the cap refused.
ledgers: set[str] = set()
refusals: "list[Refusal]" = []


def named_run() -> str | None:
    """The id of this run, as somebody says it: FARTHING_RUN, the CI service, pytest-xdist."""
    for name, attempt in _RUNS:
        run = os.environ.get(name)
        if run:
            again = os.environ.get(attempt, "") if attempt else ""
            return f"{run}-{again}" if again else run
    return None


def run_cap() -> tuple[str, int]:
    """The id of this run and its cap in nanodollars.

    Where nobody names the run, what one terminal or one container starts is one.
    Raises GuardError where CI_AI_BUDGET is no amount.
    """
    from farthing.sdk.budgets_given import amount_given

    limit = amount_given(os.environ.get(CAP, "").strip() or CAP_DOLLARS, what=CAP)
    session = f"session-{os.getsid(0)}" if hasattr(os, "getsid") else f"process-{os.getpid()}"
    return named_run() or session, limit


def is_joined(environment: str) -> bool:
    """Whether guards of an environment join the cap: in CI, and wherever FARTHING_RUN names a run."""
    return environment == "ci" or bool(os.environ.get(RUN))


def run_labels(branch: str | None) -> dict[str, str]:
    """What an entry says of a run besides its id: the branch, and the test where pytest tells of one."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0]  # its subprocesses have it too
    return {name: as_label(text) for name, text in (("branch", branch), ("test", test)) if text}


def as_label(text: str) -> str:
    """A name as a label: printable, and told from others that begin alike where it is too long."""
    label = "".join(letter if letter.isprintable() else "?" for letter in text)
    if label == text and len(label) <= LABEL_MAX:
        return label
    import hashlib

    digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=4).hexdigest()
    return f"{label[: LABEL_MAX - 9]}~{digest}"
