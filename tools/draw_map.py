"""Draw docs/map.md: every module in one line, taken from the first line of its docstring.

Run: python tools/draw_map.py [--check]
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "farthing"
MAP = ROOT / "docs" / "map.md"
# Down the journey, as imports go; rooms that are not named here stand at the end.
ROOMS = (
    "cli", "scenarios", "simulator", "gateway", "config", "engine", "reports",
    "ledger", "policy", "prices", "wire", "domain",
)  # fmt: skip

HEAD = """\
# The map

Every module in one line. `make map` draws this page from the modules' own first lines: edit those, not this.
Rooms stand in the order of the imports: each may use those below it, but `ledger`, `policy`, `prices` and
`wire` do not know each other. [journey.md](journey.md) walks through them with one call.
"""


def first_line(path: Path) -> str:
    """The sentence with which a module says what it is for."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    return text.partition("\n")[0] if text else ""


def rooms() -> list[Path]:
    """The folders of the source, in the order of the journey."""
    order = {name: number for number, name in enumerate(ROOMS)}
    found = {path.parent for path in SOURCE.glob("*/__init__.py")}
    return sorted(found, key=lambda room: (order.get(room.name, len(ROOMS)), room.name))


def drawing() -> str:
    """The whole page."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield HEAD
    for room in rooms():
        yield from (f"## {room.name}", "", first_line(room / "__init__.py"), "")
        yield from ("| module | what it does |", "| --- | --- |")
        for module in sorted(room.glob("*.py")):
            if module.name != "__init__.py":
                yield f"| [{module.name}](../{module.relative_to(ROOT).as_posix()}) | {first_line(module)} |"
        yield ""


def main() -> None:
    """Write the page; with --check only say whether it is fresh."""
    if "--check" not in sys.argv[1:]:
        MAP.write_text(drawing(), encoding="utf-8")
        print(f"Wrote {MAP.relative_to(ROOT)}")
    elif not MAP.is_file() or MAP.read_text(encoding="utf-8") != drawing():
        sys.exit("docs/map.md is not what the modules say: run  make map")


if __name__ == "__main__":
    main()
