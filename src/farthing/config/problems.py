"""Turn what is wrong with a file into sentences: where it is, what it is, how to mend it."""

import re
from collections.abc import Iterator
from itertools import pairwise
from types import UnionType
from typing import Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from farthing.config.schema import PolicyFile
from farthing.config.yaml_source import Document, Path, key_text
from farthing.domain.errors import Problem
from farthing.domain.names import nearest

_AFTER_A_COMMA = re.compile(r"[0-9]{3}([.][0-9]+)?")
_KINDS = {
    "string_type": ("must be text", "put it in quotes"),
    "string_too_short": ("is empty", "write a value"),
    "int_type": ("must be a whole number", "write it without a point and without quotes"),
    "bool_type": ("must be true or false", "write true or false, without quotes"),
    "list_type": ("must be a list", "write its items below, each after a dash"),
    "dict_type": ("must hold keys with values", "write  name: value  lines below it, indented"),
    "model_type": ("must hold keys with values", "write  key: value  lines below it, indented"),
    "too_short": ("is an empty list", "name at least one, or leave the key out"),
    "missing": ("is missing", "add it"),
}


def problems_of(document: Document, error: ValidationError) -> Iterator[Problem]:
    """Every problem of a file that does not fit the schema, in the words of its reader."""
    for details in error.errors(include_url=False, include_input=True):
        path = tuple(step for step in details["loc"] if step != "[key]")
        message, fix = _sentence(path, details)
        yield problem_at(document, path, message, fix)


def problem_at(document: Document, path: Path, message: str, fix: str) -> Problem:
    """A problem at a place of a file."""
    return Problem(file=document.file, line=document.line(path), key=key_text(path), message=message, fix=fix)


def _sentence(path: Path, details: ErrorDetails) -> tuple[str, str]:
    context = details.get("ctx", {})
    kind = details["type"]
    if kind == "farthing":
        return str(details["msg"]), str(context["fix"])
    if kind == "extra_forbidden":
        return _unknown_key(path)
    if kind in ("enum", "literal_error"):
        words = str(context["expected"]).replace(" or ", ", ").replace("'", "").split(", ")
        said = str(details["input"])
        meant = nearest(said, words)
        fix = f"use one of: {', '.join(words)}"
        return f"{said[:80]} is not a word known here", f"did you mean {meant}? {fix}" if meant else fix
    if kind == "greater_than_equal":
        return f"{details['input']} is too small", f"write {context['ge']} or more"
    message, fix = _KINDS.get(kind, (str(details["msg"]), "see  farthing policy schema"))
    return message, fix


def _unknown_key(path: Path) -> tuple[str, str]:
    *above, key = path
    section = _section_at(tuple(above))
    known = list(section.model_fields) if section is not None else []
    meant = nearest(str(key), known)
    if meant is not None:
        return "is not a known key", f"did you mean {meant}?"
    homes = _homes(str(key)) if not above else []
    if homes:
        return (
            "is not a known key at the left margin; the indentation seems lost",
            f"it belongs under {' or '.join(homes)}: indent it",
        )
    return "is not a known key", f"use one of: {', '.join(sorted(known))}"


def lost_indentation(document: Document) -> Problem | None:
    """The sign of a file copied flat: a section without a value, and strange keys right below it."""
    keys = [path[0] for path in document.lines if len(path) == 1]
    empty = {path[0] for path in document.empty if len(path) == 1}
    for key, following in pairwise(keys):
        if key in PolicyFile.model_fields and key in empty and following not in PolicyFile.model_fields:
            return problem_at(
                document,
                (key,),
                f"the indentation seems lost: {key} has no value, and {following} stands at the left margin",
                f"indent what belongs under {key} by two spaces, and what is deeper by two more",
            )
    return None


def empty_values(document: Document) -> Iterator[Problem]:
    """Keys that were written without a value."""
    for path in document.empty:
        if _AFTER_A_COMMA.fullmatch(str(path[-1])):
            yield problem_at(
                document,
                path,
                "has no value; it looks like the rest of an amount that was cut at its comma",
                'put quotes around the amount, such as "$1,250.00", or leave the comma out',
            )
        else:
            yield problem_at(document, path, "has no value", "give it one, or remove the key")


def _homes(key: str) -> list[str]:
    """The sections in which a key would be at home."""
    return [
        name
        for name, field in PolicyFile.model_fields.items()
        if any(key in section.model_fields for section in _sections_in(field.annotation))
    ]


def _section_at(path: Path) -> type[BaseModel] | None:
    """The section that a path leads to; None where it leads to something else."""
    section: type[BaseModel] = PolicyFile
    for step in path:
        if isinstance(step, int) or step not in section.model_fields:
            continue  # an item of a list, or a name the user chose: the section is that of the list
        found = list(_sections_in(section.model_fields[step].annotation))
        if not found:
            return None
        section = found[0]
    return section


def _sections_in(annotation: object) -> Iterator[type[BaseModel]]:
    """The sections named in a type: X, list[X], dict[str, X], X | None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (list, dict, Union, UnionType):
        for part in get_args(annotation):
            yield from _sections_in(part)
