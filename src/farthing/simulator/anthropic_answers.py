"""Anthropic messages: what a request asks, the answer whole and streamed, and the count of its input."""

import base64

import msgspec

from farthing.simulator.ask import Ask, Malformed, Tool, smallest, tokens_in
from farthing.simulator.behaviour import UsageManner
from farthing.simulator.endpoint import Address, Endpoint, named_event, read_body, schema_of
from farthing.simulator.openai_chat_answers import NOTHING
from farthing.simulator.reply import Counts, Finish, Reply, ToolCall

Json = dict[str, object]
_STOP_REASON = {Finish.STOP: "end_turn", Finish.LENGTH: "max_tokens", Finish.TOOL: "tool_use"}
_THOUGHT = "Let me see."


class _Block(msgspec.Struct):
    type: str = "text"
    text: str | None = None


class _Message(msgspec.Struct):
    role: str
    content: str | list[_Block]

    def words(self) -> str:
        """The text, its blocks joined."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(block.text for block in self.content if block.text)

    def answers_a_tool(self) -> bool:
        """Whether it brings the result of a tool."""
        return isinstance(self.content, list) and any(block.type == "tool_result" for block in self.content)


class _Tool(msgspec.Struct):
    name: str
    input_schema: Json | None = None


class _Body(msgspec.Struct):
    model: str
    messages: msgspec.Raw
    max_tokens: int | None = None
    system: msgspec.Raw = NOTHING
    stream: bool | None = None
    tools: msgspec.Raw = NOTHING
    tool_choice: Json | None = None
    output_format: Json | None = None
    output_config: Json | None = None


def _read(body: bytes, address: Address) -> Ask:
    ask = _read_count(body, address)
    if ask.output_cap is None:
        raise Malformed("max_tokens: Field required")
    return ask


def _read_count(body: bytes, address: Address) -> Ask:
    request = read_body(body, _Body)
    messages = read_body(bytes(request.messages), list[_Message])
    if not messages:
        raise Malformed("messages: at least one message is required")
    texts = [message.words() for message in messages if message.role == "user"]
    tools = read_body(bytes(request.tools) or b"null", list[_Tool] | None) or []  # type: ignore[arg-type]
    choice = request.tool_choice or {}
    wanted_format = request.output_format or (request.output_config or {}).get("format")
    return Ask(
        model=request.model,
        text=next((text for text in reversed(texts) if text), ""),
        input_tokens=tokens_in(request.messages, request.system, request.tools),
        output_cap=smallest(request.max_tokens),
        stream=bool(request.stream),
        # Only tools of the caller's own have a schema; the others run at the provider.
        tools=tuple(
            Tool(name=tool.name, schema=tool.input_schema) for tool in tools if tool.input_schema is not None
        ),
        tool_wanted=choice.get("type") in ("any", "tool"),
        tool_answered=messages[-1].answers_a_tool(),
        schema=schema_of(wanted_format if isinstance(wanted_format, dict) else None),
        service_tier="standard",
    )


def _usage(reply: Reply, counts: Counts, *, output_tokens: int | None = None) -> Json:
    """Usage as a whole answer and the start of a stream have it: cached tokens are apart."""
    return {
        **_input_usage(counts),
        "cache_creation": {
            "ephemeral_5m_input_tokens": counts.cache_write_5m,
            "ephemeral_1h_input_tokens": counts.cache_write_1h,
        },
        "output_tokens": counts.output_tokens if output_tokens is None else output_tokens,
        "service_tier": reply.service_tier,
    }


def _input_usage(counts: Counts) -> Json:
    return {
        "input_tokens": max(counts.input_tokens - counts.cached - counts.cache_write, 0),
        "cache_creation_input_tokens": counts.cache_write,
        "cache_read_input_tokens": counts.cached,
    }


def _final_usage(reply: Reply, counts: Counts) -> Json:
    usage = _input_usage(counts) | {"output_tokens": counts.output_tokens}
    if reply.reasons:
        usage["output_tokens_details"] = {"thinking_tokens": counts.reasoning}
    if reply.manner is UsageManner.CONTRADICTORY:
        usage["output_tokens"] = 0  # fewer than the start of the stream has told
    return usage


def _head(reply: Reply, content: list[Json], stop_reason: str | None, usage: Json | None) -> Json:
    message: Json = {
        "id": f"msg_{reply.stem}",
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
    }
    return message if usage is None else message | {"usage": usage}


def _signature(reply: Reply) -> str:
    return base64.b64encode(reply.stem.encode()).decode()


def _blocks(reply: Reply) -> list[Json]:
    blocks: list[Json] = []
    if reply.reasons:
        blocks.append({"type": "thinking", "thinking": _THOUGHT, "signature": _signature(reply)})
    if reply.first.text:
        blocks.append({"type": "text", "text": reply.first.text})
    return blocks + [_tool_use(call) | {"input": call.arguments} for call in reply.first.tool_calls]


def _tool_use(call: ToolCall) -> Json:
    return {"type": "tool_use", "id": f"toolu_{call.stem}", "name": call.name, "input": {}}


def _whole(ask: Ask, reply: Reply) -> bytes:
    usage = None
    if reply.counts is not None:
        usage = _usage(reply, reply.counts)
        if reply.reasons:
            usage["output_tokens_details"] = {"thinking_tokens": reply.counts.reasoning}
    return msgspec.json.encode(_head(reply, _blocks(reply), _STOP_REASON[reply.first.finish], usage))


def _events(ask: Ask, reply: Reply) -> list[bytes]:
    counts, manner = reply.counts, reply.manner
    final = _final_usage(reply, counts) if counts else None
    at_start = None
    if counts is not None:
        # At the start hardly anything has been written, unless the stream reports nowhere else.
        early = manner in (UsageManner.FIRST, UsageManner.ZERO, UsageManner.CONTRADICTORY)
        at_start = _usage(reply, counts, output_tokens=None if early else 1)
    events: list[Json] = [
        {"type": "message_start", "message": _head(reply, [], None, at_start)},
        *_block_events(reply),
    ]
    events.insert(2, {"type": "ping"})
    if reply.complete:
        stop = {"stop_reason": _STOP_REASON[reply.first.finish], "stop_sequence": None}
        delta: Json = {"type": "message_delta", "delta": stop}
        if final is not None and manner is not UsageManner.FIRST:
            delta["usage"] = final
        events += [delta, {"type": "message_stop"}]
    return [named_event(event) for event in events]


def _block_events(reply: Reply) -> list[Json]:
    blocks: list[tuple[Json, list[Json]]] = []
    if reply.reasons:
        deltas: list[Json] = [
            {"type": "thinking_delta", "thinking": _THOUGHT},
            {"type": "signature_delta", "signature": _signature(reply)},
        ]
        blocks.append(({"type": "thinking", "thinking": "", "signature": ""}, deltas))
    if reply.first.pieces or not reply.first.tool_calls:
        deltas = [{"type": "text_delta", "text": piece} for piece in reply.first.pieces]
        blocks.append(({"type": "text", "text": ""}, deltas))
    for call in reply.first.tool_calls:
        whole = call.arguments_json
        parts = ("", whole[: len(whole) // 2], whole[len(whole) // 2 :])
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in parts]
        blocks.append((_tool_use(call), deltas))
    events: list[Json] = []
    for index, (opening, deltas) in enumerate(blocks):
        events.append({"type": "content_block_start", "index": index, "content_block": opening})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    return events


def _fault(ask: Ask, reply: Reply, number: int) -> list[bytes]:
    return [named_event({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})]


def _count(ask: Ask, reply: Reply) -> bytes:
    return msgspec.json.encode({"input_tokens": reply.billed.input_tokens})


MESSAGES = Endpoint(
    name="anthropic.messages", family="anthropic", read=_read, whole=_whole, events=_events, fault=_fault
)
COUNT_TOKENS = Endpoint(
    name="anthropic.count_tokens", family="anthropic", read=_read_count, whole=_count, free=True
)
