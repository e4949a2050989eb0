"""Every place where answers are kept in turn, so that each promise is asked of each."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from farthing.cache.kept import Answers
from farthing.cache.memory import MemoryAnswers
from farthing.cache.sqlite import SqliteAnswers


@pytest.fixture
def cache_file(tmp_path: Path) -> Path:
    """Where a cache may be made."""
    return tmp_path / "farthing-cache.db"


@pytest.fixture
def open_file(cache_file: Path) -> Iterator[Callable[[], SqliteAnswers]]:
    """Open the file as another process would; all are closed when the test ends."""
    opened: list[SqliteAnswers] = []

    def make() -> SqliteAnswers:
        opened.append(SqliteAnswers(cache_file, inside=nullcontext()))
        return opened[-1]

    yield make
    for answers in opened:
        answers.close()


@pytest.fixture(params=["memory", "sqlite"])
def answers(request: pytest.FixtureRequest, open_file: Callable[[], SqliteAnswers]) -> Answers:
    """One place of each kind, empty."""
    return MemoryAnswers() if request.param == "memory" else open_file()
