"""The dialect of Gemini's generateContent, streamed or not, with its counting endpoint."""

import re
from decimal import Decimal

import msgspec
from msgspec import Raw

from farthing.domain.call import RequestFacts
from farthing.domain.errors import BadRequest
from farthing.domain.usage import Metered
from farthing.wire import bodies
from farthing.wire.answers import Answer, item_of, members_of, value_in
from farthing.wire.bodies import BodyRequest, Members
from farthing.wire.dialect import Meter
from farthing.wire.gemini_usage import read_usage
from farthing.wire.hidden_input import HiddenInput, objects_within
from farthing.wire.json_array import ARRAY_END, ElementCutter
from farthing.wire.meters import Fate, StreamMeter, WholeMeter
from farthing.wire.sse import Event, EventCutter

# Protocol buffers written as JSON take every name in both spellings (ProtoJSON format, 2025).
_CONFIGS = ("generationConfig", "generation_config")
_CAPS = ("maxOutputTokens", "max_output_tokens")
_CHOICES = ("candidateCount", "candidate_count")
_THINKING = ("thinkingConfig", "thinking_config")
_BUDGETS = ("thinkingBudget", "thinking_budget")
_CACHED = ("cachedContent", "cached_content")
_TIERS = ("serviceTier", "service_tier")
_JUDGED = frozenset({*_CONFIGS, *_CACHED, *_TIERS, "contents", "tools", "model"})
_CONFIG_JUDGED = frozenset({*_CAPS, *_CHOICES, *_THINKING})
_CHOICES_MOST = 128
# The most that one picture costs: 258 a tile of 768 pixels, 11 x 11 tiles for 8,192 pixels a side
# (Gemini API guide "Understand and count tokens", 2026); 2,240 where resolution is set (Gemini 3).
IMAGE_TOKENS_MOST = 258 * 11 * 11
_TOOLS_OF_CALLER = frozenset({"functionDeclarations", "function_declarations"})
# What makes one event of a stream worth reading at once.
_MARK = re.compile(rb'finishReason|blockReason|webSearchQueries|"error"')
_ODD_PARTS = (b"Data", b"_data")
_WORD_BORDER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

_decode_tools = msgspec.json.Decoder(list[dict[str, Raw]] | dict[str, Raw] | None).decode


class GenerateRequest(BodyRequest):
    """A generateContent request that was read."""

    __slots__ = ()
    never_input = frozenset({"model", "safetySettings", "safety_settings", "labels", *_TIERS})

    @property
    def temperature(self) -> Decimal | None:
        """How much variety is asked for; the last of two configurations would count, so the higher does."""
        configs = [bodies.object_of(self.members, name) or {} for name in _CONFIGS]
        said = [given for config in configs if (given := bodies.temperature_in(config)) is not None]
        return max(said, default=None)

    def render(
        self,
        *,
        model: str,
        output_cap: int | None = None,
        ask_usage: bool = False,
        cap_field: str | None = None,
    ) -> bytes:
        """Write the body that goes upstream; the model is in the path, and here only if it was."""
        members = dict(self.members)
        if "model" in members:
            members["model"] = bodies.raw_value(f"models/{model}")
        if output_cap is not None and self.facts.generates:
            _cap(members, output_cap)
        return bodies.encode_members(members)


