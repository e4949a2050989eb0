"""Compare two policies, or two environments of one, in the words of the policy file."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import msgspec
from pydantic import BaseModel

from farthing.config.source import SHORT_NAMES, Source, read_sources
from farthing.domain.errors import PolicyError
from farthing.domain.names import matches, nearest

# What an item of a list is called by, and what must never be shown.
_NAMES = ("id", "team_id", "name", "threshold_percent")
_SECRET = "api_key"  # noqa: S105 - the name of a key of the file

Step = str | int
Values = dict[tuple[str, ...], tuple[object, str]]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One key that two sides set differently; None where a side does not have it."""

    key: str
    one: str | None
    other: str | None


class NoSuchEnvironment(ValueError):
    """A policy does not have the environment that was named."""


def compare_files(one: Sequence[Path], other: Sequence[Path]) -> list[Difference]:
    """What the files of one policy say differently from those of another.

    Raises PolicyError with what is wrong with either.
    """
    sides = []
    for paths in (one, other):
        values: Values = {}
        for source in _read(paths):
            values.update(_flat(source, _sections(source)))
        sides.append(values)
    return _differences(*sides)


def compare_environments(paths: Sequence[Path], one: str, other: str) -> list[Difference]:
    """What holds differently in two environments of one policy.

    Raises PolicyError with what is wrong with the files, NoSuchEnvironment.
    """
    sources = _read(paths)
    known = {
        name
        for source in sources
        for name in (*source.section.environments, *([source.environment] if source.environment else []))
    }
    return _differences(*(_of_environment(sources, _known(name, known)) for name in (one, other)))


def _known(name: str, known: set[str]) -> str:
    for one in (name, SHORT_NAMES.get(name.lower(), "")):
        if one in known:
            return one
    meant = nearest(name, known)
    listed = ", ".join(sorted(known)) or "none"
    raise NoSuchEnvironment(f"did you mean {meant}?" if meant else f"the policy has: {listed}")


def _read(paths: Sequence[Path]) -> list[Source]:
    sources, problems = read_sources(paths)
    if problems:
        raise PolicyError(tuple(problems))
    return sources


# ── what a side says ────────────────────────────────────────────────────────────────────────────


def _sections(source: Source, *, all_of_them: bool = True) -> dict[tuple[Step, ...], object]:
    """The sections of a file; of one that speaks for an environment, what it says of it."""
    section = source.section
    said = set(type(section).model_fields) if all_of_them else section.model_fields_set
    left_out = set() if all_of_them else {"environment", "environments"}
    return {
        (name,): getattr(section, name)
        for name in type(section).model_fields
        if name in said - left_out and getattr(section, name) is not None
    }


def _of_environment(sources: Sequence[Source], name: str) -> Values:
    """Everything that holds in one environment, by keys that do not name it."""
    found: Values = {}
    for source in sources:
        section = source.section
        if name in section.environments:
            place: tuple[Step, ...] = ("environments", name)
            found.update(_flat(source, {place: section.environments[name]}, drop=len(place)))
        if source.environment == name:
            found.update(_flat(source, _sections(source, all_of_them=False)))
        else:
            found.update(_budgets(source, name))
            found.update(_members(source, name))
    return found


def _budgets(source: Source, environment: str) -> Values:
    """The budgets of an environment, by what they are: monthly, daily per developer."""
    found: Values = {}
    for number, budget in enumerate(source.section.budgets):
        values = budget.match.get("environment", ())
        if not any(matches(value, environment) for value in values):
            continue
        kind = budget.period + (f" per {budget.per}" if budget.per else "")
        others = sorted(fact for fact in budget.match if fact != "environment")
        if others:
            kind += f" of {', '.join(others)}"
        while ("budgets", kind, "limit") in found:
            kind += f" {budget.name}"
        place: tuple[Step, ...] = ("budgets", number)
        flat = _flat(source, {place: budget}, drop=len(place))
        for path, told in flat.items():
            if path[0] not in ("name", "match", "period", "per"):
                found["budgets", kind, *path] = told
    return found


def _members(source: Source, environment: str) -> Values:
    """Which targets and groups only this environment has."""
    found: Values = {}
    for target in source.section.providers.targets:
        if environment in target.environments:
            found["providers", "targets", target.id] = (target.model_dump_json(), target.model or "any model")
    for group in source.section.consumer_groups:
        if group.environment == environment:
            pays = f"wallet {group.wallet_team_id}" if group.wallet_team_id else "no wallet"
            found["consumer_groups", group.name] = (pays, pays)
    return found


# ── keys and values ─────────────────────────────────────────────────────────────────────────────


def _flat(source: Source, sections: Mapping[tuple[Step, ...], object], *, drop: int = 0) -> Values:
    """Every key below some sections with its meaning and with the words of the file."""
    found: Values = {}
    for place, section in sections.items():
        for path, value in _leaves(section, place):
            shown = _named(path[drop:] if drop else path, section if drop else source.section)
            found[shown] = (value, _words(source, path, value))
    return found


def _leaves(value: object, path: tuple[Step, ...]) -> Iterator[tuple[tuple[Step, ...], object]]:
    if isinstance(value, BaseModel):
        named_by = _name_of(value) if path and isinstance(path[-1], int) else None
        for name in type(value).model_fields:
            below = getattr(value, name)
            if below is not None and not (name in _NAMES and below == named_by):
                yield from _leaves(below, (*path, name))
    elif isinstance(value, Mapping):
        for name, below in value.items():
            yield from _leaves(below, (*path, name))
    elif isinstance(value, list | tuple) and value and all(isinstance(one, BaseModel) for one in value):
        for number, below in enumerate(value):
            yield from _leaves(below, (*path, number))
    elif value not in ([], (), {}):
        yield path, value


def _named(path: tuple[Step, ...], section: object) -> tuple[str, ...]:
    """A path with the names of items in place of their numbers."""
    named: list[str] = []
    here: object = section
    for step in path:
        if isinstance(here, Mapping):
            here = here.get(step)
        elif isinstance(step, int):
            assert isinstance(here, list | tuple)
            here = here[step]
            named.append(str(_name_of(here) or step))
            continue
        else:
            here = getattr(here, step)
        named.append(str(step))
    return tuple(named)


def _name_of(item: object) -> object:
    return next((name for key in _NAMES if (name := getattr(item, key, None)) is not None), None)


def _words(source: Source, path: tuple[Step, ...], value: object) -> str:
    """A value as the file has it; else as the file would have it."""
    if path[-1] == _SECRET:
        return "(in clear text)"
    written: object = source.document.value
    for step in path:
        in_list = isinstance(written, list) and isinstance(step, int) and step < len(written)
        if in_list or (isinstance(written, dict) and step in written):
            written = written[step]  # type: ignore[index]
        else:
            written = value
            break
    if isinstance(written, list | tuple):
        return ", ".join(str(one) for one in written)
    if isinstance(written, bool):
        return "true" if written else "false"
    return f"{written:f}" if isinstance(written, Decimal) else str(getattr(written, "value", written))


def _differences(one: Values, other: Values) -> list[Difference]:
    def said(side: Values, path: tuple[str, ...]) -> str | None:
        return side[path][1] if path in side else None

    keys = dict.fromkeys((*one, *other))
    return [
        Difference(key=".".join(path), one=said(one, path), other=said(other, path))
        for path in keys
        if path not in one or path not in other or one[path][0] != other[path][0]
    ]
