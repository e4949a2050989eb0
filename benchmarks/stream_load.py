"""Load a streaming server in a closed loop and print one JSON line of results.

Usage: python -m benchmarks.stream_load PORT PATH STREAMS TOTAL BODY_FILE KEY
"""

import asyncio
import json
import sys
import time
from pathlib import Path

import uvloop

PORT, PATH, STREAMS, TOTAL = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
BODY, KEY = Path(sys.argv[5]).read_bytes(), sys.argv[6]
REQUEST = (
    f"POST {PATH} HTTP/1.1\r\nhost: 127.0.0.1:{PORT}\r\ncontent-type: application/json\r\n"
    f"authorization: Bearer {KEY}\r\ncontent-length: {len(BODY)}\r\n\r\n"
).encode() + BODY


async def one_connection(results: list[tuple[float, float, int]], counter: list[int]) -> None:
    """Ask again and again on one connection until the total is reached."""
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    while counter[0] < TOTAL:
        counter[0] += 1
        began = time.perf_counter()
        writer.write(REQUEST)
        first, reads, tail = 0.0, 0, b""
        while not tail.endswith(b"0\r\n\r\n"):
            data = await reader.read(65_536)
            if not data:
                sys.exit("the server closed the connection")
            reads += 1
            if not first and b"data:" in data:
                first = time.perf_counter() - began
            tail = (tail + data)[-16:]
        results.append((first, time.perf_counter() - began, reads))
    writer.close()


async def main() -> None:
    """Run all connections and print what they saw."""
    results: list[tuple[float, float, int]] = []
    counter = [0]
    await asyncio.wait_for(asyncio.gather(*(one_connection(results, counter) for _ in range(STREAMS))), 120)
    firsts = sorted(first for first, _, _ in results)
    print(
        json.dumps(
            {
                "streams": len(results),
                "first_byte_p50_us": firsts[len(firsts) // 2] * 1e6,
                "first_byte_p99_us": firsts[int(len(firsts) * 0.99)] * 1e6,
                "reads_per_stream": sum(reads for _, _, reads in results) / len(results),
            }
        )
    )


uvloop.run(main())
