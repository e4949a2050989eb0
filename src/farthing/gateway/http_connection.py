"""One connection to a provider: writes a request at once, reads the answer as fast as it is taken."""

import asyncio
import select
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Protocol, cast

from farthing.gateway.http_answer import AnswerReader
from farthing.gateway.upstream import Lost, NeverConnected, TimedOut, decoded, decoder_for

BUFFERED_BYTES_MAX = 262_144


class Pool(Protocol):
    """Where a connection goes when its answer is complete."""

    def put_back(self, connection: "Connection") -> None:
        """Keep a connection that may carry another request."""
        ...

    def forget(self, connection: "Connection") -> None:
        """Know that a connection is gone."""
        ...


class Connection(asyncio.Protocol):
    """One socket, with at most one request under way."""

    __slots__ = (
        "_heard_at",
        "_loop",
        "_paused",
        "_pool",
        "_readable",
        "_reader",
        "_silence_seconds",
        "_timer",
        "_transport",
        "_unsent_bytes",
        "_waiter",
        "lost",
    )

    _transport: asyncio.Transport

    def __init__(self, pool: Pool, connected: socket.socket, *, silence_seconds: float) -> None:
        self._pool = pool
        self._readable = select.poll()
        self._readable.register(connected, select.POLLIN)  # an end or a reset is told as well
        self._loop = asyncio.get_running_loop()
        self._silence_seconds = silence_seconds
        self._reader: AnswerReader | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heard_at = 0.0
        self._unsent_bytes = 0
        self._paused = False
        self.lost = False

    async def ask(self, head: bytes, body: bytes) -> AnswerReader:
        """Write a request and wait for the head of its answer.

        Raises NeverConnected where nothing was written, Lost or TimedOut after that.
        """
        if self._transport.is_closing():
            raise NeverConnected("the provider closed the connection before anything was sent")
        reader = self._reader = AnswerReader()
        try:
            self._transport.writelines((head, body))
            self._heard_at = self._loop.time()
            self._unsent_bytes = 0
            if self._timer is None:
                self._timer = self._loop.call_later(self._silence_seconds, self._check_silence)
            while not reader.head_complete and reader.failure is None:
                await self.wait()
        except BaseException:  # a cancelled caller too: nobody will read this answer
            self.give_up(reader)
            raise
        if reader.failure is not None and not reader.head_complete:
            raise reader.failure
        return reader

    async def wait(self) -> None:
        """Wait until the reader knows more than it did."""
        self._waiter = self._loop.create_future()
        await self._waiter

    def take(self, reader: AnswerReader) -> bytes:
        """Take what has arrived of an answer, and let more come."""
        data = reader.take()
        if self._paused and self._reader is reader:
            self._resume()
        return data

    def give_up(self, reader: AnswerReader) -> None:
        """Break the connection unless this answer is complete."""
        if self._reader is reader:
            self._fail(Lost("the answer was given up before its end"))

    def is_fit(self) -> bool:
        """Whether an idle connection may carry a request.

        A provider may have closed it a moment ago. What it wrote or closed is in the socket before the
        loop tells us, so we look there: after a request is written, a close means money.
        """
        return not self._transport.is_closing() and not self._readable.poll(0)

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    # ── what the loop says ──────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Hand bytes to the reader, and act on what it has learned."""
        reader = self._reader
        if reader is None:
            self._pool.forget(self)  # an idle connection has nothing to say
            self._transport.abort()
            return
        self._heard_at = self._loop.time()
        reader.feed(data)
        if reader.complete:
            self._finish(reader)
        elif reader.failure is not None:
            self._fail(reader.failure)
        elif reader.buffered_bytes > BUFFERED_BYTES_MAX and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """Complete an answer that ends with its connection; the transport closes itself after this."""
        if self._reader is not None and self._ended_in_order():
            self._reader.feed_end()

    def resume_writing(self) -> None:
        """Start the clock: the request has left."""
        self._heard_at = self._loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        """End what is under way."""
        self.lost = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        reader, self._reader = self._reader, None
        if reader is not None:
            state = (
                "the answer broke off" if reader.head_complete else "the connection broke before an answer"
            )
            reader.fail(Lost(f"{state}: {exc or 'closed'}"))
        self._pool.forget(self)
        self._wake()

    # ── steps ───────────────────────────────────────────────────────────────────────────────────

    def _finish(self, reader: AnswerReader) -> None:
        """Let the connection carry the next request where that is safe."""
        self._reader = None
        if self._paused:
            self._resume()
        transport = self._transport
        # Answered before all of the request was read: the rest of it must not meet the next request.
        if reader.reusable and not transport.get_write_buffer_size() and not transport.is_closing():
            self._pool.put_back(self)
        else:
            transport.abort()

    def _ended_in_order(self) -> bool:
        """Whether the provider closed its side itself: encrypted, anybody on the way could cut it off."""
        encrypted: ssl.SSLObject | None = self._transport.get_extra_info("ssl_object")
        if encrypted is None:
            return True
        try:
            return not encrypted.read(1)
        except ssl.SSLError:
            return False

    def _fail(self, failure: Lost | TimedOut) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.fail(failure)
        self._transport.abort()
        self._wake()

    def _resume(self) -> None:
        self._paused = False
        self._heard_at = self._loop.time()
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _check_silence(self) -> None:
        """Time out, or look again later. One timer serves many calls: it is not moved with each read."""
        self._timer = None
        if self._reader is None:
            return
        now, unsent = self._loop.time(), self._transport.get_write_buffer_size()
        if self._paused or (unsent and unsent != self._unsent_bytes):
            self._heard_at = now  # it is we who do not read, or the request is still leaving
        self._unsent_bytes = unsent
        left = self._heard_at + self._silence_seconds - now
        if left > 0:
            self._timer = self._loop.call_later(left, self._check_silence)
        else:
            self._fail(TimedOut("nothing came from the provider for too long"))


class HttpAnswer:
    """An answer on a connection of ours."""

    __slots__ = ("_connection", "_reader", "content_type", "headers", "status")

    def __init__(self, connection: Connection, reader: AnswerReader) -> None:
        self._connection = connection
        self._reader = reader
        self.status = reader.status
        self.headers = reader.headers
        self.content_type = reader.header(b"content-type")

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives, any content encoding undone. Raises Lost or TimedOut."""
        encoding = self._reader.header(b"content-encoding")
        try:
            decoder = decoder_for(encoding)
        except Lost:
            self.close()
            raise
        pieces = self._pieces()
        return pieces if decoder is None else decoded(pieces, decoder)

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        reader, connection = self._reader, self._connection
        try:
            while True:
                if reader.buffered_bytes:
                    yield connection.take(reader)
                elif reader.complete:
                    return
                elif reader.failure is not None:
                    raise reader.failure
                else:
                    await connection.wait()
        finally:
            connection.give_up(reader)

    def close(self) -> None:
        """Let go; stops the provider's answer if it is still coming."""
        self._connection.give_up(self._reader)
