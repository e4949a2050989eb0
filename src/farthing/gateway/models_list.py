"""The models a key may ask for, in the shape that the caller's own client expects."""

from collections.abc import Iterable

import msgspec

from farthing.domain.call import Identity
from farthing.policy.decide import allowed_models
from farthing.policy.rules import Policy
from farthing.prices.book import PriceBook


def shape_for(path: str, headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Tell whose client asks: Gemini by its path or header, Anthropic by its version header."""
    names = {name for name, _ in headers}
    if path.startswith("/v1beta") or b"x-goog-api-key" in names:
        return "gemini"
    return "anthropic" if b"anthropic-version" in names else "openai"


def models_body(shape: str, models: Iterable[str]) -> bytes:
    """List models in one of the three shapes."""
    names = sorted(models)
    if shape == "gemini":
        body: dict[str, object] = {
            "models": [
                {
                    "name": f"models/{name}",
                    "displayName": name,
                    "supportedGenerationMethods": ["generateContent", "countTokens"],
                }
                for name in names
            ]
        }
    elif shape == "anthropic":
        body = {
            "data": [
                {"type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z"}
                for name in names
            ],
            "has_more": False,
            "first_id": names[0] if names else None,
            "last_id": names[-1] if names else None,
        }
    else:
        body = {
            "object": "list",
            "data": [{"id": name, "object": "model", "created": 0, "owned_by": "farthing"} for name in names],
        }
    return msgspec.json.encode(body)


def models_for(identity: Identity, policy: Policy, book: PriceBook) -> list[str]:
    """The models that the environment of a key may ask for and a target can serve."""
    environment = policy.environments[identity.environment]
    known: set[str] = set()
    for target in policy.targets:
        known.update([target.model] if target.model else book.names(target.provider))
    return allowed_models(environment, known)
