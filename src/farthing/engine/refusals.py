"""Why a call was refused, in words and numbers; repeats within a second are answered from memory."""

import shlex
import threading
from collections.abc import Sequence

import msgspec

from farthing.domain.call import Call, RequestFacts
from farthing.domain.errors import LedgerUnavailable, Reason, Refusal
from farthing.domain.money import dollars
from farthing.domain.period import MICROSECONDS, RUN_WINDOW, iso_utc
from farthing.domain.premium_pass import ACCOUNT_PREFIX
from farthing.domain.stop import Stop
from farthing.engine.offers import ONE_CALL
from farthing.ledger.entries import Balance, Offer, Short, Unit
from farthing.policy.rules import Environment
from farthing.policy.wallets import team_of

REMEMBERED_US = MICROSECONDS
REMEMBERED_MAX = 10_000
HELD_RETRY_SECONDS = 1


def refusal_for(short: Short, call: Call, environment: Environment) -> Refusal:
    """Explain a hold that was not granted: which budget, its numbers, and how to go on."""
    balance = short.balance
    numbers = {
        "budget": balance.budget,
        "window": balance.window,
        "unit": balance.unit.value,
        "limit": balance.limit,
        "spent": balance.settled,
        "held": balance.held,
        "needed": short.needed,
        "resets_at": iso_utc(balance.ends_at_us) if balance.ends_at_us is not None else None,
    }
    if balance.unit is not Unit.NANODOLLARS:
        wait_s = _wait_s(short, call)
        return Refusal(
            reason=Reason.RATE_LIMITED,
            message=_limited(short, environment),
            fix=f"try again in {wait_s} s" if wait_s else "lower the output cap or shorten the input",
            retry_after_s=wait_s,
            **numbers,  # type: ignore[arg-type]
        )
    if balance.window == ONE_CALL:
        return Refusal(
            reason=Reason.BUDGET_EXCEEDED,
            message=f"this call could cost up to {dollars(short.needed)}, and {balance.budget} lets no call "
            f"cost more than {dollars(balance.limit)}",
            fix="lower the output cap or shorten the input, or ask the owner of the policy for a higher "
            "call_limit",
            **numbers,  # type: ignore[arg-type]
        )
    team = team_of(balance.budget)
    scope = f"wallet {team}" if team else f"budget {balance.budget}"
    scope += f" of {balance.value}" if balance.value else ""
    state = (
        f"{dollars(balance.settled)} spent and {dollars(balance.held)} held of "
        f"{dollars(balance.limit)} in {balance.window}; this call needs up to {dollars(short.needed)}"
    )
    if short.final:
        return Refusal(
            reason=Reason(short.reason),
            message=f"{scope} cannot pay for this call: {state}",
            fix=_fix(short, numbers["resets_at"]),
            **numbers,  # type: ignore[arg-type]
        )
    return Refusal(
        reason=Reason.BUDGET_HELD,
        message=f"the money of {scope} is held by calls in flight: {state}",
        fix="try again in a moment, when those calls have ended",
        retry_after_s=HELD_RETRY_SECONDS,
        **numbers,  # type: ignore[arg-type]
    )


