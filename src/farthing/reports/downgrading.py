"""The line of the policy that leads the calls of an environment to a cheaper model from now on. Pure."""

from collections.abc import Iterable, Mapping

from farthing.domain.names import names_model
from farthing.policy.rules import AtLimit, Environment, Otherwise, Policy

_LISTED_MAX = 12


def line_that_downgrades(
    environment: str, downgrades: Mapping[str, str], *, policy: Policy | None, others: Iterable[str] = ()
) -> str:
    """What to write into the policy; or, where it says so already, what else is to do.

    downgrades: the model to lead to, by the model that is asked for; all of an environment, because a
        second line would take the place of the first.
    others: models that the environment uses besides, and that an allowlist would have to name.
    """
    rules = policy.environments.get(environment) if policy is not None else None
    open_to = [model for model in downgrades if rules is None or not _keeps_from(rules, model)]
    if rules is not None and not open_to:
        return _what_holds_already(rules, next(iter(downgrades)))
    allowed = others if rules is None or rules.allow is None else rules.allow
    known = dict.fromkeys([*downgrades.values(), *allowed])
    kept = [name for name in known if not any(names_model(name, model) for model in downgrades)]
    listed = ", ".join(_quoted(name) for name in kept[:_LISTED_MAX])
    led = ", ".join(f"{_quoted(model)}: {_quoted(downgrades[model])}" for model in open_to)
    models = f"models: {{allow: [{listed}], otherwise: downgrade}}"
    return f"in the policy,  environments: {{{_quoted(environment)}: {{{models}, downgrade: {{{led}}}}}}}"


def _what_holds_already(rules: Environment, model: str) -> str:
    if rules.at_limit is AtLimit.OBSERVE:
        return (
            f"in the policy,  environments: {{{rules.name}: {{at_limit: clamp}}}}  makes its allowlist hold"
        )
    becomes = "downgrades" if rules.otherwise is Otherwise.DOWNGRADE else "refuses"
    return (
        f"nothing: the policy in force {becomes} {model} in {rules.name}; "
        "these calls came before it, or with a pass"
    )


def _keeps_from(rules: Environment, model: str) -> bool:
    return rules.allow is not None and not any(names_model(entry, model) for entry in rules.allow)


def _quoted(name: str) -> str:
    """A name as YAML has it inside brackets: in quotes where a sign of it would mean something else."""
    return name if name.replace("-", "").replace(".", "").replace("_", "").isalnum() else f'"{name}"'
