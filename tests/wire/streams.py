"""Words for wire tests: dialects by path, bodies, streams and what a meter makes of them."""

import json
from collections.abc import Sequence
from typing import Any

from farthing.domain.call import RequestFacts
from farthing.domain.usage import Metered
from farthing.wire.dialect import Dialect, Meter, Request
from farthing.wire.surfaces import find

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
RESPONSES = "/v1/responses"
EMBEDDINGS = "/v1/embeddings"
MESSAGES = "/v1/messages"
GENERATE = "/v1beta/models/gemini-2.5-flash:generateContent"
STREAM_GENERATE = "/v1beta/models/gemini-2.5-flash:streamGenerateContent"
GEMINI_EMBED = "/v1beta/models/gemini-embedding-001:batchEmbedContents"


def dialect_at(path: str) -> Dialect:
    surface = find("POST", path)
    assert surface is not None
    return surface.dialect


def read(path: str, body: dict[str, Any] | bytes) -> Request:
    """Read a body sent to a path; a model is filled in where the body has to name one."""
    surface = find("POST", path)
    assert surface is not None
    if isinstance(body, dict):
        if surface.model is None:
            body = {"model": "gpt-4o", **body}
        body = json.dumps(body).encode()
    return surface.dialect.read(body, model=surface.model, stream=surface.stream)


def facts(path: str, **members: Any) -> RequestFacts:
    return read(path, members).facts


def sent(request: Request, *, model: str = "gpt-4o", **options: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(request.render(model=model, **options))
    return body


def sse(*events: object, end: bytes = b"\n\n") -> list[bytes]:
    """Write events: an object becomes data, text becomes data as it is, a pair has a name."""
    return [_event(event, end) for event in events]


def _event(event: object, end: bytes) -> bytes:
    name, data = event if isinstance(event, tuple) else (None, event)
    text = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))
    head = f"event: {name}".encode() + end[: len(end) // 2] if name else b""
    return head + b"data: " + text.encode() + end


def a_meter(path: str, *, streamed: bool = False, content_type: str | None = None, **options: Any) -> Meter:
    surface = find("POST", path)
    assert surface is not None
    asked: dict[str, Any] = options.pop("asked", {})
    about = read(path, {**asked, "stream": streamed} if surface.model is None else asked).facts
    content_type = content_type or ("text/event-stream" if streamed else "application/json")
    return surface.dialect.meter(about, streamed=streamed, content_type=content_type, **options)


def metered(path: str, answer: object, **options: Any) -> Metered:
    """Meter a whole answer, or a stream given as a list of chunks."""
    chunks = answer if isinstance(answer, list) else [json.dumps(answer).encode()]
    meter = a_meter(path, streamed=isinstance(answer, list), **options)
    passed = feed_all(meter, chunks)
    assert passed == b"".join(chunks) or options.get("hide_usage")
    return meter.result()


def feed_all(meter: Meter, chunks: Sequence[bytes]) -> bytes:
    """Feed chunks to the end; return all that came out."""
    return b"".join([meter.feed(chunk) for chunk in chunks]) + meter.end()
