"""What is known of models besides their prices."""

import pytest

from farthing.prices.book import load_book
from farthing.prices.facts import ModelFacts

BOOK = load_book()


@pytest.mark.parametrize(
    ("provider", "model", "output_tokens_max", "context_window", "reasoning"),
    [
        ("openai", "gpt-4o", 16_384, 128_000, False),
        ("openai", "gpt-4o-2024-05-13", 4_096, 128_000, False),
        ("openai", "gpt-5.1", 128_000, 400_000, True),
        ("openai", "gpt-5.1-chat-latest", 16_384, 128_000, True),
        ("openai", "gpt-6.1-sol", 128_000, 1_050_000, True),
        ("openai", "o3", 100_000, 200_000, True),
        ("anthropic", "claude-haiku-4-5-20251001", 64_000, 200_000, True),
        ("anthropic", "claude-opus-5-5", 128_000, 1_000_000, True),
        ("google", "gemini-3.8-flash", 65_536, 1_114_112, True),
        ("google", "gemini-4-argon", 1_048_576, 1_048_576, True),
        ("deepseek", "deepseek-flash", 384_000, 1_048_576, True),
        ("groq", "llama-3.3-70b-versatile", 32_768, 131_072, False),
    ],
)
def test_the_limits_are_those_of_the_provider(
    provider: str, model: str, output_tokens_max: int, context_window: int, *, reasoning: bool
) -> None:
    facts = BOOK.facts(provider, model)
    assert (facts.output_tokens_max, facts.context_window) == (output_tokens_max, context_window)
    assert facts.reasoning is reasoning


def test_of_an_unknown_model_nothing_is_known() -> None:
    assert BOOK.facts("openai", "gpt-4o-nano") == ModelFacts()
    assert BOOK.facts("vllm", "my-own") == ModelFacts()


def test_who_serves_the_model_of_another_has_its_limits_but_not_its_tokens() -> None:
    maker = BOOK.facts("openai", "gpt-4o")
    reseller = BOOK.facts("openrouter", "openai/gpt-4o")
    assert maker.vocabulary == "o200k_base"
    assert reseller.vocabulary is None
    assert reseller.output_tokens_max == maker.output_tokens_max
    assert BOOK.facts("bedrock", "us.anthropic.claude-haiku-4-5-20251001-v1:0").output_tokens_max == 64_000


def test_a_vocabulary_is_named_only_where_it_is_the_models_own() -> None:
    assert BOOK.facts("openai", "gpt-4").vocabulary == "cl100k_base"
    assert BOOK.facts("anthropic", "claude-opus-5-5").vocabulary is None
    assert BOOK.facts("google", "gemini-3.8-flash").vocabulary is None


def test_the_responses_endpoint_refuses_caps_below_sixteen() -> None:
    assert BOOK.facts("openai", "gpt-5").output_floor == 16
    assert BOOK.facts("anthropic", "claude-haiku-4-5").output_floor == 1
