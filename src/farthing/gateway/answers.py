"""The headers that tell a caller what its call became: model, cost, what remains, warnings."""

from collections.abc import Iterable

from farthing.domain.money import decimal_text
from farthing.engine.governor import Grant
from farthing.ledger.entries import Balance, Booked, Unit

HeaderList = list[tuple[bytes, bytes]]


def grant_headers(grant: Grant, *, cache: str = "off") -> HeaderList:
    """What is known before the answer: also a stream's head carries these."""
    headers = [
        (b"x-farthing-call-id", grant.call.call_id.encode()),
        (b"x-farthing-environment", header_text(grant.environment.name)),
        (b"x-farthing-model", header_text(grant.model)),
        (b"x-farthing-cache", header_text(cache)),
    ]
    headers.extend((b"x-farthing-warning", header_text(text)) for text in warnings(grant))
    return headers


def warnings(grant: Grant) -> list[str]:
    """What happened to the call that its caller did not ask for."""
    asked, told = grant.call.facts.model, []
    candidate = grant.quote.candidate
    if candidate.reason == "downgraded":
        told.append(
            f"downgraded; {asked} is not allowed in {grant.environment.name}; served by {grant.model}"
        )
    elif candidate.reason == "cheaper":
        told.append(f"downgraded; the budget cannot pay for {asked}; served by {grant.model}")
    if grant.terms.hop is not None:
        told.append(f"fallback; {grant.terms.hop.why}; sent to {grant.target.id}")
    if grant.clamped:
        told.append(f"clamped; the output cap was lowered to {grant.output_cap} tokens to fit the budget")
    if grant.would_refuse:
        told.append(f"over_limit; beyond the limit of {', '.join(grant.would_refuse)}")
    if grant.call.tags_invalid:
        told.append("tags_invalid; X-Metering-Tags is not a JSON object of scalars within the limits")
    if grant.call.claimed_environment not in (None, grant.environment.name):
        told.append(f"environment_from_key; the label says {grant.call.claimed_environment!r}")
    if not grant.held:
        told.append("ledger_unavailable; nothing was held for this call")
    return told


def cost_headers(booked: Booked | None, balances: Iterable[Balance], *, tracked: bool = True) -> HeaderList:
    """What the call cost, where costs are tracked, and what remains of the tightest budget."""
    headers: HeaderList = []
    if booked is None:
        headers.append((b"x-farthing-warning", b"settlement_delayed; the ledger could not answer in time"))
    else:
        if tracked:
            headers.append((b"x-farthing-cost-usd", decimal_text(booked.cost_nanodollars).encode()))
        balances = booked.balances or balances
    return headers + remaining_headers(balances)


def remaining_headers(balances: Iterable[Balance]) -> HeaderList:
    """What remains of the budget with the least left."""
    money = [balance for balance in balances if balance.unit is Unit.NANODOLLARS]
    if not money:
        return []
    tightest = min(money, key=lambda balance: balance.remaining)
    return [
        (b"x-farthing-remaining-usd", decimal_text(tightest.remaining).encode()),
        (b"x-farthing-limit", header_text(f"{decimal_text(tightest.limit)}; budget={tightest.budget}")),
    ]


def header_text(text: str) -> bytes:
    """Text that is safe in a header: no control characters, nothing outside ASCII."""
    if text.isascii() and text.isprintable():
        return text.encode("ascii")
    return "".join(char if " " <= char <= "~" else "?" for char in text).encode("ascii")