def _wait_s(short: Short, call: Call) -> int | None:
    """When it is worth asking again: never, where the call needs more than the whole limit."""
    balance = short.balance
    if short.needed > balance.limit:
        return None
    if not short.final or balance.ends_at_us is None:
        return HELD_RETRY_SECONDS
    return max(1, -(-(balance.ends_at_us - call.at_us) // MICROSECONDS))


def _limited(short: Short, environment: Environment) -> str:
    """Say which limit a call would break, and how much of it is used."""
    balance = short.balance
    what = balance.unit.value.replace("_", " ")
    whose = f" for {balance.value}" if balance.value else ""
    until = f" until {iso_utc(balance.ends_at_us)}" if balance.ends_at_us is not None else ""
    said = f"{balance.limit:,} {what} are allowed{whose} in {environment.name} ({balance.budget})"
    if short.needed > balance.limit:
        return f"{said}, and this call alone needs up to {short.needed:,}"
    if balance.unit is Unit.TOKENS:
        used = f"{balance.settled:,} are used and {balance.held:,} held{until}"
        return f"{said}; {used}, and this call needs up to {short.needed:,}"
    return f"{said}, and they are used up{until}"


def ledger_unavailable(error: LedgerUnavailable) -> Refusal:
    """Say that nobody can be known and no money held while the ledger is away."""
    return Refusal(
        reason=Reason.LEDGER_UNAVAILABLE,
        message=f"the ledger cannot answer ({error}), so no money can be held for this call",
        fix="try again; see  farthing doctor  on the host of the gateway",
        retry_after_s=1,
    )


def stopped(stop: Stop) -> Refusal:
    """Say what somebody stopped, and how the stop is lifted."""
    return Refusal(
        reason=Reason.STOPPED,
        message=str(stop),
        fix=f"farthing resume {stop.stop_id}  lifts the stop, for whoever may",
    )


def _fix(short: Short, resets_at: object) -> str:
    balance = short.balance
    ways = []
    if balance.settled < balance.limit:
        ways.append("lower the output cap or shorten the input")
    if resets_at:
        ways.append(f"wait for the next window at {resets_at}")
    team = team_of(balance.budget)
    if team:
        more = f'ask its owner to put more in:  farthing wallet credit {team} $50 --reason "..."'
    elif balance.budget.startswith(ACCOUNT_PREFIX):
        more = "ask for another pass, or for a model that is allowed"
    else:
        more = f"ask for more:  {_request_command(balance)}"
    ways.append(f"or {more}" if ways else more)
    return ", ".join(ways)


def _request_command(balance: Balance) -> str:
    """The command that asks for more of an account, ready to be pasted."""
    words = ["farthing", "budget", "request", balance.budget, "50"]
    if balance.value is not None:
        words += ["--value", balance.value]
    if balance.window.startswith(RUN_WINDOW):
        words += ["--run", balance.window.removeprefix(RUN_WINDOW)]
    return f"{shlex.join(words)} --reason '...'"


class _Remembered(msgspec.Struct):
    """A refusal that holds for a moment, and how often it was given from memory."""

    call: Call
    refusal: Refusal
    until_us: int
    repeats: int = 0


class RefusalMemory:
    """Answers a caller who asks again at once, so that a loop of refusals costs the ledger nothing.

    Only refusals that cannot have changed are kept: by rule, by a used-up limit, or by money
    that is spent (not held), for calls that need at least as much.
    """

    def __init__(self) -> None:
        self._remembered: dict[_Key, _Remembered] = {}
        self._expired: list[_Remembered] = []
        self._lock = threading.Lock()

    def recall(self, call: Call, provider_hint: str | None) -> Refusal | None:
        """The refusal that this call would get again, or None if it must be decided anew."""
        if not self._remembered:
            return None
        key = _key(call, provider_hint)
        with self._lock:
            known = self._remembered.get(key)
            if known is None:
                return None
            if call.at_us >= known.until_us:
                self._forget(key)
                return None
            if not _needs_as_much(call.facts, known):
                return None
            known.repeats += 1
            return known.refusal

    def remember(
        self, call: Call, refusal: Refusal, provider_hint: str | None, *, offers: Sequence[Offer] = ()
    ) -> None:
        """Keep a refusal for a second where it cannot change in that time.

        offers: what did not fit; a new window of any of their accounts may have room.
        """
        if call.identity.key_id is None:
            return
        ends = (claim.ends_at_us for offer in offers for claim in offer.claims)
        until_us = min([call.at_us + REMEMBERED_US, *(end for end in ends if end is not None)])
        with self._lock:
            if len(self._remembered) >= REMEMBERED_MAX:
                for key in list(self._remembered):
                    self._forget(key)
            key = _key(call, provider_hint)
            if key in self._remembered:
                self._forget(key)  # its repeats are still to be told
            self._remembered[key] = _Remembered(call, refusal, until_us)

    def take_repeated(self, now_us: int | None) -> list[tuple[Call, Refusal, int]]:
        """Refusals that were repeated and whose second is over, each with how often; None takes all."""
        with self._lock:
            for key, known in list(self._remembered.items()):
                if now_us is None or now_us >= known.until_us:
                    self._forget(key)
            expired, self._expired = self._expired, []
        return [(known.call, known.refusal, known.repeats) for known in expired]

    def _forget(self, key: "_Key") -> None:
        known = self._remembered.pop(key)
        if known.repeats:
            self._expired.append(known)


_Key = tuple[str | None, ...]


def _key(call: Call, provider_hint: str | None) -> _Key:
    """What two calls must share to be refused alike, whatever their sizes."""
    who, facts = call.identity, call.facts
    labels = "" if not call.labels else repr(sorted(call.labels.items()))
    shape = (
        f"{facts.choices}{facts.unbounded}{facts.cache_write_ttl}{facts.fees}{facts.tools > 0}{facts.media}"
    )
    return (
        who.environment,
        who.key_id,
        facts.dialect,
        facts.model,
        provider_hint,
        facts.service_tier,
        call.run,
        labels,
        shape,
        "".join([held.pass_id for held in who.passes if held.is_live(call.at_us)]),
    )


def _needs_as_much(facts: RequestFacts, known: _Remembered) -> bool:
    if known.refusal.unit not in (Unit.NANODOLLARS.value, Unit.TOKENS.value):
        return True
    before = known.call.facts
    if facts.input_bytes < before.input_bytes or facts.media_tokens < before.media_tokens:
        return False
    if (facts.thinking_tokens or 0) < (before.thinking_tokens or 0):
        return False
    if before.output_cap is None:
        return facts.output_cap is None
    return facts.output_cap is None or facts.output_cap >= before.output_cap
