"""What made the spend change since the month before: volume, models, tokens, caches or prices."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

import msgspec

from farthing.domain.money import dollars
from farthing.ledger.slices import SpendRow
from farthing.reports.asking import Question
from farthing.reports.comparing import compared
from farthing.reports.environments import environment_place, nothing_yet
from farthing.reports.mix_effects import Effects, Model, Rates, Rows, effects, total_effects
from farthing.reports.ranking import NONE, OTHERS, top_of
from farthing.reports.sheet import Column, Kind, Sheet, Table, Value, mean_nanodollars, part
from farthing.reports.spans import Span
from farthing.reports.totals import total_of

TITLE = "What made spend change"
_EFFECTS = (
    Column("environment", "Environment"),
    Column("cost_before_nanodollars", "Before", Kind.MONEY),
    Column("volume_nanodollars", "Volume", Kind.MONEY),
    Column("mix_nanodollars", "Models", Kind.MONEY),
    Column("tokens_nanodollars", "Tokens a call", Kind.MONEY),
    Column("cache_nanodollars", "Caches", Kind.MONEY),
    Column("price_nanodollars", "Prices", Kind.MONEY),
    Column("cost_nanodollars", "Now", Kind.MONEY),
    Column("change_percent", "Change", Kind.SHARE),
)
_DRIVERS = (
    Column("environment", "Environment"),
    Column("span", "Span"),
    Column("calls", "Calls", Kind.COUNT),
    Column("cache_hit_percent", "Cache hits", Kind.SHARE),
    Column("input_tokens_per_paid_call", "Input tokens a paid call", Kind.NUMBER),
    Column("output_tokens_per_paid_call", "Output tokens", Kind.NUMBER),
    Column("prompt_cached_percent", "Prompt cached", Kind.SHARE),
    Column("cost_per_call_nanodollars", "Cost per call", Kind.MEAN),
)
_MODELS = (
    Column("environment", "Environment"),
    Column("provider", "Provider"),
    Column("model", "Model"),
    Column("calls_before", "Calls before", Kind.COUNT),
    Column("calls", "Calls", Kind.COUNT),
    Column("calls_before_percent", "Share before", Kind.SHARE),
    Column("calls_percent", "Share", Kind.SHARE),
    Column("cost_before_nanodollars", "Cost before", Kind.MONEY),
    Column("cost_nanodollars", "Cost", Kind.MONEY),
    Column("change_nanodollars", "Change", Kind.MONEY),
)
_NAMES = {"volume": "more or fewer calls", "mix": "other models", "tokens": "longer or shorter calls",
          "cache": "the caches", "price": "prices"}  # fmt: skip
_Environments = dict[str, tuple[dict[Model, SpendRow], dict[Model, SpendRow]]]


def report(asked: Question) -> Sheet:
    """Split the change of each environment, so that the effects sum to it."""
    before, span = compared(asked.span, asked.now_us)
    found: _Environments = {}
    for place, one in enumerate((before, span)):
        rows = asked.store.spend(
            by=["environment", "provider", "model"],
            since_us=one.since_us,
            until_us=one.until_us,
            where=asked.where,
        )
        for row in rows:
            if row.calls or row.cost_nanodollars:
                models = found.setdefault(row.by["environment"] or "", ({}, {}))[place]
                models[row.by["provider"], row.by["model"]] = row
    if not found:
        return nothing_yet("mix", TITLE, asked)
    names = sorted(found, key=environment_place)
    rates = _rates_of(asked, before)
    split = {name: effects(*found[name], rates) for name in names}
    return Sheet(
        name="mix",
        title=TITLE,
        span=span,
        provisional=asked.is_provisional,
        tables=(
            _effect_table(found, split, before),
            _driver_table(found, before, span),
            _model_table(found, asked.top),
        ),
        notes=tuple(_notes(found, split, before)),
    )


def _rates_of(asked: Question, before: Span) -> "_RatesOf":
    return _RatesOf(asked, before.since_us)


class _RatesOf:
    """How the tokens of a model weigh against each other: by its rates when the earlier span began."""

    def __init__(self, asked: Question, at_us: int) -> None:
        self._prices = asked.prices
        self._at_us = at_us

    def __call__(self, model: Model) -> Rates:
        """The rates of a provider's model; alike where the price book has none."""
        provider, name = model
        if self._prices is None or provider is None or name is None:
            return Rates()
        price = self._prices.find(provider, name, self._at_us)
        if price is None or price.free:
            return Rates()
        card = price.cards[0]
        return Rates(
            input=card.input,
            cached_read=card.cache_read,
            cached_write=card.cache_write_5m,
            output=card.output,
        )


# ── tables ──────────────────────────────────────────────────────────────────────────────────────


