"""Turn targets of the file into targets of the rules, with what their provider makes plain."""

from collections.abc import Mapping, Sequence

import msgspec

from farthing.config.providers import ALL_FAMILIES, MOCK, PROVIDERS, Provider, provider_of_secret
from farthing.config.schema import TargetSection
from farthing.config.source import Source
from farthing.config.yaml_source import Path
from farthing.domain.errors import Problem
from farthing.domain.names import SIMULATOR, nearest
from farthing.policy.reach import PROVIDER_ALIASES
from farthing.policy.rules import Target
from farthing.prices.override import Override


class WrittenTarget(msgspec.Struct, frozen=True):
    """A target of the rules, with the place in the file where it is written."""

    target: Target
    section: TargetSection
    source: Source
    place: Path


def targets_of(sources: Sequence[Source], problems: list[Problem]) -> list[WrittenTarget]:
    """Every target in order; what two files say alike is one target of both environments."""
    found: dict[str, WrittenTarget] = {}
    for source in sources:
        for number, section in enumerate(source.section.providers.targets):
            place: Path = ("providers", "targets", number)
            target = _target(source, section, place, problems)
            if target is None:
                continue
            earlier = found.get(target.id)
            if earlier is not None:
                if earlier.section != section or not (earlier.target.environments and target.environments):
                    message = f"{target.id} names two targets"
                    problems.append(source.problem((*place, "id"), message, "give each its own id"))
                both = dict.fromkeys((*earlier.target.environments, *target.environments))
                target = msgspec.structs.replace(target, environments=tuple(both))
            found[target.id] = WrittenTarget(target, section, source, place)
    return list(found.values())


def _target(source: Source, section: TargetSection, place: Path, problems: list[Problem]) -> Target | None:
    name = PROVIDER_ALIASES.get(section.provider, section.provider)
    in_place = name in (SIMULATOR, MOCK)
    stands_for = provider_of_secret(section.when_missing) if section.when_missing and in_place else None
    provider = PROVIDERS.get(stands_for or name)
    families = _families(section, provider, in_place=in_place)
    base_url = section.base_url
    wrong = _unusable(section, provider, name)
    if wrong is not None:
        key, message, fix = wrong
        problems.append(source.problem((*place, key), message, fix))
        return None
    if base_url is None and provider is not None and not in_place:
        base_url = provider.base_urls.get(families[0])
    reference = section.secret_key_ref
    secret_env = reference.env if reference else None
    if reference is None and provider is not None and not in_place:
        secret_env = provider.secret_env
    scope = tuple(section.environments) or ((source.environment,) if source.environment else ())
    return Target(
        id=section.id,
        provider=name,
        model=section.model,
        families=families,
        base_url=base_url,
        secret_env=secret_env,
        secret_file=str(source.path.parent / reference.file) if reference and reference.file else None,
        simulated=name == SIMULATOR,
        mock=name == MOCK,
        asks_usage=section.usage_in_stream == "ask",
        stands_for=stands_for,
        environments=scope,
        name=section.name,
        weight=section.weight,
        requests_per_minute=section.requests_per_minute,
        tokens_per_minute=section.tokens_per_minute,
        timeout_seconds=section.timeout_seconds,
    )


def _families(section: TargetSection, provider: Provider | None, *, in_place: bool) -> tuple[str, ...]:
    if section.dialects is not None:
        return tuple(dict.fromkeys(section.dialects))
    if provider is not None:
        return provider.families
    return ALL_FAMILIES if in_place else ("openai",)


def _unusable(section: TargetSection, provider: Provider | None, name: str) -> tuple[str, str, str] | None:
    """Why a target could not be called: the key at fault, what is wrong, and how to mend it."""
    if section.name is not None and section.model is None:
        return "name", f"{section.name} would stand for no model", "add  model:  or remove the name"
    if name in (SIMULATOR, MOCK):
        return None
    if section.when_missing is not None:
        return (
            "when_missing",
            f"only a simulator can stand in while {section.when_missing} is not set",
            f"write provider: {SIMULATOR}, or remove the key",
        )
    if section.base_url is not None:
        return None
    if provider is None:
        meant = nearest(name, (*PROVIDERS, SIMULATOR, MOCK))
        known = (
            f"did you mean {meant}?" if meant else f"use one of: {', '.join((*PROVIDERS, SIMULATOR, MOCK))}"
        )
        return "provider", f"{name} is not a provider known here", f"{known} Or give its base_url"
    urls = {provider.base_urls.get(family) for family in section.dialects or provider.families}
    if None in urls:
        return "base_url", f"is missing: {name} has no address of its own for this dialect", "add base_url"
    if len(urls) > 1:
        return (
            "dialects",
            f"{name} speaks these dialects at different addresses",
            "write one target for each dialect",
        )
    return None


def in_force(
    written: Sequence[WrittenTarget], environ: Mapping[str, str]
) -> tuple[tuple[Target, ...], list[str]]:
    """The targets that answer now: a simulator only while the key it waits for is missing.

    Targets that need the missing key are left out for it; each stand-in gives a notice.
    """
    waiting = {one.section.when_missing for one in written if one.section.when_missing is not None}
    missing = {name for name in waiting if not environ.get(name)}
    answering = tuple(
        one.target
        for one in written
        if one.section.when_missing in (None, *missing) and one.target.secret_env not in missing
    )
    notices = [
        f"{one.section.when_missing} is not set: target {one.target.id} is simulated"
        for one in written
        if one.section.when_missing in missing
    ]
    return answering, notices


def prices_of(
    sources: Sequence[Source], written: Sequence[WrittenTarget], problems: list[Problem]
) -> dict[str, Override]:
    """The prices that the files declare, in their own section or on a target, by model."""
    declared = [
        (source, ("prices", model), model, section, section.provider)
        for source in sources
        for model, section in source.section.prices.items()
    ] + [
        (one.source, (*one.place, "pricing"), one.target.model, one.section.pricing, _priced_as(one.target))
        for one in written
        if one.section.pricing is not None
    ]
    found: dict[str, Override] = {}
    for source, place, model, section, provider in declared:
        if model is None:
            message = "prices no model: this target serves any model of its provider"
            problems.append(source.problem(place, message, "add  model:  or use the section prices"))
            continue
        price = Override(rates=section.rates(), fees=section.fees, provider=provider)
        if found.setdefault(model, price) != price:
            problems.append(source.problem(place, f"{model} has two prices", "keep one of them"))
    return found


def _priced_as(target: Target) -> str | None:
    """The provider a price of a target holds for; what stands in for others is priced as they are."""
    return None if target.simulated or target.mock else target.provider
