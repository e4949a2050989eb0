"""What a request asks of a fake model, in words that all dialects share."""

import hashlib
from collections.abc import Mapping

import msgspec

BYTES_PER_TOKEN = 4


class Malformed(ValueError):
    """The request is not one that a provider would answer; it gets the dialect's 400."""


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A function that the caller offers."""

    name: str
    schema: Mapping[str, object] = {}


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One request, as far as the answer depends on it.

    text: the last user message, where directives stand.
    tool_wanted: the caller insists that a tool is called.
    tool_answered: the last message brings a tool's result, so the answer is in words.
    schema: the JSON Schema that the answer must fit; empty for any JSON object.
    array: a Gemini stream that is one JSON array instead of server-sent events.
    generates: False where the answer has no output tokens.
    dimensions, base64: the length and the spelling of embeddings; choices says how many.
    """

    model: str
    text: str = ""
    input_tokens: int = 1
    output_cap: int | None = None
    choices: int = 1
    stream: bool = False
    array: bool = False
    wants_usage: bool = False
    tools: tuple[Tool, ...] = ()
    tool_wanted: bool = False
    tool_answered: bool = False
    schema: Mapping[str, object] | None = None
    service_tier: str | None = None
    generates: bool = True
    dimensions: int | None = None
    base64: bool = False


def tokens_in(*members: bytes | msgspec.Raw) -> int:
    """Count tokens the simulator's way: one for four bytes of JSON that becomes input, at least one.

    Never more than the bytes of the body, so a ceiling made from them holds.
    """
    return max(1, sum(len(bytes(member)) for member in members) // BYTES_PER_TOKEN)


def stem_of(seed: int, *parts: bytes) -> str:
    """A name for this very request: what ids and texts of its answer are drawn from."""
    digest = hashlib.blake2b(str(seed).encode(), digest_size=16)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def smallest(*caps: int | None) -> int | None:
    """The cap that binds when a caller sent several."""
    given = [cap for cap in caps if cap is not None]
    if any(cap < 1 for cap in given):
        raise Malformed("the output limit must be at least 1")
    return min(given, default=None)
