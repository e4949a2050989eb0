"""Counting tokens offline: exact, or not at all."""

import sys

import pytest

from farthing.prices import tokens
from farthing.prices.book import load_book
from farthing.prices.records import read_facts
from farthing.prices.tokens import COUNTED_BYTES_MAX, input_tokens_exact


@pytest.mark.parametrize(
    ("text", "vocabulary", "count"),
    [
        ("hello world", "o200k_base", 2),
        ("hello world", "cl100k_base", 2),
        ("", "o200k_base", 0),
        ("tiktoken is great!", "cl100k_base", 6),
        ("<|endoftext|>", "o200k_base", 7),  # spelled out by a caller it is ordinary text
    ],
)
def test_a_text_has_as_many_tokens_as_its_vocabulary_says(text: str, vocabulary: str, count: int) -> None:
    assert input_tokens_exact(text.encode(), vocabulary) == count


def test_a_text_never_has_more_tokens_than_bytes() -> None:
    for text in ("a" * 5000, "日本語のテキスト", "🧾" * 100, "\x00\x01\x02", "  \n\t "):
        counted = input_tokens_exact(text.encode(), "o200k_base")
        assert counted is not None
        assert counted <= len(text.encode())


def test_what_cannot_be_counted_exactly_is_not_counted() -> None:
    assert input_tokens_exact(b"hello", "claude") is None
    assert input_tokens_exact(b"\xff\xfe", "o200k_base") is None
    assert input_tokens_exact(b"a" * (COUNTED_BYTES_MAX + 1), "o200k_base") is None


def test_without_the_extra_nothing_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens._vocabulary.cache_clear()
    monkeypatch.setitem(sys.modules, "splintr", None)
    try:
        assert input_tokens_exact(b"hello", "o200k_base") is None
    finally:
        tokens._vocabulary.cache_clear()


def test_every_vocabulary_of_the_facts_ships() -> None:
    import splintr

    named = {facts.vocabulary for models in read_facts().providers.values() for facts in models.values()}
    with pytest.raises(ValueError, match="Supported") as refused:
        splintr.Tokenizer.from_pretrained("no such vocabulary")
    shipped = str(refused.value).partition("Supported: ")[2].split(", ")
    assert named - {None} <= set(shipped)
    assert load_book().facts("openai", "gpt-4o").vocabulary in shipped
