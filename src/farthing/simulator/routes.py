"""Which path is which endpoint, and the lists of models."""

from urllib.parse import parse_qs

import msgspec

from farthing.simulator.anthropic_answers import COUNT_TOKENS, MESSAGES
from farthing.simulator.endpoint import CREATED, Address, Endpoint
from farthing.simulator.gemini_answers import BATCH_EMBED, COUNT, EMBED, GENERATE
from farthing.simulator.openai_chat_answers import CHAT
from farthing.simulator.openai_plain_answers import COMPLETIONS, EMBEDDINGS
from farthing.simulator.openai_responses_answers import INPUT_TOKENS, RESPONSES

MOCK = "/mock"

# Exact paths only: a base URL that was joined wrongly must not work here either.
_ENDPOINTS = {
    "/v1/chat/completions": CHAT,
    "/v1/responses": RESPONSES,
    "/v1/responses/input_tokens": INPUT_TOKENS,
    "/v1/completions": COMPLETIONS,
    "/v1/embeddings": EMBEDDINGS,
    "/v1/messages": MESSAGES,
    "/v1/messages/count_tokens": COUNT_TOKENS,
}
_GEMINI_METHODS = {
    "generateContent": GENERATE,
    "streamGenerateContent": GENERATE,
    "countTokens": COUNT,
    "embedContent": EMBED,
    "batchEmbedContents": BATCH_EMBED,
}
_NOWHERE = Address()

MODELS = {
    "openai": ("gpt-4o", "gpt-4o-mini", "gpt-4.1-mini", "gpt-5-mini", "text-embedding-3-small"),
    "anthropic": ("claude-haiku-4-5", "claude-sonnet-4-5"),
    "gemini": ("gemini-2.5-flash", "gemini-2.5-flash-lite", "gemini-embedding-001"),
}


def route(path: str, query: bytes) -> tuple[Endpoint, Address] | None:
    """Find the endpoint of a path; None where no provider has one."""
    if endpoint := _ENDPOINTS.get(path):
        return endpoint, _NOWHERE
    place, models, rest = path.partition("/models/")
    model, colon, method = rest.rpartition(":")
    if place not in ("/v1beta", "/v1") or not (models and colon and model):
        return None
    found = _GEMINI_METHODS.get(method)
    if found is None:
        return None
    array = parse_qs(query.decode("latin-1")).get("alt") != ["sse"]
    return found, Address(model=model, method=method, array=array)


def family_of(path: str, header_names: frozenset[bytes]) -> str:
    """Whose errors and lists a caller expects, where the endpoint does not tell."""
    if path.startswith("/v1beta") or b"x-goog-api-key" in header_names:
        return "gemini"
    if b"anthropic-version" in header_names or path.startswith("/v1/messages"):
        return "anthropic"
    return "openai"


def models_listed(path: str, family: str, models: tuple[str, ...]) -> bytes | None:
    """Answer a question for models: all of them, or one; None where the path asks for neither."""
    place, _, name = path.partition("/models")
    if place not in ("/v1", "/v1beta") or (name and not name.startswith("/")):
        return None
    known = models or MODELS[family]
    if name:
        return msgspec.json.encode(_model(family, name[1:])) if name[1:] in known else None
    listed = [_model(family, one) for one in known]
    match family:
        case "gemini":
            return msgspec.json.encode({"models": listed})
        case "anthropic":
            ends = {"has_more": False, "first_id": known[0], "last_id": known[-1]}
            return msgspec.json.encode({"data": listed} | ends)
        case _:
            return msgspec.json.encode({"object": "list", "data": listed})


def _model(family: str, name: str) -> dict[str, object]:
    match family:
        case "gemini":
            methods = ["generateContent", "countTokens"]
            return {"name": f"models/{name}", "displayName": name, "supportedGenerationMethods": methods}
        case "anthropic":
            return {"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z"}
        case _:
            return {"id": name, "object": "model", "created": CREATED, "owned_by": "simulator"}
