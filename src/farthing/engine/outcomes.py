"""What a call owes, by how it ended: one table of rules, each with a name that the entry keeps."""

import enum
from collections.abc import Callable

import msgspec

from farthing.domain.usage import Metered, Usage
from farthing.ledger.entries import Settle, Void
from farthing.prices.cost import cost_nanodollars
from farthing.prices.price import Price

# These answers say that the provider did not do the work; without usage nothing is owed.
# Gateways in front of the provider (502, 504, 520 ...) cannot know, so theirs are assumed.
NOTHING_DONE_5XX = frozenset({500, 501, 503, 529})
UNKNOWN_4XX = frozenset({408, 499})


class Ending(enum.StrEnum):
    """How the exchange with the provider ended, as far as the door could see."""

    ANSWERED = "answered"  # the answer was read to its end
    NEVER_CONNECTED = "never_connected"
    BROKEN = "broken"  # connected, then lost, before the answer's end
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"  # the caller left and the policy said to stop upstream
    DRAIN_EXPIRED = "drain_expired"  # the caller left and the answer did not end in time
    SHUTDOWN = "shutdown"  # this process stopped and could not wait any longer


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """One exchange with a provider, as the door saw it.

    cancelled_usage: for CANCELLED, the input reported or bounded plus the output counted.
    retry_after_s: for how long the provider wants to be left alone.
    """

    ending: Ending
    status: int | None = None
    first_byte_at_us: int | None = None
    cancelled_usage: Usage | None = None
    error: str | None = None
    retry_after_s: int | None = None


class Owed(msgspec.Struct, frozen=True, kw_only=True):
    """What a call owes and why; a rule where the amount is not simply usage times price."""

    cost_nanodollars: int
    usage: Usage | None
    assumed: bool = False
    rule: str | None = None
    anomalies: tuple[str, ...] = ()


def owed(
    *,
    ending: Ending,
    status: int | None,
    metered: Metered,
    price: Price | None,
    price_of: Callable[[str], Price | None],
    ceiling_nanodollars: int,
    cancelled_usage: Usage | None = None,
) -> Owed | None:
    """Say what a call owes; None means nothing was ever sent, so the hold is void.

    price_of: the price of a further model inside the same answer (an advisor, a compaction pass).
    cancelled_usage: for CANCELLED, reported or bounded input plus counted output.
    """
    if ending is Ending.NEVER_CONNECTED:
        return None
    if price is None:  # nothing is billed: a mock, counting tokens, costs not tracked
        return Owed(cost_nanodollars=0, usage=metered.usage, anomalies=metered.anomalies)
    whole = metered.usage is not None and metered.complete
    if ending is Ending.CANCELLED and cancelled_usage is not None and not whole:
        cost = cost_nanodollars(cancelled_usage, price, service_tier=metered.service_tier)
        return Owed(
            cost_nanodollars=min(cost.nanodollars, ceiling_nanodollars),
            usage=cancelled_usage,
            assumed=True,
            rule="cancelled",
            anomalies=metered.anomalies + cost.anomalies,
        )
    if status is not None and status >= 300:
        return _owed_for_error(status, metered, price, price_of, ceiling_nanodollars)
    if metered.usage is not None and metered.complete:
        return _owed_for_usage(metered, price, price_of)
    if metered.usage is not None and metered.error is not None and ending is Ending.ANSWERED:
        return _owed_for_usage(metered, price, price_of, rule="error_in_stream")
    return Owed(
        cost_nanodollars=ceiling_nanodollars,
        usage=metered.usage,
        assumed=True,
        rule=_assumed_rule(ending, metered),
        anomalies=metered.anomalies,
    )


def _assumed_rule(ending: Ending, metered: Metered) -> str:
    if ending is not Ending.ANSWERED:
        return ending.value
    if metered.error is not None:
        return "error_in_stream"
    return "no_usage" if metered.complete else "cut_short"


def _owed_for_usage(
    metered: Metered, price: Price, price_of: Callable[[str], Price | None], *, rule: str | None = None
) -> Owed:
    assert metered.usage is not None
    cost = cost_nanodollars(metered.usage, price, service_tier=metered.service_tier)
    nanodollars, anomalies = cost.nanodollars, metered.anomalies + cost.anomalies
    for model, usage in metered.by_model:
        further = price_of(model)
        if further is None:
            anomalies += (f"{model}, used inside this call, has no price; priced as {price.model}",)
        share = cost_nanodollars(usage, further or price, service_tier=metered.service_tier)
        nanodollars += share.nanodollars
        anomalies += share.anomalies
    return Owed(cost_nanodollars=nanodollars, usage=metered.usage, rule=rule, anomalies=anomalies)


def _owed_for_error(
    status: int,
    metered: Metered,
    price: Price,
    price_of: Callable[[str], Price | None],
    ceiling_nanodollars: int,
) -> Owed:
    if metered.usage is not None and metered.usage.total_tokens() > 0:
        return _owed_for_usage(metered, price, price_of, rule="error_with_usage")
    unknown = status in UNKNOWN_4XX or (status >= 500 and status not in NOTHING_DONE_5XX)
    if unknown:
        return Owed(
            cost_nanodollars=ceiling_nanodollars,
            usage=None,
            assumed=True,
            rule=f"status_{status}",
        )
    return Owed(cost_nanodollars=0, usage=None, rule="provider_error")


def booking(
    *,
    call_id: str,
    at_us: int,
    started_at_us: int,
    owes: Owed | None,
    exchange: Exchange,
    metered: Metered,
    cost_asked_nanodollars: int | None,
    ceiling_nanodollars: int | None = None,
) -> Settle | Void:
    """Make the ledger operation that ends a call.

    ceiling_nanodollars: where it was found to be lower than what was held.
    """
    if owes is None:
        return Void(call_id=call_id, at_us=at_us, rule=exchange.ending.value, error=exchange.error)
    first_byte = exchange.first_byte_at_us
    return Settle(
        call_id=call_id,
        at_us=at_us,
        cost_nanodollars=owes.cost_nanodollars,
        cost_asked_nanodollars=cost_asked_nanodollars,
        usage=owes.usage,
        by_model=metered.by_model,
        assumed=owes.assumed,
        assumed_rule=owes.rule,
        status=exchange.status,
        model_answered=metered.model_answered,
        service_tier=metered.service_tier,
        latency_ms=(at_us - started_at_us) // 1000,
        first_byte_ms=(first_byte - started_at_us) // 1000 if first_byte is not None else None,
        ceiling_nanodollars=ceiling_nanodollars,
        anomalies=owes.anomalies,
        error=exchange.error or metered.error,
    )
