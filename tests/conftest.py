"""What holds for all tests."""

import sys

import pytest
from _pytest.assertion.rewrite import AssertionRewritingHook


def pytest_configure(config: pytest.Config) -> None:
    """Leave the package as it is: pytest would parse each module anew, because a plugin of it is installed.

    That takes long, and where the garbage collector finds something to say meanwhile, Python 3.11 fails.
    """
    for finder in sys.meta_path:
        if isinstance(finder, AssertionRewritingHook):
            finder._must_rewrite.discard("farthing")
