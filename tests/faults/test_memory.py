"""Send many calls through one gateway: what it keeps in memory does not grow with them."""

import asyncio
import json
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

from tests.faults.books import Books, make_keys, verify, write_policy
from tests.faults.conftest import FULL, Measured
from tests.faults.processes import a_gateway, a_simulator

CALLS = 100_000 if FULL else 6_000
WARM_UP_CALLS = CALLS // 4
CONNECTIONS = 16
# Seen: 0.1 MiB from call 25,000 to call 100,000; the rest is room for another allocator or interpreter.
GROWTH_MIB_MAX = 4.0
RESIDENT_MIB_MAX = 120.0


def _requests(key: str, port: int) -> Iterator[bytes]:
    """Calls that differ in text, model and streaming, as bytes that cost little to write."""
    for number in count():
        body = json.dumps(
            {
                "model": ("gpt-4o", "penny-model")[number % 2],
                "max_tokens": 50,
                "stream": number % 4 == 0,
                "messages": [{"role": "user", "content": f"call={number}; [[sim output=5 input=5]] one two"}],
            }
        ).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {key}\r\n"
            f'x-metering-tags: {{"feature": "f{number % 50}"}}\r\n'
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        yield head.encode() + body


async def _send(port: int, requests: Iterator[bytes]) -> int:
    """Send requests over one kept connection until there are none; answer how many were answered 200."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answered = 0
    try:
        for request in requests:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            answered += head.startswith(b"HTTP/1.1 200 ")
            _, length, rest = head.lower().partition(b"content-length: ")
            if length:
                await reader.readexactly(int(rest[: rest.index(b"\r")]))
            else:
                await reader.readuntil(b"0\r\n\r\n")
    finally:
        writer.close()
        await writer.wait_closed()
    return answered


async def _send_all(port: int, requests: Iterator[bytes]) -> int:
    return sum(await asyncio.gather(*[_send(port, requests) for _ in range(CONNECTIONS)]))


def _resident_mib(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    kib = next(line for line in status.splitlines() if line.startswith("VmRSS:")).split()[1]
    return int(kib) / 1024


def test_a_gateway_needs_no_more_memory_after_many_calls_than_after_some(
    ledger: Path, tmp_path: Path, measured: Measured
) -> None:
    with a_simulator(tmp_path / "upstream.jsonl") as simulator:
        policy = write_policy(tmp_path, simulator.url, limit="$1000")
        (key,) = make_keys(policy, ledger, "development", "alice")
        with a_gateway(policy, ledger) as gateway:
            process, requests = gateway.process.pid, _requests(key, gateway.port)
            fresh = _resident_mib(process)
            assert asyncio.run(_send_all(gateway.port, islice(requests, WARM_UP_CALLS))) == WARM_UP_CALLS
            warm = _resident_mib(process)
            rest = CALLS - WARM_UP_CALLS
            assert asyncio.run(_send_all(gateway.port, islice(requests, rest))) == rest
            grown = _resident_mib(process)
            assert gateway.stop() == 0
    measured(f"{fresh:.1f} MiB fresh, {warm:.1f} after {WARM_UP_CALLS} calls, {grown:.1f} after {CALLS}")
    with Books(ledger) as books:
        assert books.balance("cap").held == 0
    assert grown - warm < GROWTH_MIB_MAX
    assert grown < RESIDENT_MIB_MAX
    assert verify(ledger) == []
