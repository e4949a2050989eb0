"""One exchange with a provider: what its branches share, and what it leaves to be told."""

import datetime
from collections.abc import Iterable
from email.utils import parsedate_to_datetime

import msgspec

from farthing.domain.call import RequestFacts
from farthing.engine.governor import Governor, Grant
from farthing.engine.outcomes import Ending
from farthing.engine.recall import Recall
from farthing.engine.relay import Relay
from farthing.engine.routes import FAILED_STATUSES, why_failed
from farthing.gateway.answers import HeaderList
from farthing.gateway.upstream import Answer
from farthing.policy.rules import OnDisconnect
from farthing.wire.dialect import Meter
from farthing.wire.surfaces import Surface


class Telling(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer that the caller gets, unless another target does better.

    why_failed: what the target did wrong; None where the answer is the answer.
    """

    status: int
    headers: HeaderList
    body: bytes
    why_failed: str | None = None


class Exchange:
    """The state of one forwarded call that its branches share."""

    def __init__(
        self, governor: Governor, grant: Grant, surface: Surface, recall: Recall | None, *, hide_usage: bool
    ) -> None:
        self.grant = grant
        self.cache = "off" if recall is None else recall.state
        self.surface = surface
        self.hide_usage = hide_usage
        self.streamed = False
        self.unsent = True
        self.head_sent = False
        self.stopped: Ending | None = None
        self.ending = Ending.SHUTDOWN
        self.relay = Relay(governor, grant, self._meter("application/json"))
        self.relay.recording = None if recall is None else recall.recording(grant)
        self._answer: Answer | None = None

    @property
    def why_failed(self) -> str | None:
        """What the target did wrong, where another one may do better."""
        return why_failed(self.grant.target.id, self.ending, self.relay.status)

    def opened(self, answer: Answer, facts: RequestFacts) -> None:
        """Take note of the answer's head: from here on the provider has our request."""
        self._answer = answer
        self.relay.status = answer.status
        self.relay.content_type = answer.content_type
        if answer.status in FAILED_STATUSES:
            self.relay.retry_after_s = retry_after_s(answer.headers)
        self.streamed = facts.stream and answer.status < 300 and _is_stream(answer.content_type, self.surface)
        if self.streamed:
            self.relay.meter = self._meter(answer.content_type)

    def end(self, ending: Ending) -> Ending:
        """Remember how it ended, for the counters."""
        self.ending = ending
        return ending

    def let_go(self) -> None:
        """Close a connection whose answer was not read to its end; one that was is free already."""
        if self._answer is not None:
            self._answer.close()

    def _meter(self, content_type: str) -> Meter:
        return self.surface.dialect.meter(
            self.grant.call.facts,
            streamed=self.streamed,
            content_type=content_type,
            hide_usage=self.hide_usage,
            collect_text=self.grant.environment.on_disconnect is OnDisconnect.CANCEL,
        )


def _is_stream(content_type: str, surface: Surface) -> bool:
    """An answer is a stream when it says so; Gemini also streams one JSON array."""
    if content_type.startswith("application/json"):
        return surface.family == "gemini"
    return True


def retry_after_s(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    """For how many seconds the provider wants to be left alone; None where it does not say."""
    text = next((value for name, value in headers if name.lower() == b"retry-after"), b"").decode("latin-1")
    if text.strip().isdecimal():
        return int(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    left_s = (moment - datetime.datetime.now(datetime.UTC)).total_seconds()
    return max(0, -int(-left_s // 1))
