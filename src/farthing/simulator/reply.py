"""What the fake model says and how much of it is billed, before any dialect gives it a shape."""

import enum
from collections.abc import Mapping

import msgspec

from farthing.simulator.ask import BYTES_PER_TOKEN, Ask
from farthing.simulator.behaviour import Behaviour, UsageManner, without_directives
from farthing.simulator.example import example_of

# Words of three letters and a blank: four bytes, one token, in our count and in most tokenizers.
_WORDS = (
    "the", "sun", "was", "low", "and", "all", "men", "sat", "for", "tea", "one", "dog", "ran", "far",
    "out", "but", "our", "cat", "saw", "him", "run", "who", "can", "say", "why", "she", "had", "not",
    "yet", "met", "any", "fox", "old", "hen", "nor", "new", "bee", "did", "her", "own", "day", "end",
)  # fmt: skip
_POOL = " ".join(_WORDS * 100) + " "
_POOL_TWICE = _POOL * 2
_POOL_TOKENS = len(_POOL) // BYTES_PER_TOKEN

NATURAL_TOKENS = 24
CHUNKS_MAX = 50
# A test may have millions of tokens billed; nobody needs to read them all.
TEXT_TOKENS_MAX = 4_000


class Finish(enum.Enum):
    """Why the model stopped."""

    STOP = "stop"
    LENGTH = "length"
    TOOL = "tool"


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What is billed: totals, and shares of them."""

    input_tokens: int
    cached: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output_tokens: int = 0
    reasoning: int = 0

    @property
    def cache_write(self) -> int:
        """All that was written to a cache."""
        return self.cache_write_5m + self.cache_write_1h


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """A function the model wants called; arguments is JSON."""

    stem: str
    name: str
    arguments: Mapping[str, object]

    @property
    def arguments_json(self) -> str:
        """The arguments as the model would write them."""
        return msgspec.json.encode(self.arguments).decode()


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One of the answers asked for; pieces are its text as a stream would bring it."""

    pieces: tuple[str, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    finish: Finish = Finish.STOP

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.pieces)


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What the fake model says: every dialect tells the same in its own shape.

    stem: ids are made of it. counts: what is reported; None where usage is missing.
    """

    stem: str
    model: str
    service_tier: str | None
    choices: tuple[Choice, ...]
    counts: Counts | None
    billed: Counts
    manner: UsageManner = UsageManner.REPORTED
    complete: bool = True
    reasons: bool = False

    @property
    def first(self) -> Choice:
        """The only choice, in dialects that know one."""
        return self.choices[0]


def compose(ask: Ask, behaviour: Behaviour, stem: str) -> Reply:
    """Think of an answer: the same for the same seed and request, within the caller's cap."""
    cap = None if behaviour.ignore_cap else ask.output_cap
    numbers = range(ask.choices if ask.generates else 0)
    said = [_choice(ask, behaviour, stem, number, cap) for number in numbers]
    output, reasoning = sum(output for _, output, _ in said), sum(thought for *_, thought in said)
    billed = _counts(ask, behaviour, output=output, reasoning=reasoning)
    return Reply(
        stem=stem,
        model=behaviour.model or _SNAPSHOTS.get(ask.model, ask.model),
        service_tier=behaviour.service_tier or ask.service_tier,
        choices=tuple(choice for choice, *_ in said),
        billed=billed,
        counts=_reported(billed, behaviour.usage),
        manner=behaviour.usage,
        complete=not behaviour.no_done,
        reasons=behaviour.reasoning_tokens > 0,
    )


def _choice(
    ask: Ask, behaviour: Behaviour, stem: str, number: int, cap: int | None
) -> tuple[Choice, int, int]:
    """One choice, its output tokens and the reasoning among them."""
    calls = _tool_calls(ask, behaviour, f"{stem}{number}")
    forced, reasoning = behaviour.output_tokens, behaviour.reasoning_tokens
    text = "" if calls else _text(ask, behaviour, stem, number)
    written = text + "".join(call.arguments_json for call in calls)
    output = forced if forced is not None else _tokens_of(written) + reasoning
    finish = Finish.TOOL if calls else Finish.STOP
    if cap is not None and output > cap:
        output, finish, calls = cap, Finish.LENGTH, ()
        reasoning = min(reasoning, output)
        if not behaviour.huge:
            text = _first_tokens(text, output - reasoning)
    reasoning = min(reasoning, output)
    pieces = _pieces(text, behaviour.chunks if ask.stream else 1)
    return Choice(pieces=pieces, tool_calls=calls, finish=finish), output, reasoning


