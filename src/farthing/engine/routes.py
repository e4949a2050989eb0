"""What this process knows of targets: recent use, speed, failures and the rest they take after them."""

import os
import threading
import weakref
from collections import deque
from collections.abc import Sequence

import msgspec

from farthing.domain.call import Call
from farthing.domain.period import MICROSECONDS
from farthing.domain.usage import Metered
from farthing.engine.offers import Quote
from farthing.engine.outcomes import Ending, Exchange
from farthing.ledger.entries import Offer, Unit
from farthing.policy.routing import CHEAPER, FALLBACK, Hop, TargetFacts, draw_of, order
from farthing.policy.rules import Route, Strategy

# Answers that say that another target may do better.
FAILED_STATUSES = frozenset({429, 500, 502, 503, 504, 529})
_FAILED_ENDINGS = {
    Ending.NEVER_CONNECTED: "could not be reached",
    Ending.BROKEN: "broke the connection",
    Ending.TIMED_OUT: "kept silent for too long",
}
# Endings that were decided here and say nothing about the provider.
_NO_WORD = frozenset({Ending.CANCELLED, Ending.DRAIN_EXPIRED, Ending.SHUTDOWN})

FAILURES_BEFORE_REST = 3
REST_SECONDS = 5
REST_SECONDS_MAX = 300
WINDOW_US = 60 * MICROSECONDS


def why_failed(target_id: str, ending: Ending, status: int | None) -> str | None:
    """Say what a target did wrong, where another one may do better."""
    said = _FAILED_ENDINGS.get(ending)
    if said is None and ending is Ending.ANSWERED and status in FAILED_STATUSES:
        said = f"answered {status}"
    return None if said is None else f"{target_id} {said}"


class TargetStanding(msgspec.Struct, frozen=True, kw_only=True):
    """How a target did since this process started, and how it stands now."""

    target: str
    attempts: int
    failures: int
    resting: bool


class _Known:
    """One target, as its calls have shown it."""

    def __init__(self) -> None:
        self.attempts = 0
        self.failures = 0
        self.latency_us: int | None = None
        self.latency_at_us = 0
        self.failures_in_a_row = 0
        self.rests = 0
        self.rests_until_us = 0
        self.probed_until_us = 0
        self.used: deque[list[int]] = deque()  # [second, requests, tokens], oldest first
        self.requests = 0
        self.tokens = 0

    def use(self, now_us: int, *, requests: int = 0, tokens: int = 0) -> None:
        """Count into the second that is now."""
        second = now_us // MICROSECONDS
        if not self.used or self.used[-1][0] < second:
            self.used.append([second, 0, 0])
        self.used[-1][1] += requests
        self.used[-1][2] += tokens
        self.requests += requests
        self.tokens += tokens

    def facts(self, now_us: int) -> TargetFacts:
        """What is true of it now; what is older than a minute is forgotten."""
        oldest = (now_us - WINDOW_US) // MICROSECONDS
        while self.used and self.used[0][0] <= oldest:
            _, requests, tokens = self.used.popleft()
            self.requests -= requests
            self.tokens -= tokens
        known = self.latency_us is not None and now_us - self.latency_at_us <= WINDOW_US
        return TargetFacts(
            requests=self.requests,
            tokens=self.tokens,
            latency_us=self.latency_us if known else None,
            resting=self.is_resting(now_us),
        )

    def is_resting(self, now_us: int) -> bool:
        """Whether others are tried first: while it rests, and then while one call finds out how it is."""
        return now_us < self.rests_until_us or now_us < self.probed_until_us

    def rest(self, now_us: int, seconds: int) -> None:
        """Rest for so long, unless it rests for longer already."""
        self.rests_until_us = max(self.rests_until_us, now_us + seconds * MICROSECONDS)
        self.probed_until_us = 0

    def recover(self) -> None:
        """Take part again."""
        self.failures_in_a_row = self.rests = self.rests_until_us = self.probed_until_us = 0


