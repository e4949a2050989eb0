"""Authorize a call, settle it, void it: the one journey that both doors take."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import lru_cache

import msgspec

from farthing.domain.call import Call
from farthing.domain.errors import LedgerUnavailable, Refusal, Refused
from farthing.domain.usage import Metered, Usage
from farthing.engine.alarms import Alarms
from farthing.engine.call_ids import new_call_id
from farthing.engine.counting import count_input
from farthing.engine.entry_facts import entry_facts
from farthing.engine.grant import Grant
from farthing.engine.offers import Quote, offer_of, quotes_of
from farthing.engine.outcomes import Exchange, Owed, booking, owed
from farthing.engine.proposing import proposal_for, within_reach
from farthing.engine.recount import can_be_counted, counted_ceiling, counted_quote
from farthing.engine.refusals import RefusalMemory, ledger_unavailable, refusal_for, stopped
from farthing.engine.routes import Routes
from farthing.engine.terms import NO_TERMS, Freed, Terms
from farthing.ledger.committer import Committer
from farthing.ledger.entries import (
    Answer,
    AtShort,
    Booked,
    Held,
    Hold,
    Outcome,
    Record,
    Settle,
    Short,
    Stopped,
    Tight,
    Unit,
    Void,
)
from farthing.ledger.store import BatchPoisoned
from farthing.policy.decide import Proposal
from farthing.policy.routing import others_remain
from farthing.policy.rules import Environment, OnLedgerFailure, Policy, Route
from farthing.prices.book import PriceBook
from farthing.prices.cost import cost_nanodollars
from farthing.prices.price import Price

__all__ = ["Governor", "Grant"]


class _Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A call on its way to the ledger."""

    call: Call
    environment: Environment
    route: Route
    quotes: Sequence[Quote]
    hold: Hold
    terms: Terms

    def others_remain(self, taken: Quote) -> bool:
        """Whether another target might serve the call, should the one taken fail."""
        quotes = self.quotes
        return len(quotes) > 1 and others_remain([one.candidate for one in quotes], taken.candidate)


