"""Match names: models exactly, by pattern or as a dated snapshot; everything else exactly or by pattern."""

import difflib
import re
from collections.abc import Iterable
from functools import lru_cache

# The provider that answers in place of others, and charges what they do.
SIMULATOR = "simulator"

# How providers date one and the same model: gpt-4o-2024-08-06, claude-haiku-4-5-20251001,
# gpt-4-0613, gemini-2.0-flash-001, claude-sonnet-4@20250514, claude-3-5-haiku-latest. A bare "-5" or
# "-mini" is not a date but another model.
_SNAPSHOT = r"(?:[-@](?:\d{4}-\d{2}-\d{2}|\d{8}|\d{6}|\d{4}|00\d|latest))?"


def names_model(pattern: str, model: str) -> bool:
    """Tell whether a name or pattern names a model.

    "gpt-4o-mini" names itself and its snapshots such as gpt-4o-mini-2024-07-18; "gpt-4o" does not
    name gpt-4o-mini; in "claude-*" the star stands for any text. Letter case does not matter: prices
    ignore it and so do some servers, and GPT-4o must not slip past a budget for gpt-4o.
    """
    return pattern == model or _compiled(pattern).fullmatch(model) is not None


def is_pattern(name: str) -> bool:
    """Tell whether a name stands for many."""
    return "*" in name


def matches(pattern: str, value: str) -> bool:
    """Tell whether a name or pattern stands for a value that is not a model."""
    return pattern == value or ("*" in pattern and _starred(pattern).fullmatch(value) is not None)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was most likely meant, or None when none is near."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.75)
    return found[0] if found else None


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    text = _starred(pattern).pattern if is_pattern(pattern) else re.escape(pattern) + _SNAPSHOT
    return re.compile(text, re.DOTALL | re.IGNORECASE)


@lru_cache(maxsize=4096)
def _starred(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")), re.DOTALL)
