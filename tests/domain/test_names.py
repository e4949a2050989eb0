"""Which model names an entry of the policy stands for."""

import pytest

from farthing.domain.names import names_model, nearest


@pytest.mark.parametrize(
    ("entry", "model"),
    [
        ("gpt-4o-mini", "gpt-4o-mini"),
        ("gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
        ("claude-haiku-4-5", "claude-haiku-4-5-20251001"),
        ("claude-sonnet-4", "claude-sonnet-4@20250514"),
        ("gpt-4", "gpt-4-0613"),
        ("gemini-2.0-flash", "gemini-2.0-flash-001"),
        ("claude-3-5-haiku", "claude-3-5-haiku-latest"),
        ("claude-*", "claude-opus-4-1"),
        ("*-mini", "gpt-4o-mini"),
        ("*", "anything at all"),
        ("gpt-4o", "GPT-4o-2024-08-06"),
        ("Claude-*", "claude-opus-4-1"),
    ],
)
def test_an_entry_names_the_model_its_snapshots_and_what_its_stars_stand_for(entry: str, model: str) -> None:
    assert names_model(entry, model)


@pytest.mark.parametrize(
    ("entry", "model"),
    [
        ("gpt-4o", "gpt-4o-mini"),
        ("gpt-4o", "gpt-4o-mini-2024-07-18"),
        ("gpt-4o", "gpt-4"),
        ("claude-sonnet-4", "claude-sonnet-4-5"),
        ("claude-sonnet-4", "claude-sonnet-4-5-20250929"),
        ("gpt-4", "gpt-4-32k"),
        ("gpt-4", "gpt-4-1106-preview"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4.1", "gpt-4x1"),
        ("claude-*", "gpt-claude-1"),
        ("gpt-4o", "gpt-4o-2024-08-06\n"),
        ("", "gpt-4o"),
    ],
)
def test_an_entry_does_not_name_another_model_that_only_begins_like_it(entry: str, model: str) -> None:
    assert not names_model(entry, model)


def test_a_misspelt_name_is_led_to_the_nearest_known_one() -> None:
    assert nearest("gpt-4o-minii", ["gpt-4o", "gpt-4o-mini", "claude-haiku-4-5"]) == "gpt-4o-mini"
    assert nearest("llama", ["gpt-4o", "claude-haiku-4-5"]) is None
