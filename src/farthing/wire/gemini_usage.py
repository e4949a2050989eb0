"""Read Gemini's usageMetadata: thoughts and tool use stand beside the counts they belong to."""

from collections.abc import Iterator

from farthing.domain.usage import Usage
from farthing.wire.answers import Answer, Counts, item_of

# Modalities and traffic types are written as words or as the numbers of their enumerations
# (Vertex AI reference, "GenerateContentResponse", 2026).
_MODALITIES = {2: "IMAGE", 3: "VIDEO", 4: "AUDIO", 5: "DOCUMENT"}
_TRAFFIC = {1: "ON_DEMAND", 2: "PROVISIONED_THROUGHPUT"}


def read_usage(reported: object, answer: Answer) -> Usage | None:
    """Read one usageMetadata; None where it reports no tokens. Names the tier on the answer."""
    counts = Counts(reported, answer)
    prompt, tool_use = counts.first("promptTokenCount"), counts.first("toolUsePromptTokenCount")
    spoken, thought = counts.first("candidatesTokenCount"), counts.first("thoughtsTokenCount")
    total = counts.first("totalTokenCount")
    answer.name_tier(_traffic(item_of(reported, "trafficType")))
    answer.name_tier(item_of(reported, "serviceTier"))
    if prompt is None and spoken is None and thought is None:
        return None
    output = None if spoken is None and thought is None else (spoken or 0) + (thought or 0)
    # Tool use is billed as input beside the prompt (Gemini API reference, "UsageMetadata", 2026).
    whole_input = None if prompt is None else prompt + (tool_use or 0)
    if total is not None and whole_input is not None:
        output = _reconcile(total, whole_input, output, answer)
    cached = counts.first("cachedContentTokenCount")
    if cached is not None and whole_input is not None and cached > whole_input:
        answer.mark("cached tokens are more than input tokens; cut to them")
        cached = whole_input
    inputs = _by_modality(reported, "promptTokensDetails", "promptTokenDetails", "toolUsePromptTokensDetails")
    outputs = _by_modality(reported, "candidatesTokensDetails")
    return Usage(
        input_tokens=whole_input,
        cached_read=cached,
        output_tokens=output,
        reasoning=thought,
        audio_in=inputs.get("AUDIO"),
        image_in=inputs.get("IMAGE"),
        video_in=inputs.get("VIDEO"),
        document_in=inputs.get("DOCUMENT"),
        audio_out=outputs.get("AUDIO"),
        image_out=outputs.get("IMAGE"),
        cached_read_audio=_by_modality(reported, "cacheTokensDetails").get("AUDIO"),
        tool_use_in=tool_use,
    )


def _reconcile(total: int, whole_input: int, output: int | None, answer: Answer) -> int | None:
    """Hold the parts against the total; what it has more is taken as output."""
    gap = total - whole_input - (output or 0)
    if gap < 0:
        answer.mark("totalTokenCount is less than its parts; the parts are taken")
        return output
    if gap > 0:
        answer.mark("totalTokenCount is more than its parts; the rest is taken as output")
    return (output or 0) + gap


def _traffic(traffic: object) -> object:
    return _TRAFFIC.get(traffic) if isinstance(traffic, int) else traffic


def _by_modality(reported: object, *names: str) -> dict[str, int]:
    """Add up counts by modality; zeros say nothing."""
    shares: dict[str, int] = {}
    for modality, count in _modality_counts(reported, names):
        shares[modality] = shares.get(modality, 0) + count
    return shares


def _modality_counts(reported: object, names: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    for name in names:
        details = item_of(reported, name)
        for detail in details if isinstance(details, list) else ():
            modality, count = item_of(detail, "modality"), item_of(detail, "tokenCount")
            if isinstance(modality, int):
                modality = _MODALITIES.get(modality)
            if isinstance(modality, str) and isinstance(count, int) and count > 0:
                yield modality, count
