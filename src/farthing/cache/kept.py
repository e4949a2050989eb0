"""What is kept of an answer, how much room there is for it, and the one interface of every place for it."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from farthing.domain.errors import FarthingError


class CacheUnavailable(FarthingError):
    """The place where answers are kept cannot be used; every call can be made without it."""


class CacheBusy(CacheUnavailable):
    """Somebody else is using the place for longer than it is worth waiting; the next question may do."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer as its caller got it, and what it had cost.

    call_id: the call that bought it.
    body: every byte, also of a stream.
    """

    call_id: str
    content_type: str
    body: bytes
    stored_at_us: int
    cost_nanodollars: int


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """How many answers an environment keeps, how many bytes of them, and for how long."""

    entries_max: int
    bytes_max: int
    kept_us: int


class Filled(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept for one environment."""

    environment: str
    entries: int
    bytes: int
    oldest_at_us: int | None


class Answers(Protocol):
    """A place where answers are kept. One thread at a time uses it.

    Every place promises (tests/cache/test_every_place.py asks them all): an environment never sees the
    answers of another, no more is kept than there is room for, what was used longest ago goes first,
    and what is found is whole.

    Raises CacheUnavailable where it cannot be used.
    """

    def find(self, environment: str, keys: Sequence[bytes], *, since_us: int) -> tuple[int, Kept] | None:
        """The answer to the first of these keys that was stored after a moment, with the key's place."""
        ...

    def use(self, environment: str, key: bytes) -> None:
        """Say that an answer was used just now."""
        ...

    def keep(self, environment: str, key: bytes, kept: Kept, room: Room) -> None:
        """Keep an answer in the place of an older one, and let go of what there is no room for."""
        ...

    def clear(self, environment: str | None = None) -> int:
        """Forget every answer of an environment, or of all; says how many."""
        ...

    def filled(self) -> list[Filled]:
        """What is kept, by environment."""
        ...

    def close(self) -> None:
        """Let go of files."""
        ...
