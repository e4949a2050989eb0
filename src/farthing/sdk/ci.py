"""The cap of one CI run, which every guard in it joins: which run this is, and what it may spend."""

import os

from farthing.sdk.budgets_given import amount_given

RUN_CAP = "3.00"
# Each CI service's own words for one run; a run that is started again is a new one.
_RUNS = (
    ("GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT"),
    ("CI_PIPELINE_ID", "CI_JOB_ID"),
    ("BUILDKITE_BUILD_ID", "BUILDKITE_RETRY_COUNT"),
    ("CIRCLE_WORKFLOW_ID", ""),
    ("BUILD_TAG", ""),
    ("BUILD_BUILDID", "SYSTEM_JOBATTEMPT"),
    ("PYTEST_XDIST_TESTRUNUID", ""),
)


def run_cap() -> tuple[str, int]:
    """The id of this run and its cap in nanodollars.

    Raises GuardError where CI_AI_BUDGET is no amount.
    """
    limit = amount_given(os.environ.get("CI_AI_BUDGET", "").strip() or RUN_CAP, what="CI_AI_BUDGET")
    for name, attempt in _RUNS:
        run = os.environ.get(name)
        if run:
            again = os.environ.get(attempt, "") if attempt else ""
            return (f"{run}-{again}" if again else run), limit
    return f"session-{os.getsid(0)}" if hasattr(os, "getsid") else f"process-{os.getpid()}", limit
