"""What chat and the older completions share: answers made of choices, whole or as chunks."""

import re

from msgspec import Raw

from farthing.domain.usage import Metered, Usage
from farthing.wire import bodies
from farthing.wire.answers import Answer, item_of, members_of, value_in
from farthing.wire.bodies import Members
from farthing.wire.dialect import Meter
from farthing.wire.meters import Fate, StreamMeter, WholeMeter
from farthing.wire.openai_usage import read_usage
from farthing.wire.sse import Event, EventCutter

_DONE = b"[DONE]"
# OpenAI writes "usage":null into every chunk once usage is asked for; only a value is of interest.
_USAGE_NULL = b'"usage":null'
_USAGE_VALUE = re.compile(rb'"usage"\s*:\s*[^n\s]')
_ERROR_VALUE = re.compile(rb'"error"\s*:\s*[^n\s]')
_FINISHED = re.compile(rb'"finish_reason"\s*:\s*"')
_ERROR_LINE = re.compile(rb"(?:^|[\r\n])(?:error|event: ?error)")
# The model is named in the first chunks, if at all; it is not looked for any further.
_CHUNKS_READ_FOR_MODEL = 4


def wants_usage(members: Members) -> bool:
    """Say whether the caller itself asks for usage in the stream."""
    return bodies.flag_of(bodies.object_of(members, "stream_options") or {}, "include_usage")


def ask_for_usage(members: Members) -> None:
    """Ask for usage in the stream; other stream options stay."""
    options = bodies.object_of(members, "stream_options") or {}
    options["include_usage"] = Raw(b"true")
    members["stream_options"] = bodies.raw_value(options)


def choices_meter(*, streamed: bool, hide_usage: bool, collect_text: bool) -> Meter:
    """Make the meter for an answer that is made of choices."""
    reading = ChoicesReading(hide_usage=hide_usage, collect_text=collect_text)
    return StreamMeter(reading, EventCutter()) if streamed else WholeMeter(reading)


class ChoicesReading:
    """What an answer of choices has said so far."""

    def __init__(self, *, hide_usage: bool, collect_text: bool) -> None:
        self._answer = Answer(collects_text=collect_text)
        self._hides_usage = hide_usage
        self._unread_for_model = _CHUNKS_READ_FOR_MODEL
        self._done = False

    def glance(self, block: bytes) -> bool:
        """Look for a usage, an error, the end; and for the model until it is known."""
        answer = self._answer
        if not answer.has_text:
            answer.look_for_text(block)
        if (self._unread_for_model and answer.model is None) or answer.collects_text:
            return True
        if b"[DONE]" in block:
            return True
        if (
            b'"usage"' in block
            and block.count(b'"usage"') > block.count(_USAGE_NULL)
            and _USAGE_VALUE.search(block) is not None
        ):
            return True
        return b"error" in block and (
            _ERROR_VALUE.search(block) is not None or _ERROR_LINE.search(block) is not None
        )

    def read_event(self, event: Event) -> Fate:
        """Read one chunk."""
        if not event.data:
            return Fate.PASS
        answer = self._answer
        if event.data.strip() == _DONE:
            answer.complete = self._done = True
            return Fate.HOLD
        members = members_of(event.data)
        if answer.model is None and self._unread_for_model:
            self._unread_for_model -= 1
        usage = self._read_members(members)
        if answer.collects_text:
            self._keep_text(members, "delta")
        if event.name == b"error" and answer.error is None:
            answer.fail(value_in(members, "message") or event.data.decode(errors="replace"))
        choices = bytes(members.get("choices", b""))
        alone = usage is not None and b"".join(choices.split()) == b"[]"
        # Some servers never send [DONE] (GPUStack, Hugging Face's router; recorded 2026): a final
        # usage ends the answer as well, unless more follows.
        answer.complete = self._done or alone or (usage is not None and _FINISHED.search(choices) is not None)
        if alone and self._hides_usage and answer.error is None:
            return Fate.DROP
        return Fate.WAIT if answer.complete or answer.error is not None else Fate.PASS

    def read_whole(self, body: bytes) -> None:
        """Read an answer that is not a stream."""
        members = members_of(body)
        self._answer.look_for_text(body)
        self._answer.complete = bool(members)
        self._read_members(members)
        if self._answer.collects_text:
            self._keep_text(members, "message")

    def metered(self) -> Metered:
        """Tell what was read so far."""
        return self._answer.metered()

    def _read_members(self, members: dict[str, Raw]) -> Usage | None:
        answer = self._answer
        answer.name_model(value_in(members, "model"))
        answer.name_tier(value_in(members, "service_tier"))
        answer.fail(value_in(members, "error"))
        reported = value_in(members, "usage")
        usage = read_usage(reported, answer) if reported is not None else None
        # Groq has it twice, and in its older streams here only (recorded 2024 to 2026).
        if "x_groq" in members:
            usage = self._with_twin(usage, item_of(value_in(members, "x_groq"), "usage"))
        if usage is not None:
            # Usage in every chunk grows (Perplexity, Databricks, xAI): the last one counts.
            answer.usage = usage
        return usage

    def _with_twin(self, usage: Usage | None, reported: object) -> Usage | None:
        twin = read_usage(reported, self._answer) if reported is not None else None
        if usage is not None and twin is not None and usage.total_tokens() != twin.total_tokens():
            self._answer.mark("two usages in one chunk contradict each other; usage is taken")
        return usage or twin

    def _keep_text(self, members: dict[str, Raw], place: str) -> None:
        choices = value_in(members, "choices")
        for choice in choices if isinstance(choices, list) else ():
            said = item_of(choice, place)
            self._answer.write(
                item_of(choice, "text"),
                item_of(said, "content"),
                item_of(said, "reasoning_content") or item_of(said, "reasoning"),
                item_of(said, "refusal"),
            )
            calls = item_of(said, "tool_calls")
            for call in calls if isinstance(calls, list) else ():
                self._answer.write(item_of(call, "function", "name"), item_of(call, "function", "arguments"))
