"""A genuine answer of an SDK that says it was blocked: for programs that shall go on at the limit."""

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from farthing.sdk.desk import Asked

BLOCKED_HEADER = "x-farthing-blocked"
_NO_TOKENS = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


def blocked_answer(asked: "Asked") -> tuple[bytes, str] | None:
    """The body and content type of an empty answer that ends as a content filter ends one.

    None for a dialect that has no such answer (embeddings): there the refusal is raised.
    """
    facts, ident = asked.call.facts, asked.call.call_id
    seconds = asked.call.at_us // 1_000_000
    match facts.dialect:
        case "openai.chat":
            return _chat(ident, facts.model, seconds, stream=facts.stream)
        case "openai.responses":
            return _responses(ident, facts.model, seconds, stream=facts.stream)
        case "anthropic.messages":
            return _messages(ident, facts.model, stream=facts.stream)
        case "gemini.generate":
            return _gemini(facts.model, stream=facts.stream)
        case _:
            return None


def _whole(body: Mapping[str, object]) -> tuple[bytes, str]:
    return json.dumps(body).encode(), "application/json"


def _events(events: Iterable[tuple[str | None, object]]) -> tuple[bytes, str]:
    lines = []
    for name, data in events:
        text = data if isinstance(data, str) else json.dumps(data)
        lines.append((f"event: {name}\n" if name else "") + f"data: {text}\n\n")
    return "".join(lines).encode(), "text/event-stream"


def _chat(ident: str, model: str, seconds: int, *, stream: bool) -> tuple[bytes, str]:
    head: dict[str, object] = {"id": ident, "created": seconds, "model": model}
    end = {"index": 0, "finish_reason": "content_filter", "logprobs": None}
    if not stream:
        message = {"role": "assistant", "content": "", "refusal": None}
        choices = [{**end, "message": message}]
        return _whole({**head, "object": "chat.completion", "choices": choices, "usage": _NO_TOKENS})
    chunk = {**head, "object": "chat.completion.chunk", "choices": [{**end, "delta": {}}]}
    return _events([(None, chunk), (None, "[DONE]")])


def _responses(ident: str, model: str, seconds: int, *, stream: bool) -> tuple[bytes, str]:
    whole: dict[str, object] = {
        "id": ident,
        "object": "response",
        "created_at": seconds,
        "model": model,
        "status": "incomplete",
        "incomplete_details": {"reason": "content_filter"},
        "error": None,
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 0,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 0,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 0,
        },
    }
    if not stream:
        return _whole(whole)
    first = {"type": "response.created", "sequence_number": 0, "response": {**whole, "status": "in_progress"}}
    last = {"type": "response.incomplete", "sequence_number": 1, "response": whole}
    return _events([("response.created", first), ("response.incomplete", last)])


def _messages(ident: str, model: str, *, stream: bool) -> tuple[bytes, str]:
    usage = {"input_tokens": 0, "output_tokens": 0}
    message: dict[str, object] = {
        "id": ident,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": "refusal",
        "stop_sequence": None,
        "usage": usage,
    }
    if not stream:
        return _whole(message)
    start = {"type": "message_start", "message": {**message, "stop_reason": None}}
    delta = {"stop_reason": "refusal", "stop_sequence": None}
    change = {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 0}}
    return _events(
        [("message_start", start), ("message_delta", change), ("message_stop", {"type": "message_stop"})]
    )


def _gemini(model: str, *, stream: bool) -> tuple[bytes, str]:
    usage = {"promptTokenCount": 0, "candidatesTokenCount": 0, "totalTokenCount": 0}
    answer = {"promptFeedback": {"blockReason": "OTHER"}, "usageMetadata": usage, "modelVersion": model}
    return _events([(None, answer)]) if stream else _whole(answer)
