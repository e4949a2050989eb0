"""Find which model of a provider a name means; a name that is merely similar means none."""

import re
from collections.abc import Iterable, Iterator

from farthing.prices.records import ModelRecord

_COMPACT_DATE = re.compile(r"[-@](20\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])$")
_DATE = re.compile(r"[-@]20\d\d-?(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12]\d|3[01])$")

# What may follow the stem of a model: dates, builds and the words that providers use for them.
_SNAPSHOT = re.compile(
    r"""(?: [-@](?: \d{4}-\d{2}-\d{2} | \d{2}-\d{2}(?:-\d{4})? | \d{2}-\d{4} | \d{3,8}
                  | v\d+ | latest | preview | default | exp | experimental | thinking | customtools )
          | :\d+k? )$""",
    re.VERBOSE,
)
_WORDS_AT_MOST = 5


class NameIndex:
    """The names of one provider's models.

    A name is found when it is listed, when it is a listed stem with nothing but snapshot words
    behind it, or when it is a listed name with a full date behind it. So gpt-4o-2024-08-06 is
    gpt-4o where the book does not know better, and gpt-4o-mini never is.
    """

    def __init__(self, models: Iterable[ModelRecord]) -> None:
        self._names: dict[str, ModelRecord] = {}
        self._stems: dict[str, ModelRecord] = {}
        self._inner: dict[str, ModelRecord] = {}
        self._open: list[tuple[str, ModelRecord]] = []
        for model in models:
            for name in model.names:
                self._names.setdefault(name, model)
            for stem in model.stems:
                self._stems.setdefault(stem, model)
            for part in model.inner:
                self._inner.setdefault(part, model)
            self._open += [(prefix, model) for prefix in model.open]
        self._open.sort(key=lambda entry: -len(entry[0]))

    def find(self, name: str) -> ModelRecord | None:
        """The model that a name means; None where the book does not know it."""
        name = name.lower().removeprefix("models/")
        return (
            self._names.get(name)
            or self._names.get(_COMPACT_DATE.sub(r"-\1-\2-\3", name))
            or self._find_open(name)
            or self._find_snapshot(name)
            or self._find_inner(name)
            or self._names.get(undated(name))
        )

    def names(self) -> Iterator[str]:
        """Every name that is listed."""
        yield from self._names

    def _find_open(self, name: str) -> ModelRecord | None:
        return next((model for prefix, model in self._open if name.startswith(prefix)), None)

    def _find_snapshot(self, name: str) -> ModelRecord | None:
        return next((self._stems[stem] for stem in _stems_of(name) if stem in self._stems), None)

    def _find_inner(self, name: str) -> ModelRecord | None:
        for tail in tails_of(name):
            for stem in _stems_of(tail):
                if stem in self._inner:
                    return self._inner[stem]
        return None


def undated(name: str) -> str:
    """The name without the full date at its end."""
    return _DATE.sub("", name)


def _stems_of(name: str) -> Iterator[str]:
    """The name, and what is left of it as snapshot words are taken off its end."""
    yield name
    for _ in range(_WORDS_AT_MOST):
        shorter = _SNAPSHOT.sub("", name)
        if shorter == name:
            return
        name = shorter
        yield name


def tails_of(name: str) -> Iterator[str]:
    """The name, and its ends behind each separator of a path, a region or an ARN."""
    yield name
    for separator in re.finditer(r"[/.:]", name):
        yield name[separator.end() :]
