"""Meters: pass an answer on byte for byte, have it read, hold its end back."""

import enum
from typing import Protocol

from farthing.domain.usage import Metered
from farthing.wire.json_array import ElementCutter
from farthing.wire.sse import Event, EventCutter

# More than this is never kept: an event that large is passed on unread.
KEPT_BYTES_MAX = 8 * 1024 * 1024


class Fate(enum.Enum):
    """What becomes of the bytes of one event."""

    PASS = enum.auto()
    DROP = enum.auto()
    WAIT = enum.auto()  # until another event follows, or the end
    HOLD = enum.auto()  # until the end, with everything after it


class Reading(Protocol):
    """A dialect's understanding of one answer."""

    def glance(self, block: bytes) -> bool:
        """Look at the bytes of one event or of several; True where they must be read one by one.

        This is the hot path: nearly all events are text and of no interest.
        """
        ...

    def read_event(self, event: Event) -> Fate:
        """Read one event that a glance found worth it."""
        ...

    def read_whole(self, body: bytes) -> None:
        """Read an answer that is not a stream."""
        ...

    def metered(self) -> Metered:
        """Tell what was read so far."""
        ...


class WholeMeter:
    """Meters an answer that is not a stream: nothing goes before the end."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._body = bytearray()

    def feed(self, chunk: bytes) -> bytes:
        """Keep the bytes."""
        self._body += chunk
        return b""

    def end(self) -> bytes:
        """Read the whole, and return it."""
        body = bytes(self._body)
        self._body.clear()
        if body:
            self._reading.read_whole(body)
        return body

    def result(self) -> Metered:
        """What the answer consumed, as far as it was seen."""
        return self._reading.metered()


class StreamMeter:
    """Meters a stream: events go as they come, the last one waits for the end."""

    def __init__(self, reading: Reading, cutter: EventCutter | ElementCutter) -> None:
        self._reading = reading
        self._cutter = cutter
        self._kept = bytearray()
        self._holds = False
        self._overflowing = False

    def feed(self, chunk: bytes) -> bytes:
        """Take bytes from upstream; return those that may go to the caller now."""
        cutter = self._cutter
        if (
            chunk.endswith(cutter.clean_ends)
            and not cutter.pending
            and not self._kept
            and not self._overflowing
            and not self._reading.glance(chunk)
        ):
            return chunk
        passing = bytearray()
        for block in cutter.cut(chunk):
            self._take(block, passing)
        self._shed(passing)
        return bytes(passing)

    def end(self) -> bytes:
        """The upstream ended: return what was held back."""
        rest = self._cutter.take_rest()
        passing = bytearray()
        if rest:
            self._take(rest, passing)  # an end without its blank line is still worth reading
        held = bytes(passing + self._kept)
        self._kept.clear()
        return held

    def result(self) -> Metered:
        """What the answer consumed, as far as it was seen."""
        return self._reading.metered()

    def _take(self, block: bytes, passing: bytearray) -> None:
        """Have one event read, and add its bytes to those that pass or to those that are kept."""
        if self._overflowing:  # the tail of an event whose head has gone unread
            self._overflowing = False
            passing += block
            return
        fate, follows = Fate.PASS, False
        if self._reading.glance(block) or self._kept:
            event = self._cutter.read(block)
            follows = bool(event.data)
            fate = self._reading.read_event(event)
        if follows and not self._holds:
            passing += self._kept
            self._kept.clear()
        if fate is Fate.DROP:
            return
        self._holds = self._holds or fate is Fate.HOLD
        if self._holds or self._kept or fate is Fate.WAIT:
            self._kept += block
        else:
            passing += block

    def _shed(self, passing: bytearray) -> None:
        """Let go of what has grown too large to keep."""
        if len(self._kept) > KEPT_BYTES_MAX:
            passing += self._kept
            self._kept.clear()
            self._holds = False
        if len(self._cutter.pending) > KEPT_BYTES_MAX:
            passing += self._kept + self._cutter.take_rest()
            self._kept.clear()
            self._overflowing = True
