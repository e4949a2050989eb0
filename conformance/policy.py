"""Write the policy of the run: one target, and one environment that sees only it, for each case."""

import time
from collections.abc import Iterable

from conformance.recordings import Json, Recording
from conformance.replay import Replay
from farthing.prices.book import load_book

BUDGET = "everything"
# Resold models that the price book does not have under the reseller's name: the makers' list prices of
# the recording day, which these resellers charge, or nothing. Dollars per million tokens.
RESOLD = {
    "anthropic/claude-sonnet-4-5": {"input": "3.00", "output": "15.00"},
    "openai/gpt-5": {"input": "1.25", "output": "10.00", "cache_read": "0.125"},
    "google/gemini-2.5-flash": {"input": "0.30", "output": "2.50"},
    "minimax/minimax-m2:free": {"input": "0", "output": "0"},
}
# Any price does for models whose cost nobody reported: it only has to be there.
MADE_UP = {"input": "1.00", "output": "4.00"}


def has_bundled_price(recording: Recording) -> bool:
    """Whether the price book knows what this call costs now."""
    return load_book().find(recording.provider, recording.model, time.time_ns() // 1_000) is not None


def policy_of(recordings: Iterable[Recording], replay: Replay) -> Json:
    """Declare targets, environments and the prices that the book lacks."""
    served = list(recordings)
    return {
        "environments": {recording.id: {} for recording in served},
        "budgets": [{"name": BUDGET, "limit": "1000000.00", "period": "total", "at_limit": "refuse"}],
        "providers": {
            "targets": [
                {
                    "id": recording.id,
                    "provider": recording.provider,
                    "model": recording.model,
                    "base_url": replay.base_url(recording),
                    "dialects": [recording.family],
                    "environments": [recording.id],
                    "secret_key_ref": {"env": "REPLAY_KEY"},
                }
                for recording in served
            ]
        },
        "prices": _prices(served),
    }


def _prices(served: list[Recording]) -> Json:
    """Prices for models without one; for one provider where another has its own price of that name."""
    lacking = [recording for recording in served if not has_bundled_price(recording)]
    prices: Json = {}
    for recording in lacking:
        providers = {other.provider for other in lacking if other.model == recording.model}
        declared = RESOLD.get(recording.model, MADE_UP)
        only = {"provider": recording.provider} if len(providers) == 1 else {}
        prices[recording.model] = {**declared, **only}
    return prices
