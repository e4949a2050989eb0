"""Which requests of an SDK are metered, which cost nothing, and which cannot be metered and so not made."""

import re
from functools import lru_cache
from urllib.parse import quote, urlsplit

from farthing.config.providers import PROVIDERS
from farthing.domain.errors import Reason, Refusal, Refused
from farthing.wire.surfaces import Surface, find

# Requests that read, or that prepare something that is billed when it is used.
_READING = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})
_FREE = re.compile(
    r"/(?:moderations|files|upload/.*|uploads(?:/[^/]+(?:/parts|/complete|/cancel)?)?"
    r"|(?:responses|batches)/[^/]+/cancel|messages/batches/[^/]+/cancel|files:register)/?"
)
_HOME = {"openai": "openai", "anthropic": "anthropic", "gemini": "google"}
_IN_PATH = re.compile(r"(?P<head>.*/(?:models|deployments)/)(?P<model>[^:/]+)(?P<tail>(?::[A-Za-z]+|/.*))")

# Bedrock and Vertex have Claude's answers in wrappings, and prices, of their own.
_OF_CLOUDS = re.compile(r"/model/[^/]+/(?:invoke|converse)|:(?:streamR|r)awPredict$")
_FIX = "use chat, responses, messages, embeddings or generate_content, or a client without a guard"
_CLOUDS_FIX = "call Claude with anthropic.Anthropic(), which can be metered, or with a client without a guard"


@lru_cache(maxsize=4_096)
def surface_of(method: str, path: str, family: str) -> Surface | None:
    """Find what meters a request; None where it costs nothing.

    A base URL may have steps of its own in front of the path, so they are tried away one by one.

    Raises Refused (unmetered_path) for a request that may cost and that nothing here can read.
    """
    if method in _READING:
        return None
    steps = path.split("/")
    for place in range(1, len(steps)):
        surface = find(method, "/" + "/".join(steps[place:]))
        if surface is not None and surface.family == family:
            return surface
        if _FREE.fullmatch("/" + "/".join(steps[place:])):
            return None
    if _OF_CLOUDS.search(path):
        raise Refused(unmetered(f"{method} {path}", fix=_CLOUDS_FIX))
    raise Refused(unmetered(f"{method} {path}"))


def unmetered(what: str, *, fix: str = _FIX) -> Refusal:
    """Say that a request cannot be made because nobody could tell its cost."""
    return Refusal(
        reason=Reason.UNMETERED_PATH,
        message=f"{what} cannot be metered, so a guarded client does not make it",
        fix=fix,
    )


def path_for(path: str, asked: str, model: str) -> str:
    """The path that asks for another model than the one it names; the same where it names none."""
    if asked == model:
        return path
    match = _IN_PATH.fullmatch(path)
    if match is None:
        return path
    return f"{match['head']}{quote(model, safe='-._~@+=')}{match['tail']}"


@lru_cache(maxsize=256)
def provider_of(host: str, family: str) -> str:
    """Whose prices hold at a host; an unknown one is taken for the home of its dialect."""
    known = _hosts().get(host)
    if known is not None:
        return known
    if host.endswith((".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")):
        return "azure"
    return _HOME[family]


@lru_cache(maxsize=1)
def _hosts() -> dict[str, str]:
    return {
        host: name
        for name, known in PROVIDERS.items()
        for url in known.base_urls.values()
        if url is not None and (host := urlsplit(url).hostname) and host != "localhost"
    }
