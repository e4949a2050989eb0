"""Whatever happens under policies with rules of every kind: a refusal takes nothing, no call goes astray."""

import random
import tempfile
from functools import lru_cache
from pathlib import Path

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
)

from farthing.config.load import load_policy
from farthing.domain.call import Call, Identity
from farthing.domain.errors import Refused
from farthing.domain.names import names_model
from farthing.domain.usage import Metered
from farthing.engine.governor import Grant
from farthing.engine.hops import next_attempt
from farthing.engine.offers import priced_provider
from farthing.engine.outcomes import Ending, Exchange
from farthing.engine.terms import NO_TERMS, Terms
from farthing.ledger.entries import Unit
from farthing.ledger.memory import MemoryStore
from farthing.policy.decide import payers
from farthing.policy.rules import Policy
from farthing.prices.book import load_book
from farthing.prices.price import dearness
from tests.builders import Clock, a_call, a_governor, metered
from tests.generated import DEVELOPERS, ENVIRONMENTS, GROUP_OF, LABELS, MODELS, NAMES, a_policy_file
from tests.running import PROVIDER_SECRETS

BOOK = load_book()
Made = tuple[Call, Grant]
FAILURES = (
    Exchange(ending=Ending.ANSWERED, status=503),
    Exchange(ending=Ending.ANSWERED, status=429, retry_after_s=1),
    Exchange(ending=Ending.NEVER_CONNECTED),
    Exchange(ending=Ending.TIMED_OUT),
)


@lru_cache(maxsize=64)
def a_policy_of(seed: int) -> Policy:
    """A generated policy whose calls may try several targets."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "farthing.yaml")
        file.write_text(a_policy_file(random.Random(seed)), encoding="utf-8")
        policy = load_policy([file], PROVIDER_SECRETS).policy
    routes = tuple(msgspec.structs.replace(route, attempts=3) for route in policy.routes)
    return msgspec.structs.replace(policy, routes=routes)


class AnyLife(RuleBasedStateMachine):
    """Calls that are made, refused, answered, lost and tried elsewhere, while time passes."""

    grants: Bundle[Made] = Bundle("grants")

    @initialize(seed=st.integers(0, 60))
    def begin(self, seed: int) -> None:
        self.policy, self.clock, self.store = a_policy_of(seed), Clock(), MemoryStore()
        self.governor = a_governor(self.store, self.policy, clock=self.clock)
        self.open: set[str] = set()

    def taken(self) -> dict[str, tuple[int, int]]:
        """What is settled and held in every account that has anything."""
        rows = self.store.balances()
        return {row.account: (row.settled, row.held) for row in rows if row.settled or row.held}

    def ask(self, call: Call, terms: Terms = NO_TERMS) -> Grant | None:
        before = self.taken()
        try:
            grant = self.governor.authorize(call, terms=terms)
        except Refused:
            assert self.taken() == before
            return None
        self.open.add(grant.call.call_id)
        self.stays_within_what_the_call_may_use(call, grant)
        return grant

    def stays_within_what_the_call_may_use(self, call: Call, grant: Grant) -> None:
        environment = self.policy.environments[call.identity.environment]
        assert call.facts.dialect.partition(".")[0] in grant.target.families
        assert grant.target.environments in ((), (environment.name,))
        observed = environment.at_limit == "observe"
        if environment.allow is not None and not observed:
            assert any(names_model(entry, grant.model) for entry in environment.allow)
        if grant.quote.candidate.reason in ("downgraded", "cheaper", "routed"):
            asked, served = self.price(call, call.facts.model), self.price(call, grant.model)
            assert asked is None or (served is not None and served <= asked)
        # Every budget that must pay for this target and model holds the call, and no other does.
        due = {payer.budget.name for payer in payers(call, self.policy, grant.quote.candidate)}
        paying = {row.budget for row in grant.balances if row.unit is Unit.NANODOLLARS}
        if self.policy.cost_tracked and grant.ceiling_nanodollars:
            assert due <= paying

    def price(self, call: Call, model: str) -> int | None:
        family = call.facts.dialect.partition(".")[0]
        prices = []
        for target in self.policy.targets:
            if family in target.families and target.environments in ((), (call.identity.environment,)):
                found = BOOK.find(priced_provider(BOOK, target, model, family), model, call.at_us)
                prices += [dearness(found.cards)] if found is not None else []
        return max(prices, default=None)

    @rule(
        target=grants,
        environment=st.sampled_from(ENVIRONMENTS),
        developer=st.sampled_from(DEVELOPERS),
        model=st.sampled_from([*MODELS, *NAMES]),
        cap=st.sampled_from([None, 100, 600, 4_000]),
        labels=st.fixed_dictionaries({}, optional={name: st.sampled_from(of) for name, of in LABELS.items()}),
        seconds=st.sampled_from([0, 1, 70, 4_000, 100_000]),
    )  # fmt: skip
    def call(
        self,
        environment: str,
        developer: str,
        model: str,
        cap: int | None,
        labels: dict[str, str],
        seconds: int,
    ) -> MultipleResults[Made] | Made:
        self.clock.at_us += seconds * 1_000_000 + 1
        dialects = {"claude": "anthropic.messages", "gemini": "gemini.generate", "text": "openai.embeddings"}
        dialect = dialects.get(model.partition("-")[0], "openai.chat")
        call = a_call(
            model, at_us=self.clock.at_us, dialect=dialect, labels=labels, run=labels.get("run"),
            output_cap=None if model.startswith("text") else cap, generates=not model.startswith("text"),
        )  # fmt: skip
        group = f"{GROUP_OF[developer]}-{environment}" if developer in GROUP_OF else None
        whose = Identity(
            environment=environment, key=developer, key_id=f"key_{developer}", developer=developer,
            group=group, wallet=GROUP_OF.get(developer),
        )  # fmt: skip
        call = msgspec.structs.replace(call, identity=whose)
        grant = self.ask(call)
        return multiple() if grant is None else (call, grant)

    @rule(made=grants, used=st.integers(1, 300), written=st.integers(0, 4_000))
    def answer(self, made: Made, used: int, written: int) -> None:
        _, grant = made
        written = min(written, grant.output_cap or written) if grant.call.facts.generates else 0
        self.end(grant, Exchange(ending=Ending.ANSWERED, status=200), metered(used, written))

    @rule(target=grants, made=grants, failure=st.sampled_from(FAILURES))
    def fail(self, made: Made, failure: Exchange) -> MultipleResults[Made] | Made:
        first, grant = made
        if grant.call.call_id not in self.open:
            return multiple()
        self.end(grant, failure, Metered(usage=None, complete=False))
        attempt = next_attempt(first, grant, "it failed", now_us=self.clock.at_us)
        if attempt is None:
            return multiple()
        tried = attempt.terms.hop.tried if attempt.terms.hop else ()
        following = self.ask(attempt.call, attempt.terms)
        if following is None:
            return multiple()
        assert following.target.id not in tried
        return first, following

    def end(self, grant: Grant, exchange: Exchange, read: Metered) -> None:
        if grant.call.call_id in self.open:
            self.open.discard(grant.call.call_id)
            self.governor.book(grant, self.governor.end_of(grant, exchange, read))

    @invariant()
    def the_ledger_adds_up(self) -> None:
        assert self.store.verify() == []
        assert len(self.store.open_holds()) == len(self.open)

    def teardown(self) -> None:
        self.governor.committer.stop()


TestAnyLife = AnyLife.TestCase
TestAnyLife.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
