"""Find out from its variables which environment a process belongs to, and whose it is."""

from collections.abc import Container, Mapping

from farthing.config.environments import DEFAULT_ENVIRONMENT
from farthing.config.source import SHORT_NAMES

_VARIABLES = ("FARTHING_ENV", "APP_ENV")
_NAME_MAX = 256
_CI_VARIABLES = (
    "CI", "GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "CIRCLECI", "JENKINS_URL", "TF_BUILD", "FARTHING_RUN",
)  # fmt: skip


def environment_of_process(
    environ: Mapping[str, str], known: Container[str], *, asked: str | None = None
) -> tuple[str, str | None]:
    """The environment of this process, and what a person should know about the choice.

    The argument counts first, then FARTHING_ENV, APP_ENV, the variables of CI services; else it is
    development. A name that the policy does not know gets development, never anything richer.
    """
    named = asked or next((environ[name] for name in _VARIABLES if environ.get(name)), None)
    if named is None:
        in_ci = any(environ.get(name, "").lower() not in ("", "0", "false") for name in _CI_VARIABLES)
        return ("ci" if in_ci and "ci" in known else DEFAULT_ENVIRONMENT), None
    for name in (named, SHORT_NAMES.get(named.strip().lower(), "")):
        if name in known:
            return name, None
    return DEFAULT_ENVIRONMENT, (
        f"{named!r} is not an environment of the policy: this process counts as {DEFAULT_ENVIRONMENT}"
    )


def developer_of_process(environ: Mapping[str, str]) -> str | None:
    """Who a process works for, as FARTHING_DEVELOPER says: what a key tells the gateway."""
    name = environ.get("FARTHING_DEVELOPER", "").strip()
    return name if name and name.isprintable() and len(name) <= _NAME_MAX else None
