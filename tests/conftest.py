"""What holds for all tests."""

import sys
from pathlib import Path

import pytest
from _pytest.assertion.rewrite import AssertionRewritingHook

from tests.surroundings import SURROUNDINGS


def pytest_configure(config: pytest.Config) -> None:
    """Leave the package as it is: pytest would parse each module anew, because a plugin of it is installed.

    That takes long, and where the garbage collector finds something to say meanwhile, Python 3.11 fails.
    """
    for finder in sys.meta_path:
        if isinstance(finder, AssertionRewritingHook):
            finder._must_rewrite.discard("farthing")


@pytest.fixture(autouse=True)
def _plain_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in SURROUNDINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    # A process that a test starts says where it was, should it crash.
    monkeypatch.setenv("PYTHONFAULTHANDLER", "1")
