"""Run a real pytest in a process of its own, as users of the plugin do, and read its table and its ledger."""

import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

from farthing.config.stores import open_store
from farthing.ledger.entries import Balance, Entry
from farthing.simulator.server import SimulatorServer
from tests.surroundings import SURROUNDINGS

# What the tests that are run have in common: gpt-4o, 1,000 tokens of output for a cent.
ASK = """
import os
import threading

import openai
import pytest

from farthing import BudgetExceeded, guard


def ask(client=None, output=1000, model="gpt-4o", **more):
    asked = [{"role": "user", "content": f"hello [[sim input=0 output={output}]]"}]
    return (client or openai.OpenAI(max_retries=0)).chat.completions.create(
        model=model, messages=asked, max_tokens=output, **more
    )
"""
RUN_SECONDS_MAX = 180.0
_ROW = re.compile(r"(?P<test>.+?) +(?P<calls>\d+) +(?P<refused>\d+) +\$(?P<spent>[\d.]+)(?: +(?P<rest>.*))?")


class Told:
    """What a run of pytest printed, and where its books are."""

    def __init__(self, ended: "subprocess.CompletedProcess[str]", ledger: Path) -> None:
        self.status = ended.returncode
        self.text = ended.stdout + ended.stderr
        self._ledger = ledger

    @property
    def rows(self) -> dict[str, tuple[int, int, Decimal, str]]:
        """Of each test in the table, the total last: calls, refused, spent, the rest of its row."""
        _, found, table = self.text.partition("spend on AI models")
        rows = {}
        for line in table.splitlines()[2:] if found else ():
            match = _ROW.fullmatch(line)
            if match is None:
                break
            rows[match["test"]] = (
                int(match["calls"]), int(match["refused"]), Decimal(match["spent"]), match["rest"] or ""
            )  # fmt: skip
        return rows

    def books(self) -> tuple[list[Balance], list[Entry]]:
        """The accounts of the cap of the run, and every entry."""
        store = open_store(str(self._ledger))
        try:
            assert not store.verify()
            return store.balances(budget="ci-run"), store.entries(limit=5_000)
        finally:
            store.close()

    @property
    def has_ledger(self) -> bool:
        return self._ledger.exists()


def run_pytest(
    simulator: SimulatorServer, folder: Path, source: str, *options: str, before: str = ASK, **variables: str
) -> Told:
    """Run tests that are given as text, in a folder of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "test_it.py").write_text(before + source, "utf-8")
    environ = {name: value for name, value in os.environ.items() if name not in SURROUNDINGS}
    environ = {name: value for name, value in environ.items() if not name.startswith("PYTEST_")}
    environ |= {
        "OPENAI_BASE_URL": simulator.openai_url,
        "OPENAI_API_KEY": "any",
        "XDG_STATE_HOME": str(folder / "state"),
        **variables,
    }
    ended = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error",
            # The SDKs leave connections to the garbage collector, as in our own tests.
            "-W", "ignore::pytest.PytestUnraisableExceptionWarning", *options,
        ],
        cwd=folder, env=environ, capture_output=True, text=True, timeout=RUN_SECONDS_MAX, check=False,
    )  # fmt: skip
    return Told(ended, folder / "state" / "farthing" / "farthing.db")
