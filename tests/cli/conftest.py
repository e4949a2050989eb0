"""A folder with a policy, the command line to call in it, and calls to fill its ledger with."""

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from farthing.cli.main import app
from farthing.config.stores import open_store
from farthing.domain.usage import Usage
from farthing.ledger.entries import (
    AtShort,
    Claim,
    EntryFacts,
    Hold,
    Need,
    Offer,
    Operation,
    Settle,
    Unit,
)

POLICY = """\
# The policy of a small company.
organization: acme
timezone: Europe/London

environments:
  development:
    models: {allow: [gpt-4o-mini, claude-haiku-4-5], otherwise: downgrade}   # or: refuse
    rate_limit: 10/minute
  production:
    models: {allow: [gpt-4o, gpt-4o-mini], otherwise: refuse}
    rate_limit: 100/minute

budgets:
  - {name: dev-month, match: {environment: development}, limit: $750, period: monthly}
  - {name: per-developer, match: {environment: development}, per: developer, limit: $150, period: monthly}
  - {name: prod-month, match: {environment: production}, limit: "$5,000.00", period: monthly, owner: ana}
  - {name: prod-day, match: {environment: production}, limit: $500, period: daily, owner: ana}

providers:
  targets:
    - {id: openai, provider: openai}
    - {id: openai-simulated, provider: simulator, when_missing: OPENAI_API_KEY}
    - {id: anthropic-simulated, provider: simulator, model: claude-haiku-4-5, dialects: [anthropic]}
"""

CommandLine = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, a terminal of a known width, and no setting from outside."""
    monkeypatch.setenv("COLUMNS", "160")
    for name in [name for name in os.environ if name.startswith("FARTHING_") or name.endswith("_API_KEY")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def company(folder: Path) -> Path:
    """A folder with a policy."""
    (folder / "farthing.yaml").write_text(POLICY, encoding="utf-8")
    return folder


@pytest.fixture
def farthing(folder: Path) -> CommandLine:
    """The command line, called as people call it; an error of our own is an error of the test."""

    def call(*arguments: str, stdin: str | None = None) -> Result:
        result = CliRunner().invoke(app, arguments, input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call


def told(result: Result) -> Any:
    """The JSON document on stdout, and nothing beside it."""
    return json.loads(result.stdout)


def complaint(result: Result) -> dict[str, str | None]:
    """The JSON document on stderr."""
    error: dict[str, str | None] = json.loads(result.stderr)["error"]
    return error


class Calls:
    """Fills a ledger with calls, as a gateway would."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._count = 0

    def spent(
        self,
        cost: int,
        *,
        budget: str = "dev-month",
        environment: str = "development",
        model: str = "gpt-4o-mini",
        labels: Mapping[str, str] | None = None,
        at_us: int | None = None,
        open_for_us: int | None = None,
    ) -> str:
        """One call of alice, settled at a cost; or still open, since so long."""
        self._count += 1
        now_us = time.time_ns() // 1_000
        call_id = f"call_{self._count}"
        begun_us = now_us - (open_for_us or 0) if at_us is None else at_us
        hold = Hold(
            call_id=call_id,
            at_us=begun_us,
            owner="gateway",
            facts=EntryFacts(
                request_id=call_id,
                environment=environment,
                dialect="openai.chat",
                model_asked=model,
                key="alice",
                developer="alice",
                labels=labels or {},
            ),
            offers=(_offer(cost, budget, model),),
        )
        settle = Settle(
            call_id=call_id,
            at_us=begun_us,
            cost_nanodollars=cost,
            usage=Usage(input_tokens=100, output_tokens=50),
            status=200,
        )
        self.apply(hold, *([settle] if open_for_us is None else []))
        return call_id

    def apply(self, *operations: Operation) -> None:
        """Put operations on the ledger."""
        store = open_store(str(self._file))
        try:
            store.apply(operations)
        finally:
            store.close()


def _offer(cost: int, budget: str, model: str) -> Offer:
    claim = Claim(
        account=f"{budget}/2099-01",
        unit=Unit.NANODOLLARS,
        limit=1_000_000_000,
        at_short=AtShort.REFUSE,
        budget=budget,
        window="2099-01",
    )
    return Offer(
        target="openai", provider="openai", model=model, needs={Unit.NANODOLLARS: Need(cost)}, claims=(claim,)
    )


@pytest.fixture
def calls(company: Path) -> Calls:
    """Calls on the ledger beside the policy."""
    return Calls(company / "farthing.db")
