"""Copies of a guarded client: of its class, on its budget, with its report."""

import asyncio
import copy
from collections.abc import Callable
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import types

from farthing import BudgetExceeded, guard
from farthing.simulator.server import SimulatorServer
from tests.sdk.asking import messages, report_of


class OwnClient(openai.OpenAI):
    """A class of the user's own."""


def ask(client: Any) -> None:
    if isinstance(client, genai.Client):
        client.models.generate_content(model="gemini-2.5-flash-lite", contents="hello")
    elif isinstance(client, anthropic.Anthropic):
        client.messages.create(model="claude-haiku-4-5", max_tokens=300, messages=messages("hello"))
    else:
        client.chat.completions.create(model="gpt-4o-mini", messages=messages("hello"))


MAKERS: dict[str, Callable[[SimulatorServer], Any]] = {
    "openai": lambda simulator: openai.OpenAI(base_url=simulator.openai_url, api_key="any"),
    "own": lambda simulator: OwnClient(base_url=simulator.openai_url, api_key="any"),
    "anthropic": lambda simulator: anthropic.Anthropic(base_url=simulator.url, api_key="any"),
}
COPIES: dict[str, Callable[[Any], Any]] = {
    "with_options": lambda client: client.with_options(timeout=30),
    "copy": lambda client: client.copy(),
    "copy of a copy": lambda client: client.copy().with_options(max_retries=0),
    "copy.copy": copy.copy,
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_a_copy_is_of_its_class_on_its_budget_with_its_report(
    simulator: SimulatorServer, make: Callable[[SimulatorServer], Any], copied: Callable[[Any], Any]
) -> None:
    bare = make(simulator)
    client = guard(bare, budget=1)
    another = copied(client)
    assert type(another) is type(client) is type(bare)
    assert another.farthing is client.farthing
    ask(another)
    ask(client)
    assert report_of(client).calls == 2


def test_a_copy_of_a_gemini_client_has_its_report(simulator: SimulatorServer) -> None:
    client = guard(
        genai.Client(api_key="any", http_options=types.HttpOptions(base_url=simulator.url)), budget=1
    )
    another = copy.copy(client)
    ask(another)
    assert report_of(another) is report_of(client)
    assert report_of(client).calls == 1


def test_copies_of_asynchronous_and_azure_clients_have_the_report() -> None:
    azure = guard(
        openai.AzureOpenAI(api_key="any", azure_endpoint="https://azure.invalid", api_version="1"), budget=1
    )
    assert report_of(azure.with_options(timeout=1)) is report_of(azure)

    async def asynchronous() -> None:
        async with guard(openai.AsyncOpenAI(api_key="any"), budget=1) as client:
            assert report_of(client.with_options(timeout=1)) is report_of(client)

    asyncio.run(asynchronous())


def test_a_bare_client_has_no_report(simulator: SimulatorServer) -> None:
    bare = MAKERS["openai"](simulator)
    client = guard(bare, budget=1)
    assert not hasattr(bare, "farthing")
    assert not hasattr(client.with_options(http_client=openai.DefaultHttpxClient()), "farthing")


def test_two_guards_of_one_client_have_two_budgets(simulator: SimulatorServer) -> None:
    bare = MAKERS["openai"](simulator)
    poor, rich = guard(bare, budget=0), guard(bare, budget=1)
    with pytest.raises(BudgetExceeded):
        ask(poor)
    ask(rich)
    assert (report_of(poor).calls, report_of(rich).calls) == (0, 1)


def test_with_closes_the_client_as_it_closes_the_bare_one(simulator: SimulatorServer) -> None:
    with guard(MAKERS["openai"](simulator), budget=1) as client:
        ask(client)
        assert not client.is_closed()
    assert client.is_closed()
    assert report_of(client).spent > 0


def test_the_report_says_itself_in_one_line(simulator: SimulatorServer) -> None:
    client = guard(MAKERS["openai"](simulator), budget="$0.50", workflow_id="search", ledger="memory://")
    assert repr(report_of(client)) == "<search: $0.00 of $0.50 spent, $0.00 held, 0 calls>"
