"""Find out from its variables which environment and group a process belongs to, and whose it is."""

from collections.abc import Container, Mapping

from farthing.config.environments import DEFAULT_ENVIRONMENT
from farthing.config.source import SHORT_NAMES
from farthing.policy.rules import Group, Policy

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


def group_of_process(
    environ: Mapping[str, str], policy: Policy, environment: str
) -> tuple[Group | None, str | None]:
    """The group of the policy that FARTHING_GROUP names, and what a person should know about it.

    A group belongs to one environment. In another one its name counts for nothing, so that no process
    gets into a richer one by it.
    """
    name = environ.get("FARTHING_GROUP", "").strip()
    if not name:
        return None, None
    group = next((one for one in policy.groups if one.name == name), None)
    if group is None:
        return None, f"FARTHING_GROUP={name!r} is not a group of the policy: this process belongs to none"
    if group.environment != environment:
        return None, (
            f"group {name} belongs to {group.environment} and this process to {environment}: "
            "it belongs to no group"
        )
    return group, None


def developer_of_process(environ: Mapping[str, str]) -> str | None:
    """Who a process works for, as FARTHING_DEVELOPER says: what a key tells the gateway."""
    name = environ.get("FARTHING_DEVELOPER", "").strip()
    return name if name and name.isprintable() and len(name) <= _NAME_MAX else None
