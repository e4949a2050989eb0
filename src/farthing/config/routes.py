"""Turn the routing of the files into routes of the rules: those of single calls first."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from farthing.config.schema import Routing, RoutingRule
from farthing.config.source import Source
from farthing.domain.errors import Problem
from farthing.domain.names import nearest
from farthing.policy.rules import Route


def routes_of(
    sources: Sequence[Source], target_ids: Iterable[str], problems: list[Problem]
) -> tuple[Route, ...]:
    """Every rule of every file, then what each file says of all its calls.

    A file that speaks for one environment routes the calls of that environment only.
    """
    known = tuple(target_ids)
    names: set[str] = set()
    rules = [
        _rule(source, number, rule, known, names, problems)
        for source in sources
        for number, rule in enumerate(source.section.providers.routing.rules)
    ]
    return (*rules, *_general(sources, problems))


def _rule(
    source: Source,
    number: int,
    rule: RoutingRule,
    target_ids: Sequence[str],
    names: set[str],
    problems: list[Problem],
) -> Route:
    place = ("providers", "routing", "rules", number)
    name = rule.name or f"routing rule {number + 1}"
    if rule.name is not None and name in names:
        problems.append(source.problem((*place, "name"), f"{name} names two rules", "give each its own name"))
    names.add(name)
    for position, target_id in enumerate(rule.targets):
        if target_id not in target_ids:
            meant = nearest(target_id, target_ids)
            fix = f"did you mean {meant}?" if meant else "add it under providers.targets"
            problems.append(source.problem((*place, "targets", position), f"{target_id} is no target", fix))
    general = source.section.providers.routing
    return Route(
        name=name,
        match=_match(source, rule.match),
        strategy=rule.strategy or general.strategy,
        targets=tuple(dict.fromkeys(rule.targets)),
        attempts=rule.attempts or general.attempts,
        patience_seconds=rule.patience_seconds or general.patience_seconds,
    )


def _general(sources: Sequence[Source], problems: list[Problem]) -> Iterator[Route]:
    """What files say of all their calls; one that says nothing leaves it to the others."""
    said: dict[str | None, Routing] = {}
    for source in sources:
        routing = source.section.providers.routing
        if not routing.model_fields_set & {"strategy", "attempts", "patience_seconds"}:
            continue
        before = said.setdefault(source.environment, routing)
        if _manner(before) != _manner(routing):
            problems.append(
                source.problem(
                    ("providers", "routing"), "says another thing than a file beside it", "say it once"
                )
            )
    for environment in sorted(said, key=lambda name: (name is None, name or "")):
        routing = said[environment]
        yield Route(
            match={"environment": (environment,)} if environment else {},
            strategy=routing.strategy,
            attempts=routing.attempts,
            patience_seconds=routing.patience_seconds,
        )


def _manner(routing: Routing) -> tuple[object, ...]:
    return routing.strategy, routing.attempts, routing.patience_seconds


def _match(source: Source, match: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    scope = {"environment": (source.environment,)} if source.environment else {}
    return {**match, **scope}