def _effect_table(found: _Environments, split: Mapping[str, Effects], before: Span) -> Table:
    costs = {name: [_cost(rows) for rows in both] for name, both in found.items()}
    then, now = (sum(cost[place] for cost in costs.values()) for place in (0, 1))
    return Table(
        name="effects",
        title=f"Since {before}: each row sums to what is spent now",
        columns=_EFFECTS,
        rows=tuple(_effect_cells(name, costs[name][0], costs[name][1], one) for name, one in split.items()),
        footer=_effect_cells("total", then, now, total_effects(split.values())),
    )


def _effect_cells(name: str, then: int, now: int, one: Effects) -> tuple[Value, ...]:
    return (name, then, *one.values(), now, part(now - then, then))


def _driver_table(found: _Environments, before: Span, span: Span) -> Table:
    return Table(
        name="drivers",
        title="What stands behind it",
        columns=_DRIVERS,
        rows=tuple(
            _driver_cells(name, str(one), total_of(list(found[name][place].values())))
            for name in sorted(found, key=environment_place)
            for place, one in enumerate((before, span))
        ),
    )


def _driver_cells(name: str, span: str, row: SpendRow) -> tuple[Value, ...]:
    return (
        name,
        span.removesuffix(" (UTC)"),
        row.served,
        part(row.cached, row.served),
        part(row.input_tokens, row.paid),
        part(row.output_tokens, row.paid),
        part(row.cached_read, row.input_tokens),
        mean_nanodollars(row.cost_nanodollars, row.served),
    )


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    """One model of one environment, before and now; further shares where it stands alone."""

    names: tuple[str, str, str]
    calls: tuple[int, int]
    costs: tuple[int, int]
    shares: tuple[Fraction | None, Fraction | None] = (None, None)

    @property
    def change(self) -> int:
        """How much dearer it is now."""
        return self.costs[1] - self.costs[0]

    def cells(self) -> tuple[Value, ...]:
        """Its row."""
        return (*self.names, *self.calls, *self.shares, *self.costs, self.change)


def _model_table(found: _Environments, top: int) -> Table:
    lines = [line for name in found for line in _lines(name, *found[name])]
    lines.sort(key=lambda line: (-abs(line.change), environment_place(line.names[0]), line.names))
    return Table(
        name="models",
        title="Models, the greatest change first",
        columns=_MODELS,
        rows=tuple(
            line.cells() for line in top_of(lines, top, lambda rest: _together((OTHERS, "", ""), rest))
        ),
        footer=_together(("total", "", ""), lines).cells(),
    )


def _lines(name: str, before: Rows, after: Rows) -> Iterator[_Line]:
    totals = [sum(row.served for row in rows.values()) for rows in (before, after)]
    for model in before.keys() | after.keys():
        provider, called = model
        then, now = (rows.get(model) for rows in (before, after))
        calls = (then.served if then else 0, now.served if now else 0)
        yield _Line(
            names=(name, provider or NONE, called or NONE),
            calls=calls,
            costs=(then.cost_nanodollars if then else 0, now.cost_nanodollars if now else 0),
            shares=(part(calls[0], totals[0]), part(calls[1], totals[1])),
        )


def _together(names: tuple[str, str, str], lines: Sequence[_Line]) -> _Line:
    calls, costs = ([sum(column) for column in zip(*pairs, strict=True)] or [0, 0] for pairs in (
        [line.calls for line in lines], [line.costs for line in lines]
    ))  # fmt: skip
    return _Line(names=names, calls=(calls[0], calls[1]), costs=(costs[0], costs[1]))


def _cost(rows: Rows) -> int:
    return sum(row.cost_nanodollars for row in rows.values())


def _notes(found: _Environments, split: Mapping[str, Effects], before: Span) -> Iterator[str]:
    for name, one in split.items():
        change = sum(one.values())
        if not change or not _cost(found[name][0]):
            continue
        named = dict(zip(Effects.__struct_fields__, one.values(), strict=True))
        most = max(named, key=lambda effect: abs(named[effect]))
        verb = "grew" if change > 0 else "fell"
        yield (
            f"{name} {verb} by {dollars(abs(change))}; most of it came from {_NAMES[most]} "
            f"({'+' if named[most] > 0 else '-'}{dollars(abs(named[most]))})."
        )
    voided = sum(row.voided for both in found.values() for rows in both for row in rows.values())
    if voided:
        yield (
            f"Calls that reached no provider ({voided:,}) are not counted here; reports that count all calls "
            "have them."
        )
    yield (
        "Worked out in this order: volume, models, tokens a call, caches, prices; each with what came before "
        "it as it is now. Tokens weigh as the price book had them when the earlier span began, which parts "
        "tokens, caches and prices from each other and touches no sum; prices take the rounding."
    )
