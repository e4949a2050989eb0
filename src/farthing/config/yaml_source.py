"""Read YAML and JSON text into plain values, exactly as written, and remember the line of each."""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.composer import ComposerError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from farthing.domain.errors import Problem

Value = None | bool | int | Decimal | str | list["Value"] | dict[str, "Value"]
Path = tuple[str | int, ...]

# Aliases may repeat a value; a file that repeats repetitions would fill the memory.
_VALUES_MAX = 100_000
_INTEGER = re.compile(r"[-+]?[0-9][0-9_]*")
_TAG = "tag:yaml.org,2002:"


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """One file as plain values.

    value: numbers with a point are Decimals of the very text; a key without a value is left out.
    lines: the line of each key and item.
    empty: the keys without a value.
    problems: what is wrong with the text itself.
    """

    file: str
    value: Value
    lines: Mapping[Path, int]
    empty: tuple[Path, ...]
    problems: tuple[Problem, ...]

    def line(self, path: Path) -> int | None:
        """The line of a path, or of the nearest thing above it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)


def read_yaml(file: str, text: str) -> Document:
    """Read one file; whatever is wrong with it stands in its problems."""
    reading = _Reading(file)
    value: Value = None
    try:
        root = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        reading.problems.append(_syntax_problem(file, error))
    except YAMLError as error:
        reading.problem((), None, f"cannot be read: {str(error).splitlines()[0]}", "remove the character")
    else:
        if root is not None:
            reading.lines[()] = root.start_mark.line + 1
            value = reading.value(root, ())
    return Document(
        file=file,
        value=value,
        lines=reading.lines,
        empty=tuple(reading.empty),
        problems=tuple(reading.problems),
    )


def key_text(path: Path) -> str:
    """Show a path as people write it: budgets[0].limit."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".") or "(file)"


class _Reading:
    """The walk over one file's nodes."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: dict[Path, int] = {}
        self.empty: list[Path] = []
        self.problems: list[Problem] = []
        self._inside: list[Node] = []
        self._values = 0

    def problem(self, path: Path, node: Node | None, message: str, fix: str) -> None:
        """Write down what is wrong at a place."""
        line = node.start_mark.line + 1 if node is not None else None
        self.problems.append(Problem(file=self.file, line=line, key=key_text(path), message=message, fix=fix))

    def value(self, node: Node, path: Path) -> Value:
        """The plain value of a node; None where it has none or cannot be read."""
        self._values += 1
        if node in self._inside or self._values > _VALUES_MAX:
            if self._values <= _VALUES_MAX + 1:
                self.problem(path, node, "repeats itself without end", "write the values out")
            return None
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        self._inside.append(node)
        try:
            if isinstance(node, MappingNode):
                return self._mapping(node, path)
            return self._sequence(node, path) if isinstance(node, SequenceNode) else None
        finally:
            self._inside.pop()

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Value]:
        found: dict[str, Value] = {}
        first_lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, ScalarNode) or key_node.tag == f"{_TAG}merge":
                self.problem(path, key_node, "has a key that is no name", "write each key as plain text")
                continue
            key = str(key_node.value)
            here = (*path, key)
            if key in first_lines:
                message = f"stands here a second time; the first is on line {first_lines[key]}"
                self.problem(here, key_node, message, "keep one of them")
                continue
            first_lines[key] = self.lines[here] = line
            value = self.value(value_node, here)
            if value is not None:
                found[key] = value
            elif _is_null(value_node):
                self.empty.append(here)
        return found

    def _sequence(self, node: SequenceNode, path: Path) -> list[Value]:
        found: list[Value] = []
        for item in node.value:
            here = (*path, len(found))
            self.lines[here] = item.start_mark.line + 1
            value = self.value(item, here)
            if value is not None:
                found.append(value)
            elif _is_null(item):
                self.problem(here, item, "is an empty item", "give it a value or remove the line")
        return found

    def _scalar(self, node: ScalarNode, path: Path) -> Value:
        text = str(node.value)
        kind = str(node.tag).removeprefix(_TAG)
        if kind in ("str", "timestamp", "merge", "value"):
            return text
        if kind == "bool":
            return text.lower() == "true"
        if kind == "null":
            return None
        try:
            if kind == "int" and _INTEGER.fullmatch(text):
                return int(text.replace("_", ""))
            if kind == "float":
                return Decimal(text.replace("_", "").replace(".inf", "inf").replace(".nan", "nan"))
        except (ValueError, InvalidOperation):
            self.problem(path, node, f"{text[:40]} is not a number that can be kept", "write a plain number")
            return None
        fix = "write a plain decimal number" if kind == "int" else "remove the tag"
        self.problem(path, node, f"{text[:40]} is written in a way that is not understood", fix)
        return None


def _is_null(node: Node) -> bool:
    return str(node.tag) == f"{_TAG}null"


def _syntax_problem(file: str, error: MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    said = str(error.problem or error).splitlines()[0]
    if isinstance(error, ComposerError) and "another document" in said:
        message, fix = "holds two documents", "split them into two files and name both"
    elif "expected <block end>" in said:
        message = f"the indentation seems lost or uneven ({said})"
        fix = "indent what belongs under a key by two spaces, each list item alike"
    elif "\\t" in said:
        message, fix = "has a tab at the start of a line", "indent with spaces"
    else:
        message, fix = f"is not YAML: {said}", "see the line named"
    line = mark.line + 1 if mark is not None else None
    return Problem(file=file, line=line, key="(file)", message=message, fix=fix)
