"""Which requests are identical: their canonical form, and the key under which an answer is kept. Pure."""

import hashlib
import json
from collections.abc import Iterable

import msgspec
from msgspec import Raw

_encode = msgspec.json.Encoder(order="sorted").encode


class NoCanonicalForm(ValueError):
    """Two readers may understand this JSON differently, so it is identical to nothing."""


def canonical(body: bytes) -> bytes:
    """Write JSON so that the order of keys and the space between tokens do not matter.

    Everything else does: numbers stay as they are spelt. An object that has a key twice has no
    canonical form, because one server reads the first and another the last.

    Raises NoCanonicalForm.
    """
    try:
        value = json.loads(
            body,
            object_pairs_hook=_object,
            parse_int=_spelt,
            parse_float=_spelt,
            parse_constant=_no_number,
        )
        return _encode(value)
    except (ValueError, RecursionError) as error:  # half a surrogate pair is a ValueError too
        raise NoCanonicalForm(str(error)) from error


def digest_of(parts: Iterable[str | bytes | None]) -> bytes:
    """Name a list of parts: no two lists that differ have the same name."""
    written = msgspec.msgpack.encode(list(parts))
    return hashlib.blake2b(written, digest_size=32).digest()


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NoCanonicalForm("an object has a key twice")
    return members


def _spelt(number: str) -> Raw:
    return Raw(number.encode())


def _no_number(name: str) -> object:
    raise NoCanonicalForm(f"{name} is no number of JSON")
