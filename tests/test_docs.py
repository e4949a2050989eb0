"""The documents: links lead somewhere, examples run, and whatever users meet is described."""

import http.client
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pytest
import typer.main

from farthing.cli.main import app
from farthing.config.load import load_policy
from farthing.config.schema import PolicyFile, policy_schema
from farthing.domain.errors import Reason
from farthing.engine.outcomes import Ending
from farthing.gateway.metrics import Counters, exposition
from farthing.gateway.refusals import STATUS
from farthing.ledger.entries import Outcome
from farthing.ledger.memory import MemoryStore
from tests.builders import Clock, a_governor, a_policy

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")]
    + list((ROOT / "docs").rglob("*.md"))
    + [ROOT / "benchmarks" / "README.md", ROOT / "examples" / "README.md"]
)
PROGRAMS = Path(sys.executable).parent
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
START_SECONDS_MAX = 30


def page(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def fenced(name: str, language: str) -> list[str]:
    return [body for kind, body in FENCE.findall(page(name)) if kind == language]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def anchors(text: str) -> set[str]:
    """The names that headings get, as the usual viewers make them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


# ── links and paths ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_links_lead_somewhere(path: Path) -> None:
    text = path.read_text("utf-8")
    for link in LINK.findall(FENCE.sub("", text)):
        if link.startswith("https://"):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), f"{name_of(path)}: {link}"
        if anchor:
            assert anchor in anchors(target.read_text("utf-8")), f"{name_of(path)}: {link}"


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_files_that_a_page_names_are_there(path: Path) -> None:
    rooms = "|".join(room.parent.name for room in (ROOT / "src" / "farthing").glob("*/__init__.py"))
    text = path.read_text("utf-8")
    named = re.findall(rf"\b((?:{rooms})/\w+\.py)\b", text)
    beside = re.findall(r"`((?:tests|tools|benchmarks|src)/[\w/.-]+)`", text)
    wrong = [one for one in named if not list((ROOT / "src" / "farthing").glob(one))]
    wrong += [one for one in beside if not (ROOT / one).exists()]
    wrong = [one for one in wrong if not (ROOT / one).exists() and not (ROOT / "tests" / one).exists()]
    assert not wrong, f"{name_of(path)}: {wrong}"


def test_every_decision_is_listed_and_says_what_it_costs() -> None:
    listed = set(LINK.findall(page("docs/decisions/README.md")))
    written = sorted((ROOT / "docs" / "decisions").glob("0*.md"))
    assert listed == {path.name for path in written}
    for number, path in enumerate(written, 1):
        text = path.read_text("utf-8")
        assert text.startswith(f"# {number}. "), path.name
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == [
            "The situation",
            "The decision",
            "What it costs",
        ]


# ── whatever users meet is described ────────────────────────────────────────────────────────────


def test_every_key_of_the_policy_is_described() -> None:
    described = page("docs/policy.md")
    schema = policy_schema()
    definitions = schema["$defs"]
    assert isinstance(definitions, dict)
    keys = set(PolicyFile.model_fields)
    for section in definitions.values():
        keys |= set(section.get("properties", ()))
    missing = sorted(key for key in keys if f"`{key}`" not in described)
    assert not missing, f"docs/policy.md does not describe {missing}"


def test_every_word_that_the_policy_offers_is_described() -> None:
    described = page("docs/policy.md")
    definitions = policy_schema()["$defs"]
    assert isinstance(definitions, dict)
    words = set(re.findall(r"'enum': \[([^\]]*)\]", str(definitions)))
    offered = {word.strip(" '") for group in words for word in group.split(",")}
    missing = sorted(word for word in offered if not re.search(rf"\b{re.escape(word)}\b", described))
    assert not missing, f"docs/policy.md does not describe {missing}"


@pytest.mark.parametrize("number", range(len(fenced("docs/policy.md", "yaml"))))
def test_examples_of_the_policy_load(number: int, tmp_path: Path) -> None:
    file = tmp_path / "farthing.yaml"
    file.write_text(fenced("docs/policy.md", "yaml")[number], encoding="utf-8")
    load_policy([file], {})


@pytest.mark.parametrize("reason", Reason)
def test_every_refusal_is_described_with_its_statuses(reason: Reason) -> None:
    rows = [line for line in page("docs/gateway.md").splitlines() if line.startswith(f"| `{reason}` |")]
    assert len(rows) == 1, f"docs/gateway.md has {len(rows)} rows for {reason}"
    statuses = [int(cell.split()[0]) for cell in rows[0].strip("| ").split(" | ")[2:5]]
    assert statuses == list(STATUS[reason])


def test_every_end_of_a_call_is_described() -> None:
    described = page("docs/gateway.md")
    ends = [ending for ending in Ending if ending is not Ending.ANSWERED]
    source = "".join(
        (ROOT / "src" / "farthing" / name).read_text("utf-8")
        for name in ("engine/outcomes.py", "ledger/entries.py", "ledger/committer.py")
    )
    rules = set(re.findall(r'\brule(?:: str)? ?= ?"(\w+)"', source)) - {
        "given_up"
    }  # such a hold leaves no entry
    outcomes = [outcome for outcome in Outcome if outcome is not Outcome.CACHED]  # there is no cache yet
    missing = sorted(word for word in {*ends, *rules, *outcomes} if f"`{word}`" not in described)
    assert not missing, f"docs/gateway.md does not describe {missing}"


def test_every_header_of_ours_is_described() -> None:
    described = page("docs/gateway.md")
    sent = set()
    for path in (ROOT / "src" / "farthing" / "gateway").glob("*.py"):
        sent |= set(re.findall(r'b"(x-farthing-[a-z-]*[a-z])"', path.read_text("utf-8")))
    assert sent
    missing = sorted(header for header in sent if f"`{header}`" not in described)
    assert not missing, f"docs/gateway.md does not describe {missing}"


def test_every_metric_is_described() -> None:
    described = page("docs/operations.md")
    store = MemoryStore()
    governor = a_governor(store, a_policy(), clock=Clock())
    text = exposition(Counters(), governor, store, worker=1, now_us=0)
    metrics = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
    assert metrics
    missing = sorted(metric for metric in metrics if f"`{metric}`" not in described)
    assert not missing, f"docs/operations.md does not describe {missing}"


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command with its full name."""

    def inside(group: object, name: str) -> Iterator[tuple[str, click.Command]]:
        for word, command in sorted(group.commands.items()):  # type: ignore[attr-defined]
            full = f"{name} {word}"
            yield full, command
            if hasattr(command, "commands"):
                yield from inside(command, full)

    yield from inside(typer.main.get_command(app), "farthing")


COMMANDS = dict(commands())


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_commands_that_a_page_shows_exist(path: Path) -> None:
    text = path.read_text("utf-8")
    shown = set(re.findall(r"`(farthing(?: [a-z]+)+)", FENCE.sub("", text)))
    for block in fenced(name_of(path), "sh"):
        shown |= set(re.findall(r"(?:^|\$\()(farthing(?: [a-z]+)+)", block, re.MULTILINE))
    for command in shown:
        words = command.split()
        known = [full for full in COMMANDS if words[: len(full.split())] == full.split()]
        assert known or len(words) == 1, f"{name_of(path)}: {command}"


def test_the_changelog_names_every_command() -> None:
    changes = page("CHANGELOG.md")
    for name in {full.split()[1] for full in COMMANDS}:
        assert f"`{name}`" in changes, name


# ── examples run ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_shell_examples_parse(path: Path) -> None:
    for block in fenced(name_of(path), "sh"):
        result = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr


def test_the_readme_has_the_two_commands() -> None:
    blocks = fenced("README.md", "sh")
    assert blocks[:2] == ["make run\n", "make test\n"]
    targets = set(re.findall(r"^([a-z-]+):", page("Makefile"), re.MULTILINE))
    named = {word for path in PAGES for word in re.findall(r"`make ([a-z-]+)`", path.read_text("utf-8"))}
    assert named <= targets, named - targets


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def outside(folder: Path) -> dict[str, str]:
    """The environment of somebody who has just installed farthing."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("FARTHING_", "OPENAI_", "COV_"))
    }
    return {**kept, "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}", "HOME": str(folder)}


@contextmanager
def first_terminal(folder: Path, block: str, port: int) -> Iterator[None]:
    """Run a block that ends with a server, until the server is ready; end it afterwards."""
    *before, server = block.strip().splitlines()
    subprocess.run(["bash", "-e", "-c", "\n".join(before)], cwd=folder, check=True, env=outside(folder))
    serving = subprocess.Popen(
        shlex.split(server), cwd=folder, env=outside(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        deadline = time.monotonic() + START_SECONDS_MAX
        while not is_ready(port):
            assert serving.poll() is None, serving.communicate()[0].decode()
            assert time.monotonic() < deadline, "the gateway did not become ready"
            time.sleep(0.05)
        yield
    finally:
        serving.terminate()
        serving.communicate(timeout=START_SECONDS_MAX)


def is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def test_the_readme_leads_to_a_first_refusal(tmp_path: Path) -> None:
    assert shutil.which("curl"), "this example of the README is pasted as it stands, and it calls curl"
    section = page("README.md").partition("## Ten lines to a first refusal")[2].partition("\n## ")[0]
    port = free_port()
    blocks = [body.replace("8787", str(port)) for kind, body in FENCE.findall(section) if kind == "sh"]
    with first_terminal(tmp_path, blocks[0], port):
        pasted = subprocess.run(
            ["bash", "-e", "-c", blocks[1]],
            cwd=tmp_path, env=outside(tmp_path), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    out = pasted.stdout
    assert pasted.returncode == 0, out + pasted.stderr
    assert out.count("HTTP/1.1 200 OK") == 1
    assert "x-farthing-cost-usd: 0.000602550" in out
    [shown] = [body for kind, body in FENCE.findall(section) if kind == "text"]
    head, _, message = shown.partition("\n\n")
    for line in head.splitlines():
        assert line in out, line
    assert without_days(message) in without_days(out)


def without_days(text: str) -> str:
    """Text with any day in the place of each, on one line."""
    return " ".join(re.sub(r"\d{4}-\d{2}-\d{2}", "DAY", text).split())
