"""The dialect of OpenAI's embeddings: input only."""

import msgspec
from msgspec import Raw

from farthing.domain.call import RequestFacts
from farthing.domain.usage import Metered, Usage
from farthing.wire import bodies
from farthing.wire.answers import Answer, Counts, members_of, value_in
from farthing.wire.bodies import BodyRequest
from farthing.wire.dialect import Meter
from farthing.wire.meters import Fate, WholeMeter
from farthing.wire.sse import Event

_decode_items = msgspec.json.Decoder(list[Raw]).decode

_JUDGED = frozenset({"model", "input"})


class EmbeddingsRequest(BodyRequest):
    """An embeddings request that was read."""

    __slots__ = ()
    never_input = frozenset({"model", "encoding_format", "dimensions", "user"})

    def render(
        self,
        *,
        model: str,
        output_cap: int | None = None,
        ask_usage: bool = False,
        cap_field: str | None = None,
    ) -> bytes:
        """Write the body that goes upstream. There is no output to cap."""
        members = dict(self.members)
        members["model"] = bodies.raw_value(model)
        return bodies.encode_members(members)


class OpenAIEmbeddings:
    """Speaks embeddings."""

    name = "openai.embeddings"
    family = "openai"

    def read(self, body: bytes, *, model: str | None = None, stream: bool | None = None) -> EmbeddingsRequest:
        """Decode a request. Raises BadRequest with the member at fault."""
        members = bodies.decode_members(body)
        bodies.refuse_look_alikes(members, _JUDGED)
        model = bodies.model_of(members)
        facts = RequestFacts(
            dialect=self.name,
            model=model,
            input_bytes=len(body),
            unbounded=_from_elsewhere(members.get("input")),
            generates=False,
        )
        return EmbeddingsRequest(facts, members)

    def meter(
        self,
        facts: RequestFacts,
        *,
        streamed: bool,
        content_type: str,
        hide_usage: bool = False,
        collect_text: bool = False,
    ) -> Meter:
        """Make a meter for the answer of one call."""
        return WholeMeter(_EmbeddingsReading())


def _from_elsewhere(raw: Raw | None) -> tuple[str, ...]:
    """Notice inputs that are objects: some makers embed pictures, by value or by URL."""
    if raw is None or not bytes(raw).startswith((b"[", b"{")):
        return ()
    if bytes(raw).startswith(b"{"):
        return ("input_object",)
    items = _decode_items(raw)
    return ("input_object",) if any(bytes(item).startswith(b"{") for item in items) else ()


class _EmbeddingsReading:
    """What an answer of vectors has said."""

    def __init__(self) -> None:
        self._answer = Answer()

    def glance(self, block: bytes) -> bool:
        """Never asked: embeddings do not stream."""
        return True

    def read_event(self, event: Event) -> Fate:
        """Never asked: embeddings do not stream."""
        return Fate.PASS

    def read_whole(self, body: bytes) -> None:
        """Read the input tokens; the vectors stay undecoded."""
        answer, members = self._answer, members_of(body)
        answer.complete = bool(members)
        answer.name_model(value_in(members, "model"))
        answer.fail(value_in(members, "error"))
        counts = Counts(value_in(members, "usage"), answer)
        # Voyage reports the total only (recorded 2024).
        tokens = counts.first("prompt_tokens", "input_tokens", "total_tokens")
        if tokens is not None:
            answer.usage = Usage(input_tokens=tokens, output_tokens=0)

    def metered(self) -> Metered:
        """Tell what was read."""
        return self._answer.metered()
