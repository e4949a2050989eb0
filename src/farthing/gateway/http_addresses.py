"""Connect to a host by name; where its first address is slow the next is tried beside it."""

import asyncio
import socket
from itertools import chain, zip_longest

HEAD_START_SECONDS = 0.25
REMEMBER_SECONDS = 60.0

Address = tuple[socket.AddressFamily, tuple[str | int, ...] | tuple[int, bytes]]


class Addresses:
    """Looks hosts up, once for all who ask in the same minute."""

    def __init__(self) -> None:
        self._lookups: dict[tuple[str, int], tuple[float, asyncio.Task[list[Address]]]] = {}

    async def connect(self, host: str, port: int) -> socket.socket:
        """Return a connected socket. Raises OSError, or UnicodeError for a name that cannot be one."""
        try:
            return await first_connected(await self._of(host, port))
        except (OSError, UnicodeError):
            self._lookups.pop((host, port), None)  # the host may have moved
            raise

    async def _of(self, host: str, port: int) -> list[Address]:
        now = asyncio.get_running_loop().time()
        known = self._lookups.get((host, port))
        if known is None or known[0] < now:
            known = (now + REMEMBER_SECONDS, asyncio.create_task(look_up(host, port)))
            self._lookups[(host, port)] = known
        # Shielded, for one of those who wait may be cancelled while the others go on.
        return await asyncio.shield(known[1])

    def close(self) -> None:
        """Stop looking up."""
        for _, lookup in self._lookups.values():
            lookup.cancel()


async def look_up(host: str, port: int) -> list[Address]:
    """The addresses of a host, in the order to try them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return families_in_turn([(family, address) for family, _, _, _, address in found])


def families_in_turn(addresses: list[Address]) -> list[Address]:
    """The same addresses, IPv6 and IPv4 by turns: one family may not work at all from here."""
    first = [address for address in addresses if address[0] == addresses[0][0]]
    others = [address for address in addresses if address[0] != addresses[0][0]]
    return [one for one in chain.from_iterable(zip_longest(first, others)) if one is not None]


async def first_connected(addresses: list[Address]) -> socket.socket:
    """Try addresses in order, each with a head start on the next; the first to connect wins."""
    if len(addresses) == 1:
        return await _open(addresses[0])
    waiting = list(reversed(addresses))
    attempts: set[asyncio.Task[socket.socket]] = set()
    failure: BaseException = OSError("the host has no address")
    try:
        while waiting or attempts:
            if waiting:
                attempts.add(asyncio.create_task(_open(waiting.pop())))
            await asyncio.wait(
                attempts,
                timeout=HEAD_START_SECONDS if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for attempt in [attempt for attempt in attempts if attempt.done()]:
                attempts.remove(attempt)
                if attempt.exception() is None:
                    return attempt.result()
                failure = attempt.exception() or failure
        raise failure
    finally:
        for attempt in attempts:
            attempt.cancel()
            attempt.add_done_callback(_close_late_winner)


async def _open(address: Address) -> socket.socket:
    family, where = address
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setblocking(False)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        await asyncio.get_running_loop().sock_connect(opened, where)
    except BaseException:
        opened.close()
        raise
    return opened


def _close_late_winner(attempt: "asyncio.Task[socket.socket]") -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()
