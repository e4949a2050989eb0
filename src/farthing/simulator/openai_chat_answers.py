"""OpenAI chat completions: what a request asks, and the answer in its shape, whole and streamed."""

from collections.abc import Iterator, Mapping

import msgspec

from farthing.simulator.ask import Ask, Malformed, Tool, smallest, tokens_in
from farthing.simulator.behaviour import UsageManner
from farthing.simulator.endpoint import CREATED, Address, Endpoint, event, read_body, schema_of
from farthing.simulator.reply import Choice, Counts, Finish, Reply, ToolCall

_FINISH = {Finish.STOP: "stop", Finish.LENGTH: "length", Finish.TOOL: "tool_calls"}
DONE = b"data: [DONE]\n\n"
NOTHING = msgspec.Raw(b"")


class _Part(msgspec.Struct):
    text: str | None = None


class _Message(msgspec.Struct):
    role: str
    content: str | list[_Part] | None = None

    def words(self) -> str:
        """The text, its parts joined."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.text)
        return self.content or ""


class _Function(msgspec.Struct):
    name: str
    parameters: dict[str, object] = {}


class _Tool(msgspec.Struct):
    function: _Function | None = None


class StreamOptions(msgspec.Struct):
    """The part of a request that asks for usage in the stream."""

    include_usage: bool | None = None


class _Body(msgspec.Struct):
    model: str
    messages: msgspec.Raw
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    n: int | None = None
    tools: msgspec.Raw = NOTHING
    tool_choice: str | dict[str, object] | None = None
    response_format: dict[str, object] | None = None
    service_tier: str | None = None


def _read(body: bytes, address: Address) -> Ask:
    request = read_body(body, _Body)
    messages = read_body(bytes(request.messages), list[_Message])
    if not messages:
        raise Malformed("Invalid 'messages': empty array. Expected at least one message.")
    tools = read_body(bytes(request.tools) or b"null", list[_Tool] | None) or []  # type: ignore[arg-type]
    users = [message for message in messages if message.role == "user"]
    return Ask(
        model=request.model,
        text=users[-1].words() if users else "",
        input_tokens=tokens_in(request.messages, request.tools),
        output_cap=smallest(request.max_tokens, request.max_completion_tokens),
        choices=choices_asked(request.n),
        stream=bool(request.stream),
        wants_usage=bool(request.stream_options and request.stream_options.include_usage),
        tools=tuple(
            Tool(name=tool.function.name, schema=tool.function.parameters) for tool in tools if tool.function
        ),
        tool_wanted=isinstance(request.tool_choice, dict) or request.tool_choice == "required",
        tool_answered=messages[-1].role == "tool",
        schema=schema_of(request.response_format),
        service_tier=served_tier(request.service_tier),
    )


def choices_asked(n: int | None) -> int:
    """How many answers are asked for."""
    if n is not None and not 1 <= n <= 128:
        raise Malformed(f"Invalid 'n': {n} is not between 1 and 128.")
    return n or 1


def served_tier(asked: str | None) -> str:
    """The tier that an answer names; auto is answered with the one that was used."""
    return "default" if asked in (None, "auto") else str(asked)


def usage_of(counts: Counts, manner: UsageManner) -> dict[str, object]:
    """Usage the way chat and the older completions report it."""
    total = 1 if manner is UsageManner.CONTRADICTORY else counts.input_tokens + counts.output_tokens
    prompt_details: dict[str, object] = {"cached_tokens": counts.cached, "audio_tokens": 0}
    if counts.cache_write:
        prompt_details["cache_write_tokens"] = counts.cache_write
    return {
        "prompt_tokens": counts.input_tokens,
        "completion_tokens": counts.output_tokens,
        "total_tokens": total,
        "prompt_tokens_details": prompt_details,
        "completion_tokens_details": {
            "reasoning_tokens": counts.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _whole(ask: Ask, reply: Reply) -> bytes:
    answer: dict[str, object] = {
        "id": f"chatcmpl-{reply.stem}",
        "object": "chat.completion",
        "created": CREATED,
        "model": reply.model,
        "choices": [_choice(index, choice) for index, choice in enumerate(reply.choices)],
        "service_tier": reply.service_tier,
        "system_fingerprint": f"fp_{reply.stem[:10]}",
    }
    if reply.counts is not None:
        usage = usage_of(reply.counts, reply.manner)
        if reply.manner is UsageManner.X_GROQ:
            answer["x_groq"] = {"id": f"req_{reply.stem}", "usage": usage}
        else:
            answer["usage"] = usage
    return msgspec.json.encode(answer)


def _choice(index: int, choice: Choice) -> dict[str, object]:
    message: dict[str, object] = {
        "role": "assistant",
        "content": None if choice.tool_calls else choice.text,
        "refusal": None,
        "annotations": [],
    }
    if choice.tool_calls:
        message["tool_calls"] = [
            _call(call) | {"function": {"name": call.name, "arguments": call.arguments_json}}
            for call in choice.tool_calls
        ]
    return {"index": index, "message": message, "logprobs": None, "finish_reason": _FINISH[choice.finish]}


def _call(call: ToolCall) -> dict[str, object]:
    return {"id": f"call_{call.stem}", "type": "function"}


def _events(ask: Ask, reply: Reply) -> list[bytes]:
    reporting = UsageInStream(ask, reply)
    head: dict[str, object] = {
        "id": f"chatcmpl-{reply.stem}",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": reply.model,
        "service_tier": reply.service_tier,
        "system_fingerprint": f"fp_{reply.stem[:10]}",
    }
    deltas = [delta for index, choice in enumerate(reply.choices) for delta in _deltas(index, choice)]
    return reporting.around([head | {"choices": [delta]} for delta in deltas], head)


class UsageInStream:
    """Where in a stream of chunks the usage stands: the same for chat and the older completions."""

    def __init__(self, ask: Ask, reply: Reply) -> None:
        self._ask = ask
        self._reply = reply
        self._usage = usage_of(reply.counts, reply.manner) if reply.counts else None

    def around(self, chunks: list[dict[str, object]], head: dict[str, object]) -> list[bytes]:
        """Put usage into the chunks or behind them, by the manner asked for, and end the stream."""
        manner, usage = self._reply.manner, self._usage
        nulls = self._ask.wants_usage and manner is not UsageManner.MISSING
        for number, chunk in enumerate(chunks):
            if usage is not None and (
                manner is UsageManner.EVERY or (manner is UsageManner.FIRST and number == 0)
            ):
                chunk["usage"] = usage
            elif nulls:
                chunk["usage"] = None
        if usage is not None and manner is UsageManner.X_GROQ:
            chunks[-1]["x_groq"] = {"id": f"req_{self._reply.stem}", "usage": usage}
        events = [event(chunk) for chunk in chunks]
        told_already = manner in (UsageManner.FIRST, UsageManner.X_GROQ, UsageManner.EVERY)
        if (
            usage is not None
            and not told_already
            and (self._ask.wants_usage or manner is UsageManner.UNASKED)
        ):
            events.append(event(head | {"choices": [], "usage": usage}))
        return [*events, DONE] if self._reply.complete else events


def _deltas(index: int, choice: Choice) -> Iterator[dict[str, object]]:
    def delta(content: Mapping[str, object], finish: str | None = None) -> dict[str, object]:
        return {"index": index, "delta": content, "logprobs": None, "finish_reason": finish}

    yield delta({"role": "assistant", "content": None if choice.tool_calls else "", "refusal": None})
    for piece in choice.pieces:
        yield delta({"content": piece})
    for number, call in enumerate(choice.tool_calls):
        half = len(call.arguments_json) // 2
        opening = _call(call) | {"index": number, "function": {"name": call.name, "arguments": ""}}
        yield delta({"tool_calls": [opening]})
        for part in (call.arguments_json[:half], call.arguments_json[half:]):
            yield delta({"tool_calls": [{"index": number, "function": {"arguments": part}}]})
    yield delta({}, _FINISH[choice.finish])


def fault(ask: Ask, reply: Reply, number: int) -> list[bytes]:
    """The event that ends a stream with an error, as OpenAI sends it."""
    error = {"message": "The server had an error while processing your request.", "type": "server_error"}
    return [event({"error": error | {"param": None, "code": None}})]


CHAT = Endpoint(name="openai.chat", family="openai", read=_read, whole=_whole, events=_events, fault=fault)
