"""Count tokens offline, where the model's own vocabulary ships; never a guess."""

from functools import lru_cache
from typing import Protocol

# Counting holds the interpreter lock, so what is larger is bounded by its bytes instead.
COUNTED_BYTES_MAX = 2 * 1024 * 1024


class Vocabulary(Protocol):
    """What turns text into tokens."""

    def encode_ordinary(self, text: str) -> list[int]:
        """Encode text; whatever looks like a special token is ordinary text."""
        ...


def input_tokens_exact(text_bytes: bytes, vocabulary: str) -> int | None:
    """Count the tokens of a text in a vocabulary, by name: o200k_base, cl100k_base, llama3 ...

    None where that is not possible: the extra ``tokens`` is not installed, the vocabulary is not
    in it, the text is larger than 2 MB or is not UTF-8. The bytes of the text are then the bound.
    """
    if len(text_bytes) > COUNTED_BYTES_MAX:
        return None
    known = _vocabulary(vocabulary)
    if known is None:
        return None
    try:
        text = text_bytes.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return len(known.encode_ordinary(text))


@lru_cache(maxsize=32)
def _vocabulary(name: str) -> Vocabulary | None:
    try:
        import splintr
    except ImportError:
        return None
    try:
        known: Vocabulary = splintr.Tokenizer.from_pretrained(name)
    except ValueError:
        return None
    return known
