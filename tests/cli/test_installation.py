"""What farthing doctor says about the user's own ledger."""

import time
from pathlib import Path

from farthing.cli.examination import Check, Verdict
from farthing.cli.installation import examine_installation
from farthing.config.stores import open_store
from farthing.domain.usage import Usage
from farthing.scenarios.rows import Row
from farthing.scenarios.writing import write
from tests.cli.conftest import Calls

DAY_US = 86_400_000_000


def about_caps() -> list[Check]:
    """What is said about calls of production without a cap."""
    return [check for check in examine_installation(None, None) if "production call" in check.name]


def test_production_calls_without_a_cap_are_a_warning(company: Path, calls: Calls) -> None:
    calls.spent(5, environment="production", budget="prod-month")
    calls.spent(5, environment="development")

    (check,) = about_caps()

    assert check.verdict is Verdict.NOTE
    assert check.figure.startswith("100.0 % of production's calls (1 of 1) had no limit")
    assert "call_limit" in check.fix


def test_where_each_call_has_a_cap_it_is_well(company: Path, calls: Calls) -> None:
    store = open_store(f"sqlite:///{company / 'farthing.db'}")
    row = Row(
        at_us=time.time_ns() // 1_000 - DAY_US, environment="production", model_asked="gpt-4o",
        model_served="gpt-4o", usage=Usage(input_tokens=1, output_tokens=1), cost_nanodollars=1,
        call_limit_nanodollars=10,
    )  # fmt: skip
    write([row], store)
    store.close()

    (check,) = about_caps()

    assert check.verdict is Verdict.GOOD


def test_without_production_nothing_is_said(company: Path, calls: Calls) -> None:
    calls.spent(5, environment="development")

    assert about_caps() == []
