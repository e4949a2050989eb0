"""Builders for tests: each names only the facts the test is about."""

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from farthing.domain.call import Call, Identity, RequestFacts
from farthing.domain.money import nanodollars_from
from farthing.domain.period import Period
from farthing.domain.usage import Metered, Usage
from farthing.engine.governor import Governor
from farthing.ledger.committer import Committer
from farthing.ledger.store import Store
from farthing.policy.rules import AtLimit, Budget, Environment, Policy, Target
from farthing.prices.book import PriceBook, load_book
from farthing.prices.override import Override

NOON_US = 1_790_000_000_000_000  # a moment in September 2026
_numbers = count(1)


def a_call(
    model: str = "gpt-4o",
    *,
    environment: str = "development",
    key: str = "alice",
    at_us: int = NOON_US,
    labels: Mapping[str, str] | None = None,
    run: str | None = None,
    dialect: str = "openai.chat",
    input_bytes: int = 1_000,
    output_cap: int | None = 1_000,
    **facts: Any,
) -> Call:
    """A call of alice in development for gpt-4o, with a fresh id."""
    number = next(_numbers)
    return Call(
        call_id=f"call_{number:08}",
        request_id=f"call_{number:08}",
        at_us=at_us,
        identity=Identity(environment=environment, key=key, key_id=f"key_{key}", developer=key),
        facts=RequestFacts(
            dialect=dialect, model=model, input_bytes=input_bytes, output_cap=output_cap, **facts
        ),
        labels=labels or {},
        run=run,
    )


def a_budget(
    limit: str,
    *,
    name: str = "dev-month",
    at_limit: AtLimit | None = None,
    per: str | None = None,
    period: Period = Period.MONTHLY,
    **match: str,
) -> Budget:
    """A monthly budget for development."""
    return Budget(
        name=name,
        limit_nanodollars=nanodollars_from(limit),
        period=period,
        zone="UTC",
        per=per,
        at_limit=at_limit,
        match={fact: (value,) for fact, value in (match or {"environment": "development"}).items()},
    )


def a_policy(
    *budgets: Budget,
    environment: Environment | None = None,
    targets: tuple[Target, ...] = (),
    cost_tracked: bool = True,
) -> Policy:
    """A policy with development and production, and targets for all three providers."""
    development = environment or Environment(name="development")
    return Policy(
        digest="0123456789abcdef",
        environments={"development": development, "production": Environment(name="production")},
        budgets=budgets,
        targets=targets
        or (
            Target(id="openai", provider="openai", families=("openai",), base_url="http://127.0.0.1:1/v1"),
            Target(
                id="anthropic", provider="anthropic", families=("anthropic",), base_url="http://127.0.0.1:1"
            ),
            Target(id="google", provider="google", families=("gemini",), base_url="http://127.0.0.1:1"),
        ),
        cost_tracked=cost_tracked,
    )


_BOOK = load_book()


def a_book(**prices: tuple[str, str]) -> PriceBook:
    """The bundled prices, and these on top: model=(input, output) in dollars per million tokens."""
    return _BOOK.with_overrides(
        {
            name: Override(rates={"input": nanodollars_from(given), "output": nanodollars_from(taken)})
            for name, (given, taken) in prices.items()
        }
    )


class Clock:
    """A clock that stands still until it is told to move."""

    def __init__(self, at_us: int = NOON_US) -> None:
        self.at_us = at_us

    def __call__(self) -> int:
        """The moment, in microseconds."""
        return self.at_us


def a_governor(
    store: Store, policy: Policy, *, clock: Callable[[], int] | None = None, prices: PriceBook | None = None
) -> Governor:
    """A governor on a store; its committer ends with the store's last user."""
    clock = clock or Clock()
    return Governor(policy=policy, prices=prices or _BOOK, committer=Committer(store, clock), clock=clock)


def metered(
    input_tokens: int = 1_000, output_tokens: int = 500, *, complete: bool = True, **more: Any
) -> Metered:
    """An answer that reported its usage and came to its end."""
    return Metered(
        usage=Usage(input_tokens=input_tokens, output_tokens=output_tokens), complete=complete, **more
    )
