"""Know the usual providers: where they live, which dialects they speak, which variable holds their key."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """What a target of this provider need not say.

    base_urls: for each dialect family, what its official SDK would be given; the first is the usual one.
    secret_env: the variable its own tools read the key from; None where no key is needed.
    """

    base_urls: Mapping[str, str | None]
    secret_env: str | None = None

    @property
    def families(self) -> tuple[str, ...]:
        """The dialects that a target of it speaks unless told."""
        return tuple(self.base_urls)[:1]


def _provider(secret_env: str | None, **base_urls: str | None) -> Provider:
    return Provider(base_urls=base_urls, secret_env=secret_env)


# None as address: the server is the user's own, and the policy must say where it is.
PROVIDERS: Mapping[str, Provider] = MappingProxyType(
    {
        "openai": _provider("OPENAI_API_KEY", openai="https://api.openai.com/v1"),
        "anthropic": _provider(
            "ANTHROPIC_API_KEY", anthropic="https://api.anthropic.com", openai="https://api.anthropic.com/v1"
        ),
        "google": _provider(
            "GEMINI_API_KEY",
            gemini="https://generativelanguage.googleapis.com",
            openai="https://generativelanguage.googleapis.com/v1beta/openai",
        ),
        "deepseek": _provider(
            "DEEPSEEK_API_KEY",
            openai="https://api.deepseek.com/v1",
            anthropic="https://api.deepseek.com/anthropic",
        ),
        "mistral": _provider("MISTRAL_API_KEY", openai="https://api.mistral.ai/v1"),
        "groq": _provider("GROQ_API_KEY", openai="https://api.groq.com/openai/v1"),
        "xai": _provider("XAI_API_KEY", openai="https://api.x.ai/v1"),
        "openrouter": _provider("OPENROUTER_API_KEY", openai="https://openrouter.ai/api/v1"),
        "together": _provider("TOGETHER_API_KEY", openai="https://api.together.xyz/v1"),
        "perplexity": _provider("PERPLEXITY_API_KEY", openai="https://api.perplexity.ai"),
        "azure": _provider("AZURE_OPENAI_API_KEY", openai=None),
        "vllm": _provider(None, openai=None),
        "ollama": _provider(None, openai="http://localhost:11434/v1"),
    }
)

# Answers in place of a provider, in every dialect, as the simulator does; their address is known only once
# they run.
MOCK = "mock"
ALL_FAMILIES = ("openai", "anthropic", "gemini")


def provider_of_secret(variable: str) -> str | None:
    """The provider whose key a variable usually holds."""
    return next((name for name, known in PROVIDERS.items() if known.secret_env == variable), None)
