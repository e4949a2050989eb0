"""Decode a request body once: into its members, each untouched until it is asked for.

What goes upstream is written from these members, so what was judged is what is sent: of a key that
stands twice the last one counts, for us and for the provider, because only one is left.
"""

import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from functools import lru_cache

import msgspec
from msgspec import Raw

from farthing.domain.call import RequestFacts
from farthing.domain.errors import BadRequest

Members = dict[str, Raw]

_decode_members = msgspec.json.Decoder(Members).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_any = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

NULL = b"null"
_COUNT_DIGITS_MAX = 15
# JSON may write a plain letter as an escape; then a search for a word in the bytes proves nothing.
_ESCAPED_LETTER = re.compile(rb"\\u00[2-7]")


def decode_members(body: bytes) -> Members:
    """Decode a body into its members, in order; the last of equal keys counts.

    Raises BadRequest for anything but one valid JSON object in UTF-8.
    """
    try:
        if not body.isascii():
            body.decode()  # values that are passed on untouched are checked by nobody else
        return _decode_members(body)
    except RecursionError:
        raise BadRequest("the body is nested too deeply") from None
    except msgspec.ValidationError:
        raise BadRequest("the body must be a JSON object") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"the body is not valid JSON: {error}") from None


def encode_members(members: Members) -> bytes:
    """Write a body from its members."""
    return _encode(members)


def refuse_look_alikes(members: Members, judged: frozenset[str]) -> None:
    """Refuse a key that differs from a judged one in letter case only.

    Servers that match names without regard to case (Go's encoding/json does, documentation of
    go1.25, "Unmarshal") would read it as the judged one.
    """
    folded = _folded(judged)
    for name in members:
        if name not in judged and name.casefold() in folded:
            raise BadRequest(f"the member {name!r} is spelt like another one; use its exact name", param=name)


@lru_cache(maxsize=64)
def _folded(names: frozenset[str]) -> frozenset[str]:
    return frozenset(name.casefold() for name in names)


def text_of(members: Members, name: str) -> str | None:
    """Read a member that is text; None where it is absent or null."""
    raw = members.get(name)
    if raw is None or _is_null(raw):
        return None
    try:
        return _decode_text(raw)
    except msgspec.DecodeError:
        raise BadRequest(f"{name} must be text", param=name) from None


def model_of(members: Members) -> str:
    """Read the model asked for, which must be there."""
    model = text_of(members, "model")
    if not model:
        raise BadRequest("model is missing", param="model")
    return model


def flag_of(members: Members, name: str) -> bool:
    """Read a member that is true or false; False where it is absent or null."""
    raw = members.get(name)
    if raw is None:
        return False
    value = bytes(raw)
    if value == b"true":
        return True
    if value in (b"false", NULL):
        return False
    raise BadRequest(f"{name} must be true or false", param=name)


def count_of(members: Members, name: str, *, least: int = 0, most: int | None = None) -> int | None:
    """Read a member that is a whole number, not negative; None where it is absent or null."""
    raw = members.get(name)
    if raw is None:
        return None
    value = bytes(raw)
    if value == NULL:
        return None
    if not value.isdigit() or len(value) > _COUNT_DIGITS_MAX:
        raise BadRequest(f"{name} must be a whole number, not negative", param=name)
    count = int(value)
    if count < least or (most is not None and count > most):
        allowed = f"at least {least}" if most is None else f"from {least} to {most}"
        raise BadRequest(f"{name} must be {allowed}", param=name)
    return count


def object_of(members: Members, name: str) -> Members | None:
    """Read a member that is an object; None where it is absent or null."""
    raw = members.get(name)
    if raw is None or _is_null(raw):
        return None
    try:
        return _decode_members(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequest(f"{name} must be an object", param=name) from None


def value_of(members: Members, name: str) -> object:
    """Read a member whatever it is, whole; None where it is absent or null."""
    raw = members.get(name)
    if raw is None:
        return None
    try:
        value: object = _decode_any(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"{name} cannot be read: {error}", param=name) from None
    return value


def is_sent(members: Members, name: str) -> bool:
    """Say whether a member is there and is not null."""
    raw = members.get(name)
    return raw is not None and not _is_null(raw)


def _is_null(raw: Raw) -> bool:
    """Say whether a member is null; an undecoded one equals nothing but itself, so its bytes are asked."""
    return memoryview(raw) == NULL


def largest_cap(members: Members, aliases: Iterable[str]) -> int | None:
    """Find the largest of all aliases of the output cap; None where none was sent."""
    largest = None
    for name in aliases:
        cap = count_of(members, name)
        if cap is not None and (largest is None or cap > largest):
            largest = cap
    return largest


def lower_caps(members: Members, aliases: Iterable[str], cap: int, *, inserted: str) -> None:
    """Lower every alias of the output cap to at most cap, and insert one where none was sent."""
    written = Raw(str(cap).encode())
    sent = {name: own for name in aliases if (own := count_of(members, name)) is not None}
    for name, own in sent.items():
        if own > cap:
            members[name] = written
    if not sent:
        members[inserted] = written


def temperature_in(members: Members) -> Decimal | None:
    """Read a temperature; None where there is none, or it is no number and the provider will say so."""
    raw = members.get("temperature")
    try:
        return None if raw is None else Decimal(bytes(raw).decode())
    except InvalidOperation:
        return None


def raw_value(value: object) -> Raw:
    """Write a value as JSON, to take the place of a member."""
    return Raw(_encode(value))


def may_mention(text: bytes, *words: bytes) -> bool:
    """Say whether JSON may hold one of these words: it does, or it hides letters in escapes."""
    if b"\\u00" in text and _ESCAPED_LETTER.search(text) is not None:
        return True
    return any(word in text for word in words)


def longest_cache_life(members: Members, *, skipping: str | None) -> str | None:
    """Read the longest life time that marks for a prompt cache ask for, wherever they are.

    Five minutes is what a mark without a life time means (Anthropic's page "Prompt caching", 2026).
    skipping: a member that is known to hold no marks.
    """
    text = b"\n".join(raw for name, raw in members.items() if name != skipping)
    if "cache_control" not in members and not may_mention(text, b'"cache_control"'):
        return None
    return "1h" if may_mention(text, b'"1h"') else "5m"


class BodyRequest:
    """A request that was read: what it asks for, and its members to be sent on."""

    __slots__ = ("_prompt", "facts", "members")

    # Members that never become model input; all others may, also those nobody here has heard of.
    never_input: frozenset[str] = frozenset()

    def __init__(self, facts: RequestFacts, members: Members) -> None:
        self.facts = facts
        self.members = members
        self._prompt: bytes | None = None

    @property
    def temperature(self) -> Decimal | None:
        """How much variety is asked for; None where it is not said, or is no number."""
        return temperature_in(self.members)

    @property
    def is_stored(self) -> bool:
        """Whether the provider is asked to keep the answer."""
        return bytes(self.members.get("store", b"")) == b"true"

    @property
    def prompt(self) -> bytes:
        """The raw bytes of everything that becomes model input, for counting and keyed hashing."""
        if self._prompt is None:
            self._prompt = b"\n".join(
                raw for name, raw in self.members.items() if name not in self.never_input
            )
        return self._prompt
