"""The shape of one simulated endpoint, and what all bodies and streams have in common."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from farthing.simulator.ask import Ask, Malformed
from farthing.simulator.reply import Reply

# The moment of every answer, so that the same request gives the same bytes: 2026-01-01.
CREATED = 1_767_225_600

_Body = TypeVar("_Body")


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """What the path and the query tell, where a dialect puts it there (Gemini)."""

    model: str = ""
    method: str = ""
    array: bool = False


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a provider can be asked for.

    read: the request, or Malformed. whole: the body of an answer that is not streamed.
    events: the events of a stream, each complete; None where nothing streams.
    fault: the events that tell of an error in the middle of a stream; number counts those before.
    free: nothing is billed (counting tokens).
    """

    name: str
    family: str
    read: Callable[[bytes, Address], Ask]
    whole: Callable[[Ask, Reply], bytes]
    events: Callable[[Ask, Reply], list[bytes]] | None = None
    fault: Callable[[Ask, Reply, int], list[bytes]] | None = None
    free: bool = False


def read_body(body: bytes, kind: type[_Body]) -> _Body:
    """Decode a request body, or say what is wrong with it as a provider would."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(str(error)) from error


def event(data: Mapping[str, object]) -> bytes:
    """One server-sent event without a name."""
    return b"data: " + msgspec.json.encode(data) + b"\n\n"


def named_event(data: Mapping[str, object]) -> bytes:
    """One server-sent event named by its type."""
    return b"event: " + str(data["type"]).encode() + b"\n" + event(data)


def schema_of(holder: Mapping[str, object] | None) -> Mapping[str, object] | None:
    """The JSON Schema inside {"type": "json_schema", …}; empty where any JSON object will do."""
    if holder is None:
        return None
    match holder.get("type"):
        case "json_schema":
            inner = holder.get("json_schema", holder)
            schema = inner.get("schema") if isinstance(inner, Mapping) else None
            return schema if isinstance(schema, Mapping) else {}
        case "json_object":
            return {"type": "object"}
        case _:
            return None
