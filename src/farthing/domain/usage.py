"""Counts of what a call consumed: as reported, and as classes that never overlap."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

NO_REQUESTS: Mapping[str, int] = MappingProxyType({})


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one call consumed, as the provider reported it; None is not reported, zero is zero.

    ``input_tokens`` and ``output_tokens`` are totals: cached, cache-written, audio, image and tool
    tokens are inside the input, reasoning and audio inside the output. The others are shares of
    those totals. ``requests`` counts extras that are billed apiece, such as ``web_search``.
    """

    input_tokens: int | None = None
    cached_read: int | None = None
    cached_write_5m: int | None = None
    cached_write_1h: int | None = None
    cached_write_other: int | None = None
    output_tokens: int | None = None
    reasoning: int | None = None
    audio_in: int | None = None
    image_in: int | None = None
    video_in: int | None = None
    document_in: int | None = None
    audio_out: int | None = None
    image_out: int | None = None
    cached_read_audio: int | None = None
    tool_use_in: int | None = None
    requests: Mapping[str, int] | None = None

    def total_tokens(self) -> int:
        """Input and output together, as token limits count them."""
        return (self.input_tokens or 0) + (self.output_tokens or 0)


class Metered(msgspec.Struct, frozen=True, kw_only=True):
    """What a meter read from one answer.

    usage: None when the provider reported none that can be believed.
    by_model: usage of further models inside the same answer, to be priced at those models.
    model_answered: the model that the answer names.
    service_tier: the tier that the answer says was used; it is the one that is billed.
    complete: the answer ended the way its dialect ends.
    error: what went wrong upstream, where the provider said so inside a 2xx answer.
    anomalies: contradictions of the provider, in words; the call is booked and marked with them.
    output_text: text that the model wrote, collected only when the meter was asked to.
    """

    usage: Usage | None = None
    by_model: tuple[tuple[str, Usage], ...] = ()
    model_answered: str | None = None
    service_tier: str | None = None
    complete: bool = False
    error: str | None = None
    anomalies: tuple[str, ...] = ()
    output_text: str = ""
