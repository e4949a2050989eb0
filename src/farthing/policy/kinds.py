"""Tell what a model is for by its name, so that a downgrade never changes the kind of answer."""

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
    return _OTHER_THAN_TEXT.search(model) is None
