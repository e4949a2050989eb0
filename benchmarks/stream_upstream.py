"""A streaming upstream that costs little: a chat answer of N chunks, some milliseconds apart.

Usage: python -m benchmarks.stream_upstream PORT CHUNKS GAP_MS
"""

import asyncio
import json
import sys

import uvloop

PORT, CHUNKS, GAP_SECONDS = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) / 1000
HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)


def framed(payload: str) -> bytes:
    """One event as one HTTP chunk."""
    event = f"data: {payload}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(event), event)


def events() -> list[bytes]:
    """The chunks of the answer, the last of them with usage and the end."""
    shared = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000,
        "model": "gpt-4o-mini-2024-07-18",
        "service_tier": "default",
    }
    words = [
        framed(
            json.dumps(
                {
                    **shared,
                    "choices": [{"index": 0, "delta": {"content": f" word {number}"}, "finish_reason": None}],
                    "usage": None,
                }
            )
        )
        for number in range(CHUNKS - 1)
    ]
    usage = {"prompt_tokens": 312, "completion_tokens": CHUNKS, "total_tokens": 312 + CHUNKS}
    return [
        *words,
        framed(json.dumps({**shared, "choices": [], "usage": usage})) + framed("[DONE]") + b"0\r\n\r\n",
    ]


EVENTS = events()


class Connection(asyncio.Protocol):
    """Answers every request with the same stream."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = transport
        self.received = b""

    def data_received(self, data: bytes) -> None:
        """Wait for a whole request, then stream."""
        self.received += data
        head, found, rest = self.received.partition(b"\r\n\r\n")
        if not found:
            return
        lower = head.lower()
        at = lower.find(b"content-length:")
        length = int(lower[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(rest) < length:
            return
        self.received = rest[length:]
        self.transport.write(HEAD + EVENTS[0])  # type: ignore[attr-defined]
        asyncio.get_running_loop().call_later(GAP_SECONDS, self.tick, 1)

    def tick(self, number: int) -> None:
        """Send one chunk and plan the next."""
        if self.transport.is_closing():
            return
        self.transport.write(EVENTS[number])  # type: ignore[attr-defined]
        if number + 1 < len(EVENTS):
            asyncio.get_running_loop().call_later(GAP_SECONDS, self.tick, number + 1)


async def main() -> None:
    """Listen until killed."""
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", PORT, backlog=2048)
    await server.serve_forever()


uvloop.run(main())
