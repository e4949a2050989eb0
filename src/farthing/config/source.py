"""Read the files of a policy: each is text, then plain values, then sections that fit the schema."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec
from pydantic import ValidationError

from farthing.config.problems import empty_values, lost_indentation, problem_at, problems_of
from farthing.config.schema import PolicyFile
from farthing.config.yaml_source import Document, Value, read_yaml
from farthing.domain.errors import Problem
from farthing.domain.names import nearest

# How people shorten the names of environments, in file names and group names.
SHORT_NAMES = {
    "dev": "development",
    "development": "development",
    "staging": "staging",
    "ci": "ci",
    "prod": "production",
    "production": "production",
}
_FILE_NAME = re.compile(rf".+\.({'|'.join(SHORT_NAMES)})\.(?:ya?ml|json)", re.IGNORECASE)
_GROUP_NAME = re.compile(rf"(?:.*[._-])?({'|'.join(SHORT_NAMES)})", re.IGNORECASE)


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One file that could be read.

    environment: the only one that the file speaks for; None where it speaks for all that it names.
    inferred: the environment was taken from the name of the file.
    sha256: of the very bytes that were read.
    """

    path: Path
    sha256: str
    document: Document
    section: PolicyFile
    environment: str | None = None
    inferred: bool = False

    def problem(self, path: tuple[str | int, ...], message: str, fix: str) -> Problem:
        """A problem at a place of this file."""
        return problem_at(self.document, path, message, fix)


# What shows of each file from outside: when it was written, its size, which file it is.
Stamp = tuple[tuple[int, int, int] | None, ...]


def stamp_of(paths: Sequence[Path]) -> Stamp:
    """What shows of files from outside; it differs once one of them was written or replaced."""
    return tuple(_stamp(path) for path in paths)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_mtime_ns, seen.st_size, seen.st_ino


def read_sources(paths: Sequence[Path]) -> tuple[list[Source], list[Problem]]:
    """Read every file; those that cannot be read are problems instead."""
    sources: list[Source] = []
    problems: list[Problem] = []
    for path in paths:
        read = _read(path)
        if isinstance(read, Source):
            sources.append(read)
        else:
            problems += read
    return sources, problems


def environment_in_group_name(name: str) -> str | None:
    """The environment that a group's own name ends in: product-dev, prod."""
    match = _GROUP_NAME.fullmatch(name)
    return SHORT_NAMES[match[1].lower()] if match else None


def _read(path: Path) -> Source | list[Problem]:
    try:
        written = path.read_bytes()
        text = written.decode("utf-8-sig")
    except FileNotFoundError:
        return [_unreadable(path, "is not there", "write one with  farthing init")]
    except UnicodeDecodeError as error:
        return [_unreadable(path, f"is not UTF-8 text (byte {error.start})", "save it as UTF-8")]
    except OSError as error:
        return [_unreadable(path, f"cannot be read: {error.strerror}", "check the path and its rights")]
    document = read_yaml(str(path), text)
    value = document.value
    if value is None and document.problems:
        return list(document.problems)
    if not isinstance(value, dict) or not (value or document.empty or document.problems):
        message = "is empty" if value is None else "must hold sections"
        return [problem_at(document, (), message, "write a starter policy with  farthing init")]
    lost = lost_indentation(document)
    sha256 = hashlib.sha256(written).hexdigest()
    return [lost] if lost is not None else _fit(path, sha256, _as_policy(document, value))


def _unreadable(path: Path, message: str, fix: str) -> Problem:
    return Problem(file=str(path), line=None, key="(file)", message=message, fix=fix)


def _fit(path: Path, sha256: str, document: Document) -> Source | list[Problem]:
    """Fit a document to the schema; else every problem it has, in the order of its lines."""
    problems = [*document.problems, *empty_values(document)]
    known = {problem.key for problem in problems}
    try:
        section = PolicyFile.model_validate(document.value)
    except ValidationError as error:
        problems += [problem for problem in problems_of(document, error) if problem.key not in known]
        return sorted(problems, key=lambda problem: problem.line or 0)
    if problems:
        return problems
    named = None if section.environments else _FILE_NAME.fullmatch(path.name)
    environment = section.environment or (SHORT_NAMES[named[1].lower()] if named else None)
    return Source(
        path=path,
        sha256=sha256,
        document=document,
        section=section,
        environment=environment,
        inferred=section.environment is None and environment is not None,
    )


def _as_policy(document: Document, value: dict[str, Value]) -> Document:
    """Read a bare list of models for each environment as the policy that it means."""
    bare = not any(nearest(name, PolicyFile.model_fields) for name in value) and all(
        isinstance(models, list) and all(isinstance(model, str) for model in models)
        for models in value.values()
    )
    if not bare:
        return document
    return msgspec.structs.replace(
        document,
        value={"environments": {name: {"models": {"allow": models}} for name, models in value.items()}},
        lines={
            ("environments", *path[:1], "models", "allow", *path[1:]): line
            for path, line in document.lines.items()
        },
    )
