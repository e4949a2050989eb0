"""Gemini requests: what they ask, in either spelling of their names."""

from typing import TypeVar

import msgspec

from farthing.simulator.ask import Ask, Malformed, Tool, smallest, tokens_in
from farthing.simulator.endpoint import Address, read_body

Json = dict[str, object]
_Kind = TypeVar("_Kind")

_INPUT_MEMBERS = ("contents", "content", "requests", "systemInstruction", "tools", "generateContentRequest")
# Below these stand names of the caller's own, which are not to be respelt.
_CALLERS_OWN = (
    "parameters",
    "parametersJsonSchema",
    "responseSchema",
    "responseJsonSchema",
    "args",
    "response",
)


class _Part(msgspec.Struct, rename="camel"):
    text: str | None = None
    function_response: Json | None = None


class _Content(msgspec.Struct):
    parts: list[_Part] | None = None
    role: str | None = None

    def words(self) -> str:
        """The text, its parts joined."""
        return "\n".join(part.text for part in self.parts or () if part.text)


class _Declaration(msgspec.Struct, rename="camel"):
    name: str
    parameters: Json | None = None
    parameters_json_schema: Json | None = None


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
    contents: list[_Content] | _Content = []
    tools: list[_Tool] | None = None
    tool_config: _ToolConfig | None = None
    generation_config: _Generation | None = None


class _CountBody(msgspec.Struct, rename="camel"):
    generate_content_request: Json | None = None


class _EmbedBody(msgspec.Struct, rename="camel"):
    content: _Content
    output_dimensionality: int | None = None


class _BatchEmbedBody(msgspec.Struct):
    requests: list[_EmbedBody]


def read_generate(body: bytes, address: Address) -> Ask:
    """Read what is to be generated; whether it streams stands in the path."""
    request = _read(body, _Body)
    contents = request.contents if isinstance(request.contents, list) else [request.contents]
    if not contents:
        raise Malformed("* GenerateContentRequest.contents: contents is not specified")
    config = request.generation_config or _Generation()
    calling = request.tool_config and request.tool_config.function_calling_config
    texts = [content.words() for content in contents if content.role in (None, "user")]
    return Ask(
        model=address.model,
        text=next((text for text in reversed(texts) if text), ""),
        input_tokens=_input_tokens(body),
        output_cap=smallest(config.max_output_tokens),
        choices=config.candidate_count or 1,
        stream=address.method == "streamGenerateContent",
        array=address.array,
        tools=tuple(
            Tool(name=one.name, schema=one.parameters_json_schema or one.parameters or {})
            for tool in request.tools or ()
            for one in tool.function_declarations or ()
        ),
        tool_wanted=bool(calling and calling.mode == "ANY"),
        tool_answered=any(part.function_response is not None for part in contents[-1].parts or ()),
        schema=_schema(config),
        service_tier="standard",
    )


def read_count(body: bytes, address: Address) -> Ask:
    """Read what is to be counted: contents, or a whole request to generate."""
    inner = _read(body, _CountBody).generate_content_request
    return read_generate(body if inner is None else msgspec.json.encode(inner), address)


def read_embed(body: bytes, address: Address) -> Ask:
    """Read one content to embed."""
    return _embedding(body, address, [_read(body, _EmbedBody)])


def read_batch_embed(body: bytes, address: Address) -> Ask:
    """Read several contents to embed."""
    return _embedding(body, address, _read(body, _BatchEmbedBody).requests)


def _embedding(body: bytes, address: Address, requests: list[_EmbedBody]) -> Ask:
    if not requests:
        raise Malformed("* BatchEmbedContentsRequest.requests: requests is not specified")
    return Ask(
        model=address.model,
        text=requests[-1].content.words(),
        input_tokens=_input_tokens(body),
        choices=len(requests),
        dimensions=requests[0].output_dimensionality,
        generates=False,
    )


def _schema(config: _Generation) -> Json | None:
    if config.response_mime_type != "application/json":
        return None
    return config.response_json_schema or config.response_schema or {"type": "object"}


def _read(body: bytes, kind: type[_Kind]) -> _Kind:
    """Decode a body; Google takes max_output_tokens and maxOutputTokens, and its SDK sends both kinds."""
    try:
        return msgspec.convert(_respelt(read_body(body, Json)), kind)
    except msgspec.ValidationError as error:
        raise Malformed(str(error)) from error


def _respelt(value: object) -> object:
    if isinstance(value, list):
        return [_respelt(one) for one in value]
    if not isinstance(value, dict):
        return value
    named = ((_camel(name), below) for name, below in value.items())
    return {name: below if name in _CALLERS_OWN else _respelt(below) for name, below in named}


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def _input_tokens(body: bytes) -> int:
    members = read_body(body, dict[str, msgspec.Raw])
    return tokens_in(*(raw for name, raw in members.items() if _camel(name) in _INPUT_MEMBERS))
