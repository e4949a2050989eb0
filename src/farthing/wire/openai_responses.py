"""The dialect of OpenAI's responses, with its compact and input_tokens endpoints."""

import re
from typing import Literal

import msgspec
from msgspec import Raw

from farthing.domain.call import RequestFacts
from farthing.domain.errors import BadRequest
from farthing.domain.usage import Metered
from farthing.wire import bodies
from farthing.wire.answers import Answer, item_of, members_of, value_in
from farthing.wire.bodies import BodyRequest, Members
from farthing.wire.conversations import is_plain
from farthing.wire.dialect import Meter
from farthing.wire.hidden_input import HiddenInput, objects_within
from farthing.wire.meters import Fate, StreamMeter, WholeMeter
from farthing.wire.openai_parts import count_tools, look_at_part
from farthing.wire.openai_usage import read_usage
from farthing.wire.sse import Event, EventCutter

_CAPS = ("max_output_tokens",)
_JUDGED = frozenset(
    {
        *_CAPS, "model", "stream", "input", "tools", "background", "previous_response_id", "conversation",
        "prompt", "service_tier", "max_tool_calls",
    }
)  # fmt: skip
# State that the provider keeps and bills as input, by the member that names it.
_ELSEWHERE = {
    "previous_response_id": "previous_response_id",
    "conversation": "conversation",
    "prompt": "prompt_id",
    "context_management": "compaction",
}
_LAST_EVENTS = frozenset({b"response.completed", b"response.incomplete", b"response.failed"})
_LAST_EVENT = re.compile(rb"response\.(?:completed|incomplete|failed)")
# What hosted tools did, by the type of the output item that tells of it.
_HOSTED = {
    "file_search_call": "file_search",
    "code_interpreter_call": "code_interpreter",
    "image_generation_call": "image_generation",
}
# OpenAI bills the searches of a web search, not the pages opened (pricing page, November 2026).
_SEARCH_ACTIONS = {"open_page": "web_search_open_page", "find_in_page": "web_search_find",
                   "find": "web_search_find"}  # fmt: skip

Endpoint = Literal["create", "compact", "input_tokens"]


