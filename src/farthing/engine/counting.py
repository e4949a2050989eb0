"""Count input exactly, in one thread at a time: it holds the interpreter lock, and loading happens once."""

import os
import threading

from farthing.prices.tokens import input_tokens_exact

_turn = threading.Lock()


def count_input(prompt: bytes, vocabulary: str) -> int | None:
    """Count a prompt; of threads that need the same vocabulary at once, only the first one loads it."""
    with _turn:
        return input_tokens_exact(prompt, vocabulary)


def _forget() -> None:
    """In a forked child: whose turn it was is of no matter."""
    global _turn
    _turn = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