class Governor:
    """Decides about calls and books them, for one process.

    The policy proposes, the ledger disposes. Thread-safe; holds no money of its own.
    """

    def __init__(
        self,
        *,
        policy: Policy,
        prices: PriceBook,
        committer: Committer,
        clock: Callable[[], int],
        freed: Freed | None = None,
        routes: Routes | None = None,
    ) -> None:
        self.policy = policy
        self.prices = prices
        self.committer = committer
        self.clock = clock
        self.opened_without_ledger = 0
        self.routes = routes or Routes()
        self._freed = freed or Freed()
        self._memory = RefusalMemory()
        self._alarms = Alarms(policy, committer)
        # Settlements, and holds the ledger missed, wait until it answers: the provider has been paid.
        self._late: deque[tuple[Hold | None, Settle | Void]] = deque()
        self._writing_late = threading.Lock()

    def succeeded_by(self, policy: Policy, prices: PriceBook) -> "Governor":
        """Make the governor of the next policy; calls that this one granted end here, by its rules.

        What waits for the ledger, or for money, waits at both; what is known of targets, both know.
        """
        following = Governor(
            policy=policy,
            prices=prices,
            committer=self.committer,
            clock=self.clock,
            freed=self._freed,
            routes=self.routes,
        )
        following._late, following._writing_late = self._late, self._writing_late
        following.opened_without_ledger = self.opened_without_ledger
        return following

    # ── authorize ───────────────────────────────────────────────────────────────────────────────

    def authorize(
        self,
        call: Call,
        *,
        prompt: bytes = b"",
        provider_hint: str | None = None,
        terms: Terms = NO_TERMS,
    ) -> Grant:
        """Hold the ceiling of a call and say where to send it; waits for the ledger.

        Raises Refused, with nothing taken; LedgerUnavailable never leaves here: it is a refusal, or
        a grant without a hold where the environment is open on ledger failure.
        """
        prepared = self._prepare(call, provider_hint, terms)
        until = time.monotonic() + terms.patience_s if terms.patience_s else 0.0
        try:
            seen, answer = self._freed.count, self.committer.submit(prepared.hold)
            if isinstance(answer, Tight) and prepared.hold.tentative:
                prepared = self._counted(prepared, provider_hint, prompt)
                seen, answer = self._freed.count, self.committer.submit(prepared.hold)
            asked = 0
            while isinstance(answer, Tight):
                if not self._freed.wait(seen, until, asked):
                    prepared = _at_once(prepared)
                asked += 1
                seen, answer = self._freed.count, self.committer.submit(prepared.hold)
        except LedgerUnavailable as error:
            return self._without_ledger(prepared, error)
        return self._granted(prepared, answer, provider_hint, prompt)

    async def authorize_async(
        self,
        call: Call,
        *,
        prompt: bytes = b"",
        provider_hint: str | None = None,
        terms: Terms = NO_TERMS,
    ) -> Grant:
        """Do as authorize does, without blocking the event loop."""
        prepared = self._prepare(call, provider_hint, terms)
        until = time.monotonic() + terms.patience_s if terms.patience_s else 0.0
        try:
            seen, answer = self._freed.count, await self.committer.submit_async(prepared.hold)
            if isinstance(answer, Tight) and prepared.hold.tentative:
                # Counting a large prompt takes a while, and a vocabulary is loaded at first use.
                prepared = await asyncio.to_thread(self._counted, prepared, provider_hint, prompt)
                seen, answer = self._freed.count, await self.committer.submit_async(prepared.hold)
            asked = 0
            while isinstance(answer, Tight):
                if not await self._freed.wait_async(seen, until, asked):
                    prepared = _at_once(prepared)
                asked += 1
                seen, answer = self._freed.count, await self.committer.submit_async(prepared.hold)
        except LedgerUnavailable as error:
            return self._without_ledger(prepared, error)
        return self._granted(prepared, answer, provider_hint, prompt)

    def _prepare(self, call: Call, provider_hint: str | None, terms: Terms) -> _Prepared:
        remembered = self._memory.recall(call, provider_hint)
        if remembered is not None:
            raise Refused(remembered)
        proposal = self._propose(call, provider_hint, terms)
        quotes = quotes_of(call, proposal, self.policy, self.prices)
        if isinstance(quotes, Refusal):
            raise self._refused_by_rule(call, quotes, provider_hint)
        tentative = any(quote.facts.vocabulary for quote in quotes) and not call.facts.unbounded
        return self._with_hold(call, proposal, quotes, terms, tentative=tentative)

    def _with_hold(
        self,
        call: Call,
        proposal: Proposal,
        quotes: Sequence[Quote],
        terms: Terms,
        *,
        tentative: bool,
    ) -> _Prepared:
        environment, route = proposal.environment, proposal.route
        offers = tuple(offer_of(call, quote, environment, self.policy, terms.payers) for quote in quotes)
        if not proposal.fixed:
            quotes, offers = self.routes.arrange(call, quotes, offers, route, terms.hop)
        hold = Hold(
            call_id=call.call_id,
            at_us=call.at_us,
            owner=self.committer.owner,
            facts=entry_facts(call, self.policy),
            offers=offers,
            tentative=tentative,
            waits=terms.patience_s > 0,
            keeps=terms.keeps,
        )
        return _Prepared(
            call=call, environment=environment, route=route, quotes=quotes, hold=hold, terms=terms
        )

    def _propose(self, call: Call, provider_hint: str | None, terms: Terms) -> Proposal:
        proposal = proposal_for(call, self.policy, self.prices, terms.steering, provider_hint)
        if isinstance(proposal, Refusal):
            raise self._refused_by_rule(call, proposal, provider_hint)
        return within_reach(proposal, terms)

    def _counted(self, prepared: _Prepared, provider_hint: str | None, prompt: bytes) -> _Prepared:
        """Bound the input by an exact count, now that the byte bound has proved too wide."""
        call = prepared.call
        proposal = self._propose(call, provider_hint, prepared.terms)
        counted = lru_cache(lambda vocabulary: count_input(prompt, vocabulary))
        quotes = quotes_of(call, proposal, self.policy, self.prices, count=counted)
        assert not isinstance(quotes, Refusal)  # the same candidates were quoted a moment ago
        if (vocabulary := quotes[0].facts.vocabulary) is not None:
            facts = msgspec.structs.replace(call.facts, input_tokens=counted(vocabulary))
            call = msgspec.structs.replace(call, facts=facts)
        return self._with_hold(call, proposal, quotes, prepared.terms, tentative=False)

    def _granted(
        self, prepared: _Prepared, answer: Answer, provider_hint: str | None, prompt: bytes
    ) -> Grant:
        call = prepared.call
        if isinstance(answer, Stopped):
            refusal = stopped(answer.stop)
            self._memory.remember(call, refusal, provider_hint)
            raise Refused(refusal, call.call_id)
        if isinstance(answer, Short):
            refusal = refusal_for(answer, call, prepared.environment)
            self._alarms.look_at_refusal(call, (quote.candidate for quote in prepared.quotes), answer)
            # What is only held may be free again at any moment; what others cannot pay, the first might.
            if answer.final and prepared.terms.hop is None:
                self._memory.remember(call, refusal, provider_hint, offers=prepared.hold.offers)
            raise Refused(refusal, call.call_id)
        assert isinstance(answer, Held)
        quote = prepared.quotes[answer.offer]
        self.routes.began(quote.candidate.target.id, call.at_us)
        cap = answer.output_cap if answer.clamped else quote.output_cap
        return Grant(
            call=call,
            environment=prepared.environment,
            quote=quote,
            output_cap=cap,
            ceiling_nanodollars=answer.ceiling_nanodollars,
            balances=answer.balances,
            clamped=answer.clamped,
            would_refuse=answer.would_refuse,
            terms=prepared.terms,
            prompt=prompt,
            route=prepared.route,
            others_remain=prepared.others_remain(quote),
        )

    def _without_ledger(self, prepared: _Prepared, error: LedgerUnavailable) -> Grant:
        if prepared.environment.on_ledger_failure is OnLedgerFailure.CLOSED:
            raise Refused(ledger_unavailable(error)) from error
        self.opened_without_ledger += 1
        offer, quote = prepared.hold.offers[0], prepared.quotes[0]
        self.routes.began(quote.candidate.target.id, prepared.call.at_us)
        return Grant(
            call=prepared.call,
            environment=prepared.environment,
            quote=quote,
            output_cap=quote.output_cap,
            ceiling_nanodollars=offer.needs[Unit.NANODOLLARS].at(offer.output_full),
            balances=(),
            held=False,
            terms=prepared.terms,
            route=prepared.route,
            others_remain=prepared.others_remain(quote),
        )

    def _refused_by_rule(self, call: Call, refusal: Refusal, provider_hint: str | None) -> Refused:
        """Write the row of a refusal that needed no ledger, without making the caller wait for it."""
        self._memory.remember(call, refusal, provider_hint)
        self.record_refusal(call, refusal)
        return Refused(refusal, call.call_id)

    def record_refusal(self, call: Call, refusal: Refusal, *, count: int = 1) -> None:
        """Put a refusal on the ledger; it costs nothing and waits for nobody."""
        self.committer.submit_soon(
            Record(
                call_id=call.call_id,
                at_us=call.at_us,
                facts=entry_facts(call, self.policy),
                outcome=Outcome.REFUSED,
                reason=refusal.reason.value,
                rules=(refusal.message,),
                count=count,
            ),
            _nobody_waits,
        )

    # ── settle ──────────────────────────────────────────────────────────────────────────────────

    def end_of(self, grant: Grant, exchange: Exchange, metered: Metered) -> Settle | Void:
        """Make the ledger operation that ends a call, by the outcome rules."""
        now, ceiling = self.clock(), grant.ceiling_nanodollars
        self.routes.ended(grant.target.id, exchange, metered, began_us=grant.call.at_us, now_us=now)
        owes = self._owes(grant, exchange, metered, ceiling)
        if owes is not None and owes.assumed and can_be_counted(grant):
            ceiling = counted_ceiling(grant, self.policy, self.prices)
            owes = self._owes(grant, exchange, metered, ceiling)
        asked = self._cost_asked(grant, owes.usage, metered) if owes and not owes.assumed else None
        return booking(
            call_id=grant.call.call_id,
            at_us=now,
            owes=owes,
            exchange=exchange,
            metered=metered,
            cost_asked_nanodollars=asked,
            started_at_us=grant.call.at_us,
            ceiling_nanodollars=None if ceiling == grant.ceiling_nanodollars else ceiling,
        )

    def _owes(self, grant: Grant, exchange: Exchange, metered: Metered, ceiling: int) -> Owed | None:
        return owed(
            ending=exchange.ending,
            status=exchange.status,
            metered=metered,
            price=grant.quote.price,
            price_of=lambda model: self._price_beside(grant, model),
            ceiling_nanodollars=ceiling,
            cancelled_usage=exchange.cancelled_usage,
        )

    def input_bound(self, grant: Grant) -> int:
        """The most input tokens that a granted call can have had, counted where they can be."""
        return counted_quote(grant, self.policy, self.prices).input_tokens

    def book(self, grant: Grant, operation: Settle | Void) -> Booked | None:
        """Put the end of a call on the ledger and wait; None means it follows when the ledger answers."""
        if grant.held:
            try:
                return self._told(grant, self.committer.submit(operation))
            except LedgerUnavailable:
                pass
        self._wait(grant, operation)
        return None

    async def book_async(self, grant: Grant, operation: Settle | Void) -> Booked | None:
        """Do as book does, without blocking the event loop."""
        if grant.held:
            try:
                return self._told(grant, await self.committer.submit_async(operation))
            except LedgerUnavailable:
                pass
        self._wait(grant, operation)
        return None

    def forget(self, grant: Grant) -> None:
        """Drop a hold and leave no entry: a farthing gateway that the call went through has booked it."""
        rule = "booked_by_gateway"
        void = Void(call_id=grant.call.call_id, at_us=self.clock(), rule=rule, forget=True)
        self.committer.submit_soon(void, lambda _: self._freed.tell())

    def _told(self, grant: Grant, answer: Answer) -> Booked:
        assert isinstance(answer, Booked), answer
        self._freed.tell()
        self._alarms.look(grant.call, grant.quote.candidate, answer.balances)
        return answer

    def tick(self) -> None:
        """Write repeated refusals and what the ledger missed; a door calls this about once a second."""
        self._record_repeated(self._memory.take_repeated(self.clock()))
        self.write_late()

    def finish(self) -> None:
        """Do, before the committer stops, everything that would have waited for a moment to pass."""
        self._record_repeated(self._memory.take_repeated(None))
        self.write_late()

    def _record_repeated(self, repeated: Sequence[tuple[Call, Refusal, int]]) -> None:
        for call, refusal, count in repeated:
            row = msgspec.structs.replace(call, call_id=new_call_id(self.clock()))
            self.record_refusal(row, refusal, count=count)

    def write_late(self) -> None:
        """Write the settlements that the ledger missed; what it does not take now stays for the next time."""
        with self._writing_late:
            for _ in range(len(self._late)):
                hold, operation = self._late.popleft()
                try:
                    if hold is not None:
                        self.committer.submit(hold)
                    self.committer.submit(operation)
                except LedgerUnavailable as error:
                    self._late.append((hold, operation))
                    if not isinstance(error, BatchPoisoned):  # then the others can be written
                        return

    def _wait(self, grant: Grant, operation: Settle | Void) -> None:
        self._late.append((None if grant.held else self._hold_after_the_fact(grant), operation))

    def _hold_after_the_fact(self, grant: Grant) -> Hold:
        """Hold what a call took while the ledger was away: it cannot be refused any more."""
        offer = offer_of(grant.call, grant.quote, grant.environment, self.policy, grant.terms.payers)
        passed = tuple(msgspec.structs.replace(claim, at_short=AtShort.PASS) for claim in offer.claims)
        return Hold(
            call_id=grant.call.call_id,
            at_us=grant.call.at_us,
            owner=self.committer.owner,
            facts=entry_facts(grant.call, self.policy),
            offers=(msgspec.structs.replace(offer, claims=passed),),
            made=True,
        )

    @property
    def settlements_waiting(self) -> int:
        """Settlements that the ledger has not taken yet."""
        return len(self._late)

    def _price_beside(self, grant: Grant, model: str) -> Price | None:
        own = grant.quote.price
        return self.prices.find(own.provider, model, grant.call.at_us) if own else None

    def _cost_asked(self, grant: Grant, usage: Usage | None, metered: Metered) -> int | None:
        """What the same usage would have cost at the model that was asked for."""
        own, asked = grant.quote.price, grant.call.facts.model
        if own is None or usage is None or asked == grant.model:
            return None
        price = self.prices.find(own.provider, asked, grant.call.at_us)
        if price is None:
            return None
        return cost_nanodollars(usage, price, service_tier=metered.service_tier).nanodollars


def _nobody_waits(_: Answer | LedgerUnavailable) -> None:
    """Take the answer to a row that costs nothing."""


def _at_once(prepared: _Prepared) -> _Prepared:
    """The same call without patience: take what fits now, or be refused."""
    replace = msgspec.structs.replace
    return replace(prepared, hold=replace(prepared.hold, tentative=False, waits=False))
