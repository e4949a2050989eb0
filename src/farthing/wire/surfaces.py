"""Which path is which dialect, and what path to ask for upstream."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import quote, unquote

import msgspec

from farthing.domain.errors import BadRequest
from farthing.wire.anthropic_messages import AnthropicMessages
from farthing.wire.dialect import Dialect
from farthing.wire.gemini_embeddings import GeminiEmbeddings
from farthing.wire.gemini_generate import GeminiGenerate
from farthing.wire.openai_chat import OpenAIChat
from farthing.wire.openai_completions import OpenAICompletions
from farthing.wire.openai_embeddings import OpenAIEmbeddings
from farthing.wire.openai_responses import OpenAIResponses


class Surface(msgspec.Struct, frozen=True, kw_only=True):
    """A path that can be metered.

    upstream_path: relative to what the official SDK of the dialect would be given as base_url: that
        has /v1 for OpenAI's, and has not for Anthropic's and Gemini's.
    model, stream: what the path tells of them; None where the body does.
    provider: the one named by /proxy/{provider}/ in front.
    """

    dialect: Dialect
    upstream_path: str
    model: str | None = None
    stream: bool | None = None
    provider: str | None = None

    @property
    def family(self) -> str:
        """What a target must speak: openai, anthropic or gemini."""
        return self.dialect.family

    def upstream_path_for(self, model: str) -> str:
        """The upstream path for a model, which may be another one than the caller's.

        Raises BadRequest for a name that would lead to another path.
        """
        if self.model is None:
            return self.upstream_path
        if not _is_plain(model):
            raise BadRequest(f"{model!r} is not a name of a model", param="model")
        head, action = self.upstream_path.split("/models/", 1)[0], self.upstream_path.rpartition(":")[2]
        return f"{head}/models/{quote(model, safe=_MODEL_SIGNS)}:{action}"


_BY_PATH: Mapping[str, Dialect] = MappingProxyType(
    {
        "/chat/completions": OpenAIChat(),
        "/completions": OpenAICompletions(),
        "/embeddings": OpenAIEmbeddings(),
        "/responses": OpenAIResponses(),
        "/responses/compact": OpenAIResponses("compact"),
        "/responses/input_tokens": OpenAIResponses("input_tokens"),
        "/messages": AnthropicMessages(),
        "/messages/count_tokens": AnthropicMessages(counts_only=True),
    }
)
_GENERATE, _COUNT, _EMBED = GeminiGenerate(), GeminiGenerate(counts_only=True), GeminiEmbeddings()
_BY_ACTION: Mapping[str, tuple[Dialect, bool]] = MappingProxyType(
    {
        "generateContent": (_GENERATE, False),
        "streamGenerateContent": (_GENERATE, True),
        "countTokens": (_COUNT, False),
        "embedContent": (_EMBED, False),
        "batchEmbedContents": (_EMBED, False),
    }
)
_PROXY = re.compile(r"/proxy/(?P<provider>[A-Za-z0-9][A-Za-z0-9._-]{0,63})(?=/)")
_GEMINI = re.compile(r"(?P<version>/v1beta|/v1)?/models/(?P<model>[^?#]+):(?P<action>[A-Za-z]+)")
_GEMINI_VERSION = "/v1beta"
_MODEL_SIGNS = "/-._~@+="
_MODEL_LETTERS = re.compile(r"[A-Za-z0-9/._~@+=:-]{1,256}")


def find(method: str, path: str) -> Surface | None:
    """Find the surface of a path, with or without its /v1; None where nothing can meter it."""
    if method != "POST":
        return None
    path, provider = path.partition("?")[0], None
    proxied = _PROXY.match(path)
    if proxied is not None:
        path, provider = path[proxied.end() :], proxied["provider"]
    dialect = _BY_PATH.get(path.removeprefix("/v1"))
    if dialect is None:
        return _find_gemini(path, provider)
    upstream_path = path.removeprefix("/v1")
    if dialect.family == "anthropic":
        upstream_path = "/v1" + upstream_path
    return Surface(dialect=dialect, upstream_path=upstream_path, provider=provider)


def _find_gemini(path: str, provider: str | None) -> Surface | None:
    match = _GEMINI.fullmatch(path)
    if match is None or match["action"] not in _BY_ACTION:
        return None
    model = unquote(match["model"])
    if not _is_plain(model):
        return None
    dialect, stream = _BY_ACTION[match["action"]]
    version = match["version"] or _GEMINI_VERSION
    return Surface(
        dialect=dialect,
        upstream_path=f"{version}/models/{quote(model, safe=_MODEL_SIGNS)}:{match['action']}",
        model=model,
        stream=stream,
        provider=provider,
    )


def _is_plain(model: str) -> bool:
    """Say whether a name stays one place in a path: no steps up, no empty steps, no odd signs."""
    if _MODEL_LETTERS.fullmatch(model) is None:
        return False
    return not any(step in ("", ".", "..") for step in model.split("/"))
