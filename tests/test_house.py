"""The house rules: one word per idea, a fresh map, small modules, nothing of anybody's machine."""

import ast
import ipaddress
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import farthing

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "farthing"
MODULES = sorted(SOURCE.rglob("*.py"))
LINES_MAX = 450

# Words that other products use, and ours for the same idea: docs/glossary.md has the meanings.
SAY = {
    "hold": ("reserve", "reserves", "reserved", "reservation", "reservations"),
    "settle": ("capture", "captured", "charge", "charged"),
    "void": ("refund", "refunded", "rollback"),
    "refuse": ("deny", "denied", "denies", "disallow", "forbid", "forbidden"),
    "allow or allowlist": ("whitelist", "blacklist", "blocklist"),
    "limit or budget": ("quota", "quotas", "throttle", "throttled", "allowance"),
    "key, group or developer": ("tenant", "customer", "principal"),
    "downgrade": ("degrade", "degraded"),
    "fallback": ("failover",),
    "target": ("deployment", "backend"),
    "usage": ("consumption",),
    "spend": ("burn", "burned", "overspend"),
    "wallet": ("prepaid", "purse"),
    "authorize": ("admit", "admitted"),
    "export": ("dump", "dumps"),
    "a word for its job": ("util", "utils", "helper", "helpers", "manager", "handler", "misc"),
    "nanodollars": ("usd", "cents", "float"),
}
INSTEAD = {word: ours for ours, words in SAY.items() for word in words}
# Here the providers' own words are the right ones.
PROVIDERS_WORDS = ("wire", "simulator")
# "Rejection" is the HTTP answer that carries any no; elsewhere a no is a refusal.
GATEWAY_ONLY = ("reject", "rejected", "rejection")


def named(path: Path) -> Iterator[tuple[int, str]]:
    """Every name that a module gives: to itself, to functions, classes, arguments and variables."""
    yield 1, path.stem
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.lineno, node.name
            case ast.arg():
                yield node.lineno, node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.lineno, node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.lineno, node.attr
            case _:
                pass


def words_of(name: str) -> list[str]:
    """The words of a name: output_cap, RefusalMemory and CALLS_MAX have two each."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]


def tracked_files() -> list[Path]:
    """What the repository holds; of a copy without git, what is not made by running it."""
    if not (ROOT / ".git").exists():
        made = {".venv", "run", "__pycache__", ".hypothesis", ".mypy_cache", ".ruff_cache"}
        return [path for path in ROOT.rglob("*") if path.is_file() and not made & set(path.parts)]
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def tracked_texts() -> Iterator[tuple[Path, str]]:
    for path in tracked_files():
        try:
            yield path, path.read_text("utf-8")
        except UnicodeDecodeError:
            continue


def test_names_use_the_glossary() -> None:
    wrong = []
    for path in MODULES:
        room = path.relative_to(SOURCE).parts[0]
        if room in PROVIDERS_WORDS:
            continue
        for line, name in named(path):
            for word in words_of(name):
                ours = INSTEAD.get(word)
                if word in GATEWAY_ONLY and room != "gateway":
                    ours = "refuse"
                if ours is not None:
                    wrong.append(f"{path.relative_to(ROOT)}:{line}: {name}: say {ours}, not {word}")
    assert not wrong, "\n".join([*wrong, "docs/glossary.md says what each word means"])


def test_the_glossary_lists_the_words_that_are_not_ours() -> None:
    glossary = (ROOT / "docs" / "glossary.md").read_text("utf-8")
    for word in ("reserve", "deny", "whitelist", "quota", "tenant", "deployment", "backend", "charge"):
        assert word in glossary, word


def test_the_map_is_what_the_modules_say() -> None:
    command = [sys.executable, str(ROOT / "tools" / "draw_map.py"), "--check"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_says_what_it_does_and_fits_in_a_head(path: Path) -> None:
    text = path.read_text("utf-8")
    said = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    assert said.endswith((".", "?")) or said.endswith(":"), f"the first line is one sentence: {said!r}"
    assert "|" not in said, "the first line becomes a row of docs/map.md"
    lines = text.count("\n")
    assert lines <= LINES_MAX, f"{lines} lines: split it at a noun"


def test_types_are_worked_out_while_modules_are_imported() -> None:
    """Msgspec works out a type at its first use, and two threads that both do so end the process.

    Importing takes a lock; a function does not. The simulator answers from one thread.
    """
    wrong = []
    for path in MODULES:
        if path.is_relative_to(SOURCE / "simulator"):
            continue
        functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
        inside = [
            node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, functions)
        ]
        for node in (each for function in inside for each in ast.walk(function)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                typed = node.func.attr == "decode" and any(given.arg == "type" for given in node.keywords)
                if typed or node.func.attr in ("convert", "Decoder"):
                    wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not wrong, "\n".join(["make the decoder where the module is imported:", *wrong])


def test_tests_have_the_rooms_of_the_source() -> None:
    rooms = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    beside = {"examples", "faults", "__pycache__"}
    found = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()}
    assert found <= rooms | beside, f"no room of the source is called {sorted(found - rooms - beside)}"


def test_the_newest_change_is_this_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert project["tool"]["hatch"]["version"]["path"] == "src/farthing/__init__.py"
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert newest is not None
    assert newest[1] == farthing.__version__


def test_the_package_says_that_it_is_typed() -> None:
    assert (SOURCE / "py.typed").is_file()


# ── nothing of anybody's machine ────────────────────────────────────────────────────────────────

# Assembled, so that this file does not hold what it looks for.
HOME_OF_SOMEBODY = re.compile(r"(?<![\w.~$}/])/(?:work|tmp|root|home|Users|mnt|opt)/" + r"[A-Za-z0-9_.-]+")
REGISTRY = re.compile(
    r"(?i)--(?:extra-)?index-url|--trusted-host|[a-z0-9.-]*(?:artifactory|nexus|devpi)[a-z0-9.-]*\."
)
ADDRESS = re.compile(r"(?<![\w.])(\d{1,3}(?:\.\d{1,3}){3})(?![\w.])")
# Addresses that mean no machine: reserved for documentation, or where nobody is.
DOCUMENTATION = tuple(
    ipaddress.ip_network(text) for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "0.0.0.0/32")
)


def test_no_tracked_file_names_a_place_on_somebodys_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path, text in tracked_texts()
        if path != Path(__file__) and path.name != "LICENSE"
        for match in HOME_OF_SOMEBODY.finditer(text)
    ]
    assert not found, "\n".join(found)


def test_no_tracked_file_names_a_registry() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path, text in tracked_texts()
        if path != Path(__file__)
        for match in REGISTRY.finditer(text)
    ]
    assert not found, "\n".join(found)


def test_addresses_are_loopback_or_for_documentation() -> None:
    found = []
    for path, text in tracked_texts():
        for match in ADDRESS.finditer(text):
            try:
                address = ipaddress.ip_address(match[1])
            except ValueError:
                continue
            if not address.is_loopback and not any(address in network for network in DOCUMENTATION):
                found.append(f"{path.relative_to(ROOT)}: {match[1]}")
    assert not found, "\n".join(found)


def test_no_database_key_or_large_file_is_tracked() -> None:
    odd = [
        path for path in tracked_files() if path.suffix in {".db", ".sqlite", ".pem", ".key", ".env", ".whl"}
    ]
    large = [path for path in tracked_files() if path.stat().st_size > 1_000_000]
    assert not odd, odd
    assert not large, large
