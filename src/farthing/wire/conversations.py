"""Tell conversations of nothing but text from those that need a closer look."""

import msgspec
from msgspec import Raw

_TEXTS = frozenset({"text", "input_text", "output_text"})


class _Message(msgspec.Struct):
    """A message, as far as it matters: everything else is skipped undecoded."""

    role: object = None
    type: object = None
    content: Raw = Raw(b"null")
    audio: object = None
    cache_control: object = None


class _Part(msgspec.Struct):
    type: object = None
    cache_control: object = None


_decode_messages = msgspec.json.Decoder(list[_Message]).decode
_decode_parts = msgspec.json.Decoder(list[_Part]).decode


def is_plain(messages: Raw | None) -> bool:
    """Say whether messages hold text only, none of it marked for a cache.

    The decoder skips text far faster than any search of ours, and knows escapes.
    """
    if messages is None:
        return True
    first = bytes(messages)[:1]
    if first != b"[":
        return first == b'"'
    try:
        return all(_is_plain_message(message) for message in _decode_messages(messages))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _is_plain_message(message: _Message) -> bool:
    if message.audio is not None or message.cache_control is not None:
        return False
    if message.role is None or message.type not in (None, "message"):
        return False  # an item of another kind, or a reference to one
    content = bytes(message.content)
    if not content.startswith(b"["):
        return content.startswith((b'"', b"null"))
    return all(part.type in _TEXTS and part.cache_control is None for part in _decode_parts(content))
