"""Words for cache tests."""

from farthing.cache.kept import Kept, Room

NOON_US = 1_796_904_000_000_000
MINUTE_US = 60_000_000
ROOM = Room(entries_max=100, bytes_max=1_000_000, kept_us=10 * MINUTE_US)


def a_key(number: int) -> bytes:
    """A key like those that requests have."""
    return number.to_bytes(32, "big")


def an_answer(text: str = "hello", *, at_us: int = NOON_US, nanodollars: int = 1_000) -> Kept:
    """An answer bought at noon."""
    return Kept(
        call_id="call_1",
        content_type="application/json",
        body=text.encode(),
        stored_at_us=at_us,
        cost_nanodollars=nanodollars,
    )
