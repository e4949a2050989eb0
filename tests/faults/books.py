"""Compare the ledger with what the simulator says it billed: call by call, to the nanodollar."""

import json
import subprocess
import sys
from pathlib import Path

import msgspec

from farthing.config.build import clock
from farthing.config.load import load_policy
from farthing.gateway.key_admin import create_key
from farthing.ledger.entries import Balance, Entry, OpenHold, Outcome, Owner
from farthing.ledger.sqlite import SqliteStore
from farthing.simulator.reply import Counts

PAGE_ROWS = 1_000

# Dollars per million tokens are thousands of nanodollars per token.
RATES = {"gpt-4o": (2_500, 10_000), "penny-model": (1_000, 15_000), "claude-haiku-4-5": (1_000, 12_000),
         "dear-model": (0, 200_000)}  # fmt: skip

_POLICY = """
organization: faults
environments:
  development: {{at_limit: {at_limit}}}
  production: {{}}
budgets:
  - {{name: cap, match: {{environment: development}}, {per}limit: {limit}, period: total}}
  - {{name: per-feature, match: {{environment: development}}, per: feature, limit: $1000, period: total}}
  - {{name: production, match: {{environment: production}}, limit: $1000, period: total}}
providers:
  targets:
    - {{id: openai, provider: faults-openai, base_url: "{url}/v1", dialects: [openai]}}
    - {{id: anthropic, provider: faults-anthropic, base_url: "{url}", dialects: [anthropic]}}
prices:
{prices}
"""


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """What the simulator's log says of one request."""

    number: int
    status: int
    body: str
    billed: Counts | None

    @property
    def model_asked(self) -> str:
        """The model that was sent to the provider; answers name a dated one."""
        return self.body.partition('"model":"')[2].partition('"')[0]

    @property
    def call(self) -> int:
        """The number of the planned call."""
        return int(self.body.partition("call=")[2].partition(";")[0])

    @property
    def cost_nanodollars(self) -> int:
        """What the provider charges for it."""
        if self.billed is None:
            return 0
        taken, given = RATES[self.model_asked]
        return self.billed.input_tokens * taken + self.billed.output_tokens * given


def write_policy(
    folder: Path, simulator_url: str, *, limit: str = "$5", at_limit: str = "clamp", per: str | None = None
) -> Path:
    """Write a policy whose targets are a simulator and whose prices are those of RATES."""
    prices = "\n".join(
        f"  {model}: {{input: {taken / 1000:.3f}, output: {given / 1000:.3f}}}"
        for model, (taken, given) in RATES.items()
    )
    path = folder / "farthing.yaml"
    one_each = f"per: {per}, " if per else ""
    path.write_text(
        _POLICY.format(url=simulator_url, limit=limit, at_limit=at_limit, per=one_each, prices=prices)
    )
    return path


def make_keys(policy: Path, ledger: Path, environment: str, *labels: str) -> list[str]:
    """Make keys on the ledger; answer their secrets."""
    rules = load_policy([policy], {}).policy
    store = SqliteStore(ledger)
    try:
        return [
            create_key(store, rules, environment=environment, label=label, by="ana", at_us=clock())[0]
            for label in labels
        ]
    finally:
        store.close()


def received_by(log: Path) -> list[Received]:
    """Every request that reached the simulator; a last line that is being written is left out."""
    text = log.read_bytes() if log.exists() else b""
    decode = msgspec.json.Decoder(Received).decode
    return [decode(line) for line in text.split(b"\n")[:-1]]


class Books:
    """A ledger as a test reads it."""

    def __init__(self, ledger: Path) -> None:
        self._ledger = ledger
        self._store = SqliteStore(ledger)

    def __enter__(self) -> "Books":
        return self

    def __exit__(self, *_: object) -> None:
        self._store.close()

    def entries(self) -> list[Entry]:
        """All rows, newest first."""
        rows: list[Entry] = []
        before: tuple[int, str] | None = None
        while page := self._store.entries(limit=PAGE_ROWS, before=before):
            rows += page
            before = (page[-1].at_us, page[-1].call_id)
        return rows

    def calls(self) -> list[Entry]:
        """Rows of calls that went upstream, or tried to."""
        return [row for row in self.entries() if row.outcome in (Outcome.SETTLED, Outcome.VOID)]

    def holds(self) -> list[OpenHold]:
        """Calls in flight."""
        return self._store.open_holds()

    def owners(self) -> list[Owner]:
        """Processes that may hold money."""
        return self._store.owners()

    def balances(self, budget: str) -> list[Balance]:
        """The accounts of a budget."""
        return self._store.balances(budget=budget)

    def balance(self, budget: str) -> Balance:
        """The one account of a budget."""
        (balance,) = self.balances(budget)
        return balance

    def settled_nanodollars(self, environment: str = "development") -> int:
        """The sum over all entries of an environment."""
        return sum(row.cost_nanodollars for row in self.entries() if row.facts.environment == environment)


def planned_number(entry: Entry) -> int:
    """The planned call that an entry is about."""
    return int(entry.facts.labels["call"])


def verify(ledger: Path) -> list[object]:
    """Ask `farthing ledger verify`; answer the differences it found."""
    done = subprocess.run(
        [sys.executable, "-m", "farthing", "ledger", "verify", "--ledger", f"sqlite:///{ledger}", "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    told = json.loads(done.stdout)
    assert (done.returncode == 0) == told["ok"], done.stderr
    differences: list[object] = told["differences"]
    return differences


def holds_open(ledger: Path) -> int:
    """How many calls are in flight."""
    with Books(ledger) as books:
        return len(books.holds())


def owners_known(ledger: Path) -> int:
    """How many processes may hold money."""
    with Books(ledger) as books:
        return len(books.owners())


def assert_booked_as_billed(log: Path, ledger: Path) -> int:
    """Every call that went upstream is in the books once, at exactly what was billed; answer how many."""
    received = received_by(log)
    with Books(ledger) as books:
        rows = books.calls()
        assert books.holds() == []
    assert {planned_number(row): row.cost_nanodollars for row in rows} == {
        one.call: one.cost_nanodollars for one in received
    }
    assert len(rows) == len(received)
    assert not any(row.assumed for row in rows)
    assert verify(ledger) == []
    return len(rows)
