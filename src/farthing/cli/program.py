"""How this program was called, so that what it prints can be pasted."""

import os
import shutil
import sys
from pathlib import Path


def program() -> str:
    """The word or path that calls farthing again from this folder."""
    called = Path(sys.argv[0])
    if called.name != "farthing" or not called.is_file():
        return "farthing" if shutil.which("farthing") else f"{_from_here(Path(sys.executable))} -m farthing"
    found = shutil.which("farthing")
    if found is not None and Path(found).resolve() == called.resolve():
        return "farthing"
    return _from_here(called.absolute())


def _from_here(path: Path) -> str:
    """A path as seen from the current folder, where it is inside of it."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
