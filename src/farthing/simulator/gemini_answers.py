"""Gemini answers: generate, stream (events or one array), count and embed, as its REST API has them."""

import msgspec

from farthing.simulator.ask import Ask
from farthing.simulator.behaviour import UsageManner
from farthing.simulator.endpoint import Endpoint
from farthing.simulator.gemini_requests import read_batch_embed, read_count, read_embed, read_generate
from farthing.simulator.openai_plain_answers import vector
from farthing.simulator.reply import Choice, Counts, Finish, Reply, ToolCall

Json = dict[str, object]
_FINISH_REASON = {Finish.STOP: "STOP", Finish.LENGTH: "MAX_TOKENS", Finish.TOOL: "STOP"}


def _usage(reply: Reply, counts: Counts) -> Json:
    """Thoughts are outside the candidates' count; a share of nothing is left out."""
    thoughts = counts.reasoning
    visible = max(counts.output_tokens - thoughts, 0)
    total = counts.input_tokens + counts.output_tokens
    usage: Json = {
        "promptTokenCount": counts.input_tokens,
        "candidatesTokenCount": visible,
        "totalTokenCount": 1 if reply.manner is UsageManner.CONTRADICTORY else total,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": counts.input_tokens}],
        "serviceTier": reply.service_tier,
    }
    if thoughts:
        usage["thoughtsTokenCount"] = thoughts
    if counts.cached:
        usage["cachedContentTokenCount"] = counts.cached
        usage["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": counts.cached}]
    return usage


def _answer(reply: Reply, candidates: list[Json], usage: Json | None) -> Json:
    answer: Json = {
        "candidates": candidates,
        "modelVersion": reply.model,
        "responseId": reply.stem,
    }
    return answer if usage is None else answer | {"usageMetadata": usage}


def _candidate(index: int, parts: list[Json], finish: Finish | None) -> Json:
    candidate: Json = {"content": {"parts": parts, "role": "model"}, "index": index}
    return candidate if finish is None else candidate | {"finishReason": _FINISH_REASON[finish]}


def _call(call: ToolCall) -> Json:
    return {"functionCall": {"id": call.stem, "name": call.name, "args": call.arguments}}


def _parts(choice: Choice) -> list[Json]:
    parts: list[Json] = [{"text": choice.text}] if choice.text else []
    return parts + [_call(call) for call in choice.tool_calls]


def _whole(ask: Ask, reply: Reply) -> bytes:
    candidates = [
        _candidate(index, _parts(choice), choice.finish) for index, choice in enumerate(reply.choices)
    ]
    usage = _usage(reply, reply.counts) if reply.counts else None
    return msgspec.json.encode(_answer(reply, candidates, usage))


def _events(ask: Ask, reply: Reply) -> list[bytes]:
    candidates: list[Json] = []
    for index, choice in enumerate(reply.choices):
        parts: list[Json] = [{"text": piece} for piece in choice.pieces]
        parts += [_call(call) for call in choice.tool_calls]
        parts = parts or [{"text": ""}]
        candidates += [_candidate(index, [part], None) for part in parts[:-1]]
        candidates.append(_candidate(index, [parts[-1]], choice.finish))
    last = len(candidates) - 1
    objects = []
    for number, candidate in enumerate(candidates):
        usage = _usage_at(reply, first=number == 0, last=number == last)
        if number == last and not reply.complete:
            candidate.pop("finishReason")
        objects.append(msgspec.json.encode(_answer(reply, [candidate], usage)))
    return _as_array(objects) if ask.array else [b"data: " + one + b"\r\n\r\n" for one in objects]


def _usage_at(reply: Reply, *, first: bool, last: bool) -> Json | None:
    """Every event reports what there was so far; the last one counts."""
    if reply.counts is None or (reply.manner is UsageManner.FIRST and not first):
        return None
    usage = _usage(reply, reply.counts)
    if last or reply.manner in (UsageManner.FIRST, UsageManner.EVERY):
        return usage
    del usage["candidatesTokenCount"]
    return usage | {"totalTokenCount": reply.counts.input_tokens + reply.counts.reasoning}


def _as_array(objects: list[bytes]) -> list[bytes]:
    opened = [(b",\r\n" if number else b"[") + one for number, one in enumerate(objects)]
    return [*opened, b"]\r\n"]


def _fault(ask: Ask, reply: Reply, number: int) -> list[bytes]:
    error = {"code": 503, "message": "The model is overloaded. Please try again later."}
    body = msgspec.json.encode({"error": error | {"status": "UNAVAILABLE"}})
    if ask.array:
        return [(b",\r\n" if number else b"[") + body, b"]\r\n"]
    return [b"data: " + body + b"\r\n\r\n"]


def _count(ask: Ask, reply: Reply) -> bytes:
    tokens = reply.billed.input_tokens
    details = [{"modality": "TEXT", "tokenCount": tokens}]
    return msgspec.json.encode({"totalTokens": tokens, "promptTokensDetails": details})


def _embedding(ask: Ask, reply: Reply) -> bytes:
    return _embedded(reply, {"embedding": _values(ask, reply, 0)})


def _embeddings(ask: Ask, reply: Reply) -> bytes:
    return _embedded(reply, {"embeddings": [_values(ask, reply, number) for number in range(ask.choices)]})


def _values(ask: Ask, reply: Reply, number: int) -> Json:
    return {"values": vector(reply.stem, number, ask.dimensions or 768)}


def _embedded(reply: Reply, answer: Json) -> bytes:
    if reply.counts is not None:
        tokens = reply.counts.input_tokens
        details = [{"modality": "TEXT", "tokenCount": tokens}]
        answer["usageMetadata"] = {"promptTokenCount": tokens, "promptTokenDetails": details}
    return msgspec.json.encode(answer)


GENERATE = Endpoint(
    name="gemini.generate",
    family="gemini",
    read=read_generate,
    whole=_whole,
    events=_events,
    fault=_fault,
)
COUNT = Endpoint(name="gemini.count_tokens", family="gemini", read=read_count, whole=_count, free=True)
EMBED = Endpoint(name="gemini.embed", family="gemini", read=read_embed, whole=_embedding)
BATCH_EMBED = Endpoint(name="gemini.batch_embed", family="gemini", read=read_batch_embed, whole=_embeddings)
