"""OpenAI responses: what a request asks, the answer whole and streamed, and the count of its input."""

import msgspec

from farthing.simulator.ask import Ask, Malformed, Tool, smallest, tokens_in
from farthing.simulator.behaviour import UsageManner
from farthing.simulator.endpoint import CREATED, Address, Endpoint, named_event, read_body, schema_of
from farthing.simulator.openai_chat_answers import NOTHING, served_tier
from farthing.simulator.reply import Counts, Finish, Reply, ToolCall

Json = dict[str, object]


class _Part(msgspec.Struct):
    text: str | None = None


class _Item(msgspec.Struct):
    type: str | None = None
    role: str | None = None
    content: str | list[_Part] | None = None

    def words(self) -> str:
        """The text, its parts joined."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.text)
        return self.content or ""


class _Tool(msgspec.Struct):
    type: str
    name: str | None = None
    parameters: Json | None = None


class _Text(msgspec.Struct):
    format: Json | None = None


class _Body(msgspec.Struct):
    model: str
    input: msgspec.Raw = NOTHING
    instructions: msgspec.Raw = NOTHING
    stream: bool | None = None
    max_output_tokens: int | None = None
    tools: msgspec.Raw = NOTHING
    tool_choice: str | Json | None = None
    text: _Text | None = None
    service_tier: str | None = None
    previous_response_id: str | None = None


def _read(body: bytes, address: Address) -> Ask:
    request = read_body(body, _Body)
    given = read_body(bytes(request.input) or b"null", str | list[_Item] | None)  # type: ignore[arg-type]
    if given is None and request.previous_response_id is None:
        raise Malformed("One of 'input' or 'previous_response_id' must be provided.")
    items = given if isinstance(given, list) else []
    users = [item for item in items if item.role == "user"]
    tools = read_body(bytes(request.tools) or b"null", list[_Tool] | None) or []  # type: ignore[arg-type]
    return Ask(
        model=request.model,
        text=given if isinstance(given, str) else (users[-1].words() if users else ""),
        input_tokens=tokens_in(request.input, request.instructions, request.tools),
        output_cap=smallest(request.max_output_tokens),
        stream=bool(request.stream),
        tools=tuple(Tool(name=tool.name, schema=tool.parameters or {}) for tool in tools if tool.name),
        tool_wanted=isinstance(request.tool_choice, dict) or request.tool_choice == "required",
        tool_answered=bool(items) and items[-1].type == "function_call_output",
        schema=schema_of(request.text.format if request.text else None),
        service_tier=served_tier(request.service_tier),
    )


def _usage(counts: Counts, manner: UsageManner) -> Json:
    total = 1 if manner is UsageManner.CONTRADICTORY else counts.input_tokens + counts.output_tokens
    details: Json = {"cached_tokens": counts.cached}
    if counts.cache_write:
        details["cache_write_tokens"] = counts.cache_write
    return {
        "input_tokens": counts.input_tokens,
        "input_tokens_details": details,
        "output_tokens": counts.output_tokens,
        "output_tokens_details": {"reasoning_tokens": counts.reasoning},
        "total_tokens": total,
    }


def _response(ask: Ask, reply: Reply, status: str, output: list[Json], *, usage: bool) -> Json:
    ended = status != "in_progress"
    incomplete = {"reason": "max_output_tokens"} if status == "incomplete" else None
    told = _usage(reply.counts, reply.manner) if usage and reply.counts else None
    return {
        "id": f"resp_{reply.stem}",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "background": False,
        "completed_at": CREATED if status == "completed" else None,
        "error": None,
        "incomplete_details": incomplete,
        "instructions": None,
        "max_output_tokens": ask.output_cap,
        "model": reply.model,
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": reply.service_tier if ended else "auto",
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": told,
        "user": None,
        "metadata": {},
    }


def _status(reply: Reply) -> str:
    return "incomplete" if reply.first.finish is Finish.LENGTH else "completed"


def _reasoning(reply: Reply) -> Json:
    return {"id": f"rs_{reply.stem}", "type": "reasoning", "summary": []}


def _part(text: str) -> Json:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _message(reply: Reply, status: str, content: list[Json]) -> Json:
    return {
        "id": f"msg_{reply.stem}",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": content,
    }


def _call(call: ToolCall, status: str, arguments: str) -> Json:
    return {
        "id": f"fc_{call.stem}",
        "type": "function_call",
        "status": status,
        "call_id": f"call_{call.stem}",
        "name": call.name,
        "arguments": arguments,
    }


def _output(reply: Reply) -> list[Json]:
    output = [_reasoning(reply)] if reply.reasons else []
    if reply.first.tool_calls:
        return output + [_call(call, "completed", call.arguments_json) for call in reply.first.tool_calls]
    return [*output, _message(reply, _status(reply), [_part(reply.first.text)])]


def _whole(ask: Ask, reply: Reply) -> bytes:
    return msgspec.json.encode(_response(ask, reply, _status(reply), _output(reply), usage=True))


class _Stream:
    """Events in order, each with its number."""

    def __init__(self) -> None:
        self.events: list[bytes] = []

    def add(self, type_: str, **members: object) -> None:
        self.events.append(named_event({"type": type_, **members, "sequence_number": len(self.events)}))

    def add_reasoning(self, reply: Reply) -> None:
        self.add("response.output_item.added", output_index=0, item=_reasoning(reply))
        self.add("response.output_item.done", output_index=0, item=_reasoning(reply))

    def add_message(self, reply: Reply, index: int) -> None:
        item_id, text = f"msg_{reply.stem}", reply.first.text
        place: Json = {"item_id": item_id, "output_index": index, "content_index": 0}
        self.add("response.output_item.added", output_index=index, item=_message(reply, "in_progress", []))
        self.add("response.content_part.added", **place, part=_part(""))
        for piece in reply.first.pieces:
            self.add("response.output_text.delta", **place, delta=piece, logprobs=[])
        self.add("response.output_text.done", **place, text=text, logprobs=[])
        self.add("response.content_part.done", **place, part=_part(text))
        done = _message(reply, _status(reply), [_part(text)])
        self.add("response.output_item.done", output_index=index, item=done)

    def add_call(self, call: ToolCall, index: int) -> None:
        place: Json = {"item_id": f"fc_{call.stem}", "output_index": index}
        whole = call.arguments_json
        self.add("response.output_item.added", output_index=index, item=_call(call, "in_progress", ""))
        for part in (whole[: len(whole) // 2], whole[len(whole) // 2 :]):
            self.add("response.function_call_arguments.delta", **place, delta=part)
        self.add("response.function_call_arguments.done", **place, name=call.name, arguments=whole)
        self.add("response.output_item.done", output_index=index, item=_call(call, "completed", whole))


def _events(ask: Ask, reply: Reply) -> list[bytes]:
    early = reply.manner in (UsageManner.FIRST, UsageManner.EVERY)
    stream = _Stream()
    stream.add("response.created", response=_response(ask, reply, "in_progress", [], usage=early))
    again = _response(ask, reply, "in_progress", [], usage=reply.manner is UsageManner.EVERY)
    stream.add("response.in_progress", response=again)
    index = 0
    if reply.reasons:
        stream.add_reasoning(reply)
        index = 1
    for number, call in enumerate(reply.first.tool_calls):
        stream.add_call(call, index + number)
    if not reply.first.tool_calls:
        stream.add_message(reply, index)
    if reply.complete:
        told = reply.manner is not UsageManner.FIRST
        final = _response(ask, reply, _status(reply), _output(reply), usage=told)
        stream.add(f"response.{_status(reply)}", response=final)
    return stream.events


def _fault(ask: Ask, reply: Reply, number: int) -> list[bytes]:
    message = "The server had an error while processing your request."
    failed = _response(ask, reply, "failed", [], usage=False)
    failed["error"] = {"code": "server_error", "message": message}
    return [
        named_event(
            {
                "type": "error",
                "code": "server_error",
                "message": message,
                "param": None,
                "sequence_number": number,
            }
        ),
        named_event({"type": "response.failed", "response": failed, "sequence_number": number + 1}),
    ]


def _count(ask: Ask, reply: Reply) -> bytes:
    return msgspec.json.encode({"object": "response.input_tokens", "input_tokens": reply.billed.input_tokens})


RESPONSES = Endpoint(
    name="openai.responses", family="openai", read=_read, whole=_whole, events=_events, fault=_fault
)
INPUT_TOKENS = Endpoint(name="openai.input_tokens", family="openai", read=_read, whole=_count, free=True)