class Routes:
    """Puts the offers of a call in order, and learns from how calls end. Thread-safe; one per process."""

    def __init__(self) -> None:
        self._targets: dict[str, _Known] = {}
        self._turn = 0
        self._tired: set[str] = set()  # those that rested and have not been well since
        self._make_lock()
        _all.add(self)

    def _make_lock(self) -> None:
        self._lock = threading.Lock()

    def arrange(
        self,
        call: Call,
        quotes: Sequence[Quote],
        offers: tuple[Offer, ...],
        route: Route,
        hop: Hop | None,
    ) -> tuple[Sequence[Quote], tuple[Offer, ...]]:
        """Put quotes and their offers in the order in which the ledger shall try them."""
        if len(quotes) > 1 and (self._tired or route.strategy is not Strategy.ORDERED):
            places = self._order(call, quotes, offers, route)
            quotes = [quotes[place] for place in places]
            offers = tuple([offers[place] for place in places])
            if route.strategy is not Strategy.ORDERED:
                offers = tuple([_with_rule(offer, f"routing: {route.strategy}") for offer in offers])
        if hop is not None:
            offers = tuple([_as_fallback(offer) for offer in offers])
        return quotes, offers

    def _order(
        self, call: Call, quotes: Sequence[Quote], offers: tuple[Offer, ...], route: Route
    ) -> list[int]:
        now_us = call.at_us
        with self._lock:
            facts = {
                quote.candidate.target.id: self._known(quote.candidate.target.id).facts(now_us)
                for quote in quotes
            }
            if call.attempt == 1:
                self._turn += 1
            turn = self._turn
        return order(
            [quote.candidate for quote in quotes],
            route.strategy,
            facts,
            draw=draw_of(turn),
            costs=[offer.needs[Unit.NANODOLLARS].at(offer.output_full) for offer in offers],
        )

    def _known(self, target_id: str) -> _Known:
        known = self._targets.get(target_id)
        if known is None:
            known = self._targets[target_id] = _Known()
        return known

    def began(self, target_id: str, now_us: int) -> None:
        """Count a call that goes to a target."""
        with self._lock:
            known = self._known(target_id)
            known.attempts += 1
            known.use(now_us, requests=1)
            if known.rests_until_us and now_us >= known.rests_until_us:
                known.probed_until_us = now_us + REST_SECONDS_MAX * MICROSECONDS

    def ended(
        self, target_id: str, exchange: Exchange, metered: Metered, *, began_us: int, now_us: int
    ) -> None:
        """Learn from a call that has ended."""
        failed = why_failed(target_id, exchange.ending, exchange.status) is not None
        with self._lock:
            known = self._known(target_id)
            if metered.usage is not None:
                known.use(now_us, tokens=metered.usage.total_tokens())
            if failed:
                known.failures += 1
                _note_failure(known, exchange, now_us)
                if known.rests_until_us:
                    self._tired.add(target_id)
            elif exchange.ending not in _NO_WORD:
                known.recover()
                self._tired.discard(target_id)
            else:
                known.probed_until_us = 0
            if not failed and exchange.first_byte_at_us is not None and (exchange.status or 0) < 300:
                took_us, before = exchange.first_byte_at_us - began_us, known.latency_us
                fresh = before is None or now_us - known.latency_at_us > WINDOW_US
                known.latency_us = took_us if fresh or before is None else (7 * before + took_us) // 8
                known.latency_at_us = now_us

    def standing(self, now_us: int) -> list[TargetStanding]:
        """Every target that was called, as it stands."""
        with self._lock:
            return [
                TargetStanding(
                    target=name,
                    attempts=known.attempts,
                    failures=known.failures,
                    resting=known.is_resting(now_us),
                )
                for name, known in sorted(self._targets.items())
            ]


def _note_failure(known: _Known, exchange: Exchange, now_us: int) -> None:
    """Rest for as long as the provider asks; else after a few failures, for longer each time."""
    known.failures_in_a_row += 1
    known.probed_until_us = 0
    if exchange.retry_after_s is not None:
        known.rest(now_us, min(exchange.retry_after_s, REST_SECONDS_MAX))
    elif now_us >= known.rests_until_us and (known.rests or known.failures_in_a_row >= FAILURES_BEFORE_REST):
        known.rest(now_us, min(REST_SECONDS << min(known.rests, 8), REST_SECONDS_MAX))
        known.rests += 1


def _with_rule(offer: Offer, rule: str) -> Offer:
    return msgspec.structs.replace(offer, rules=(*offer.rules, rule))


def _as_fallback(offer: Offer) -> Offer:
    """What was asked for goes by fallback now; a cheaper model is still taken for its price."""
    return offer if offer.reason == CHEAPER else msgspec.structs.replace(offer, reason=FALLBACK)


_all: weakref.WeakSet[Routes] = weakref.WeakSet()


def _make_locks() -> None:
    for routes in list(_all):
        routes._make_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_make_locks)