def _text(ask: Ask, behaviour: Behaviour, stem: str, number: int) -> str:
    if behaviour.huge:
        return (_POOL * (behaviour.huge // len(_POOL) + 1))[: behaviour.huge]
    if ask.schema is not None:
        return msgspec.json.encode(example_of(ask.schema)).decode()
    if behaviour.text is not None:
        return behaviour.text
    if behaviour.echo:
        return without_directives(ask.text)
    wished = NATURAL_TOKENS
    if behaviour.output_tokens is not None:
        wished = max(behaviour.output_tokens - behaviour.reasoning_tokens, 0)
    return words(wished, start=int(stem[:8], 16) + number)


def words(tokens: int, *, start: int) -> str:
    """So many tokens of text, four bytes each, from a place in the pool."""
    tokens = min(tokens, TEXT_TOKENS_MAX)
    if not tokens:
        return ""
    first = start % _POOL_TOKENS * BYTES_PER_TOKEN
    text = _POOL_TWICE[first : first + tokens * BYTES_PER_TOKEN]
    return text[:-1] + "."


def _tokens_of(text: str) -> int:
    return -(-len(text.encode()) // BYTES_PER_TOKEN)


def _first_tokens(text: str, tokens: int) -> str:
    return text.encode()[: tokens * BYTES_PER_TOKEN].decode(errors="ignore")


def _pieces(text: str, chunks: int | None) -> tuple[str, ...]:
    """Cut a text into pieces of whole tokens, as many as asked for or as a stream would have."""
    if chunks == 1 or not text:
        return (text,) if text else ()
    wished = chunks or CHUNKS_MAX
    tokens = -(-len(text) // BYTES_PER_TOKEN)
    # More chunks than tokens can only be had by breaking tokens.
    size, parts = (1, len(text)) if chunks and chunks > tokens else (BYTES_PER_TOKEN, tokens)
    wished = min(wished, parts)
    edges = [number * parts // wished * size for number in range(wished)]
    return tuple(text[start:end] for start, end in zip(edges, [*edges[1:], len(text)], strict=True))


def _tool_calls(ask: Ask, behaviour: Behaviour, stem: str) -> tuple[ToolCall, ...]:
    if ask.tool_answered or not ask.tools:
        return ()
    wished = behaviour.tool or int(ask.tool_wanted)
    return tuple(
        ToolCall(
            stem=f"{stem}{number}",
            name=(tool := ask.tools[number % len(ask.tools)]).name,
            arguments=_object(example_of(tool.schema)),
        )
        for number in range(wished)
    )


def _object(example: object) -> Mapping[str, object]:
    return example if isinstance(example, dict) else {}


def _counts(ask: Ask, behaviour: Behaviour, *, output: int, reasoning: int) -> Counts:
    written = behaviour.cache_write_5m + behaviour.cache_write_1h
    total = ask.input_tokens if behaviour.input_tokens is None else behaviour.input_tokens
    cached = behaviour.cached_tokens
    if cached is None:
        cached = int((total - written) * behaviour.cached_share) if total > written else 0
    if behaviour.input_tokens is None:
        total = max(total, cached + written)
    return Counts(
        input_tokens=total,
        cached=cached,
        cache_write_5m=behaviour.cache_write_5m,
        cache_write_1h=behaviour.cache_write_1h,
        output_tokens=output,
        reasoning=reasoning,
    )


def _reported(billed: Counts, manner: UsageManner) -> Counts | None:
    if manner is UsageManner.MISSING:
        return None
    if manner is UsageManner.ZERO:
        return Counts(input_tokens=0)
    if manner is UsageManner.CONTRADICTORY:
        return msgspec.structs.replace(
            billed, cached=billed.input_tokens + 100, reasoning=billed.output_tokens + 100
        )
    return billed


# Names that providers answer with when asked for the shorter one.
_SNAPSHOTS = {
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "gpt-4.1": "gpt-4.1-2025-04-14",
    "gpt-4.1-mini": "gpt-4.1-mini-2025-04-14",
    "gpt-4.1-nano": "gpt-4.1-nano-2025-04-14",
    "gpt-5": "gpt-5-2025-08-07",
    "gpt-5-mini": "gpt-5-mini-2025-08-07",
    "gpt-5-nano": "gpt-5-nano-2025-08-07",
    "o3": "o3-2025-04-16",
    "o4-mini": "o4-mini-2025-04-16",
    "claude-haiku-4-5": "claude-haiku-4-5-20251001",
    "claude-sonnet-4-5": "claude-sonnet-4-5-20250929",
    "claude-opus-4-5": "claude-opus-4-5-20251101",
    "claude-opus-4-1": "claude-opus-4-1-20250805",
}
