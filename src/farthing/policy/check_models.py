"""Check models: names nobody knows, downgrades that cannot happen, targets nobody can reach."""

from collections.abc import Iterator, Mapping

from farthing.domain.names import is_pattern, names_model, nearest
from farthing.policy.finding import Finding, error, warning
from farthing.policy.price_list import Prices
from farthing.policy.reach import Reach
from farthing.policy.rules import AtLimit, Environment, Otherwise, Policy, Target, Unpriced

FAMILIES = ("openai", "anthropic", "gemini")


def model_findings(policy: Policy, prices: Prices, secrets: Mapping[str, str] | None) -> Iterator[Finding]:
    """What there is to say about targets and the models of each environment."""
    if not policy.targets:
        yield error("providers.targets", "there is no target, so every call is refused", "add a target")
    for target in policy.targets:
        yield from _target_findings(target, policy, prices, secrets)
    for environment in policy.environments.values():
        reaches = [Reach(policy, environment, family, None) for family in FAMILIES]
        yield from _allowlist_findings(environment, reaches, prices)
        for pattern, model in environment.downgrade:
            where = f"environments.{environment.name}.downgrade.{pattern}"
            if not _downgrades(environment, policy):
                yield warning(
                    where,
                    "is never used: nothing is downgraded here, neither by the allowlist nor at a limit",
                    "set  otherwise: downgrade  or  at_limit: downgrade",
                )
            yield from _downgrade_findings(where, environment, pattern, model, reaches, prices)


# ── targets ─────────────────────────────────────────────────────────────────────────────────────


def _target_findings(
    target: Target, policy: Policy, prices: Prices, secrets: Mapping[str, str] | None
) -> Iterator[Finding]:
    where = f"target {target.id}"
    if secrets is not None and target.secret_env is not None and not secrets.get(target.secret_env):
        yield warning(
            where,
            f"{target.secret_env} is not set here, and the gateway does not start without it",
            f"export {target.secret_env}=…, or give a simulator  when_missing: {target.secret_env}",
        )
    environments = [
        environment
        for name, environment in policy.environments.items()
        if not target.environments or name in target.environments
    ]
    if target.model is None:
        return
    if not target.mock and prices.dearness(target, target.model) is None:
        refusing = [one.name for one in environments if one.unpriced is Unpriced.REFUSE]
        if refusing:
            yield warning(
                where,
                f"{target.model} has no price, so its calls are refused in {', '.join(refusing)}",
                f"{_meant(target.model, prices.names(target.billed_as))}give the target a  pricing:",
            )
    if not any(_allows(environment, target) for environment in environments):
        yield warning(
            where,
            f"no environment allows {target.model}, so nothing ever goes there",
            "add the model to an allowlist, or remove the target",
        )


def _allows(environment: Environment, target: Target) -> bool:
    if environment.allow is None:
        return True
    return any(
        names_model(entry, name) for entry in environment.allow for name in (target.id, target.model or "")
    )


# ── allowlists ──────────────────────────────────────────────────────────────────────────────────


def _allowlist_findings(environment: Environment, reaches: list[Reach], prices: Prices) -> Iterator[Finding]:
    where = f"environments.{environment.name}.models"
    if environment.allow == ():
        yield warning(where, "the allowlist is empty, so every call is refused", "name the models to allow")
    for entry in environment.allow or ():
        if is_pattern(entry) or any(reach.targets_called(entry) for reach in reaches):
            continue
        if any(reach.surely_serving(entry, prices.dearness) for reach in reaches):
            continue
        if prices.knows(entry):
            yield warning(where, f"no target serves {entry}", "add a target for it, or remove it")
        else:
            fix = f"{_meant(entry, prices.names())}declare what it costs under prices"
            yield warning(where, f"nobody has a price for {entry}, and no target serves it", fix)


def _meant(name: str, known: tuple[str, ...]) -> str:
    meant = nearest(name, known)
    return f"did you mean {meant}? Or " if meant else ""


# ── downgrades ──────────────────────────────────────────────────────────────────────────────────


def _downgrades(environment: Environment, policy: Policy) -> bool:
    manners = (environment.at_limit, *(budget.at_limit for budget in policy.budgets))
    return environment.otherwise is Otherwise.DOWNGRADE or AtLimit.DOWNGRADE in manners


def _downgrade_findings(
    where: str, environment: Environment, pattern: str, model: str, reaches: list[Reach], prices: Prices
) -> Iterator[Finding]:
    if environment.allow is not None and not any(names_model(one, model) for one in environment.allow):
        yield error(where, f"{model} is not allowed itself", f"add {model} to the allowlist, or name another")
        return
    serving = [reach for reach in reaches if reach.surely_serving(model, prices.dearness)]
    if not serving:
        yield error(
            where, f"no target serves {model} at a known price", "add a target for it, or name another"
        )
        return
    yield from _replaced_findings(where, pattern, model, reaches, serving, prices)


def _replaced_findings(
    where: str, pattern: str, model: str, reaches: list[Reach], serving: list[Reach], prices: Prices
) -> Iterator[Finding]:
    """What is wrong between a replacement and the models that it replaces."""
    replaced = (
        [name for name in prices.names() if names_model(pattern, name)] if is_pattern(pattern) else [pattern]
    )
    asked = {
        (reach.family, name)
        for reach in reaches
        for name in replaced
        if reach.surely_serving(name, prices.dearness)
    }
    together = {(family, name) for family, name in asked if family in {reach.family for reach in serving}}
    if asked and not together:
        yield error(
            where,
            f"{model} is not spoken to in the same dialect, and nothing is translated",
            "name a model of the same provider's kind",
        )
        return
    price = min(_prices(model, serving, prices))
    dearer = sorted(
        name
        for name in {name for _, name in together}
        if name != model and min(_prices(name, serving, prices), default=price) < price
    )
    if dearer and (not is_pattern(pattern) or len(dearer) == len(together)):
        yield error(
            where,
            f"{model} is dearer than {dearer[0]}, and a downgrade never picks a dearer model",
            "name a cheaper model, or remove the entry",
        )


def _prices(model: str, reaches: list[Reach], prices: Prices) -> list[int]:
    found = [
        prices.dearness(candidate.target, candidate.model)
        for reach in reaches
        for candidate in reach.surely_serving(model, prices.dearness)
        if not candidate.target.mock
    ]
    return [price for price in found if price is not None] or [0]
