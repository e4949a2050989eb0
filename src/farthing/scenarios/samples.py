"""Calls to draw from: token counts as models see them, priced once by the functions that settle."""

from functools import lru_cache
from random import Random
from typing import NamedTuple

from farthing.domain.usage import Usage
from farthing.prices.book import load_book
from farthing.prices.cost import cost_nanodollars
from farthing.scenarios.pricing import PRICED_AT_US

_SAMPLES = 512
_PROVIDERS = {"gpt": "openai", "cla": "anthropic", "gem": "google"}


class Sample(NamedTuple):
    """One call as it may be: for which model, with how many tokens, at what price."""

    provider: str
    model_asked: str
    model_served: str
    usage: Usage
    output_tokens: int
    cost_nanodollars: int
    cost_asked_nanodollars: int
    price_version: str
    latency_ms: int


@lru_cache(maxsize=256)
def samples_of(
    model_asked: str, model_served: str, input_tokens: int, output_tokens: int, cached_percent: int = 0
) -> tuple[Sample, ...]:
    """So many samples around these counts of tokens, log-normal as real ones are; always the same.

    cached_percent: how much of the input the provider's own prompt cache serves.
    """
    random = Random(f"{model_asked} {model_served} {input_tokens} {output_tokens}")  # noqa: S311 no secrets
    provider = _PROVIDERS[model_served[:3]]
    asked, served = (load_book().find(provider, name, PRICED_AT_US) for name in (model_asked, model_served))
    assert asked is not None and served is not None
    samples = []
    for _ in range(_SAMPLES):
        given = max(int(input_tokens * random.lognormvariate(-0.18, 0.6)), 16)
        taken = max(int(output_tokens * random.lognormvariate(-0.18, 0.6)), 4)
        read = given * cached_percent // 100
        usage = Usage(input_tokens=given, output_tokens=taken, cached_read=read or None)
        samples.append(
            Sample(
                provider=provider,
                model_asked=model_asked,
                model_served=model_served,
                usage=usage,
                output_tokens=taken,
                cost_nanodollars=cost_nanodollars(usage, served).nanodollars,
                cost_asked_nanodollars=cost_nanodollars(usage, asked).nanodollars,
                price_version=served.version,
                latency_ms=200 + 6 * taken,
            )
        )
    return tuple(samples)
