"""The models a key may ask for, in the shape that the caller's own client expects."""

from collections.abc import Iterable

import msgspec

from farthing.domain.call import Identity
from farthing.domain.names import is_pattern, names_model
from farthing.engine.offers import FAMILY_PROVIDERS
from farthing.policy.rules import Policy, Target
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


def models_for(identity: Identity, policy: Policy, prices: PriceBook) -> list[str]:
    """The models that the environment of a key may ask for and that some target here may serve."""
    allow = policy.environments[identity.environment].allow
    served: set[str] = set()
    for target in policy.targets:
        if not target.environments or identity.environment in target.environments:
            served.update([target.model] if target.model else _names_of(target, prices))
    if allow is None:
        return sorted(served)
    named = {name for name in allow if not is_pattern(name) and any(names_model(name, one) for one in served)}
    patterns = [name for name in allow if is_pattern(name)]
    return sorted(named | {one for one in served if any(names_model(pattern, one) for pattern in patterns)})


def _names_of(target: Target, prices: PriceBook) -> Iterable[str]:
    """Every priced model of an open target's provider; a simulator plays all whose dialects it speaks."""
    if target.simulated and target.stands_for is None:
        return (name for family in target.families for name in prices.names(FAMILY_PROVIDERS[family]))
    return prices.names(target.billed_as)