class GeminiGenerate:
    """Speaks generateContent, or only counts tokens, which is free."""

    family = "gemini"

    def __init__(self, *, counts_only: bool = False) -> None:
        self.counts_only = counts_only
        self.name = "gemini.count_tokens" if counts_only else "gemini.generate"

    def read(self, body: bytes, *, model: str | None = None, stream: bool | None = None) -> GenerateRequest:
        """Decode a request whose model is in the path. Raises BadRequest with the member at fault."""
        if not model:
            raise BadRequest("the path names no model", param="model")
        members = bodies.decode_members(body)
        bodies.refuse_look_alikes(members, _JUDGED)
        hidden = HiddenInput()
        tools = _count_tools(members, hidden)
        if any(bodies.is_sent(members, name) for name in _CACHED):
            hidden.because("cached_content")
        media = _look_at_parts(members, hidden)
        cap, choices, thinking = _read_configs(members)
        facts = RequestFacts(
            dialect=self.name,
            model=model,
            stream=bool(stream),
            output_cap=cap,
            choices=choices,
            input_bytes=len(body),
            tools=tools,
            unbounded=hidden.reasons,
            media_tokens=hidden.media_tokens,
            media=media,
            fees=hidden.fees,
            thinking_tokens=thinking,
            service_tier=next((tier for name in _TIERS if (tier := bodies.text_of(members, name))), None),
            generates=not self.counts_only,
            free=self.counts_only,
        )
        return GenerateRequest(facts, members)

    def meter(
        self,
        facts: RequestFacts,
        *,
        streamed: bool,
        content_type: str,
        hide_usage: bool = False,
        collect_text: bool = False,
    ) -> Meter:
        """Make a meter for the answer of one call: events, one JSON array, or a whole."""
        reading = _GenerateReading(facts, collect_text=collect_text)
        if not streamed:
            return WholeMeter(reading)
        # Without alt=sse the stream is one JSON array (Gemini API reference, "streamGenerateContent").
        cutter = ElementCutter() if "json" in content_type else EventCutter()
        return StreamMeter(reading, cutter)


def _read_configs(members: Members) -> tuple[int | None, int, int | None]:
    """Read output cap, choices and thinking budget, from either spelling; the larger counts."""
    cap: int | None = None
    choices, thinking = 1, None
    uncapped = False
    for name in _CONFIGS:
        config = bodies.object_of(members, name)
        if config is None:
            continue
        bodies.refuse_look_alikes(config, _CONFIG_JUDGED)
        own = bodies.largest_cap(config, _CAPS)
        uncapped = uncapped or own is None  # which of two configs Google takes is written nowhere
        cap = own if cap is None else max(cap, own or 0)
        for alias in _CHOICES:
            choices = max(choices, bodies.count_of(config, alias, least=1, most=_CHOICES_MOST) or 1)
        for alias in _THINKING:
            asked = bodies.object_of(config, alias) or {}
            for budget in _BUDGETS:
                if bytes(asked.get(budget, b"")) == b"-1":
                    continue  # as much as the model likes, within the output cap
                thinking = bodies.count_of(asked, budget) or thinking
    return None if uncapped else cap, choices, thinking


def _cap(members: Members, output_cap: int) -> None:
    """Lower every cap in either spelling, and insert one where none was sent."""
    sent = {name: config for name in _CONFIGS if (config := bodies.object_of(members, name)) is not None}
    for name, config in (sent or {_CONFIGS[0]: Members()}).items():
        bodies.lower_caps(config, _CAPS, output_cap, inserted=_CAPS[0])
        members[name] = bodies.raw_value(config)


def _count_tools(members: Members, hidden: HiddenInput) -> int:
    """Count function declarations and note the tools that run at Google."""
    if "tools" not in members:
        return 0
    try:
        tools = _decode_tools(members["tools"]) or []
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequest("tools must be a list of objects", param="tools") from None
    count = 0
    for tool in [tools] if isinstance(tools, dict) else tools:
        for name, raw in tool.items():
            if name not in _TOOLS_OF_CALLER:
                reason = _WORD_BORDER.sub("_", name).lower()
                hidden.because(reason)
                hidden.pays_for("web_search_queries" if "search" in reason else reason, None)
                count += 1
            else:
                count += max(bytes(raw).count(b'"name"'), 1)
    return count


def _look_at_parts(members: Members, hidden: HiddenInput) -> bool:
    """Note what is no text or comes in from elsewhere; say whether there may be any."""
    found = False
    for name in ("contents", "systemInstruction", "system_instruction"):
        if not bodies.may_mention(bytes(members.get(name, b"")), *_ODD_PARTS):
            continue
        found = True
        inside = ("parts", "functionResponse", "function_response")
        for part in objects_within(bodies.value_of(members, name), *inside):
            if "fileData" in part or "file_data" in part:
                hidden.because("file_data")
            held = part.get("inlineData") or part.get("inline_data")
            if held is not None:
                _look_at_media(held, hidden)
    return found


