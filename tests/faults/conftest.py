"""How long the fault runs are: short by default, long with FARTHING_FAULTS=full."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.processes import Simulator, a_simulator

Measured = Callable[[str], None]

FULL = os.environ.get("FARTHING_FAULTS") == "full"


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Simulator]:
    """Simulated providers that log every call before they answer it, in a process of their own."""
    with a_simulator(tmp_path / "upstream.jsonl", "latency_ms=20") as running:
        yield running


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Where a test keeps its ledger."""
    return tmp_path / "ledger.db"


@pytest.fixture
def measured(record_property: Callable[[str, object], None]) -> Measured:
    """Take down what a run measured; the end of the test report shows it."""
    return lambda text: record_property("measured", text)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what was measured, also by runs that failed."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport) and report.when == "call":
                for name, text in report.user_properties:
                    if name == "measured":
                        terminalreporter.write_line(f"{report.location[2]}: {text}")
