"""The dialect of OpenAI's older text completions."""

import msgspec
from msgspec import Raw

from farthing.domain.call import RequestFacts
from farthing.domain.errors import BadRequest
from farthing.wire import bodies
from farthing.wire.bodies import BodyRequest, Members
from farthing.wire.dialect import Meter
from farthing.wire.openai_chunks import ask_for_usage, choices_meter, wants_usage

_CAPS = ("max_tokens",)
_JUDGED = frozenset({*_CAPS, "model", "stream", "stream_options", "n", "best_of", "prompt"})
_CHOICES_MOST = 128
_PROMPTS_MOST = 2048

_decode_items = msgspec.json.Decoder(list[Raw]).decode


class CompletionsRequest(BodyRequest):
    """A completions request that was read."""

    __slots__ = ()
    never_input = frozenset(
        {
            *_CAPS, "model", "stream", "stream_options", "n", "best_of", "temperature", "top_p", "seed",
            "user", "stop", "echo", "logprobs", "presence_penalty", "frequency_penalty", "logit_bias",
        }
    )  # fmt: skip

    def render(
        self,
        *,
        model: str,
        output_cap: int | None = None,
        ask_usage: bool = False,
        cap_field: str | None = None,
    ) -> bytes:
        """Write the body that goes upstream."""
        members = dict(self.members)
        members["model"] = bodies.raw_value(model)
        if output_cap is not None:
            bodies.lower_caps(members, _CAPS, output_cap, inserted=_CAPS[0])
        if ask_usage and self.facts.stream:
            ask_for_usage(members)
        return bodies.encode_members(members)


class OpenAICompletions:
    """Speaks text completions."""

    name = "openai.completions"
    family = "openai"

    def read(
        self, body: bytes, *, model: str | None = None, stream: bool | None = None
    ) -> CompletionsRequest:
        """Decode a request. Raises BadRequest with the member at fault."""
        members = bodies.decode_members(body)
        bodies.refuse_look_alikes(members, _JUDGED)
        model = bodies.model_of(members)
        asked = bodies.count_of(members, "n", least=1, most=_CHOICES_MOST) or 1
        tried = bodies.count_of(members, "best_of", least=1, most=_CHOICES_MOST) or 1
        facts = RequestFacts(
            dialect=self.name,
            model=model,
            stream=bodies.flag_of(members, "stream"),
            output_cap=bodies.largest_cap(members, _CAPS),
            choices=max(asked, tried) * _prompts(members),
            input_bytes=len(body),
            service_tier=bodies.text_of(members, "service_tier"),
            wants_usage=wants_usage(members),
        )
        return CompletionsRequest(facts, members)

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
        return choices_meter(streamed=streamed, hide_usage=hide_usage, collect_text=collect_text)


def _prompts(members: Members) -> int:
    """Count the prompts: each is answered by itself, so each may use the whole output cap."""
    raw = members.get("prompt")
    if raw is None or not bytes(raw).startswith(b"["):
        return 1
    items = _decode_items(raw)
    if not items or bytes(items[0])[:1] not in (b'"', b"["):
        return 1  # one prompt, given as tokens
    if len(items) > _PROMPTS_MOST:
        raise BadRequest(f"prompt must hold at most {_PROMPTS_MOST} prompts", param="prompt")
    return len(items)
