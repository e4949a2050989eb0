"""How many requests go to cheap models and how many to dear ones, over time, and what that saves."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from farthing.ledger.slices import SpendRow
from farthing.prices.book import PriceBook, load_book
from farthing.reports.asking import Question
from farthing.reports.cheaper import Cheaper, CheaperModels
from farthing.reports.environments import environment_place, nothing_yet
from farthing.reports.price_tiers import CHEAP, HOW, NO_PRICE, TIERS, Model, price_tiers
from farthing.reports.ranking import NONE, OTHERS, top_of
from farthing.reports.sheet import Column, Kind, Sheet, Table, Value, part
from farthing.reports.spans import Span

_TITLE = "Model and price tiers"
# Longer spans are told by the month.
WEEKS_MAX = 14
# What everything would cost on one model is told of the models that are asked most.
INSTEAD_MAX = 5

_TIERS = (
    Column("environment", "Environment"),
    Column("price_tier", "Price tier"),
    Column("calls", "Requests", Kind.COUNT),
    Column("calls_percent", "of requests", Kind.SHARE),
    Column("cost_nanodollars", "Cost", Kind.MONEY),
    Column("cost_percent", "of cost", Kind.SHARE),
)
_MODELS = (_TIERS[0], Column("model", "Model"), Column("provider", "Provider"), *_TIERS[1:])
_INSTEAD = (
    Column("environment", "Environment"),
    Column("model", "If all went to"),
    Column("cost_nanodollars", "Cost as it was", Kind.MONEY),
    Column("cost_there_nanodollars", "Cost there", Kind.MONEY),
    Column("saved_nanodollars", "Saved by the mix", Kind.MONEY),
    Column("saved_percent", "of the cost there", Kind.SHARE),
)


def report(asked: Question) -> Sheet:
    """The share of requests of each model and price tier, week by week, by environment."""
    rows = _by_model(asked, asked.span)
    if not rows:
        return nothing_yet("tiers", _TITLE, asked)
    prices = asked.prices or load_book()
    at_us = min(asked.span.until_us - 1, asked.now_us)
    tiers = price_tiers({_model(row) for row in rows}, prices, at_us)
    instead = _instead(rows, prices, at_us)
    return Sheet(
        name="tiers",
        title=_TITLE,
        span=asked.span,
        provisional=asked.is_provisional,
        tables=(
            tier_table(rows, tiers),
            _over_time(asked, tiers),
            _model_table(rows, tiers, asked.top),
            *([instead] if instead.rows else ()),
        ),
        notes=(HOW, "Requests answered from the cache count for the model that they asked."),
    )


def tier_table(rows: Sequence[SpendRow], tiers: Mapping[Model, str]) -> Table:
    """Each price tier of each environment; rows are by environment, provider and model."""
    told: list[tuple[Value, ...]] = []
    for environment, inside in _environments(rows):
        calls, cost = _sums(inside)
        for tier in TIERS:
            of_tier = [row for row in inside if tiers[_model(row)] == tier]
            if of_tier:
                own_calls, own_cost = _sums(of_tier)
                told.append(
                    (environment, tier, own_calls, part(own_calls, calls), own_cost, part(own_cost, cost))
                )
    calls, cost = _sums(rows)
    return Table(
        name="tiers",
        title="Price tiers",
        columns=_TIERS,
        rows=tuple(told),
        footer=("total", None, calls, None, cost, None),
        chart="calls_percent",
    )


def _over_time(asked: Question, tiers: Mapping[Model, str]) -> Table:
    """The share of each tier in the requests of each week or month, by environment."""
    unit, periods = asked.span.weeks_or_months(weeks_max=WEEKS_MAX)
    shown = [tier for tier in TIERS if tier != NO_PRICE or NO_PRICE in tiers.values()]
    told: list[tuple[Value, ...]] = []
    for name, span in periods:
        for environment, inside in _environments(_by_model(asked, span)):
            calls, _ = _sums(inside)
            shares = [
                part(_sums([row for row in inside if tiers.get(_model(row), NO_PRICE) == tier])[0], calls)
                for tier in shown
            ]
            told.append((name, environment, calls, *shares))
    return Table(
        name=f"{unit}s",
        title="Shares of requests by price tier, over time",
        columns=(
            Column(unit, unit.capitalize()),
            Column("environment", "Environment"),
            Column("calls", "Requests", Kind.COUNT),
            *[Column(f"{tier.strip('()').replace(' ', '_')}_percent", tier, Kind.SHARE) for tier in shown],
        ),
        rows=tuple(told),
        chart=f"{CHEAP}_percent",
    )


def _model_table(rows: Sequence[SpendRow], tiers: Mapping[Model, str], top: int) -> Table:
    """Each model, those that are asked most first in each environment."""
    told: list[tuple[Value, ...]] = []
    for environment, inside in _environments(rows):
        calls, cost = _sums(inside)
        ranked = sorted(inside, key=lambda row: (-row.calls, -row.cost_nanodollars, _model(row)))
        for group in top_of([[row] for row in ranked], top, lambda groups: [one for [one] in groups]):
            own_calls, own_cost = _sums(group)
            (provider, model), tier = _model(group[0]), tiers[_model(group[0])]
            if len(group) > 1:
                model, provider, tier = OTHERS, "", ""
            told.append((
                environment, model or NONE, provider, tier,
                own_calls, part(own_calls, calls), own_cost, part(own_cost, cost),
            ))  # fmt: skip
    calls, cost = _sums(rows)
    return Table(
        name="models",
        title="Models",
        columns=_MODELS,
        rows=tuple(told),
        footer=("total", None, None, None, calls, None, cost, None),
        chart="calls_percent",
    )


def _instead(rows: Sequence[SpendRow], prices: PriceBook, at_us: int) -> Table:
    """What the same tokens cost on one model alone, and what the mix of models saved against that."""
    told: list[tuple[Value, ...]] = []
    reckoned = CheaperModels(None, prices, at_us)
    for environment, inside in _environments(rows):
        _, cost = _sums(inside)
        for provider, model in _most_asked(inside):
            price = prices.find(provider, model, at_us)
            if price is None or price.free:
                continue
            only = Cheaper(model=model, price=price, rule="")
            there = sum(reckoned.cost_there(row, *_model(row), only) for row in inside)
            # Where one model alone would be cheaper, the mix saves nothing to tell a share of.
            share = part(there - cost, there) if there >= cost else None
            told.append((environment, model, cost, there, there - cost, share))
    return Table(
        name="instead",
        title="If all requests had gone to one model",
        columns=_INSTEAD,
        rows=tuple(told),
    )


def _most_asked(rows: Iterable[SpendRow]) -> list[Model]:
    ranked = sorted(rows, key=lambda row: (-row.calls, _model(row)))
    return [_model(row) for row in ranked[:INSTEAD_MAX]]


def _by_model(asked: Question, span: Span) -> list[SpendRow]:
    rows = asked.store.spend(
        by=["environment", "provider", "model"],
        since_us=span.since_us,
        until_us=span.until_us,
        where=asked.where,
    )
    return [row for row in rows if row.calls]


def _environments(rows: Iterable[SpendRow]) -> Iterator[tuple[str, list[SpendRow]]]:
    groups: dict[str, list[SpendRow]] = {}
    for row in rows:
        groups.setdefault(row.by["environment"] or NONE, []).append(row)
    yield from sorted(groups.items(), key=lambda group: environment_place(group[0]))


def _model(row: SpendRow) -> Model:
    return row.by["provider"] or "", row.by["model"] or ""


def _sums(rows: Sequence[SpendRow]) -> tuple[int, int]:
    return sum([row.calls for row in rows]), sum([row.cost_nanodollars for row in rows])
