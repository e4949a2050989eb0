"""The dialect of Gemini's embeddings, one content or many."""

import msgspec

from farthing.domain.call import RequestFacts
from farthing.domain.errors import BadRequest
from farthing.domain.usage import Metered
from farthing.wire import bodies
from farthing.wire.answers import Answer, members_of, value_in
from farthing.wire.bodies import BodyRequest, Members
from farthing.wire.dialect import Meter
from farthing.wire.gemini_usage import read_usage
from farthing.wire.hidden_input import HiddenInput, objects_within
from farthing.wire.meters import Fate, WholeMeter
from farthing.wire.sse import Event

_JUDGED = frozenset({"model", "content", "requests"})

_decode_requests = msgspec.json.Decoder(list[Members]).decode


class GeminiEmbeddingsRequest(BodyRequest):
    """An embedding request that was read."""

    __slots__ = ("requests",)
    never_input = frozenset(
        {"model", "taskType", "task_type", "outputDimensionality", "output_dimensionality"}
    )

    def __init__(self, facts: RequestFacts, members: Members, requests: list[Members] | None) -> None:
        super().__init__(facts, members)
        self.requests = requests

    def render(
        self,
        *,
        model: str,
        output_cap: int | None = None,
        ask_usage: bool = False,
        cap_field: str | None = None,
    ) -> bytes:
        """Write the body that goes upstream; the model stands in the path and in every request."""
        members, named = dict(self.members), bodies.raw_value(f"models/{model}")
        if "model" in members:
            members["model"] = named
        if self.requests is not None:
            members["requests"] = bodies.raw_value([{**request, "model": named} for request in self.requests])
        return bodies.encode_members(members)


class GeminiEmbeddings:
    """Speaks embedContent and batchEmbedContents."""

    name = "gemini.embeddings"
    family = "gemini"

    def read(
        self, body: bytes, *, model: str | None = None, stream: bool | None = None
    ) -> GeminiEmbeddingsRequest:
        """Decode a request whose model is in the path. Raises BadRequest with the member at fault."""
        if not model:
            raise BadRequest("the path names no model", param="model")
        members = bodies.decode_members(body)
        bodies.refuse_look_alikes(members, _JUDGED)
        requests = _read_requests(members)
        for request in (members, *(requests or ())):
            bodies.refuse_look_alikes(request, _JUDGED)
            named = bodies.text_of(request, "model")
            if named is not None and named.removeprefix("models/") != model:
                raise BadRequest(f"the body names {named}, the path {model}", param="model")
        hidden = HiddenInput()
        _look_at_contents(members, hidden)
        facts = RequestFacts(
            dialect=self.name,
            model=model,
            input_bytes=len(body),
            unbounded=hidden.reasons,
            generates=False,
        )
        return GeminiEmbeddingsRequest(facts, members, requests)

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


def _read_requests(members: Members) -> list[Members] | None:
    if not bodies.is_sent(members, "requests"):
        return None
    try:
        return _decode_requests(members["requests"])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequest("requests must be a list of objects", param="requests") from None


def _look_at_contents(members: Members, hidden: HiddenInput) -> None:
    """Notice pictures, sound and files: newer models embed them too."""
    for name in ("content", "requests"):
        if not bodies.may_mention(bytes(members.get(name, b"")), b"Data", b"_data"):
            continue
        for part in objects_within(bodies.value_of(members, name), "content", "parts"):
            if part.keys() & {"inlineData", "inline_data"}:
                hidden.because("inline_data")
            if part.keys() & {"fileData", "file_data"}:
                hidden.because("file_data")


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
        """Read the input tokens, where they are reported; the vectors stay undecoded."""
        answer, members = self._answer, members_of(body)
        answer.complete = bool(members)
        answer.fail(value_in(members, "error"))
        reported = value_in(members, "usageMetadata")
        usage = read_usage(reported, answer) if reported is not None else None
        if usage is not None:
            answer.usage = msgspec.structs.replace(usage, output_tokens=0)

    def metered(self) -> Metered:
        """Tell what was read."""
        return self._answer.metered()
