"""Pass an answer through, meter it, settle it exactly once, however it ends."""

import asyncio

from farthing.domain.usage import Metered, Usage
from farthing.engine.governor import Governor, Grant
from farthing.engine.outcomes import Ending, Exchange
from farthing.engine.recall import Recording
from farthing.engine.recount import can_be_counted
from farthing.ledger.entries import Booked, Settle, Void
from farthing.prices.tokens import input_tokens_exact
from farthing.wire.dialect import Meter


class Relay:
    """One answer on its way from a provider to a caller. Does no I/O: a door moves the bytes.

    The door feeds chunks, passes on what feed returns, ends the relay once, and only then passes on
    held_back: the last event, or the whole of an answer that is not a stream.
    """

    def __init__(self, governor: Governor, grant: Grant, meter: Meter) -> None:
        self.grant = grant
        self.meter = meter
        self.recording: Recording | None = None
        self.content_type = ""
        self.held_back = b""
        self.status: int | None = None
        self.retry_after_s: int | None = None
        self.booked: Booked | None = None
        self.usage: Usage | None = None
        self._governor = governor
        self._first_byte_at_us: int | None = None
        self._ended = False

    @property
    def ended(self) -> bool:
        """Whether the call was settled or voided already."""
        return self._ended

    def feed(self, chunk: bytes) -> bytes:
        """Take bytes from the provider; return those that may go to the caller now."""
        if self._first_byte_at_us is None:
            self._first_byte_at_us = self._governor.clock()
        passed = self.meter.feed(chunk)
        if self.recording is not None:
            self.recording.add(passed)
        return passed

    def end(self, ending: Ending, *, error: str | None = None) -> Booked | None:
        """Settle or void the call; waits until that is durable. A second end changes nothing.

        Returns None where the ledger could not answer; then the settlement follows by itself.
        """
        metered = self._metered()
        if metered is not None:
            operation = self._operation(ending, error, metered)
            self.booked = self._governor.book(self.grant, operation)
            self._keep(operation, ending, metered)
        return self.booked

    async def end_async(self, ending: Ending, *, error: str | None = None) -> Booked | None:
        """Do as end does, without blocking the event loop."""
        metered = self._metered()
        if metered is None:
            return self.booked
        if (metered.complete and metered.usage is not None) or not can_be_counted(self.grant):
            operation = self._operation(ending, error, metered)
        else:  # a large prompt may have to be counted
            try:
                operation = await asyncio.to_thread(self._operation, ending, error, metered)
            except asyncio.CancelledError:  # nobody else would book it
                self.booked = self._governor.book(self.grant, self._operation(ending, error, metered))
                raise
        self.booked = await self._governor.book_async(self.grant, operation)
        self._keep(operation, ending, metered)
        return self.booked

    def _keep(self, operation: Settle | Void, ending: Ending, metered: Metered) -> None:
        """Keep an answer for identical requests: one that was whole, without any error, and is settled."""
        recording, self.recording = self.recording, None
        if recording is None or self.booked is None or ending is not Ending.ANSWERED or self.status != 200:
            return
        reported = isinstance(operation, Settle) and not operation.assumed and operation.error is None
        if reported and metered.complete:
            recording.add(self.held_back)
            recording.keep(content_type=self.content_type, booked=self.booked)

    def _metered(self) -> Metered | None:
        """What was read of the answer, at its first end; None at any other."""
        if self._ended:
            return None
        self._ended = True
        self.held_back = self.meter.end()
        metered = self.meter.result()
        self.usage = metered.usage
        return metered

    def _operation(self, ending: Ending, error: str | None, metered: Metered) -> Settle | Void:
        exchange = Exchange(
            ending=ending,
            status=self.status,
            first_byte_at_us=self._first_byte_at_us,
            cancelled_usage=self._cancelled_usage(metered.usage, metered.output_text)
            if ending is Ending.CANCELLED
            else None,
            error=error,
            retry_after_s=self.retry_after_s,
        )
        return self._governor.end_of(self.grant, exchange, metered)

    def _cancelled_usage(self, reported: Usage | None, text: str) -> Usage | None:
        """What a call consumed that was stopped half-way: its input, and the output counted so far.

        None for reasoning models: what they thought cannot be seen, so the ceiling is assumed.
        """
        facts = self.grant.quote.facts
        if facts.reasoning or self.grant.call.facts.thinking_tokens is not None:
            return None
        raw = text.encode()
        counted = input_tokens_exact(raw, facts.vocabulary) if facts.vocabulary else None
        output = counted if counted is not None else len(raw)
        if reported is not None and reported.input_tokens is not None:
            return Usage(
                input_tokens=reported.input_tokens,
                cached_read=reported.cached_read,
                cached_write_5m=reported.cached_write_5m,
                cached_write_1h=reported.cached_write_1h,
                output_tokens=max(output, reported.output_tokens or 0),
                requests=reported.requests,
            )
        return Usage(input_tokens=self._governor.input_bound(self.grant), output_tokens=output)
