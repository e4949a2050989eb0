"""Gemini: generate, stream (events or one array), count and embed, in the shapes of its REST API."""

import msgspec

from farthing.simulator.ask import Ask, Malformed, Tool, smallest, tokens_in
from farthing.simulator.behaviour import UsageManner
from farthing.simulator.endpoint import Address, Endpoint, read_body
from farthing.simulator.openai_chat_answers import NOTHING
from farthing.simulator.openai_plain_answers import vector
from farthing.simulator.reply import Choice, Counts, Finish, Reply, ToolCall

Json = dict[str, object]
_FINISH_REASON = {Finish.STOP: "STOP", Finish.LENGTH: "MAX_TOKENS", Finish.TOOL: "STOP"}


class _Part(msgspec.Struct):
    text: str | None = None
    function_response: msgspec.Raw | None = msgspec.field(default=None, name="functionResponse")


class _Content(msgspec.Struct):
    parts: list[_Part] | None = None
    role: str | None = None

    def words(self) -> str:
        """The text, its parts joined."""
        return "\n".join(part.text for part in self.parts or () if part.text)


class _Declaration(msgspec.Struct):
    name: str
    parameters: Json | None = None
    json_schema: Json | None = msgspec.field(default=None, name="parametersJsonSchema")


class _Tool(msgspec.Struct, rename="camel"):
    function_declarations: list[_Declaration] | None = None


class _FunctionCalling(msgspec.Struct):
    mode: str | None = None


class _ToolConfig(msgspec.Struct, rename="camel"):
    function_calling_config: _FunctionCalling | None = None


class _Generation(msgspec.Struct, rename="camel"):
    max_output_tokens: int | None = None
    candidate_count: int | None = None
    response_mime_type: str | None = None
    response_schema: Json | None = None
    response_json_schema: Json | None = None


class _Body(msgspec.Struct, rename="camel"):
    contents: msgspec.Raw = NOTHING
    system_instruction: msgspec.Raw = NOTHING
    tools: msgspec.Raw = NOTHING
    tool_config: _ToolConfig | None = None
    generation_config: _Generation | None = None


def _read_generate(body: bytes, address: Address) -> Ask:
    request = read_body(body, _Body)
    contents = _contents(request.contents)
    tools = read_body(bytes(request.tools) or b"null", list[_Tool] | None) or []  # type: ignore[arg-type]
    config = request.generation_config or _Generation()
    calling = request.tool_config and request.tool_config.function_calling_config
    texts = [content.words() for content in contents if content.role in (None, "user")]
    return Ask(
        model=address.model,
        text=next((text for text in reversed(texts) if text), ""),
        input_tokens=tokens_in(request.contents, request.system_instruction, request.tools),
        output_cap=smallest(config.max_output_tokens),
        choices=config.candidate_count or 1,
        stream=address.method == "streamGenerateContent",
        array=address.array,
        tools=tuple(
            Tool(name=one.name, schema=one.json_schema or one.parameters or {})
            for tool in tools
            for one in tool.function_declarations or ()
        ),
        tool_wanted=bool(calling and calling.mode == "ANY"),
        tool_answered=any(part.function_response for part in contents[-1].parts or ()),
        schema=_schema(config),
        service_tier="standard",
    )


def _contents(raw: msgspec.Raw) -> list[_Content]:
    contents = read_body(bytes(raw) or b"[]", list[_Content] | _Content)  # type: ignore[arg-type]
    contents = [contents] if isinstance(contents, _Content) else contents
    if not contents:
        raise Malformed("* GenerateContentRequest.contents: contents is not specified")
    return contents


def _schema(config: _Generation) -> Json | None:
    if config.response_mime_type != "application/json":
        return None
    return config.response_json_schema or config.response_schema or {"type": "object"}


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


class _CountBody(msgspec.Struct, rename="camel"):
    contents: msgspec.Raw = NOTHING
    generate_content_request: msgspec.Raw | None = None


def _read_count(body: bytes, address: Address) -> Ask:
    request = read_body(body, _CountBody)
    if request.generate_content_request is not None:
        return _read_generate(bytes(request.generate_content_request), address)
    return _read_generate(body, address)


def _count(ask: Ask, reply: Reply) -> bytes:
    tokens = reply.billed.input_tokens
    details = [{"modality": "TEXT", "tokenCount": tokens}]
    return msgspec.json.encode({"totalTokens": tokens, "promptTokensDetails": details})


class _EmbedBody(msgspec.Struct, rename="camel"):
    content: msgspec.Raw
    output_dimensionality: int | None = None


class _BatchEmbedBody(msgspec.Struct):
    requests: list[_EmbedBody]


def _read_embed(body: bytes, address: Address) -> Ask:
    return _embedding_ask(address, [read_body(body, _EmbedBody)])


def _read_batch_embed(body: bytes, address: Address) -> Ask:
    return _embedding_ask(address, read_body(body, _BatchEmbedBody).requests)


def _embedding_ask(address: Address, requests: list[_EmbedBody]) -> Ask:
    if not requests:
        raise Malformed("* BatchEmbedContentsRequest.requests: requests is not specified")
    return Ask(
        model=address.model,
        text=_contents(requests[-1].content)[-1].words(),
        input_tokens=tokens_in(*(request.content for request in requests)),
        choices=len(requests),
        dimensions=requests[0].output_dimensionality,
        generates=False,
    )


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
    read=_read_generate,
    whole=_whole,
    events=_events,
    fault=_fault,
)
COUNT = Endpoint(name="gemini.count_tokens", family="gemini", read=_read_count, whole=_count, free=True)
EMBED = Endpoint(name="gemini.embed", family="gemini", read=_read_embed, whole=_embedding)
BATCH_EMBED = Endpoint(name="gemini.batch_embed", family="gemini", read=_read_batch_embed, whole=_embeddings)
