"""Play any sequence of operations to every store: the invariants hold, and the answers are the same."""

import tempfile
from pathlib import Path
from unittest.mock import patch

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from farthing.domain.stop import Stop
from farthing.domain.usage import Usage
from farthing.ledger import memory_reports, sqlite_sums
from farthing.ledger.entries import (
    Answer,
    AtShort,
    Booked,
    Claim,
    Held,
    Hold,
    Need,
    Offer,
    Operation,
    Settle,
    Unit,
)
from farthing.ledger.memory import MemoryStore
from farthing.ledger.raising import Raise
from farthing.ledger.report_store import EXACT_MAX
from farthing.ledger.sqlite import SqliteStore
from farthing.ledger.store import Store
from tests.ledger.sentences import HOUR_US, NOON_US, bury, facts, refuse, void

LIMIT = 1_000
ACCOUNTS = {
    "strict": (Unit.NANODOLLARS, AtShort.REFUSE, LIMIT),
    "clamping": (Unit.NANODOLLARS, AtShort.CLAMP, LIMIT),
    "soft": (Unit.NANODOLLARS, AtShort.PASS, LIMIT // 2),
    "tokens": (Unit.TOKENS, AtShort.CLAMP, 2 * LIMIT),
    "rate": (Unit.REQUESTS, AtShort.REFUSE, 20),
    "open": (Unit.CALLS_OPEN, AtShort.REFUSE, 5),
}
HARD = [name for name, (_, at_short, _) in ACCOUNTS.items() if at_short is not AtShort.PASS]

call_ids = st.sampled_from([f"call-{number}" for number in range(30)])
owners = st.sampled_from(["us", "them"])
# Within a day and across the ends of days and months, and not in order: clocks differ, calls end late.
hours = st.sampled_from([0, 1, 2, 3, 13, 36, 37, 508, 509, 1300]).map(lambda hour: NOON_US + hour * HOUR_US)
amounts = st.integers(0, 400)
labels = st.dictionaries(
    st.sampled_from(["feature", "branch", "user_id", "tier", "user_id+tier"]), st.sampled_from(["a", "b", ""])
)
# What a stop may name here; most name one of several things, so that many calls go on.
matches = st.sampled_from(
    [{}, {"model": "big"}, {"model": "small"}, {"label:feature": "a"}, {"run": "r1"}, {"workflow": "tokens"}]
)


@st.composite
def raises(draw: st.DrawFn) -> Raise:
    name = draw(st.sampled_from(sorted(ACCOUNTS)))
    unit, at_short, limit = ACCOUNTS[name]
    return Raise(
        raise_id=draw(st.sampled_from([f"raise-{number}" for number in range(8)])),
        claim=Claim(account=name, unit=unit, limit=limit, at_short=at_short, budget=name),
        at_us=draw(hours),
        amount=draw(st.integers(-LIMIT, LIMIT)),
        until_us=draw(st.none() | hours),
        by="us",
        reason="test",
    )


@st.composite
def offers(draw: st.DrawFn) -> Offer:
    names = draw(st.sets(st.sampled_from(sorted(ACCOUNTS)), min_size=1))
    full = draw(st.integers(0, 600))
    return Offer(
        target="big",
        provider="openai",
        model=draw(st.sampled_from(["big", "small"])),
        needs={
            Unit.NANODOLLARS: Need(draw(amounts), draw(st.integers(0, 2_000_000))),
            Unit.TOKENS: Need(draw(amounts), 1_000_000),
        },
        claims=tuple(
            Claim(account=name, unit=unit, limit=limit, at_short=at_short, budget=name)
            for name, (unit, at_short, limit) in ACCOUNTS.items()
            if name in names
        ),
        output_full=full,
        output_floor=draw(st.integers(0, full)),
        reason=draw(st.sampled_from(["as_asked", "routed", "downgraded", "cheaper"])),
    )


@st.composite
def holds(draw: st.DrawFn) -> Hold:
    about = facts(
        labels=draw(labels),
        run=draw(st.sampled_from([None, "r1", "r2"])),
        environment=draw(st.sampled_from(["development", "production"])),
        developer=draw(st.sampled_from([None, "alice", "bob"])),
        prompt_hash=draw(st.sampled_from([None, "p1"])),
        cost_tracked=draw(st.sampled_from([True, True, False])),
    )
    return Hold(
        call_id=draw(call_ids),
        at_us=draw(hours),
        owner=draw(owners),
        facts=about,
        offers=tuple(draw(st.lists(offers(), min_size=1, max_size=3))),
    )


@st.composite
def settlements(draw: st.DrawFn) -> Settle:
    assumed = draw(st.booleans())
    return Settle(
        call_id=draw(call_ids),
        at_us=draw(hours),
        cost_nanodollars=draw(amounts),
        cost_asked_nanodollars=draw(st.none() | amounts),
        usage=None if assumed else Usage(input_tokens=draw(amounts), output_tokens=draw(amounts)),
        assumed=assumed,
        assumed_rule="stream_broke" if assumed else None,
    )


operations: st.SearchStrategy[Operation] = (
    holds()
    | holds()
    | settlements()
    | call_ids.map(void)
    | raises()
    | call_ids.map(lambda call_id: refuse(call_id))
    | owners.map(bury)
)


SPANS = (
    (None, None),
    (NOON_US, None),
    (None, NOON_US + 40 * HOUR_US),
    (NOON_US - 12 * HOUR_US, NOON_US + 12 * HOUR_US),
    (NOON_US + 1, NOON_US + 509 * HOUR_US),
    (NOON_US + 10 * HOUR_US, NOON_US + 1301 * HOUR_US),
    (NOON_US + HOUR_US, NOON_US + HOUR_US),
)
SLICES: tuple[list[str], ...] = (
    ["hour", "model", "key"],
    ["day", "environment"],
    ["environment", "month"],
    ["developer", "model_asked"],
    ["run", "environment"],
    ["label:feature", "hour"],
    ["label:user_id", "month"],
    ["label:user_id+tier"],
    ["label:user_id", "label:tier", "day"],
    [],
)


def everything(store: Store, since_us: int | None, until_us: int | None) -> list[object]:
    """What a store answers to each question that reports ask, about one span."""
    return [
        *[store.spend(by=by, since_us=since_us, until_us=until_us) for by in SLICES],
        *[
            store.cost_counts(of=of, by=by, since_us=since_us, until_us=until_us)
            for of, by in (
                ("calls", ["label:feature", "environment"]),
                ("calls", []),
                ("runs", ["environment"]),
            )
        ],
        *[
            store.reasons(by=by, since_us=since_us, until_us=until_us)
            for by in (["reason", "month"], ["day", "account", "developer"], ["budget", "key", "group"])
        ],
        store.activity(since_us=since_us or 0, until_us=until_us or 2 * NOON_US),
        store.prompts(least=3, since_us=since_us or 0, until_us=until_us or 2 * NOON_US),
    ]


class AnySequence(RuleBasedStateMachine):
    """Two stores side by side, and a little bookkeeping of our own to check them against."""

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.memory = MemoryStore()
        self.sqlite = SqliteStore(Path(self.folder.name) / "ledger.db")
        self.ceilings: dict[str, int] = {}
        self.beyond = 0
        self.highest: dict[str, int] = {}
        self.first_booked: dict[str, Booked] = {}

    def teardown(self) -> None:
        if hasattr(self, "sqlite"):
            assert self.memory.verify() == self.sqlite.verify() == []  # I5
            assert self.memory.entries() == self.sqlite.entries()
            assert self.memory.raises() == self.sqlite.raises()
            for exact_max in (EXACT_MAX, 2):
                self.check_reports(exact_max)
            self.sqlite.close()
            self.folder.cleanup()

    def check_reports(self, exact_max: int) -> None:
        with (
            patch.object(memory_reports, "EXACT_MAX", exact_max),
            patch.object(sqlite_sums, "EXACT_MAX", exact_max),
        ):
            for span in SPANS:
                assert everything(self.memory, *span) == everything(self.sqlite, *span)

    @rule(batch=st.lists(operations, max_size=6))
    def a_batch(self, batch: list[Operation]) -> None:
        answers = self.memory.apply(batch)
        assert self.sqlite.apply(batch) == answers
        for operation, answer in zip(batch, answers, strict=True):
            self.remember(operation, answer)

    @rule(operation=operations)
    def one(self, operation: Operation) -> None:
        before = {balance.account: balance for balance in self.memory.balances()}
        self.a_batch([operation])
        granted = isinstance(operation, Hold) and any(
            hold.call_id == operation.call_id for hold in self.memory.open_holds()
        )
        if isinstance(operation, Hold) and not granted:
            after = {balance.account: balance for balance in self.memory.balances()}
            for name, balance in after.items():  # I4
                assert (balance.settled, balance.held) == (before[name].settled, before[name].held)

    @rule(match=matches, at_us=hours)
    def stop(self, match: dict[str, str], at_us: int) -> None:
        stop_id = f"stop_{len(self.memory.stops())}"
        for store in (self.memory, self.sqlite):
            store.add_stop(Stop(stop_id=stop_id, match=match, reason="test", by="us", at_us=at_us))

    @rule(number=st.integers(0, 5), at_us=hours)
    def resume(self, number: int, at_us: int) -> None:
        lifted = [
            store.resume(f"stop_{number}", at_us=at_us, by="us", reason="")
            for store in (self.memory, self.sqlite)
        ]
        assert lifted[0] == lifted[1]
        assert self.memory.stops() == self.sqlite.stops()

    def remember(self, operation: Operation, answer: Answer) -> None:
        if isinstance(answer, Held):
            if answer.call_id not in self.ceilings:
                for balance in answer.balances:  # I1, at the moment of the grant, with what was raised
                    assert balance.account not in HARD or balance.remaining >= 0
                    self.highest[balance.account] = max(
                        self.highest.get(balance.account, balance.limit), balance.limit
                    )
            first = self.ceilings.setdefault(answer.call_id, answer.ceiling_nanodollars)
            assert first == answer.ceiling_nanodollars  # I2
        if isinstance(answer, Booked):
            first_booked = self.first_booked.setdefault(answer.call_id, answer)
            if first_booked is not answer:  # I2, I3
                assert answer.already
                assert answer.outcome is first_booked.outcome
            if isinstance(operation, Settle) and (not answer.already or answer.corrected):
                self.beyond += self.over(operation)

    def over(self, settle: Settle) -> int:
        """What a settlement takes beyond its hold, in money or in tokens: the allowed overrun."""
        used = settle.usage.total_tokens() if settle.usage else 0
        return max(settle.cost_nanodollars - self.ceilings[settle.call_id], 0) + used

    @precondition(lambda self: hasattr(self, "memory"))
    @invariant()
    def balances_agree_and_limits_hold(self) -> None:
        balances = self.memory.balances()
        assert self.sqlite.balances() == balances
        for at_us in (NOON_US, NOON_US + 2 * HOUR_US):
            assert self.sqlite.balances(at_us=at_us) == self.memory.balances(at_us=at_us)
        assert self.sqlite.open_holds() == self.memory.open_holds()
        for balance in balances:
            assert balance.held >= 0
            if balance.account in HARD and balance.account in self.highest:  # I1
                assert balance.settled + balance.held <= self.highest[balance.account] + self.beyond


AnySequence.TestCase.settings = settings(
    max_examples=30, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
TestAnySequence = AnySequence.TestCase
