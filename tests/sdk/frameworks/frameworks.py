"""One small agent, as each framework makes it, with a client that the framework builds by itself."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import agents
import openai
from langchain.agents import create_agent
from langchain_openai import ChatOpenAI
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

Tool = Callable[[], Awaitable[str]]
MODEL = "gpt-4o-mini"


class RunsAgents(Protocol):
    """Runs an agent to its end."""

    async def __call__(
        self, text: str, *, cap: int, tool: Tool | None = None, client: openai.AsyncOpenAI | None = None
    ) -> str:
        """Ask an agent that may call one tool; it has a client of its own unless one is given."""
        ...


async def langchain(
    text: str, *, cap: int, tool: Tool | None = None, client: openai.AsyncOpenAI | None = None
) -> str:
    given: dict[str, Any] = {}
    if client is not None:
        given = {"root_async_client": client, "async_client": client.chat.completions}
    model = ChatOpenAI(model=MODEL, max_completion_tokens=cap, **given)
    agent = create_agent(model, tools=[tool] if tool else [])
    ended = await agent.ainvoke({"messages": [("user", text)]})
    return str(ended["messages"][-1].content)


async def pydantic_ai(
    text: str, *, cap: int, tool: Tool | None = None, client: openai.AsyncOpenAI | None = None
) -> str:
    provider = OpenAIProvider(openai_client=client) if client is not None else OpenAIProvider()
    agent = Agent(
        OpenAIChatModel(MODEL, provider=provider),
        tools=[tool] if tool else [],
        model_settings={"max_tokens": cap},
    )
    return str((await agent.run(text)).output)


async def openai_agents(
    text: str, *, cap: int, tool: Tool | None = None, client: openai.AsyncOpenAI | None = None
) -> str:
    if client is not None:
        agents.set_default_openai_client(client, use_for_tracing=False)
    agent = agents.Agent(
        name="agent",
        model=MODEL,
        tools=[agents.function_tool(tool)] if tool else [],
        model_settings=agents.ModelSettings(max_tokens=cap),
    )
    return str((await agents.Runner.run(agent, text)).final_output)


FRAMEWORKS: dict[str, RunsAgents] = {
    "langchain": langchain,
    "pydantic-ai": pydantic_ai,
    "openai-agents": openai_agents,
}
