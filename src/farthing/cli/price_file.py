"""Edit the prices section of a policy file, leaving every comment where it is."""

import io
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from farthing.cli.door import CommandError
from farthing.domain.errors import PolicyError

if TYPE_CHECKING:
    from farthing.config.load import Loaded

_NEVER_WRAP = 1_000_000


def declare_price(
    paths: Sequence[Path], model: str, rates: Mapping[str, str], provider: str | None
) -> "tuple[Loaded, Loaded, Path]":
    """Write a price into the file that has one for the model, else into the first.

    The file is replaced only once the new text has been loaded without a problem. Returns the policy
    before and after, and the file.
    """
    from farthing.config.load import load_policy

    before = load_policy(paths, os.environ)
    path = next((path for path in paths if model in _prices_in(path)), paths[0])
    if path.suffix == ".json":
        raise CommandError(
            f"{path} is JSON, and prices are declared in YAML",
            fix="name a YAML policy with --policy FILE; several files may stand side by side",
        )
    text = with_price(path.read_text(encoding="utf-8"), model, rates, provider)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".farthing-") as folder:
        # The name stays: an environment may be inferred from it.
        draft = Path(folder) / path.name
        draft.write_text(text, encoding="utf-8")
        try:
            after = load_policy([draft if other == path else other for other in paths], os.environ)
        except PolicyError as error:
            raise PolicyError(
                tuple(msgspec.structs.replace(problem, file=str(path)) for problem in error.problems)
            ) from error
        draft.chmod(path.stat().st_mode & 0o777)
        draft.replace(path.resolve())
    return before, after, path


def with_price(text: str, model: str, rates: Mapping[str, str], provider: str | None) -> str:
    """Add a price to the text of a policy, or put it in the place of an earlier one.

    Only the lines of the prices section are written anew: all others stay byte for byte.
    """
    document = _yaml().load(text)
    entry = CommentedMap({name: _as_typed(amount) for name, amount in rates.items()})
    if provider is not None:
        entry["provider"] = provider
    entry.fa.set_flow_style()
    if "prices" not in document and not document.fa.flow_style():
        section = _dumped({"prices": {model: entry}})
        return f"{text.rstrip()}\n\n# USD per million tokens, over the bundled prices\n{section}"
    document.setdefault("prices", CommentedMap())[model] = entry
    if document.fa.flow_style():
        return _dumped(document)
    lines = text.splitlines(keepends=True)
    begin, end = _section(document, "prices", len(lines))
    return "".join(lines[:begin]) + _dumped({"prices": document["prices"]}) + "".join(lines[end:])


def _section(document: CommentedMap, name: str, line_count: int) -> tuple[int, int]:
    """The lines from a section's key up to the next key, the comments between them included."""
    begin: int = document.lc.key(name)[0]
    later = [line for key in document if (line := document.lc.key(key)[0]) > begin]
    return begin, min(later, default=line_count)


def _prices_in(path: Path) -> Mapping[str, object]:
    document = YAML().load(path.read_text(encoding="utf-8"))
    prices = document.get("prices") if isinstance(document, dict) else None
    return prices if isinstance(prices, dict) else {}


def _as_typed(amount: str) -> object:
    """An amount that is written into the file digit by digit as it was typed."""
    return YAML().load(amount.replace("$", "").replace(",", "").strip())


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = _NEVER_WRAP
    return yaml


def _dumped(document: object) -> str:
    written = io.StringIO()
    _yaml().dump(document, written)
    return written.getvalue().rstrip("\n") + "\n"