def _look_at_media(held: object, hidden: HiddenInput) -> None:
    """Bound a picture; sound, film and pages are billed by length, which bytes do not bound."""
    kind = item_of(held, "mimeType") or item_of(held, "mime_type")
    kind = kind.lower() if isinstance(kind, str) else ""
    if kind.startswith("image/"):
        hidden.media(IMAGE_TOKENS_MOST)
    elif not kind.startswith("text/"):
        hidden.because({"audio": "audio", "video": "video"}.get(kind.partition("/")[0], "document"))


class _GenerateReading:
    """What an answer of candidates has said so far."""

    def __init__(self, facts: RequestFacts, *, collect_text: bool) -> None:
        self._answer = Answer(collects_text=collect_text)
        self._billed = not facts.free
        self._reads_candidates = collect_text or facts.choices > 1
        self._latest_usage: bytes | None = None
        self._queries: dict[object, int] = {}
        self._seen: set[object] = set()
        self._finished: set[object] = set()

    def glance(self, block: bytes) -> bool:
        """Every event carries a usage and only the last one counts: look at each, read it later."""
        return True

    def read_event(self, event: Event) -> Fate:
        """Read one event, or one element of the array."""
        answer, data = self._answer, event.data
        if event.name == ARRAY_END:
            answer.complete = True
            return Fate.HOLD
        if b'"usageMetadata"' in data:
            self._latest_usage = data
        if not answer.has_text:
            answer.look_for_text(data)
        if answer.model is None or self._reads_candidates or _MARK.search(data) is not None:
            self._read_members(members_of(data))
        return Fate.WAIT if answer.complete or answer.error is not None else Fate.PASS

    def read_whole(self, body: bytes) -> None:
        """Read an answer that is not a stream."""
        members = members_of(body)
        self._latest_usage = body
        self._answer.look_for_text(body)
        self._read_members(members)
        self._answer.complete = bool(members)

    def metered(self) -> Metered:
        """Read the last usage, now that it is known to be the last, and tell all."""
        answer = self._answer
        if self._billed and self._latest_usage is not None:
            reported = value_in(members_of(self._latest_usage), "usageMetadata")
            self._latest_usage = None
            usage = read_usage(reported, answer) if reported is not None else None
            answer.usage = usage or answer.usage
        queries = sum(self._queries.values())
        if queries and answer.usage is not None:
            answer.usage = msgspec.structs.replace(answer.usage, requests={"web_search_queries": queries})
        return answer.metered()

    def _read_members(self, members: dict[str, Raw]) -> None:
        """Read one response, apart from its usage."""
        answer = self._answer
        answer.name_model(value_in(members, "modelVersion"))
        answer.fail(value_in(members, "error"))
        candidates = value_in(members, "candidates")
        for candidate in candidates if isinstance(candidates, list) else ():
            self._read_candidate(candidate)
        blocked = b"blockReason" in bytes(members.get("promptFeedback", b""))
        answer.complete = answer.complete or blocked or bool(self._seen and self._seen == self._finished)

    def _read_candidate(self, candidate: object) -> None:
        index = item_of(candidate, "index") or 0
        self._seen.add(str(index))
        if item_of(candidate, "finishReason") is not None:
            self._finished.add(str(index))
        queries = item_of(candidate, "groundingMetadata", "webSearchQueries")
        if isinstance(queries, list):
            # Later events repeat the list, grown: the longest one counts.
            self._queries[str(index)] = max(self._queries.get(str(index), 0), len(queries))
        if self._answer.collects_text:
            parts = item_of(candidate, "content", "parts")
            for part in parts if isinstance(parts, list) else ():
                self._answer.write(item_of(part, "text"))
