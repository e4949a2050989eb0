"""Say which rules of a policy bear on a call, in the order in which they are asked. Pure."""

from collections.abc import Iterator

from farthing.domain.call import Call
from farthing.domain.names import names_model
from farthing.policy.compiled import compiled
from farthing.policy.decide import AUTO
from farthing.policy.rules import AtLimit, Environment, Otherwise, Policy

_LISTED_MAX = 8
_AT_LIMIT = {
    AtLimit.CLAMP: "at a limit the output cap is lowered to the most that fits",
    AtLimit.REFUSE: "at a limit the call is refused",
    AtLimit.DOWNGRADE: "at a limit the next cheaper allowed model is taken",
    AtLimit.OVERRUN: "at a limit the call passes, and what goes beyond is booked",
    AtLimit.OBSERVE: "nothing is blocked: what would have happened is recorded",
}


def rules_on(call: Call, policy: Policy) -> list[str]:
    """The rules on a call before any money is asked for; a budget may have its own at_limit."""
    environment = policy.environments.get(call.identity.environment)
    if environment is None:
        return [f"environment: {call.identity.environment} is not declared"]
    return [
        *_identity(call, policy),
        _allowlist(call, environment, policy),
        *_downgrade(call, environment, policy),
        f"at_limit: {environment.at_limit.value}: {_AT_LIMIT[environment.at_limit]}",
    ]


def _identity(call: Call, policy: Policy) -> Iterator[str]:
    group = next((group for group in policy.groups if group.name == call.identity.group), None)
    if group is not None:
        pays = f", and wallet {group.wallet} pays" if group.wallet else ""
        yield f"group: {group.name} belongs to {group.environment}{pays}"


def _allowlist(call: Call, environment: Environment, policy: Policy) -> str:
    model, where = call.facts.model, f"environments.{environment.name}.models.allow"
    if environment.allow is None:
        return f"{where}: there is no allowlist, so every model is allowed"
    if model == AUTO:
        return f"{where}: auto takes the cheapest of them"
    entry = next((entry for entry in environment.allow if names_model(entry, model)), None)
    if entry is not None:
        return f"{where}: {model} is allowed" + ("" if entry == model else f", by {entry}")
    target = next((target for target in policy.targets if target.id == model and target.model), None)
    if target is not None and compiled(policy).allows(environment, target.model or ""):
        return f"{where}: {model} is a target, and its model {target.model} is allowed"
    listed = ", ".join(environment.allow[:_LISTED_MAX])
    more = f" and {len(environment.allow) - _LISTED_MAX} more" if len(environment.allow) > _LISTED_MAX else ""
    return f"{where}: {model} is not among {listed or 'none'}{more}"


def _downgrade(call: Call, environment: Environment, policy: Policy) -> Iterator[str]:
    model, where = call.facts.model, f"environments.{environment.name}"
    if compiled(policy).allows(environment, model) or model == AUTO:
        return
    if environment.otherwise is Otherwise.REFUSE:
        yield f"{where}.models.otherwise: refuse"
        return
    yield f"{where}.models.otherwise: downgrade"
    entry = next((entry for entry in environment.downgrade if names_model(entry[0], model)), None)
    if entry is not None:
        yield f"{where}.downgrade: {entry[0]} becomes {entry[1]}"
    else:
        yield f"{where}.downgrade: no entry for {model}, so the cheapest allowed one of its dialect"
