"""The dialect of Anthropic's messages, with its counting endpoint."""

import re

import msgspec
from msgspec import Raw

from farthing.domain.call import RequestFacts
from farthing.domain.errors import BadRequest
from farthing.domain.usage import Metered
from farthing.wire import bodies
from farthing.wire.answers import Answer, item_of, members_of, value_in
from farthing.wire.anthropic_usage import AnthropicUsage
from farthing.wire.bodies import BodyRequest, Members
from farthing.wire.conversations import is_plain
from farthing.wire.dialect import Meter
from farthing.wire.hidden_input import HiddenInput, objects_within
from farthing.wire.meters import Fate, StreamMeter, WholeMeter
from farthing.wire.sse import Event, EventCutter

_CAPS = ("max_tokens",)
_JUDGED = frozenset(
    {
        *_CAPS, "model", "stream", "messages", "system", "tools", "thinking", "mcp_servers", "container",
        "service_tier", "speed", "cache_control", "context_management",
    }
)  # fmt: skip
# The most that one picture costs: patches of 28 pixels, at most 2,576 pixels on its longer side, so at
# most 92 x 92 (Anthropic's page "Vision", 2026).
IMAGE_TOKENS_MOST = 92 * 92
# What the provider reads and bills by itself, by the member that asks for it.
_ELSEWHERE = {"mcp_servers": "mcp", "container": "container"}
# Tools that the caller runs; their names go on with a date. Others run at Anthropic.
_TOOL_OF_CALLER = re.compile(r"custom$|bash_|text_editor_|computer_|memory_")
_ODD_BLOCK = (b'"source"', b'"file_id"', b'"container_upload"')


class _Tool(msgspec.Struct):
    type: object = None
    max_uses: object = None


_decode_tools = msgspec.json.Decoder(list[_Tool] | None).decode


class MessagesRequest(BodyRequest):
    """A messages request that was read."""

    __slots__ = ()
    never_input = frozenset(
        {
            *_CAPS, "model", "stream", "temperature", "top_p", "top_k", "stop_sequences", "metadata",
            "service_tier", "speed", "thinking", "tool_choice", "cache_control", "context_management",
        }
    )  # fmt: skip

    def render(
        self,
        *,
        model: str,
        output_cap: int | None = None,
        ask_usage: bool = False,
        cap_field: str | None = None,
    ) -> bytes:
        """Write the body that goes upstream. Usage needs no asking here."""
        members = dict(self.members)
        members["model"] = bodies.raw_value(model)
        if output_cap is not None and self.facts.generates:
            bodies.lower_caps(members, _CAPS, output_cap, inserted=_CAPS[0])
        return bodies.encode_members(members)


class AnthropicMessages:
    """Speaks messages, or only counts their tokens, which is free."""

    family = "anthropic"

    def __init__(self, *, counts_only: bool = False) -> None:
        self.counts_only = counts_only
        self.name = "anthropic.count_tokens" if counts_only else "anthropic.messages"

    def read(self, body: bytes, *, model: str | None = None, stream: bool | None = None) -> MessagesRequest:
        """Decode a request. Raises BadRequest with the member at fault."""
        members = bodies.decode_members(body)
        bodies.refuse_look_alikes(members, _JUDGED)
        hidden = HiddenInput()
        tools = _count_tools(members, hidden)
        for name, reason in _ELSEWHERE.items():
            if bodies.is_sent(members, name):
                hidden.because(reason)
        if b"compact" in bytes(members.get("context_management", b"")):
            # Each pass bills the whole conversation again (page "Compaction", 2026).
            hidden.because("compaction")
        _look_at_blocks(members, hidden)
        facts = RequestFacts(
            dialect=self.name,
            model=bodies.model_of(members),
            stream=bodies.flag_of(members, "stream"),
            output_cap=bodies.largest_cap(members, _CAPS),
            input_bytes=len(body),
            tools=tools,
            unbounded=hidden.reasons,
            media_tokens=hidden.media_tokens,
            fees=hidden.fees,
            thinking_tokens=_thinking_tokens(members),
            cache_write_ttl=bodies.longest_cache_life(
                members, skipping="messages" if is_plain(members.get("messages")) else None
            ),
            service_tier=_tier(members),
            generates=not self.counts_only,
            free=self.counts_only,
        )
        return MessagesRequest(facts, members)

    def meter(
        self,
        facts: RequestFacts,
        *,
        streamed: bool,
        content_type: str,
        hide_usage: bool = False,
        collect_text: bool = False,
    ) -> Meter:
        """Make a meter for the answer of one call."""
        reading = _MessagesReading(facts, collect_text=collect_text)
        return StreamMeter(reading, EventCutter()) if streamed else WholeMeter(reading)


