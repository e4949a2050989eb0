"""The shape every dialect offers: a request that was read, and a meter for its answer."""

from decimal import Decimal
from typing import Protocol

from farthing.domain.call import RequestFacts
from farthing.domain.usage import Metered


class Request(Protocol):
    """A request body that was decoded once, into the members that matter and the rest untouched."""

    @property
    def facts(self) -> RequestFacts:
        """What the request asks for."""
        ...

    @property
    def prompt(self) -> bytes:
        """The raw bytes of everything that becomes model input, for counting and keyed hashing."""
        ...

    @property
    def temperature(self) -> Decimal | None:
        """How much variety the answer may have; None where the request does not say."""
        ...

    @property
    def is_stored(self) -> bool:
        """Whether the request asks the provider to keep the answer."""
        ...

    def render(
        self,
        *,
        model: str,
        output_cap: int | None = None,
        ask_usage: bool = False,
        cap_field: str | None = None,
    ) -> bytes:
        """Write the body that goes upstream, from the members that were decoded.

        output_cap: lower every alias that the caller sent to at most this, and insert the dialect's
        own field where the caller sent none; None leaves the caller's caps as they are.
        ask_usage: ask for usage in the stream, where the dialect needs to be asked.
        cap_field: the field to insert, for a dialect that has several; others have one and need no word.
        """
        ...


class Meter(Protocol):
    """Reads usage from an answer while its bytes pass. Never raises, whatever the bytes."""

    def feed(self, chunk: bytes) -> bytes:
        """Take bytes from upstream; return those that may go to the caller now.

        What is held back: the last event of a stream, the whole of a non-streamed answer.
        """
        ...

    def end(self) -> bytes:
        """The upstream ended: return what was held back, to be sent once the settlement is durable."""
        ...

    def result(self) -> Metered:
        """What the answer consumed, as far as it was seen; may be asked at any moment."""
        ...


class Dialect(Protocol):
    """One way to speak to a model: OpenAI chat, Anthropic messages ..."""

    name: str  # "openai.chat"
    family: str  # "openai", "anthropic", "gemini": what a target must speak

    def read(self, body: bytes, *, model: str | None = None, stream: bool | None = None) -> Request:
        """Decode a request. model and stream are given where the path tells them (Gemini).

        Raises BadRequest with the member at fault.
        """
        ...

    def meter(
        self,
        facts: RequestFacts,
        *,
        streamed: bool,
        content_type: str,
        hide_usage: bool = False,
        collect_text: bool = False,
    ) -> Meter:
        """A meter for the answer of one call.

        streamed: the answer is a stream, by its content type (SSE, or Gemini's JSON array).
        hide_usage: we asked for usage, the caller had not: drop the chunk that only carries it.
        collect_text: keep the model's text for counting, should the stream break off.
        """
        ...
