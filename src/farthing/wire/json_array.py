"""Cut a stream that is one JSON array at the ends of its elements: Gemini's other way to stream."""

import re

from farthing.wire.sse import Event

_STRUCTURE = re.compile(rb'["{}\[\]]')
_STRING_END = re.compile(rb'["\\]')
_BLANKS = b" \t\r\n"

# The name of the event that stands for the end of the array.
ARRAY_END = b"]"


class ElementCutter:
    """Collect bytes until elements are whole; the blocks it returns are the bytes as they came.

    It has the shape of the cutter of server-sent events, so that one meter serves both.
    """

    clean_ends: tuple[bytes, ...] = ()

    def __init__(self) -> None:
        self.pending = bytearray()
        self._position = 0
        self._depth = 0
        self._in_string = False

    def cut(self, chunk: bytes) -> list[bytes]:
        """Add bytes; return every element that is now whole, with the commas before it."""
        self.pending += chunk
        blocks = []
        while (end := self._next_end()) is not None:
            blocks.append(bytes(self.pending[:end]))
            del self.pending[:end]
            self._position = 0
        return blocks

    def read(self, block: bytes) -> Event:
        """Read one of the blocks that cut returned."""
        data = block.strip(_BLANKS).lstrip(b"[," + _BLANKS)
        return Event(ARRAY_END, b"") if data in (b"", b"]") else Event(b"", data)

    def take_rest(self) -> bytes:
        """Hand over what is not a whole element, and forget it."""
        rest = bytes(self.pending)
        self.pending.clear()
        self._position = 0
        return rest

    def _next_end(self) -> int | None:
        """Walk on to the end of the next element, or of the array; None where more bytes are needed."""
        pending = self.pending
        while True:
            pattern = _STRING_END if self._in_string else _STRUCTURE
            match = pattern.search(pending, self._position)
            if match is None:
                self._position = len(pending)
                return None
            sign = match.group()
            if sign == b"\\":
                if match.end() == len(pending):
                    self._position = match.start()  # the escaped character is still on the way
                    return None
                self._position = match.end() + 1
                continue
            self._position = match.end()
            if sign == b'"':
                self._in_string = not self._in_string
            elif sign in b"{[":
                self._depth += 1
            else:
                self._depth -= 1
                if self._depth == 0 or (self._depth == 1 and sign == b"}"):
                    return self._position
