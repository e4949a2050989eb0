"""Split the change of a cost into what made it: volume, mix, tokens, cache and price. Pure.

The cost of an environment is, summed over its models,

    calls x share of the model x paid calls of its calls x tokens of a paid call
          x (tokens at their rates / tokens without a prompt cache) x (cost / tokens at their rates)

The factors are put from before to after one by one, in that order; what each step adds is its effect.
Steps are exact fractions. Four effects are rounded to the nanodollar, and price takes what is left (also
a cost that no factor explains, such as that of a late correction), so the effects sum to the change.
"""

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction

import msgspec

from farthing.domain.money import nearest_whole
from farthing.ledger.slices import SpendRow

Model = tuple[str | None, str | None]
Rows = Mapping[Model, SpendRow]


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """How much the tokens of a model weigh against each other; only their proportions matter."""

    input: int = 1
    cached_read: int = 1
    cached_write: int = 1
    output: int = 1


class Effects(msgspec.Struct, frozen=True, kw_only=True):
    """What made a cost change, in nanodollars.

    volume: more or fewer calls. mix: other models. tokens: longer calls. cache: more or fewer answers
    from the response cache, more or fewer tokens from the provider's prompt cache. price: the rest.
    """

    volume: int
    mix: int
    tokens: int
    cache: int
    price: int

    def values(self) -> tuple[int, int, int, int, int]:
        """In the order in which they are worked out."""
        return self.volume, self.mix, self.tokens, self.cache, self.price


class _Factors(msgspec.Struct, frozen=True, kw_only=True):
    """One model in one span; a factor is None where nothing tells it.

    paid: of its calls. tokens: weight of a paid call without a prompt cache. prompt_cache: what of that
    weight is left with it. price: cost of a unit of weight.
    """

    calls: int
    paid: Fraction | None = None
    tokens: Fraction | None = None
    prompt_cache: Fraction | None = None
    price: Fraction | None = None


def effects(before: Rows, after: Rows, rates_of: Callable[[Model], Rates]) -> Effects:
    """Split the change from one span to another; rows are by provider and model."""
    cost_before, cost_after = _cost(before), _cost(after)
    calls_before, calls_after = _all_calls(before), _all_calls(after)
    change = cost_after - cost_before
    if not calls_before or not calls_after:
        return Effects(volume=change, mix=0, tokens=0, cache=0, price=0)
    known = at_mix = at_tokens = at_cache = Fraction(0)
    for model in {**before, **after}:
        then, now = _factors(before.get(model), after.get(model), rates_of(model))
        known += then.calls * _product(then.paid, then.tokens, then.prompt_cache, then.price)
        at_mix += now.calls * _product(then.paid, then.tokens, then.prompt_cache, then.price)
        at_tokens += now.calls * _product(then.paid, now.tokens, then.prompt_cache, then.price)
        at_cache += now.calls * _product(now.paid, now.tokens, now.prompt_cache, then.price)
    at_volume = known * Fraction(calls_after, calls_before)
    volume, mix, tokens, cache = map(
        nearest_whole, (at_volume - known, at_mix - at_volume, at_tokens - at_mix, at_cache - at_tokens)
    )
    return Effects(
        volume=volume, mix=mix, tokens=tokens, cache=cache, price=change - volume - mix - tokens - cache
    )


def _factors(before: SpendRow | None, after: SpendRow | None, rates: Rates) -> tuple[_Factors, _Factors]:
    """The factors of a model in both spans; what one span does not tell is taken from the other."""
    by_call = any(row is not None and row.paid and not _weight(row, rates) for row in (before, after))
    then, now = (_factors_of(row, None if by_call else rates) for row in (before, after))
    return _filled(then, now), _filled(now, then)


def _factors_of(row: SpendRow | None, rates: Rates | None) -> _Factors:
    """rates: None weighs each paid call alike, for calls that tell no tokens."""
    if row is None:
        return _Factors(calls=0)
    calls, paid = row.served, row.paid
    weight = paid if rates is None else _weight(row, rates)
    cached_weight = paid if rates is None else _cached_weight(row, rates)
    return _Factors(
        calls=calls,
        paid=_over(paid, calls),
        tokens=_over(weight, paid),
        prompt_cache=_over(cached_weight, weight),
        price=_over(row.cost_nanodollars, cached_weight),
    )


def _filled(factors: _Factors, other: _Factors) -> _Factors:
    missing = {
        name: getattr(other, name)
        for name in ("paid", "tokens", "prompt_cache", "price")
        if getattr(factors, name) is None
    }
    return msgspec.structs.replace(factors, **missing)


def _weight(row: SpendRow, rates: Rates) -> int:
    return row.input_tokens * rates.input + row.output_tokens * rates.output


def _cached_weight(row: SpendRow, rates: Rates) -> int:
    return (
        _weight(row, rates)
        + row.cached_read * (rates.cached_read - rates.input)
        + row.cached_write * (rates.cached_write - rates.input)
    )


def _product(*factors: Fraction | None) -> Fraction:
    product = Fraction(1)
    for factor in factors:
        product *= factor or 0
    return product


def _over(part: int, whole: int) -> Fraction | None:
    return Fraction(part, whole) if whole > 0 else None


def _cost(rows: Rows) -> int:
    return sum(row.cost_nanodollars for row in rows.values())


def _all_calls(rows: Rows) -> int:
    return sum(row.served for row in rows.values())


def total_effects(parts: Iterable[Effects]) -> Effects:
    """Effects of several environments together."""
    sums = [sum(column) for column in zip(*[part.values() for part in parts], strict=True)]
    return Effects(**dict(zip(Effects.__struct_fields__, sums, strict=True)))
