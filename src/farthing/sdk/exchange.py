"""One guarded call between its authorization and its settlement, however it ends."""

import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from farthing.engine.outcomes import Ending
from farthing.engine.relay import Relay
from farthing.ledger.entries import Unit
from farthing.policy.rules import OnDisconnect
from farthing.sdk.abandoned import in_our_own_work, our_own_work, settle_later
from farthing.sdk.paths import path_for
from farthing.sdk.reading import begun, ended, this_thread

if TYPE_CHECKING:
    from farthing.domain.call import Call
    from farthing.engine.governor import Grant
    from farthing.engine.recall import Recall
    from farthing.ledger.entries import Booked
    from farthing.sdk.desk import Asked, Desk
    from farthing.wire.dialect import Meter

# What the transports of both httpx families raise, and what that means for money. The first that
# stands among an exception's classes counts.
_ENDINGS = {
    "ConnectError": Ending.NEVER_CONNECTED,
    "ConnectTimeout": Ending.NEVER_CONNECTED,
    "PoolTimeout": Ending.NEVER_CONNECTED,
    "ProxyError": Ending.NEVER_CONNECTED,
    "UnsupportedProtocol": Ending.NEVER_CONNECTED,
    "TimeoutException": Ending.TIMED_OUT,
}


class Exchange:
    """The state of one call that was authorized. Ends once; later ends change nothing."""

    def __init__(self, desk: "Desk", asked: "Asked", grant: "Grant", recall: "Recall | None") -> None:
        self.grant = grant
        self.asked = asked
        self._desk = desk
        self._streamed = False
        self._process = os.getpid()
        self.reader = this_thread()
        facts = grant.call.facts
        self._hides_usage = facts.stream and grant.target.asks_usage and not facts.wants_usage
        self.relay = Relay(desk.runtime.governor, grant, self._meter("application/json"))
        self.relay.recording = None if recall is None else recall.recording(grant)
        self.cache = None if recall is None else recall.state

    @property
    def call(self) -> "Call":
        """The call as it was asked for."""
        return self.asked.call

    def body(self) -> bytes:
        """The body that goes upstream, written from the members that were judged."""
        grant = self.grant
        return self.asked.request.render(
            model=grant.model,
            output_cap=grant.output_cap,
            ask_usage=self._hides_usage,
            cap_field=grant.target.cap_field,
        )

    def path(self, path: str) -> str:
        """The path that goes upstream; it differs where the path names the model."""
        return path_for(path, self.call.facts.model, self.grant.model)

    def opened(self, status: int, content_type: str) -> bool:
        """Take note of the answer's head; whether it is a stream."""
        self.relay.status = status
        self.relay.content_type = content_type
        is_stream = not content_type.startswith("application/json") or self.asked.surface.family == "gemini"
        self._streamed = self.call.facts.stream and status < 300 and is_stream
        if self._streamed:
            self.relay.meter = self._meter(content_type)
            begun(self._desk.runtime.url, self.call.call_id, self)
        return self._streamed

    @property
    def holds(self) -> Mapping[str, int]:
        """What is held for the call, by account."""
        grant = self.grant
        return {
            balance.account: grant.ceiling_nanodollars
            for balance in grant.balances
            if balance.unit is Unit.NANODOLLARS
        }

    def _meter(self, content_type: str) -> "Meter":
        return self.asked.surface.dialect.meter(
            self.grant.call.facts,
            streamed=self._streamed,
            content_type=content_type,
            hide_usage=self._hides_usage,
            collect_text=self.grant.environment.on_disconnect is OnDisconnect.CANCEL,
        )

    def booked_by_gateway(self) -> None:
        """Leave no trace: the farthing gateway that answered has the call on its own ledger."""
        self._desk.count(self.asked, -1)
        with our_own_work:
            self._desk.runtime.governor.forget(self.grant)

    # ── ends ────────────────────────────────────────────────────────────────────────────────────

    def end(self, ending: Ending, error: BaseException | None = None) -> None:
        """Settle or void the call, and wait until that is durable."""
        with our_own_work:
            booked = self.relay.end(ending, error=_told(error))
        self._ended(booked)

    async def end_async(self, ending: Ending, error: BaseException | None = None) -> None:
        """Do as end does, without blocking the event loop."""
        self._ended(await self.relay.end_async(ending, error=_told(error)))

    def _ended(self, booked: "Booked | None") -> None:
        if self._streamed:
            ended(self._desk.runtime.url, self.call.call_id)
        if booked is not None:
            self._desk.note_end(self.asked, booked, self.relay.usage)

    def failed(self, error: BaseException) -> None:
        """Book a call whose exchange broke: what the error means for money is in one table."""
        # What is no Exception is no fault of the provider: the caller was cancelled or interrupted.
        self.end(ending_of(error) if isinstance(error, Exception) else self._left(), error)

    def abandoned(self) -> None:
        """Book a stream whose reader left before its end; the provider is told by closing it."""
        if self.relay.ended or self._process != os.getpid():  # a forked child closes only its copy
            return
        if in_our_own_work() or threading.current_thread().name.startswith("farthing-"):
            settle_later(self)  # the garbage collector may call us in the middle of anything
        else:
            self.settle_abandoned()

    def settle_abandoned(self) -> None:
        """Settle as assumed, or by what was counted where the policy says to cancel."""
        self.end(self._left())

    def _left(self) -> Ending:
        """How a call ends whose caller left; before the first byte there is nothing to count."""
        cancels = self._streamed and self.grant.environment.on_disconnect is OnDisconnect.CANCEL
        return Ending.CANCELLED if cancels else Ending.DRAIN_EXPIRED


def ending_of(error: BaseException) -> Ending:
    """What an error of the transport says of the provider: never reached, silent for too long, or lost."""
    for kind in type(error).__mro__:
        ending = _ENDINGS.get(kind.__name__)
        if ending is not None:
            return ending
    return Ending.BROKEN


def _told(error: BaseException | None) -> str | None:
    return None if error is None else f"{type(error).__name__}: {error}"