def _count_tools(members: Members, hidden: HiddenInput) -> int:
    if "tools" not in members:
        return 0
    try:
        tools = _decode_tools(members["tools"]) or []
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequest("tools must be a list of objects", param="tools") from None
    for tool in tools:
        if isinstance(tool.type, str) and _TOOL_OF_CALLER.match(tool.type) is None:
            name = re.sub(r"_\d{8}$", "", tool.type)
            hidden.because(name)
            uses = tool.max_uses
            hidden.pays_for(name, uses if isinstance(uses, int) and uses >= 0 else None)
    return len(tools)


def _look_at_blocks(members: Members, hidden: HiddenInput) -> None:
    for name in ("messages", "system"):
        if is_plain(members.get(name)) or not bodies.may_mention(bytes(members[name]), *_ODD_BLOCK):
            continue
        for block in objects_within(bodies.value_of(members, name), "content", "source"):
            kind, source = block.get("type"), item_of(block, "source", "type")
            if kind == "container_upload":
                hidden.because("file_id")
            elif kind == "image" and source == "base64":
                hidden.media(IMAGE_TOKENS_MOST)
            elif kind == "document" and source == "base64":
                # Pages are billed as text and as pictures (page "PDF support", 2026); a compressed
                # file says little about their number.
                hidden.because("document")
            elif kind in ("image", "document") and source in ("url", "file"):
                hidden.because(f"{kind}_{source}")


def _thinking_tokens(members: Members) -> int | None:
    thinking = bodies.object_of(members, "thinking")
    return bodies.count_of(thinking, "budget_tokens") if thinking else None


def _tier(members: Members) -> str | None:
    """Read the tier; fast mode is billed like one (Anthropic's page "Fast mode", 2026)."""
    return "fast" if bodies.text_of(members, "speed") == "fast" else bodies.text_of(members, "service_tier")


class _MessagesReading:
    """What an answer of content blocks has said so far."""

    def __init__(self, facts: RequestFacts, *, collect_text: bool) -> None:
        self._answer = Answer(collects_text=collect_text)
        self._billed = not facts.free
        self._usage = AnthropicUsage(self._answer, cache_write_ttl=facts.cache_write_ttl)

    def glance(self, block: bytes) -> bool:
        """Look for the start, the delta with the usage, the stop and errors."""
        answer = self._answer
        if not answer.has_text:
            answer.look_for_text(block)
        return answer.collects_text or b'"usage"' in block or b"message_stop" in block or b"error" in block

    def read_event(self, event: Event) -> Fate:
        """Read one event."""
        if not event.data:
            return Fate.PASS
        answer, members = self._answer, members_of(event.data)
        kind = value_in(members, "type")
        if kind == "message_start" and "message" in members:
            self._read_message(members_of(members["message"]))
        elif kind == "message_delta" and self._billed:
            self._usage.add(value_in(members, "usage"))
        elif kind == "message_stop":
            answer.complete = True
            return Fate.HOLD
        elif kind == "error" or event.name == b"error":
            answer.fail(value_in(members, "error") or event.data.decode(errors="replace"))
            return Fate.WAIT
        elif answer.collects_text and kind in ("content_block_delta", "content_block_start"):
            said = value_in(members, "delta") or value_in(members, "content_block")
            answer.write(*(item_of(said, name) for name in ("text", "thinking", "partial_json")))
        return Fate.PASS

    def read_whole(self, body: bytes) -> None:
        """Read an answer that is not a stream."""
        members = members_of(body)
        answer = self._answer
        answer.look_for_text(body)
        answer.complete = bool(members)
        answer.fail(value_in(members, "error"))
        self._read_message(members)
        if answer.collects_text:
            for block in objects_within(value_in(members, "content")):
                answer.write(block.get("text"), block.get("thinking"))

    def metered(self) -> Metered:
        """Tell what was read so far."""
        return self._answer.metered()

    def _read_message(self, members: dict[str, Raw]) -> None:
        self._answer.name_model(value_in(members, "model"))
        if self._billed:
            self._usage.add(value_in(members, "usage"))
