"""Clients of each SDK, the answers they ask for, streamed and whole, and the books of their guards."""

from typing import Any

import anthropic
import openai
from google import genai
from google.genai import types

from farthing import guard
from farthing.ledger.entries import Entry
from farthing.ledger.store import Store
from farthing.sdk.runtime import runtime_for
from farthing.simulator.server import SimulatorServer
from tests.sdk.asking import messages, report_of

# Slow enough that a reader who leaves after three chunks leaves in the middle.
SLOWLY = "hello [[sim input=30 output=500 chunks=200 chunk_ms=5]]"


def clients(simulator: SimulatorServer) -> dict[str, Any]:
    url, any_key = simulator.url, "any"
    return {
        "chat": openai.OpenAI(base_url=simulator.openai_url, api_key=any_key),
        "claude": anthropic.Anthropic(base_url=url, api_key=any_key),
        "gemini": genai.Client(api_key=any_key, http_options=types.HttpOptions(base_url=url)),
        "async chat": openai.AsyncOpenAI(base_url=simulator.openai_url, api_key=any_key),
        "async claude": anthropic.AsyncAnthropic(base_url=url, api_key=any_key),
    }


def guarded(simulator: SimulatorServer, which: str, budget: Any = 1, **more: Any) -> Any:
    return guard(clients(simulator)[which], budget=budget, ledger="memory://", **more)


def store_in_memory() -> Store:
    """Where the guards of this file keep their books."""
    return runtime_for(environment=None, ledger="memory://", policy=(), shared=False).store


def entries_of(client: Any) -> list[Entry]:
    rows = store_in_memory().entries(limit=1000)
    return [row for row in rows if row.facts.key == report_of(client).name]


def stream_of(client: Any, which: str, text: str = SLOWLY) -> Any:
    """A stream, open; asynchronously, what must be awaited for one."""
    if "claude" in which:
        words = messages(text)
        return client.messages.create(model="claude-haiku-4-5", max_tokens=600, messages=words, stream=True)
    if "gemini" in which:
        capped = types.GenerateContentConfig(max_output_tokens=600)
        part = client.aio if "async" in which else client
        return part.models.generate_content_stream(
            model="gemini-2.5-flash-lite", contents=text, config=capped
        )
    return client.chat.completions.create(
        model="gpt-4o-mini", messages=messages(text), max_tokens=600, stream=True
    )


def whole_of(client: Any, which: str, text: str, **more: Any) -> Any:
    match which:
        case "claude":
            asked = {"model": "claude-haiku-4-5", "max_tokens": 600, **more}
            return client.messages.create(messages=messages(text), **asked)
        case "gemini":
            return client.models.generate_content(model="gemini-2.5-flash-lite", contents=text)
        case _:
            asked = {"model": "gpt-4o-mini", "max_tokens": 600, **more}
            return client.chat.completions.create(messages=messages(text), **asked)
