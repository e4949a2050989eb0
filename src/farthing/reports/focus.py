"""Spend in the columns of FOCUS, the open format in which finance compares the costs of all providers.

A row is everything that one day's calls have in common: environment, key, developer, model, price, tags.
Its cost is the sum of what was booked, never worked out anew, so the rows sum to the ledger exactly. That
is also why there is no unit price: a row sums input, cached and output tokens, each with a price of its own.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import groupby
from typing import NamedTuple

import msgspec

from farthing.domain.money import decimal_text
from farthing.domain.period import from_microseconds
from farthing.ledger.entries import Entry, Outcome
from farthing.ledger.grains import DAY_US
from farthing.reports.export import cached_write
from farthing.reports.export_columns import Cell, ExportColumn, Kind
from farthing.reports.spans import Span

CURRENCY = "USD"
# Whose bill it is where the policy names no organization.
NOBODY_NAMED = "farthing"

# The names that providers give themselves; of others, the name in the policy.
PROVIDERS = {"openai": "OpenAI", "anthropic": "Anthropic", "google": "Google"}

_KINDS = {
    Kind.TEXT: (
        "BillingAccountId", "BillingAccountName", "BillingCurrency", "ChargeCategory", "ChargeClass",
        "ChargeDescription", "ChargeFrequency", "CommitmentDiscountStatus", "ConsumedUnit",
        "HostProviderName", "InvoiceId", "InvoiceIssuerName", "PricingCategory", "PricingUnit",
        "ProviderName", "PublisherName", "ServiceCategory", "ServiceName", "ServiceProviderName",
        "ServiceSubcategory", "SkuId", "SkuMeter", "SkuPriceId", "SubAccountId", "SubAccountName",
        "SubAccountType", "x_Group", "x_Key", "x_Developer", "x_Wallet", "x_ModelAsked", "x_ModelServed",
        "x_PriceVersion", "x_ServiceTier",
    ),
    Kind.DOLLARS: ("BilledCost", "ContractedCost", "EffectiveCost", "ListCost"),
    Kind.QUANTITY: ("ConsumedQuantity", "PricingQuantity"),
    Kind.TIME: ("BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd"),
    Kind.JSON: ("Tags",),
    Kind.COUNT: (
        "x_Calls", "x_AssumedCalls", "x_InputTokens", "x_CachedReadTokens", "x_CachedWriteTokens",
        "x_OutputTokens", "x_ReasoningTokens",
    ),
    Kind.YES_NO: ("x_Provisional",),
}  # fmt: skip
# No invoice and no discount by commitment is known here: their columns are there, and empty.
_ONLY_SINCE_1_3 = {"ServiceProviderName", "HostProviderName"}
_OWN = "x_"

_encode = msgspec.json.Encoder(order="sorted").encode


class Alike(NamedTuple):
    """What the calls of one row have in common."""

    environment: str
    group: str | None
    key: str | None
    developer: str | None
    wallet: str | None
    provider: str
    model_served: str
    model_asked: str
    price_version: str | None
    service_tier: str | None
    tags: str | None


class Sums(msgspec.Struct):
    """What the calls of one row sum to."""

    calls: int = 0
    assumed: int = 0
    cost_nanodollars: int = 0
    input_tokens: int = 0
    cached_read: int = 0
    cached_write: int = 0
    output_tokens: int = 0
    reasoning: int = 0

    def add(self, entry: Entry) -> None:
        """Add one call."""
        self.calls += 1
        self.assumed += entry.assumed
        self.cost_nanodollars += entry.cost_nanodollars
        for usage in (entry.usage, *(usage for _, usage in entry.by_model)):
            if usage is not None:
                self.input_tokens += usage.input_tokens or 0
                self.cached_read += usage.cached_read or 0
                self.cached_write += cached_write(usage)
                self.output_tokens += usage.output_tokens or 0
                self.reasoning += usage.reasoning or 0


def focus_columns(version: str) -> tuple[ExportColumn, ...]:
    """The columns of a version, those of FOCUS by name and then our own."""
    kind_of = {name: kind for kind, names in _KINDS.items() for name in names}
    known = [name for name in kind_of if not name.startswith(_OWN)]
    own = [name for name in kind_of if name.startswith(_OWN)]
    if version == "1.2":
        known = [name for name in known if name not in _ONLY_SINCE_1_3]
    return tuple(ExportColumn(name, kind_of[name]) for name in [*sorted(known), *own])


def focus_rows(
    entries: Iterable[Entry], window: Span, *, version: str, account: str, provisional: bool
) -> Iterator[list[Cell]]:
    """The rows of a window, day by day; calls that cost nothing by nature are no charges.

    account: whose bill it is; the organization of the policy.
    """
    names = [column.name for column in focus_columns(version)]
    always = _always(account or NOBODY_NAMED, provisional=provisional)
    for day, calls in groupby(entries, lambda entry: entry.at_us // DAY_US):
        sums: dict[Alike, Sums] = {}
        for entry in calls:
            if entry.outcome is Outcome.SETTLED:
                sums.setdefault(_alike(entry), Sums()).add(entry)
        period = _periods(day, window)
        for alike in sorted(sums, key=lambda alike: [part or "" for part in alike]):
            cells = {**always, **period, **_cells(alike, sums[alike])}
            yield [cells.get(name) for name in names]


def _alike(entry: Entry) -> Alike:
    facts = entry.facts
    return Alike(
        environment=facts.environment,
        group=facts.group,
        key=facts.key,
        developer=facts.developer,
        wallet=facts.wallet,
        provider=entry.provider or "",
        model_served=entry.model_served or "",
        model_asked=facts.model_asked,
        price_version=entry.price_version,
        service_tier=entry.service_tier,
        tags=_encode(facts.labels).decode() if facts.labels else None,
    )


def _always(account: str, *, provisional: bool) -> dict[str, Cell]:
    return {
        "BillingAccountId": account,
        "BillingAccountName": account,
        "BillingCurrency": CURRENCY,
        "ChargeCategory": "Usage",
        "ChargeFrequency": "Usage-Based",
        "ConsumedUnit": "Tokens",
        "PricingCategory": "Standard",
        "PricingUnit": "Tokens",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceSubcategory": "Generative AI",
        "SkuMeter": "Tokens",
        "SubAccountType": "Environment",
        "x_Provisional": provisional,
    }


def _periods(day: int, window: Span) -> dict[str, Cell]:
    """The day, cut to the window, and its calendar month."""
    starts_us, ends_us = max(day * DAY_US, window.since_us), min((day + 1) * DAY_US, window.until_us)
    month = from_microseconds(day * DAY_US).replace(day=1)
    following = (month + timedelta(days=32)).replace(day=1)
    return {
        "ChargePeriodStart": _time(from_microseconds(starts_us)),
        "ChargePeriodEnd": _time(from_microseconds(ends_us)),
        "BillingPeriodStart": _time(month),
        "BillingPeriodEnd": _time(following),
    }


def _cells(alike: Alike, sums: Sums) -> dict[str, Cell]:
    cost = decimal_text(sums.cost_nanodollars)
    tokens = f"{sums.input_tokens + sums.output_tokens}.0"
    provider = PROVIDERS.get(alike.provider, alike.provider)
    model = f"{alike.provider}/{alike.model_served}"
    return {
        **dict.fromkeys(_KINDS[Kind.DOLLARS], cost),
        **dict.fromkeys(_KINDS[Kind.QUANTITY], tokens),
        "ChargeDescription": f"Tokens of {alike.model_served}",
        "InvoiceIssuerName": provider,
        "ProviderName": provider,
        "PublisherName": provider,
        "ServiceProviderName": provider,
        "HostProviderName": provider,
        "ServiceName": f"{provider} API",
        "SkuId": model,
        "SkuPriceId": model if alike.price_version is None else f"{model}@{alike.price_version}",
        "SubAccountId": alike.environment,
        "SubAccountName": alike.environment,
        "Tags": alike.tags,
        "x_Group": alike.group,
        "x_Key": alike.key,
        "x_Developer": alike.developer,
        "x_Wallet": alike.wallet,
        "x_ModelAsked": alike.model_asked,
        "x_ModelServed": alike.model_served,
        "x_PriceVersion": alike.price_version,
        "x_ServiceTier": alike.service_tier,
        "x_Calls": sums.calls,
        "x_AssumedCalls": sums.assumed,
        "x_InputTokens": sums.input_tokens,
        "x_CachedReadTokens": sums.cached_read,
        "x_CachedWriteTokens": sums.cached_write,
        "x_OutputTokens": sums.output_tokens,
        "x_ReasoningTokens": sums.reasoning,
    }


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
