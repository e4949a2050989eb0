"""The dialect of OpenAI's chat completions, spoken by most providers."""

from farthing.domain.call import RequestFacts
from farthing.wire import bodies
from farthing.wire.bodies import BodyRequest, Members
from farthing.wire.conversations import is_plain
from farthing.wire.dialect import Meter
from farthing.wire.hidden_input import HiddenInput, objects_within
from farthing.wire.openai_chunks import ask_for_usage, choices_meter, wants_usage
from farthing.wire.openai_parts import count_tools, look_at_part

_CAPS = ("max_completion_tokens", "max_tokens")
_JUDGED = frozenset(
    {
        *_CAPS, "model", "stream", "stream_options", "n", "messages", "tools", "functions", "service_tier",
        "web_search_options",
    }
)  # fmt: skip
_CHOICES_MOST = 128
# Extras of other providers that make them search the web, by the member that asks for it.
_SEARCHES = ("web_search_options", "search_parameters", "plugins", "web_search")


class ChatRequest(BodyRequest):
    """A chat request that was read."""

    __slots__ = ()
    never_input = frozenset(
        {
            *_CAPS, "model", "stream", "stream_options", "n", "service_tier", "temperature", "top_p", "seed",
            "user", "metadata", "store", "stop", "logprobs", "top_logprobs", "presence_penalty",
            "frequency_penalty", "logit_bias", "reasoning_effort", "parallel_tool_calls",
            "prompt_cache_key", "safety_identifier", "modalities",
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
        """Write the body that goes upstream.

        cap_field: the alias inserted where the caller sent none; max_completion_tokens unless told.
        OpenAI refuses a request with both (API reference, "Create chat completion", 2025).
        """
        members = dict(self.members)
        members["model"] = bodies.raw_value(model)
        if output_cap is not None:
            bodies.lower_caps(members, _CAPS, output_cap, inserted=cap_field or _CAPS[0])
        if ask_usage and self.facts.stream:
            ask_for_usage(members)
        return bodies.encode_members(members)


class OpenAIChat:
    """Speaks chat completions."""

    name = "openai.chat"
    family = "openai"

    def read(self, body: bytes, *, model: str | None = None, stream: bool | None = None) -> ChatRequest:
        """Decode a request. Raises BadRequest with the member at fault."""
        members = bodies.decode_members(body)
        bodies.refuse_look_alikes(members, _JUDGED)
        model = bodies.model_of(members)
        hidden = HiddenInput()
        tools = count_tools(members.get("tools"), hidden) + len(_functions(members))
        plain = is_plain(members.get("messages"))
        if not plain:
            _look_at_messages(members, hidden)
        if model.endswith(":online"):  # OpenRouter's web search by the model's name (guide, 2025)
            hidden.because("web_search")
            hidden.pays_for("web_search", None)
        for name in _SEARCHES:
            if bodies.is_sent(members, name):
                hidden.because("web_search")
                hidden.pays_for("web_search", None)
        if b"cached_content" in bytes(members.get("extra_body", b"")) + bytes(members.get("google", b"")):
            hidden.because("cached_content")  # Google's own member (its page "OpenAI compatibility", 2026)
        facts = RequestFacts(
            dialect=self.name,
            model=model,
            stream=bodies.flag_of(members, "stream"),
            output_cap=bodies.largest_cap(members, _CAPS),
            choices=bodies.count_of(members, "n", least=1, most=_CHOICES_MOST) or 1,
            input_bytes=len(body),
            tools=tools,
            unbounded=hidden.reasons,
            media_tokens=hidden.media_tokens,
            media=not plain,
            fees=hidden.fees,
            thinking_tokens=_thinking_tokens(members),
            cache_write_ttl=_cache_write_ttl(members, plain=plain),
            service_tier=bodies.text_of(members, "service_tier"),
            wants_usage=wants_usage(members),
        )
        return ChatRequest(facts, members)

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
        return choices_meter(streamed=streamed, hide_usage=hide_usage, collect_text=collect_text)


def _functions(members: Members) -> list[object]:
    """Read the tools of the first tool interface, which some clients still use."""
    functions = bodies.value_of(members, "functions") if "functions" in members else None
    return functions if isinstance(functions, list) else []


def _look_at_messages(members: Members, hidden: HiddenInput) -> None:
    for message in objects_within(bodies.value_of(members, "messages"), "content"):
        look_at_part(message, hidden)
        audio = message.get("audio")
        if isinstance(audio, dict) and "id" in audio:
            hidden.because("audio_id")  # an earlier spoken answer, kept by the provider


def _thinking_tokens(members: Members) -> int | None:
    """Read a thinking budget given by number: OpenRouter's reasoning, Databricks' thinking."""
    for name, budget in (("reasoning", "max_tokens"), ("thinking", "budget_tokens")):
        asked = bodies.value_of(members, name) if name in members else None
        tokens = asked.get(budget) if isinstance(asked, dict) else None
        if isinstance(tokens, int) and not isinstance(tokens, bool) and tokens > 0:
            return tokens
    return None


def _cache_write_ttl(members: Members, *, plain: bool) -> str | None:
    """Read the longest cache life asked for, from Anthropic's marks or OpenAI's options."""
    marked = bodies.longest_cache_life(members, skipping="messages" if plain else None)
    return marked or ("5m" if bodies.is_sent(members, "prompt_cache_options") else None)
