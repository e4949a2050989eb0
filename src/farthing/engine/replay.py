"""Decide calls of the past again under another policy, in their own time, on a ledger of its own."""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from itertools import count

import msgspec

from farthing.domain.call import Call, Identity, RequestFacts
from farthing.domain.errors import Reason, Refused
from farthing.domain.period import MICROSECONDS, Period, window_of
from farthing.domain.premium_pass import PremiumPass
from farthing.domain.usage import Usage
from farthing.engine.governor import Governor
from farthing.engine.grant import Grant
from farthing.engine.passes import passes_of
from farthing.engine.terms import NO_TERMS, Terms
from farthing.ledger.committer import DEADLINE_S, Committer
from farthing.ledger.entries import (
    Answer,
    AtShort,
    Balance,
    Claim,
    Entry,
    Hold,
    Operation,
    Outcome,
    Settle,
    Tight,
    Void,
)
from farthing.ledger.raising import Raise, RaiseRow
from farthing.ledger.store import Store
from farthing.policy.rules import AtLimit, Policy
from farthing.policy.steering import Steering
from farthing.prices.book import PriceBook
from farthing.prices.cost import cost_nanodollars

# Refusals that no rule of a policy can change: nobody was known, somebody stopped it, the ledger was away.
_NOT_OURS = frozenset({Reason.INVALID_KEY, Reason.STOPPED, Reason.UNMETERED_PATH, Reason.LEDGER_UNAVAILABLE})
RUN_LASTS_US = 7 * 86_400 * MICROSECONDS
# What a guard was told by its own arguments, not by a policy.
_OF_CALLERS = ("downgrade_model: ", "fallback: ")


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a call, or would have.

    reason: of a refusal, or why this model; rule: the budget or rule behind it.
    assumed: the cost is not known, and counts as the most that it can be.
    """

    refused: bool
    reason: str
    rule: str | None = None
    model: str | None = None
    target: str | None = None
    clamped_to: int | None = None
    cost_nanodollars: int = 0
    assumed: bool = False


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """One call, as it was and as it would have been; the same where nothing can be said."""

    entry: Entry
    was: Verdict
    now: Verdict

    @property
    def change(self) -> str | None:
        """What is different, in one word; None where nothing is."""
        was, now = self.was, self.now
        if was.refused and now.refused:
            return None
        if was.refused != now.refused:
            return "refused" if now.refused else "let through"
        if was.model != now.model:
            return "downgraded" if now.reason in ("downgraded", "cheaper") else "other model"
        if was.clamped_to != now.clamped_to:
            return "clamped" if now.clamped_to is not None else "no longer clamped"
        return None


class _NoText(Exception):
    """The input would be counted, and its text was not kept."""


class _Books(Committer):
    """The ledger of a replay, in memory. counted: the next hold need not be tentative any more."""

    counted = False

    def submit(self, operation: Operation, *, deadline_s: float = DEADLINE_S) -> Answer:
        """Apply an operation at once."""
        if isinstance(operation, Hold) and self.counted:
            operation = msgspec.structs.replace(operation, tentative=False)
        answer = super().submit(operation, deadline_s=deadline_s)
        if isinstance(answer, Tight):
            raise _NoText
        return answer


class Replay:
    """One policy over the calls of the past. Feed it entries in the order of time.

    store: an empty ledger in memory, for the replay alone.
    """

    def __init__(
        self,
        policy: Policy,
        prices: PriceBook,
        store: Store,
        *,
        raises: Iterable[tuple[RaiseRow, Balance]] = (),
        passes: Sequence[PremiumPass] = (),
    ) -> None:
        self._now_us = 0
        self._books = _Books(store, self._clock, inline=True)
        self._policy = policy
        self._governor = self._new(policy, prices)
        self._observing = self._new(_observing(policy), prices)
        self._open: list[tuple[int, int, Grant, Settle | Void]] = []
        self._numbers = count()
        self._passes = passes
        self._raises = sorted(raises, key=lambda raised: raised[0].at_us, reverse=True)

    def _new(self, policy: Policy, prices: PriceBook) -> Governor:
        return Governor(policy=policy, prices=prices, committer=self._books, clock=self._clock)

    def _call_of(self, entry: Entry) -> Call:
        call = call_of(entry)
        held = passes_of(self._passes, call.identity)
        if not held:
            return call
        return msgspec.structs.replace(call, identity=msgspec.structs.replace(call.identity, passes=held))

    def _clock(self) -> int:
        return self._now_us

    # ── what comes in ───────────────────────────────────────────────────────────────────────────

    def book(self, entry: Entry) -> None:
        """Take a call as it was, without deciding it: it spent money of windows that are still open."""
        self._advance(entry.at_us)
        if entry.outcome is Outcome.SETTLED:
            self._keep(entry)

    def decide(self, entry: Entry) -> Replayed:
        """Decide a call again."""
        self._advance(entry.at_us)
        was = verdict_of(entry)
        if not self._can_be_decided(entry):
            if entry.outcome is Outcome.SETTLED:
                self._keep(entry)
            return Replayed(entry=entry, was=was, now=was)
        outcome = self._authorize(entry, was)
        if isinstance(outcome, Refused):
            refusal = outcome.refusal
            rule = refusal.budget or refusal.message
            return Replayed(
                entry=entry, was=was, now=Verdict(refused=True, reason=refusal.reason.value, rule=rule)
            )
        now = self._end(entry, outcome, was)
        return Replayed(entry=entry, was=was, now=now)

    def _can_be_decided(self, entry: Entry) -> bool:
        facts = entry.facts
        if facts.request is None or facts.attempt > 1 or entry.outcome is Outcome.CACHED:
            return False
        if entry.outcome is not Outcome.REFUSED:
            return True
        # A guard, which has no key, may have brought along a budget that no policy knows.
        ours = entry.short is None or facts.key_id is not None or self._knows(entry.short.balance)
        return ours and entry.reason not in _NOT_OURS

    def _knows(self, balance: Balance) -> bool:
        name = balance.budget
        return ":" in name or any(budget.name == name for budget in self._policy.budgets)

    # ── deciding ────────────────────────────────────────────────────────────────────────────────

    def _authorize(self, entry: Entry, was: Verdict) -> Grant | Refused:
        call = self._call_of(entry)
        terms = _terms_of(entry)
        while True:
            outcome = self._ask(self._governor, call, entry, terms)
            if isinstance(outcome, Grant) or was.refused or not self._open:
                return outcome
            if outcome.refusal.reason is not Reason.BUDGET_HELD:
                return outcome
            # It was made, so it may have waited for the money that others held.
            self._end_next()

    def _ask(self, governor: Governor, call: Call, entry: Entry, terms: Terms) -> Grant | Refused:
        hint = call.facts.provider
        try:
            return governor.authorize(call, provider_hint=hint, terms=terms)
        except Refused as refused:
            return refused
        except _NoText:
            pass
        # Where nobody counted, the usage that was reported is the best count; else the bytes must do.
        facts = call.facts
        if facts.input_tokens is None and entry.usage is not None:
            facts = msgspec.structs.replace(facts, input_tokens=entry.usage.input_tokens)
        self._books.counted = True
        try:
            return governor.authorize(
                msgspec.structs.replace(call, facts=facts), provider_hint=hint, terms=terms
            )
        except Refused as refused:
            return refused
        finally:
            self._books.counted = False

    def _keep(self, entry: Entry) -> None:
        """Book what a call cost, whatever its policy would say to it."""
        grant = self._ask(self._observing, self._call_of(entry), entry, _terms_of(entry))
        if isinstance(grant, Grant):
            self._end(entry, grant, verdict_of(entry), as_it_was=True)

    # ── ending ──────────────────────────────────────────────────────────────────────────────────

    def _end(self, entry: Entry, grant: Grant, was: Verdict, *, as_it_was: bool = False) -> Verdict:
        same = as_it_was or (
            not was.refused and (was.model, was.clamped_to) == (grant.model, _clamped_to(grant))
        )
        cost, usage, assumed = was.cost_nanodollars, entry.usage, was.assumed
        if not same and entry.outcome is not Outcome.VOID:
            cost, usage, assumed = _cost_now(entry, grant)
        at_us = max(entry.ended_at_us, entry.at_us)
        operation: Settle | Void = Settle(
            call_id=entry.call_id,
            at_us=at_us,
            cost_nanodollars=cost,
            usage=usage,
            assumed=assumed,
            assumed_rule="replayed" if assumed else None,
        )
        if entry.outcome is Outcome.VOID:
            operation = Void(call_id=entry.call_id, at_us=at_us, rule="replayed")
            cost = 0
        heapq.heappush(self._open, (at_us, next(self._numbers), grant, operation))
        rule = "; ".join(grant.quote.candidate.rules) or None
        return Verdict(
            refused=False,
            reason=grant.quote.candidate.reason,
            rule=rule if not grant.clamped else _tightest(grant),
            model=grant.model,
            target=grant.target.id,
            clamped_to=_clamped_to(grant),
            cost_nanodollars=cost,
            assumed=assumed,
        )

    def _advance(self, at_us: int) -> None:
        """Let time pass: calls that ended before this moment are settled, and limits raised."""
        while self._open and self._open[0][0] <= at_us:
            self._raise_until(self._open[0][0])
            self._end_next()
        self._raise_until(at_us)
        self._now_us = max(self._now_us, at_us)

    def _end_next(self) -> None:
        at_us, _, grant, operation = heapq.heappop(self._open)
        self._now_us = max(self._now_us, at_us)
        self._governor.book(grant, operation)

    def _raise_until(self, at_us: int) -> None:
        while self._raises and self._raises[-1][0].at_us <= at_us:
            row, balance = self._raises.pop()
            claim = Claim(
                account=balance.account,
                unit=balance.unit,
                limit=balance.limit,
                at_short=AtShort.PASS,
                budget=balance.budget,
                value=balance.value,
                window=balance.window,
                starts_at_us=balance.starts_at_us,
                ends_at_us=balance.ends_at_us,
            )
            self._governor.committer.submit(
                Raise(
                    raise_id=row.raise_id,
                    claim=claim,
                    at_us=row.at_us,
                    amount=row.amount,
                    by=row.by,
                    reason=row.reason,
                    until_us=row.until_us,
                )
            )


def verdict_of(entry: Entry) -> Verdict:
    """What became of a call, as its entry says."""
    if entry.outcome is Outcome.REFUSED:
        rule = entry.short.balance.budget if entry.short else "; ".join(entry.rules) or None
        return Verdict(refused=True, reason=entry.reason, rule=rule)
    return Verdict(
        refused=False,
        reason=entry.reason,
        rule="; ".join(entry.rules) or None,
        model=entry.model_served,
        target=entry.target,
        clamped_to=entry.clamped_to,
        cost_nanodollars=entry.cost_nanodollars,
        assumed=entry.assumed,
    )


def call_of(entry: Entry) -> Call:
    """The call behind an entry, as it was asked for."""
    facts = entry.facts
    return Call(
        call_id=entry.call_id,
        request_id=facts.request_id,
        at_us=entry.at_us,
        identity=Identity(
            environment=facts.environment,
            key=facts.key,
            key_id=facts.key_id,
            group=facts.group,
            developer=facts.developer,
            wallet=facts.wallet,
        ),
        facts=facts.request
        or RequestFacts(dialect=facts.dialect, model=facts.model_asked, stream=facts.stream),
        attempt=facts.attempt,
        labels=facts.labels,
        run=facts.run,
    )


def earliest_window_us(policy: Policy, at_us: int) -> int:
    """When the oldest window began that counts at a moment; 0 where one has no beginning.

    A run may have begun at any time: it is looked for as far back as runs usually last.
    """
    periods = [(budget.period, budget.zone) for budget in policy.budgets]
    periods += [(wallet.period or Period.TOTAL, policy.zone) for wallet in policy.wallets]
    starts = [window_of(period, at_us, zone).starts_at_us or 0 for period, zone in periods]
    if any(period is Period.RUN for period, _ in periods):
        starts.append(at_us - RUN_LASTS_US)
    return max(min(starts, default=at_us), 0)


def _terms_of(entry: Entry) -> Terms:
    """A guard may have been told a cheaper model by its arguments; then it keeps that model."""
    told = any(rule.startswith(_OF_CALLERS) for rule in entry.rules)
    return Terms(steering=Steering(always=entry.model_served)) if told else NO_TERMS


def _observing(policy: Policy) -> Policy:
    """The same policy, blocking nothing."""
    replace = msgspec.structs.replace
    environments: Mapping[str, object] = {
        name: replace(one, at_limit=AtLimit.OBSERVE) for name, one in policy.environments.items()
    }
    budgets = tuple(replace(budget, at_limit=AtLimit.OBSERVE) for budget in policy.budgets)
    return replace(policy, environments=environments, budgets=budgets)


def _clamped_to(grant: Grant) -> int | None:
    return grant.output_cap if grant.clamped else None


def _cost_now(entry: Entry, grant: Grant) -> tuple[int, Usage | None, bool]:
    """What a call would cost now: its own usage at the new price, else the most it can cost."""
    usage, price = entry.usage, grant.quote.price
    if price is None:
        return 0, usage, False
    if usage is None or entry.assumed:
        return grant.ceiling_nanodollars, None, True
    if grant.clamped and grant.output_cap is not None:
        most = grant.output_cap * (entry.facts.request.choices if entry.facts.request else 1)
        written = min(usage.output_tokens or 0, most)
        usage = msgspec.structs.replace(
            usage, output_tokens=written, reasoning=min(usage.reasoning or 0, written)
        )
    return cost_nanodollars(usage, price, service_tier=entry.service_tier).nanodollars, usage, False


def _tightest(grant: Grant) -> str | None:
    """The budget that left least: the one that a cap was lowered for."""
    money = [balance for balance in grant.balances if balance.unit.value == "nanodollars"]
    return min(money, key=lambda balance: balance.remaining).budget if money else None
