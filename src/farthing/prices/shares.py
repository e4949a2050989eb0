"""Split reported totals into classes that never overlap and always sum to the total."""

from farthing.domain.usage import Usage
from farthing.prices.price import RateCard

Shares = tuple[tuple[str, int], ...]  # (class, tokens), by the names of a rate card
Anomalies = tuple[str, ...]

_NO_ANOMALIES: Anomalies = ()


def input_shares(usage: Usage, total: int, card: RateCard) -> tuple[Shares, Anomalies]:
    """Split the input: what was cached, what is not text, and the rest, which is fresh text.

    Cached audio is inside both the cached and the audio tokens. Where a provider does not say how
    much that is, the shares are taken dearest first until the total is used up.
    """
    read = usage.cached_read or 0
    write_5m = (usage.cached_write_5m or 0) + (usage.cached_write_other or 0)
    write_1h = usage.cached_write_1h or 0
    cached = read + write_5m + write_1h
    audio, image, video = usage.audio_in or 0, usage.image_in or 0, usage.video_in or 0
    media = audio + image + video
    if not media and not usage.cached_read_audio and cached <= total and min(read, write_5m, write_1h) >= 0:
        return (
            ("input", total - cached),
            ("cache_read", read),
            ("cache_write_5m", write_5m),
            ("cache_write_1h", write_1h),
        ), _NO_ANOMALIES
    cached_audio = usage.cached_read_audio or 0
    claimed = {
        "cache_read": read - cached_audio,
        "cache_write_5m": write_5m,
        "cache_write_1h": write_1h,
        "cache_read_audio": cached_audio,
        "input_audio": audio - cached_audio,
        "input_image": image,
        "input_video": video,
    }
    if cached > total or media > total or min(claimed.values()) < 0:
        return _all_at_dearest(claimed, total, card, rest="input", what="input")
    return _dearest_first(claimed, total, card, unknown_overlap=bool(read and media))


def output_shares(usage: Usage, card: RateCard) -> tuple[Shares, Anomalies]:
    """Split the output; reasoning is inside it and is told apart only where it has its own rate."""
    total = usage.output_tokens or 0
    reasoning, audio, image = usage.reasoning or 0, usage.audio_out or 0, usage.image_out or 0
    claimed = {"output_audio": audio, "output_image": image}
    if card.reasoning != card.output:
        claimed["reasoning"] = reasoning
    if not any(claimed.values()) and 0 <= reasoning <= total:
        return (("output", total),), _NO_ANOMALIES
    if sum(claimed.values()) > total or reasoning > total or min(total, *claimed.values()) < 0:
        return _all_at_dearest(claimed, total, card, rest="output", what="output")
    rest = total - sum(claimed.values())
    return (("output", rest), *claimed.items()), _NO_ANOMALIES


def _dearest_first(
    claimed: dict[str, int], total: int, card: RateCard, *, unknown_overlap: bool
) -> tuple[Shares, Anomalies]:
    """Give each class what it claims, the dearest first, but never more than is left of the total."""
    left = total
    shares = []
    for kind in sorted(claimed, key=lambda kind: -int(getattr(card, kind))):
        taken = min(claimed[kind], left)
        left -= taken
        shares.append((kind, taken))
    told_apart = claimed["cache_read_audio"] or claimed["input_audio"] == 0
    vague = unknown_overlap and not told_apart and card.input_audio != card.input
    anomalies = ("the cached share of audio was not reported",) if vague else _NO_ANOMALIES
    return (("input", left), *shares), anomalies


def _all_at_dearest(
    claimed: dict[str, int], total: int, card: RateCard, *, rest: str, what: str
) -> tuple[Shares, Anomalies]:
    """Take the total at the dearest of the classes that claim a share of it, the plain one included."""
    kinds = [rest, *(kind for kind, count in claimed.items() if count > 0)]
    dearest = max(kinds, key=lambda kind: int(getattr(card, kind)))
    return ((dearest, max(total, 0)),), (f"shares of the {what} exceed it, all of it is priced as {dearest}",)
