"""How the simulator answers: settings for all calls, and directives that one call carries in its text."""

import enum
import re
from collections.abc import Iterable

import msgspec

_DIRECTIVE = re.compile(r"[ \t]*\[\[sim\b([^\]]*)\]\][ \t]*\n?")


class BadDirective(ValueError):
    """A directive or setting that the simulator does not know, or with a value it cannot use."""


class UsageManner(enum.StrEnum):
    """How and where an answer reports its usage."""

    REPORTED = "reported"  # as the dialect does: OpenAI chat streams only when asked
    UNASKED = "unasked"  # in chat streams even when nobody asked
    MISSING = "missing"
    ZERO = "zero"
    FIRST = "first"  # in the first event of a stream and nowhere else
    EVERY = "every"  # in every event, cumulative
    X_GROQ = "x_groq"  # inside the member x_groq of the last chunk, as older streams of Groq have it
    CONTRADICTORY = "contradictory"  # more cached than there was input, more reasoning than output


class BodyManner(enum.StrEnum):
    """What stands in the body of an answer with status 200."""

    PROPER = "proper"
    GARBAGE = "garbage"
    HTML = "html"
    TRUNCATED = "truncated"  # the answer ends in the middle of its JSON, but HTTP says it is whole
    EMPTY = "empty"


class Behaviour(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be told to the simulator; the same names serve as settings and as directives.

    Timing. latency_ms: before an answer begins. first_byte_ms: between the head of an answer and the
    first byte of its body. chunk_interval_ms: between the events of a stream.

    What is said. text: canned words; echo: repeat the last user message; tool: call so many of the
    tools offered; chunks: into how many events the text of a stream is cut; huge: bytes of text,
    whatever the usage says; model, service_tier: what the answer names.

    What is reported, in totals that include their shares. output_tokens is for each choice. An output
    cap is honoured even against output_tokens, unless ignore_cap. The input grows where less than its
    cached shares was counted and no input_tokens is forced.

    What goes wrong. status, with_usage: an error, and whether it reports usage all the same; fails:
    only the first so many calls with the very same body get that status; retry_after_s,
    should_retry: headers of an error. redirect: 302 to another host. cut: the connection ends after
    so many events (half the body, where nothing is streamed); error_mid: the stream tells of an
    error after so many events. reset: the connection is reset before the answer; hang: no answer
    ever comes. no_done: the stream ends without its last event.

    How bytes travel. encoding: gzip, br, zstd, deflate, asked for or not; split: bytes for each
    write, so that events break anywhere; crlf: line ends of streams; pings: comments between events.
    """

    seed: int = 0
    latency_ms: int = 0
    first_byte_ms: int = 0
    chunk_interval_ms: int = 0

    text: str | None = None
    echo: bool = False
    tool: int = 0
    chunks: int | None = None
    huge: int = 0
    model: str | None = None
    service_tier: str | None = None

    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int = 0
    cached_tokens: int | None = None
    cached_share: float = 0.0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    usage: UsageManner = UsageManner.REPORTED
    ignore_cap: bool = False

    status: int = 200
    with_usage: bool = False
    fails: int = 0
    retry_after_s: int | None = None
    should_retry: bool | None = None
    redirect: bool = False
    cut: int | None = None
    error_mid: int | None = None
    reset: bool = False
    hang: bool = False
    no_done: bool = False
    body: BodyManner = BodyManner.PROPER

    encoding: str = "identity"
    split: int = 0
    crlf: bool = False
    pings: bool = False

    api_key: str | None = None  # any other credential is answered 401
    models: tuple[str, ...] = ()  # any other model is answered 404; empty: every model exists

    def directed_by(self, text: str) -> "Behaviour":
        """Follow the directives in a text: ``[[sim output=500 cached=1000 gzip]]``.

        Raises BadDirective for words it does not know, so that a misspelt test fails loudly.
        """
        if "[[sim" not in text:
            return self
        return self.told([word for match in _DIRECTIVE.finditer(text) for word in match[1].split()])

    def told(self, words: Iterable[str]) -> "Behaviour":
        """Follow words such as ``output=500`` or ``hang``, one setting each."""
        members = msgspec.structs.asdict(self)
        for word in words:
            name, equals, value = word.partition("=")
            if not equals and name in _WORDS:
                name, value = _WORDS[name]
            name = _SHORT_NAMES.get(name, name)
            members[name] = tuple(value.split(",")) if name == "models" else value or "true"
        try:
            behaviour = msgspec.convert(members, Behaviour, strict=False)
        except msgspec.ValidationError as error:
            raise BadDirective(f"the simulator cannot follow {' '.join(words)!r}: {error}") from error
        if behaviour.encoding not in _ENCODINGS:
            raise BadDirective(f"the simulator knows no encoding {behaviour.encoding!r}")
        return behaviour


def without_directives(text: str) -> str:
    """The text as a person meant it."""
    return _DIRECTIVE.sub("", text).strip()


_ENCODINGS = ("identity", "gzip", "br", "zstd", "deflate")

_SHORT_NAMES = {
    "output": "output_tokens",
    "input": "input_tokens",
    "cached": "cached_tokens",
    "reasoning": "reasoning_tokens",
    "cache_write": "cache_write_5m",
    "chunk_ms": "chunk_interval_ms",
    "retry_after": "retry_after_s",
}

# Words that stand alone, and the setting they stand for.
_WORDS = {
    **{encoding: ("encoding", encoding) for encoding in _ENCODINGS},
    **{str(manner): ("body", str(manner)) for manner in BodyManner},
    "no_usage": ("usage", "missing"),
    "zero_usage": ("usage", "zero"),
    "usage_first": ("usage", "first"),
    "usage_every": ("usage", "every"),
    "usage_unasked": ("usage", "unasked"),
    "usage_x_groq": ("usage", "x_groq"),
    "usage_contradictory": ("usage", "contradictory"),
    "cut": ("cut", "1"),
    "error_mid": ("error_mid", "1"),
    "tool": ("tool", "1"),
    "huge": ("huge", "4000000"),
}
