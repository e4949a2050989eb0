"""Read Anthropic's usage objects: cumulative in a stream, cache beside the input, passes of other models."""

import msgspec

from farthing.domain.usage import Usage
from farthing.wire.answers import Answer, Counts, item_of


class AnthropicUsage:
    """Merges the usage objects of one answer, and books them on it.

    A member that is present in a later object replaces the earlier one, an absent one stays
    (Anthropic's page "Streaming messages", 2026: counts in message_delta are cumulative).
    """

    def __init__(self, answer: Answer, *, cache_write_ttl: str | None) -> None:
        self._answer = answer
        self._ttl = cache_write_ttl
        self._merged: dict[str, object] = {}

    def add(self, reported: object) -> None:
        """Merge one usage object."""
        if not isinstance(reported, dict):
            return
        if "cache_creation_input_tokens" in reported and "cache_creation" not in reported:
            self._drop_stale_split(reported["cache_creation_input_tokens"])
        self._merged.update((name, value) for name, value in reported.items() if value is not None)
        answer = self._answer
        answer.name_tier(self._merged.get("service_tier"))
        if self._merged.get("speed") == "fast":
            answer.name_tier("fast")
        top = self._read(self._merged)
        if top is None:
            return
        answer.usage, answer.by_model = self._with_iterations(top)

    def _drop_stale_split(self, written: object) -> None:
        """Forget the split by life time where a later total no longer matches it."""
        split = self._merged.get("cache_creation")
        if isinstance(split, dict) and sum(v for v in split.values() if isinstance(v, int)) != written:
            del self._merged["cache_creation"]

    def _read(self, reported: object) -> Usage | None:
        """Read one object of counts, without its iterations."""
        answer = self._answer
        counts = Counts(reported, answer)
        fresh, output = counts.first("input_tokens"), counts.first("output_tokens")
        if fresh is None and output is None:
            return None
        read = counts.first("cache_read_input_tokens")
        written = counts.first("cache_creation_input_tokens")
        split = counts.within("cache_creation")
        for_5m = split.first("ephemeral_5m_input_tokens")
        for_1h = split.first("ephemeral_1h_input_tokens")
        if written is not None and (for_5m or 0) + (for_1h or 0) != written:
            if for_5m or for_1h:
                answer.mark("cache writes by life time do not add up to their total")
            # Older answers have no split; five minutes is what Anthropic writes unless one hour was
            # asked for (page "Prompt caching", 2026).
            rest = max(written - (for_5m or 0) - (for_1h or 0), 0)
            if self._ttl == "1h":
                for_1h = (for_1h or 0) + rest
            else:
                for_5m = (for_5m or 0) + rest
        reasoning = counts.within("output_tokens_details").first("thinking_tokens")
        if reasoning is not None and output is not None and reasoning > output:
            answer.mark("thinking tokens are more than output tokens; output is as reported")
        # input_tokens leaves out what the cache read and wrote (page "Prompt caching", 2026).
        total = None if fresh is None else fresh + (read or 0) + (for_5m or 0) + (for_1h or 0)
        return Usage(
            input_tokens=total,
            cached_read=read,
            cached_write_5m=for_5m,
            cached_write_1h=for_1h,
            output_tokens=output,
            reasoning=reasoning,
            requests=_requests(reported) or None,
        )

    def _with_iterations(self, top: Usage) -> tuple[Usage, tuple[tuple[str, Usage], ...]]:
        """Add passes that the counts at the top leave out.

        Compaction passes are billed but not in the counts at the top; passes of an adviser run on
        another model (Anthropic's pages "Compaction" and "Advisor tool", 2026).
        """
        iterations = self._merged.get("iterations")
        if not isinstance(iterations, list):
            return top, ()
        own: list[Usage] = []
        others: dict[str, list[Usage]] = {}
        for iteration in iterations:
            usage = self._read(iteration)
            if usage is None:
                continue
            model = item_of(iteration, "model")
            if isinstance(model, str) and model != self._answer.model:
                others.setdefault(model, []).append(usage)
            elif item_of(iteration, "type") == "advisor_message":
                self._answer.mark("an adviser's pass names no model; it is taken as the answer's own")
                own.append(usage)
            else:
                own.append(usage)
        by_model = tuple((model, _sum(passes)) for model, passes in others.items())
        if not own:
            return top, by_model
        summed = _sum(own)
        if summed.total_tokens() < top.total_tokens():
            self._answer.mark("iterations are less than the usage at the top; the top is taken")
            return top, by_model
        return msgspec.structs.replace(summed, reasoning=top.reasoning, requests=top.requests), by_model


def _sum(passes: list[Usage]) -> Usage:
    """Add up passes of one model; what no pass reports stays unreported."""

    def total(name: str) -> int | None:
        reported = [count for usage in passes if (count := getattr(usage, name)) is not None]
        return sum(reported) if reported else None

    return Usage(
        input_tokens=total("input_tokens"),
        cached_read=total("cached_read"),
        cached_write_5m=total("cached_write_5m"),
        cached_write_1h=total("cached_write_1h"),
        output_tokens=total("output_tokens"),
        reasoning=total("reasoning"),
    )


def _requests(reported: object) -> dict[str, int]:
    """Count server tools used: web_search_requests becomes web_search."""
    used = item_of(reported, "server_tool_use")
    return {
        name.removesuffix("_requests"): count
        for name, count in (used.items() if isinstance(used, dict) else ())
        if isinstance(count, int) and not isinstance(count, bool) and count > 0
    }
