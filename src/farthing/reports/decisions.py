"""Say in sentences why a call was refused, downgraded, clamped or sent where it was, from its entry alone."""

from collections.abc import Iterator

from farthing.domain.money import dollars
from farthing.domain.period import iso_utc
from farthing.ledger.entries import Balance, Entry, Outcome, Short, Unit

_REASONS = {
    "as_asked": "the model asked for was allowed, and it was tried as it was asked for",
    "downgraded": "another model took the place of the one asked for",
    "cheaper": "what was asked for did not fit the money, so the next cheaper one was taken",
    "fallback": "the target before it failed",
    "routed": "the routing of the policy put this target first",
}


def why(entry: Entry) -> list[str]:
    """Why it came as it did: the decision first, then every rule that bore on it, then what it cost."""
    return [*_decision(entry), *_rules(entry), *_limits(entry), *_ending(entry)]


def _decision(entry: Entry) -> Iterator[str]:
    asked = entry.facts.model_asked
    match entry.outcome:
        case Outcome.REFUSED:
            times = f", {entry.count:,} times within a second" if entry.count > 1 else ""
            yield f"{asked} was refused ({entry.reason}){times}, and nothing was spent"
        case Outcome.CACHED:
            yield f"{asked} was answered from the cache, at no cost"
        case _:
            served = f"{entry.model_served} at target {entry.target} ({entry.provider})"
            reason = _REASONS.get(entry.reason, entry.reason)
            yield f"{asked} went to {served}: {reason}"
    if entry.facts.attempt > 1:
        yield f"it was attempt {entry.facts.attempt} of request {entry.facts.request_id}"
    if entry.facts.claimed_environment:
        yield (
            f"it claimed to be {entry.facts.claimed_environment}, and counts as {entry.facts.environment}: "
            "the key decides"
        )


def _rules(entry: Entry) -> Iterator[str]:
    if entry.stop is not None:
        yield str(entry.stop)
        return
    for rule in entry.rules:
        yield f"rule: {rule}"


def _limits(entry: Entry) -> Iterator[str]:
    if entry.short is not None:
        yield _short(entry.short)
    if entry.clamped_to is not None:
        yield (
            f"its output was capped at {entry.clamped_to:,} tokens: the most that fitted every budget it "
            f"pays from, {dollars(entry.ceiling_nanodollars)} in all"
        )
    for account in entry.would_refuse:
        yield f"it did not fit {account}, which lets calls pass (overrun or observe)"
    if entry.accounts and entry.outcome is Outcome.SETTLED:
        yield f"it was paid from {', '.join(entry.accounts)}"


def _short(short: Short) -> str:
    balance = short.balance
    whose = f" of {balance.value}" if balance.value else ""
    ends = f", until {iso_utc(balance.ends_at_us)}" if balance.ends_at_us is not None else ""
    state = (
        f"{_amount(balance, balance.settled)} spent and {_amount(balance, balance.held)} held of "
        f"{_amount(balance, balance.limit)} in {balance.window}{ends}"
    )
    needed = f"it needed at least {_amount(balance, short.needed)}"
    waiting = "; waiting could not help" if short.final else "; it would have fitted later"
    return f"{balance.budget}{whose} was short: {state}; {needed}{waiting}"


def _amount(balance: Balance, amount: int) -> str:
    return dollars(amount) if balance.unit is Unit.NANODOLLARS else f"{amount:,} {balance.unit.value}"


def _ending(entry: Entry) -> Iterator[str]:
    if entry.assumed:
        yield f"its usage is not known, so its ceiling was booked ({entry.assumed_rule})"
    elif entry.assumed_rule is not None:
        yield f"how it ended decided what was booked: {entry.assumed_rule}"
    if entry.corrected:
        yield "what was assumed was corrected once its usage became known"
    asked = entry.cost_asked_nanodollars
    if entry.outcome is Outcome.SETTLED and entry.facts.cost_tracked:
        beside = f"; the model asked for would have cost {dollars(asked)}" if asked is not None else ""
        yield f"it cost {dollars(entry.cost_nanodollars)}{beside}"
    if entry.overrun_nanodollars:
        yield f"{dollars(entry.overrun_nanodollars)} of that is beyond what was held for it"
