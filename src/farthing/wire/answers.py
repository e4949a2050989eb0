"""What one answer has said so far, read leniently: a provider's mistake is marked, never raised."""

import re

import msgspec
from msgspec import Raw

from farthing.domain.usage import Metered, Usage

_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_any = msgspec.json.Decoder().decode

_COUNT_MAX = 10**12
_NO_MEMBERS: dict[str, Raw] = {}
# A member that carries what a model wrote, and is not empty.
_TEXT = re.compile(
    rb'"(?:content|text|delta|arguments|partial_json|thinking|reasoning|reasoning_content|refusal|data)"'
    rb'\s*:\s*"[^"]'
)


def members_of(data: bytes | Raw) -> dict[str, Raw]:
    """Decode an object into its members, untouched; empty where it is no object."""
    try:
        return _decode_members(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _NO_MEMBERS


def value_in(members: dict[str, Raw], name: str) -> object:
    """Decode one member; None where it is absent or cannot be read."""
    raw = members.get(name)
    if raw is None:
        return None
    try:
        value: object = _decode_any(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return value


def item_of(value: object, *names: str) -> object:
    """Walk into nested objects by name; None where the path ends."""
    for name in names:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


class Answer:
    """What one answer has said so far: its usage, its model, its end."""

    def __init__(self, *, collects_text: bool = False) -> None:
        self.usage: Usage | None = None
        self.by_model: tuple[tuple[str, Usage], ...] = ()
        self.model: str | None = None
        self.service_tier: str | None = None
        self.complete = False
        self.error: str | None = None
        self.collects_text = collects_text
        self.has_text = False
        self._text: list[str] = []
        self._anomalies: dict[str, None] = {}

    def mark(self, anomaly: str) -> None:
        """Note a contradiction of the provider, in words, once."""
        self._anomalies[anomaly] = None

    def look_for_text(self, block: bytes) -> None:
        """Note whether the model wrote anything; costs nothing once it has."""
        if not self.has_text and _TEXT.search(block) is not None:
            self.has_text = True

    def write(self, *texts: object) -> None:
        """Keep text that the model wrote."""
        self._text.extend(text for text in texts if isinstance(text, str))

    def name_model(self, name: object) -> None:
        """Keep the first model named; Azure sends an empty name at first."""
        if self.model is None and isinstance(name, str) and name:
            self.model = name

    def name_tier(self, name: object) -> None:
        """Keep the last service tier named."""
        if isinstance(name, str) and name:
            self.service_tier = name

    def fail(self, error: object) -> None:
        """Keep what went wrong upstream, in the provider's words."""
        if error is None:
            return
        words = next(
            (
                word
                for word in (item_of(error, "message"), error, item_of(error, "code"), item_of(error, "type"))
                if isinstance(word, str) and word
            ),
            "the provider reported an error",
        )
        self.error = words[:500]

    def metered(self) -> Metered:
        """Put together what was read."""
        usage, anomalies = self.usage, tuple(self._anomalies)
        if usage is not None and self.has_text and _is_all_zero(usage):
            usage, anomalies = None, (*anomalies, "usage is all zero though there is text; taken as none")
        return Metered(
            usage=usage,
            by_model=self.by_model,
            model_answered=self.model,
            service_tier=self.service_tier,
            complete=self.complete,
            error=self.error,
            anomalies=anomalies,
            output_text="".join(self._text),
        )


def _is_all_zero(usage: Usage) -> bool:
    return usage.input_tokens == 0 and not usage.output_tokens and not usage.requests


class Counts:
    """The numbers of one usage object. What is no count is taken as not reported, and is marked."""

    def __init__(self, reported: object, answer: Answer) -> None:
        self._reported = reported if isinstance(reported, dict) else {}
        self._answer = answer

    def first(self, *names: str) -> int | None:
        """Read the first of these members that is reported; zero is reported, null is not."""
        for name in names:
            if name in self._reported and (count := self._count(name)) is not None:
                return count
        return None

    def share(self, name: str) -> int | None:
        """Read a share by modality; providers fill in zeros for modalities that did not occur."""
        return self._count(name) or None

    def has(self, name: str) -> bool:
        """Say whether a member is there, whatever it holds, and is not null."""
        return self._reported.get(name) is not None

    def within(self, *names: str) -> "Counts":
        """Go into the first of these members that is an object."""
        for name in names:
            inner = self._reported.get(name)
            if isinstance(inner, dict):
                return Counts(inner, self._answer)
        return Counts(None, self._answer)

    def _count(self, name: str) -> int | None:
        value = self._reported.get(name)
        if value is None or (type(value) is int and 0 <= value <= _COUNT_MAX):
            return value
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _COUNT_MAX:
            self._answer.mark(f"{name} is no count; taken as not reported")
            return None
        return value