class ResponsesRequest(BodyRequest):
    """A responses request that was read."""

    __slots__ = ()
    never_input = frozenset(
        {
            *_CAPS, "model", "stream", "stream_options", "background", "service_tier", "temperature", "top_p",
            "user", "metadata", "store", "include", "reasoning", "parallel_tool_calls", "max_tool_calls",
            "top_logprobs", "truncation", "prompt_cache_key", "prompt_cache_retention", "safety_identifier",
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
        if output_cap is not None and self.facts.cappable and self.facts.generates:
            bodies.lower_caps(members, _CAPS, output_cap, inserted=_CAPS[0])
        return bodies.encode_members(members)


class OpenAIResponses:
    """Speaks responses; one object for each endpoint."""

    name = "openai.responses"
    family = "openai"

    def __init__(self, endpoint: Endpoint = "create") -> None:
        self.endpoint = endpoint

    def read(self, body: bytes, *, model: str | None = None, stream: bool | None = None) -> ResponsesRequest:
        """Decode a request. Raises BadRequest with the member at fault."""
        members = bodies.decode_members(body)
        bodies.refuse_look_alikes(members, _JUDGED)
        if bodies.flag_of(members, "background"):
            raise BadRequest(
                "background: true is not served here: its usage would come later, to nobody; "
                "send the request without it",
                param="background",
            )
        hidden = HiddenInput()
        for name, reason in _ELSEWHERE.items():
            if bodies.is_sent(members, name):
                hidden.because(reason)
        tools = count_tools(
            members.get("tools"), hidden, uses_most=bodies.count_of(members, "max_tool_calls")
        )
        plain = _look_at_input(members, hidden)
        facts = RequestFacts(
            dialect=self.name,
            model=bodies.model_of(members),
            stream=bodies.flag_of(members, "stream"),
            output_cap=bodies.largest_cap(members, _CAPS),
            input_bytes=len(body),
            tools=tools,
            unbounded=hidden.reasons,
            media_tokens=hidden.media_tokens,
            media=not plain,
            fees=hidden.fees,
            cache_write_ttl="5m" if bodies.is_sent(members, "prompt_cache_options") else None,
            service_tier=bodies.text_of(members, "service_tier"),
            generates=self.endpoint != "input_tokens",
            # The compact endpoint takes no cap (API reference, "Compact a response", 2026).
            cappable=self.endpoint != "compact",
            free=self.endpoint == "input_tokens",
        )
        return ResponsesRequest(facts, members)

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
        reading = _ResponsesReading(billed=not facts.free, collect_text=collect_text)
        return StreamMeter(reading, EventCutter()) if streamed else WholeMeter(reading)


def _look_at_input(members: Members, hidden: HiddenInput) -> bool:
    """Note what comes in from elsewhere; say whether there is nothing but text."""
    plain = True
    for name in ("input", "instructions"):
        if is_plain(members.get(name)):
            continue
        plain = False
        for item in objects_within(bodies.value_of(members, name), "content", "output"):
            if "id" in item and not item.keys() & {"type", "role", "content"}:
                hidden.because("item_reference")  # its type may be left out
            look_at_part(item, hidden)
    return plain


class _ResponsesReading:
    """What an answer of output items has said so far."""

    def __init__(self, *, billed: bool, collect_text: bool) -> None:
        self._answer = Answer(collects_text=collect_text)
        self._billed = billed

    def glance(self, block: bytes) -> bool:
        """Look for the events that carry the whole response, and for errors."""
        answer = self._answer
        if not answer.has_text:
            answer.look_for_text(block)
        return (
            answer.collects_text
            or b'"usage"' in block
            or b"error" in block
            or _LAST_EVENT.search(block) is not None
        )

    def read_event(self, event: Event) -> Fate:
        """Read one event."""
        if not event.data:
            return Fate.PASS
        answer, members = self._answer, members_of(event.data)
        kind = value_in(members, "type")
        name = kind.encode() if isinstance(kind, str) else event.name
        if answer.collects_text and name.endswith(b".delta"):
            answer.write(value_in(members, "delta"))
        if "response" in members:
            self._read_response(members_of(members["response"]))
        if name == b"error" or event.name == b"error":
            answer.fail(value_in(members, "error") or value_in(members, "message") or "error")
            return Fate.WAIT
        if name in _LAST_EVENTS:
            answer.complete = True
            return Fate.HOLD
        return Fate.HOLD if event.data.strip() == b"[DONE]" else Fate.PASS

    def read_whole(self, body: bytes) -> None:
        """Read an answer that is not a stream."""
        members = members_of(body)
        self._answer.look_for_text(body)
        self._answer.complete = bool(members)
        self._read_response(members)
        if self._answer.collects_text:
            for item in objects_within(value_in(members, "output"), "content"):
                self._answer.write(item.get("text"), item.get("arguments"))

    def metered(self) -> Metered:
        """Tell what was read so far."""
        return self._answer.metered()

    def _read_response(self, members: dict[str, Raw]) -> None:
        answer = self._answer
        answer.name_model(value_in(members, "model"))
        answer.name_tier(value_in(members, "service_tier"))
        answer.fail(value_in(members, "error"))
        reported = value_in(members, "usage") if self._billed else None
        usage = read_usage(reported, answer) if reported is not None else None
        if usage is None:
            return
        requests = {**(usage.requests or {}), **_hosted_requests(value_in(members, "output"))}
        sides = item_of(reported, "num_server_side_tools_used")
        if isinstance(sides, int) and sides > 0 and not requests:
            requests = {"server_tool_calls": sides}  # xAI (recorded 2026)
        answer.usage = msgspec.structs.replace(usage, requests=requests or None)


def _hosted_requests(output: object) -> dict[str, int]:
    """Count what hosted tools did, from the items of the output."""
    counts: dict[str, int] = {}
    for item in output if isinstance(output, list) else ():
        kind = item_of(item, "type")
        if kind == "web_search_call":
            action = item_of(item, "action", "type")
            name = _SEARCH_ACTIONS.get(action, "web_search") if isinstance(action, str) else "web_search"
        elif isinstance(kind, str) and kind in _HOSTED:
            name = _HOSTED[kind]
        else:
            continue
        counts[name] = counts.get(name, 0) + 1
    return counts
