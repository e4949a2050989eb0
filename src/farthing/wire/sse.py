"""Cut a stream of server-sent events at its event boundaries, and read single events.

The rules are those of the WHATWG HTML standard, "Server-sent events": three kinds of line ends, a
blank line ends an event, lines that begin with a colon are comments.
"""

import re
from typing import NamedTuple

# Atomic groups: the two halves of one CR LF must never count as two line ends.
_BLANK_LINE = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_BLANK_LINE_LONGEST = 4
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

# Chunks that end like this end on an event boundary, whatever may follow.
CLEAN_ENDS = (b"\n\n", b"\r\n\r\n")


class Event(NamedTuple):
    """One event: its name, empty where it has none, and its data, lines joined."""

    name: bytes
    data: bytes


def read_event(block: bytes) -> Event:
    """Read one event from the bytes up to its blank line.

    Some providers end a stream that failed with a line ``error: …``, which the standard would
    ignore; it is read as an event of that name.
    """
    name, data = b"", []
    for line in block.removeprefix(_BYTE_ORDER_MARK).splitlines():
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ")
        elif field == b"error":
            name = b"error"
            data.append(value.removeprefix(b" "))
    return Event(name, b"\n".join(data))


class EventCutter:
    """Collect bytes until events are whole; the blocks it returns are the bytes as they came."""

    clean_ends: tuple[bytes, ...] = CLEAN_ENDS

    def __init__(self) -> None:
        self.pending = bytearray()
        self._searched = 0

    def cut(self, chunk: bytes) -> list[bytes]:
        """Add bytes; return every event that is now whole, each with its blank line."""
        pending = self.pending
        pending += chunk
        blocks, start = [], 0
        search_from = max(self._searched - _BLANK_LINE_LONGEST + 1, 0)
        while (match := _BLANK_LINE.search(pending, search_from)) is not None:
            end = match.end()
            if end == len(pending) and pending[-1:] == b"\r":
                break  # its LF may still be on the way
            blocks.append(bytes(pending[start:end]))
            start = search_from = end
        del pending[:start]
        self._searched = len(pending)
        return blocks

    def read(self, block: bytes) -> Event:
        """Read one of the blocks that cut returned."""
        return read_event(block)

    def take_rest(self) -> bytes:
        """Hand over what is not a whole event, and forget it."""
        rest = bytes(self.pending)
        self.pending.clear()
        self._searched = 0
        return rest
