"""Every entrance of every SDK: metered to the nanodollar, and refused after one try when nothing is left."""

import asyncio
import pickle
from collections.abc import Callable
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors, types

from farthing import BudgetExceeded, CallRefused, guard
from farthing.ledger.entries import Entry
from farthing.sdk.report import Report
from farthing.sdk.runtime import runtime_for
from farthing.simulator.server import SimulatorServer
from tests.sdk.entrances import (
    ANTHROPIC,
    CLOSED_OF_ANTHROPIC,
    CLOSED_OF_GEMINI,
    CLOSED_OF_OPENAI,
    FREE_OF_ANTHROPIC,
    FREE_OF_GEMINI,
    GEMINIS,
    OPENAI,
    Entrance,
    read,
    read_async,
)

Make = Callable[[SimulatorServer], Any]


def _gemini(simulator: SimulatorServer) -> genai.Client:
    return genai.Client(api_key="any", http_options=types.HttpOptions(base_url=simulator.url))


SYNCHRONOUS: dict[str, Make] = {
    "openai": lambda simulator: openai.OpenAI(base_url=simulator.openai_url, api_key="any"),
    "anthropic": lambda simulator: anthropic.Anthropic(base_url=simulator.url, api_key="any"),
    "gemini": _gemini,
}
ASYNCHRONOUS: dict[str, Make] = {
    "openai": lambda simulator: openai.AsyncOpenAI(base_url=simulator.openai_url, api_key="any"),
    "anthropic": lambda simulator: anthropic.AsyncAnthropic(base_url=simulator.url, api_key="any"),
    "gemini": _gemini,
}
ERRORS: dict[str, type[Exception]] = {
    "openai": openai.RateLimitError,
    "anthropic": anthropic.RateLimitError,
    "gemini": errors.ClientError,
}
PAID = [
    *(("openai", entrance) for entrance in OPENAI),
    *(("anthropic", entrance) for entrance in ANTHROPIC),
    *(("gemini", entrance) for entrance in GEMINIS),
]
FREE = [
    *(("anthropic", entrance) for entrance in FREE_OF_ANTHROPIC),
    *(("gemini", entrance) for entrance in FREE_OF_GEMINI),
]
CLOSED = [
    *(("openai", entrance) for entrance in CLOSED_OF_OPENAI),
    *(("anthropic", entrance) for entrance in CLOSED_OF_ANTHROPIC),
    *(("gemini", entrance) for entrance in CLOSED_OF_GEMINI),
]
DENIALS: dict[str, type[Exception]] = {
    "openai": openai.PermissionDeniedError,
    "anthropic": anthropic.PermissionDeniedError,
    "gemini": errors.ClientError,
}


def _ids(entrances: list[tuple[str, Entrance]]) -> list[str]:
    return [f"{sdk}: {entrance}" for sdk, entrance in entrances]


every_entrance = pytest.mark.parametrize(("sdk", "entrance"), PAID, ids=_ids(PAID))
both_ways = pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])


class Asked:
    """A guarded client of an SDK, asked once through one of its entrances."""

    def __init__(self, simulator: SimulatorServer, sdk: str, *, asynchronous: bool, budget: int) -> None:
        make = (ASYNCHRONOUS if asynchronous else SYNCHRONOUS)[sdk]
        self.client = guard(make(simulator), budget=budget, ledger="memory://")
        self._part = self.client.aio if asynchronous and sdk == "gemini" else self.client
        self._closes = asynchronous and sdk != "gemini"
        self._asynchronous = asynchronous

    def through(self, entrance: Entrance) -> None:
        if self._asynchronous:
            asyncio.run(self._through_async(entrance))
        else:
            read(entrance.ask(self._part))

    async def _through_async(self, entrance: Entrance) -> None:
        try:
            await read_async(entrance.ask(self._part))
        finally:
            if self._closes:
                await self.client.close()

    @property
    def report(self) -> Report:
        report: Report = self.client.farthing
        return report

    def entries(self) -> list[Entry]:
        """What the ledger has of this client's calls."""
        runtime = runtime_for(environment=None, ledger="memory://", policy=(), shared=False)
        return [row for row in runtime.store.entries(limit=1000) if row.facts.key == self.report.name]


@both_ways
@every_entrance
def test_it_is_metered_to_the_nanodollar(
    simulator: SimulatorServer, sdk: str, entrance: Entrance, asynchronous: bool
) -> None:
    asked = Asked(simulator, sdk, asynchronous=asynchronous, budget=1)
    asked.through(entrance)
    (entry,) = asked.entries()
    assert (entry.outcome, entry.assumed, entry.anomalies) == ("settled", False, ())
    assert entry.cost_nanodollars == entrance.nanodollars
    assert entry.cost_nanodollars <= entry.ceiling_nanodollars
    assert asked.report.calls == 1 and asked.report.held == 0
    assert len(simulator.record.calls) == 1


@both_ways
@every_entrance
def test_it_is_refused_after_one_try_when_nothing_is_left(
    simulator: SimulatorServer, sdk: str, entrance: Entrance, asynchronous: bool
) -> None:
    asked = Asked(simulator, sdk, asynchronous=asynchronous, budget=0)
    with pytest.raises(ERRORS[sdk]) as caught:
        asked.through(entrance)
    assert isinstance(caught.value, BudgetExceeded)
    assert pickle.loads(pickle.dumps(caught.value)).refusal == caught.value.refusal
    assert not simulator.record.calls
    (entry,) = asked.entries()
    assert (entry.outcome, entry.count, entry.cost_nanodollars) == ("refused", 1, 0)
    assert asked.report.calls == 0


@both_ways
@pytest.mark.parametrize(("sdk", "entrance"), FREE, ids=_ids(FREE))
def test_counting_tokens_costs_nothing_and_passes_when_nothing_is_left(
    simulator: SimulatorServer, sdk: str, entrance: Entrance, asynchronous: bool
) -> None:
    asked = Asked(simulator, sdk, asynchronous=asynchronous, budget=0)
    asked.through(entrance)
    (entry,) = asked.entries()
    assert (entry.outcome, entry.cost_nanodollars) == ("settled", 0)
    assert len(simulator.record.calls) == 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # entrances of old, which are still open elsewhere
@both_ways
@pytest.mark.parametrize(("sdk", "entrance"), CLOSED, ids=_ids(CLOSED))
def test_what_cannot_be_metered_is_closed(
    simulator: SimulatorServer, sdk: str, entrance: Entrance, asynchronous: bool
) -> None:
    asked = Asked(simulator, sdk, asynchronous=asynchronous, budget=1)
    with pytest.raises(DENIALS[sdk], match="cannot be metered") as caught:
        asked.through(entrance)
    assert isinstance(caught.value, CallRefused) and not isinstance(caught.value, BudgetExceeded)
    assert not simulator.record.calls


def test_gemini_asynchronously_is_seen_where_the_sdk_would_take_aiohttp(simulator: SimulatorServer) -> None:
    bare = _gemini(simulator)
    assert bare._api_client._use_aiohttp()  # it is installed here, and no transport of ours sees it
    assert not guard(bare, budget=1)._api_client._use_aiohttp()
