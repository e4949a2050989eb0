"""What the content parts and tools of the OpenAI dialects bring in beyond the bytes of a body."""

import msgspec
from msgspec import Raw

from farthing.domain.errors import BadRequest
from farthing.wire.hidden_input import HiddenInput

# The most that one picture costs on any OpenAI model: 2,833 + 8 tiles x 5,667 on gpt-4o-mini, for 8
# tiles of 512 pixels fit into 768 x 2,048 (OpenAI's guide "Images and vision", 2025; patch-based
# models stay below). Makers behind this dialect charge less: Claude and Gemini a few thousand.
IMAGE_TOKENS_MOST = 2_833 + 8 * 5_667

# Parts and items that are wholly in the body.
_IN_BODY = frozenset(
    {
        "text", "input_text", "output_text", "summary_text", "reasoning_text", "refusal", "thinking",
        "redacted_thinking", "reasoning", "message", "tool_use", "tool_result", "function_call",
        "function_call_output", "custom_tool_call", "custom_tool_call_output", "local_shell_call",
        "local_shell_call_output", "shell_call", "shell_call_output", "apply_patch_call",
        "apply_patch_call_output", "computer_call", "computer_call_output", "compaction",
    }
)  # fmt: skip
_PICTURES = frozenset({"image_url", "input_image", "computer_screenshot"})
_FILES = frozenset({"file", "input_file"})
# Tools that the caller runs: all of them is in the body. Others run at the provider, which bills what
# they read.
_TOOLS_OF_CALLER = frozenset({"function", "custom", "local_shell", "apply_patch", "namespace"})


# Tools with a date or a stage in their name, by the name under which their uses are counted.
_BILLED_APIECE = ("web_search", "file_search")


class _Tool(msgspec.Struct):
    type: object = None


_decode_tools = msgspec.json.Decoder(list[_Tool] | None).decode


def look_at_part(part: dict[str, object], hidden: HiddenInput) -> None:
    """Note what one content part or input item brings in from elsewhere."""
    kind = part.get("type")
    if not isinstance(kind, str) or kind in _IN_BODY:
        return
    if kind in _PICTURES:
        _look_at_picture(kind, part, hidden)
    elif kind == "input_audio":
        # WAV and MP3 only; ten tokens a second are fewer than a second's bytes
        # (OpenAI's guide "Audio and speech", 2025).
        audio = part.get("input_audio")
        if not isinstance(audio, dict) or "data" not in audio:
            hidden.because("input_audio")
    elif kind in _FILES:
        # Pages are billed as text and as pictures; a compressed file says little about their number
        # (OpenAI's guide "File inputs", 2025).
        held = part.get("file")
        places = held if isinstance(held, dict) else part
        hidden.because(next((name for name in ("file_id", "file_url") if places.get(name)), "file_data"))
    else:
        hidden.because(kind)


def _look_at_picture(kind: str, part: dict[str, object], hidden: HiddenInput) -> None:
    place = part.get("image_url")
    if isinstance(place, dict):
        place = place.get("url")
    if isinstance(place, str) and place[:5].lower() == "data:":
        hidden.media(IMAGE_TOKENS_MOST)
    else:
        hidden.because("image_url" if place else "file_id" if part.get("file_id") else kind)


def count_tools(raw: Raw | None, hidden: HiddenInput, *, uses_most: int | None = None) -> int:
    """Count the tools offered, and note those that run at the provider.

    uses_most: how often all of those together may be used; None where the request does not say.
    """
    if raw is None:
        return 0
    try:
        tools = _decode_tools(raw) or []
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequest("tools must be a list of objects", param="tools") from None
    for tool in tools:
        if isinstance(tool.type, str) and tool.type not in _TOOLS_OF_CALLER:
            hidden.because(tool.type)
            name = next((name for name in _BILLED_APIECE if tool.type.startswith(name)), tool.type)
            hidden.pays_for(name, uses_most)
    return len(tools)
