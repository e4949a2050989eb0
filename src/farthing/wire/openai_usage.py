"""Read the usage object of the OpenAI dialects, by the conventions of all providers that speak them."""

from farthing.domain.usage import Usage
from farthing.wire.answers import Answer, Counts

_INPUT_DETAILS = ("prompt_tokens_details", "input_tokens_details", "prompt_token_details")
_OUTPUT_DETAILS = ("completion_tokens_details", "output_tokens_details")


def read_usage(reported: object, answer: Answer) -> Usage | None:
    """Read one usage object; None where it reports no tokens.

    Input includes what was cached, output includes reasoning, whichever way a provider counts.
    """
    counts = Counts(reported, answer)
    inputs, outputs = counts.within(*_INPUT_DETAILS), counts.within(*_OUTPUT_DETAILS)
    tally = _Tally(counts, outputs, answer)
    if tally.prompt is None and tally.completion is None:
        return None
    tally.add_what_stands_outside()
    cached, written = _cache_shares(counts, inputs, tally.prompt, answer)
    reasoning = tally.reasoning
    if reasoning is not None and tally.completion is not None and reasoning > tally.completion:
        answer.mark("reasoning tokens are more than output tokens; output is as reported")
    audio_in = tally.audio_in or inputs.share("audio_tokens")
    if audio_in is not None and tally.prompt is not None and audio_in > tally.prompt:
        answer.mark("audio tokens are more than input tokens; cut to them")
        audio_in = tally.prompt
    return Usage(
        input_tokens=tally.prompt,
        cached_read=cached,
        cached_write_other=written,
        output_tokens=tally.completion,
        reasoning=reasoning,
        audio_in=audio_in,
        image_in=inputs.share("image_tokens"),
        video_in=inputs.share("video_tokens"),
        cached_read_audio=inputs.within("cached_tokens_details").share("audio_tokens"),
        audio_out=outputs.share("audio_tokens"),
        image_out=outputs.share("image_tokens"),
        requests=_requests(counts) or None,
    )


class _Tally:
    """Prompt, completion and total of one usage object, and what they leave out."""

    def __init__(self, counts: Counts, outputs: Counts, answer: Answer) -> None:
        self._counts = counts
        self._answer = answer
        self.prompt = counts.first("prompt_tokens", "input_tokens")
        self.completion = counts.first("completion_tokens", "output_tokens")
        self.total = counts.first("total_tokens")
        self.reasoning = outputs.first("reasoning_tokens")
        if self.reasoning is None:
            self.reasoning = counts.first("reasoning_tokens")
        self.audio_in: int | None = None

    def add_what_stands_outside(self) -> None:
        """Make input and output whole where a provider counts a share beside them."""
        if self.prompt is None or self.completion is None:
            return
        if self._counts.first("citation_tokens") is not None:
            self._add_research(self._counts.first("citation_tokens") or 0)
        elif self._excludes_reasoning():
            self.completion += self.reasoning or 0
        elif self.total is not None:
            self._explain(self.total - self.prompt - self.completion)

    def _add_research(self, citations: int) -> None:
        # Perplexity's pricing page (read November 2026) bills citation and reasoning tokens of deep
        # research beside prompt and completion, and total_tokens holds neither.
        assert self.prompt is not None and self.completion is not None
        self.prompt += citations
        self.completion += self.reasoning or 0

    def _excludes_reasoning(self) -> bool:
        assert self.prompt is not None and self.completion is not None
        if not self.reasoning:
            return False
        # xAI counts reasoning beside completion_tokens; its total_tokens tells
        # (recorded 2025 to 2026; xAI's guide "Reasoning" has the same sum).
        if self.total == self.prompt + self.completion + self.reasoning:
            return True
        # Vercel's AI gateway does so for Gemini models and its total does not tell; the cost it
        # reports, in its own member market_cost, does (recorded March 2026).
        return self._counts.has("market_cost") and (self._answer.model or "").startswith("google/")

    def _explain(self, gap: int) -> None:
        """Find what the total holds beyond its two parts."""
        assert self.prompt is not None and self.completion is not None
        if gap < 0:
            self._answer.mark("total_tokens is less than its parts; the parts are taken")
        if gap <= 0:
            return
        beside = (self._counts.first("cache_read_input_tokens") or 0) + (
            self._counts.first("cache_creation_input_tokens") or 0
        )
        if gap == beside:  # counted as Anthropic counts: beside the prompt
            self.prompt += gap
        elif self._counts.has("prompt_audio_seconds"):
            # Mistral counts the tokens of audio in the total only (recorded 2025).
            self.prompt += gap
            self.audio_in = gap
        else:
            # Gemini behind this dialect shows what it thought in the total only (recorded 2025).
            self.completion += gap
            if self.reasoning is None:
                self.reasoning = gap
            if "gemini" not in (self._answer.model or ""):
                self._answer.mark("total_tokens is more than its parts; the rest is taken as output")


def _cache_shares(
    counts: Counts, inputs: Counts, prompt: int | None, answer: Answer
) -> tuple[int | None, int | None]:
    """Read what came from a cache and what went into one, neither beyond the input."""
    cached = inputs.first("cached_tokens")
    if cached is None:
        # DeepSeek; Together and Moonshot; Mistral in former times; Databricks.
        cached = counts.first(
            "prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens", "cache_read_input_tokens"
        )
    written = inputs.first("cache_write_tokens", "cache_creation_tokens")
    if written is None:
        written = counts.first("cache_creation_input_tokens")
    hit, missed = counts.first("prompt_cache_hit_tokens"), counts.first("prompt_cache_miss_tokens")
    if hit is not None and missed is not None and prompt is not None and hit + missed != prompt:
        answer.mark("cache hits and misses do not add up to the prompt")
    if prompt is None:
        return cached, written
    if cached is not None and cached > prompt:
        # Azure with Grok models reports cached tokens above the prompt (recorded 2025).
        answer.mark("cached tokens are more than input tokens; cut to them")
        cached = prompt
    if written is not None and written > prompt - (cached or 0):
        answer.mark("cache writes are more than the input that was not cached; cut to it")
        written = prompt - (cached or 0)
    return cached, written


def _requests(counts: Counts) -> dict[str, int]:
    """Count what is billed apiece beside the tokens."""
    searches = counts.within("server_tool_use", "server_tool_use_details").first("web_search_requests")
    if searches is None:
        searches = counts.first("num_search_queries")
    sources = counts.first("num_sources_used")
    named = {"web_search": searches, "live_search_sources": sources}
    return {name: count for name, count in named.items() if count}
