"""Tell by its name what a model is for and who makes it, so that no call is led astray."""

import re

from farthing.domain.call import RequestFacts

_EMBEDDING = re.compile(r"embed", re.IGNORECASE)
_OTHER_THAN_TEXT = re.compile(
    r"embed|rerank|whisper|transcribe|tts|speech|realtime|live|moderation|dall-e|image|imagen|veo|sora",
    re.IGNORECASE,
)


def same_kind(facts: RequestFacts, model: str) -> bool:
    """Tell whether a model may be picked for a request without having been named.

    Prices do not say what a model does: an embedding model is always the cheapest, and cannot chat.
    """
    if not facts.generates and not facts.free:
        return _EMBEDDING.search(model) is not None
    return writes_text(model)


def writes_text(model: str) -> bool:
    """Tell whether a model answers in text, as far as its name says."""
    return _OTHER_THAN_TEXT.search(model) is None


# Those who make the models that everybody asks for by these names.
_MAKERS = (
    ("anthropic", re.compile(r"claude")),
    ("google", re.compile(r"gemini|gemma|imagen|veo|learnlm")),
    (
        "openai",
        re.compile(r"gpt-(?!oss)|chatgpt|o\d|text-embedding-(3|ada)|davinci|babbage|codex|whisper|dall-e"),
    ),
)
HOME_PROVIDERS = {"openai": "openai", "anthropic": "anthropic", "gemini": "google"}


def may_offer(provider: str, model: str) -> bool:
    """Tell whether a provider may have a model, as far as names say.

    A price is no proof: resellers list models that their own dialect cannot be asked for. Only the
    makers are sure not to offer each other's.
    """
    makers = {maker for maker, name in _MAKERS if name.match(model)}
    return provider not in HOME_PROVIDERS.values() or not makers or provider in makers
