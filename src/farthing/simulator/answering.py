"""From a request to the very bytes of its answer: pure, so the same call is worked out once."""

import msgspec

from farthing.simulator.ask import Ask, Malformed, stem_of
from farthing.simulator.behaviour import BadDirective, Behaviour, BodyManner
from farthing.simulator.encoding import encoded
from farthing.simulator.endpoint import Address, Endpoint
from farthing.simulator.provider_errors import error_body, with_usage
from farthing.simulator.reply import Counts, Reply, compose

Headers = tuple[tuple[bytes, bytes], ...]

_GARBAGE = b'\x00\xff{"id": nothing that any reader \xfe understands' * 8
_HTML = b"<!DOCTYPE html><html><head><title>502</title></head><body><h1>Bad gateway</h1></body></html>"
_JSON = b"application/json"
_EVENT_STREAM = b"text/event-stream; charset=utf-8"
_OTHER_BODIES = {
    BodyManner.GARBAGE: (_JSON, _GARBAGE),
    BodyManner.HTML: (b"text/html", _HTML),
    BodyManner.EMPTY: (_JSON, b""),
}
REDIRECT_TO = b"http://elsewhere.invalid/v1"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes to send, and how to send them.

    pieces: one for a whole answer, one for each event of a stream (or for each write, if split).
    billed: what a provider would charge; None where nothing is.
    """

    status: int
    headers: Headers
    pieces: tuple[bytes, ...]
    streamed: bool
    behaviour: Behaviour
    model: str = ""
    billed: Counts | None = None


def answer(
    endpoint: Endpoint, address: Address, body: bytes, settings: Behaviour, attempt: int = 1
) -> Answer:
    """Work out the answer to one call.

    attempt: how often this very body has come, counting this time; only ``fails`` looks at it.
    """
    stem = stem_of(settings.seed, endpoint.name.encode(), address.model.encode(), body)
    try:
        ask = endpoint.read(body, address)
        behaviour = settings.directed_by(ask.text)
    except (Malformed, BadDirective) as error:
        return failure(endpoint.family, 400, stem, settings, str(error))
    if settings.models and ask.model not in settings.models:
        return failure(endpoint.family, 404, stem, settings)
    reply = compose(ask, behaviour, stem)
    if behaviour.fails:
        failing = attempt <= behaviour.fails
        usual = 503 if behaviour.status == 200 else behaviour.status
        behaviour = msgspec.structs.replace(behaviour, status=usual if failing else 200)
    if behaviour.redirect:
        return _redirect(stem, behaviour)
    if behaviour.status != 200:
        return _error(endpoint, ask, reply, behaviour)
    return _success(endpoint, ask, reply, behaviour)


def failure(family: str, status: int, stem: str, behaviour: Behaviour, message: str | None = None) -> Answer:
    """An error nobody asked for by directive: malformed, unauthorized, unknown."""
    body = msgspec.json.encode(error_body(family, status, stem, message))
    return _whole(status, _JSON, body, stem, behaviour)


def _error(endpoint: Endpoint, ask: Ask, reply: Reply, behaviour: Behaviour) -> Answer:
    told = error_body(endpoint.family, behaviour.status, reply.stem)
    body = msgspec.json.encode(told)
    if behaviour.with_usage:
        body = with_usage(told, endpoint.whole(ask, reply))
    extra: list[tuple[bytes, bytes]] = []
    if behaviour.retry_after_s is not None:
        extra.append((b"retry-after", str(behaviour.retry_after_s).encode()))
    if behaviour.should_retry is not None:
        extra.append((b"x-should-retry", b"true" if behaviour.should_retry else b"false"))
    billed = reply.billed if behaviour.with_usage and not endpoint.free else None
    return _whole(
        behaviour.status, _JSON, body, reply.stem, behaviour, tuple(extra), model=reply.model, billed=billed
    )


def _redirect(stem: str, behaviour: Behaviour) -> Answer:
    return _whole(302, b"text/plain", b"", stem, behaviour, ((b"location", REDIRECT_TO),))


def _success(endpoint: Endpoint, ask: Ask, reply: Reply, behaviour: Behaviour) -> Answer:
    billed = None if endpoint.free else reply.billed
    if behaviour.body in _OTHER_BODIES:
        kind, body = _OTHER_BODIES[behaviour.body]
    elif ask.stream and endpoint.events is not None:
        return _stream(endpoint, ask, reply, behaviour)
    else:
        kind, body = _JSON, _proper(endpoint, ask, reply, behaviour)
    return _whole(200, kind, body, reply.stem, behaviour, model=reply.model, billed=billed)


def _proper(endpoint: Endpoint, ask: Ask, reply: Reply, behaviour: Behaviour) -> bytes:
    if behaviour.error_mid is not None:
        # Some relays answer 200 and put the error where the answer should be.
        return msgspec.json.encode(error_body(endpoint.family, 500, reply.stem))
    body = endpoint.whole(ask, reply)
    return body[: len(body) // 2] if behaviour.body is BodyManner.TRUNCATED else body


def _stream(endpoint: Endpoint, ask: Ask, reply: Reply, behaviour: Behaviour) -> Answer:
    assert endpoint.events is not None and endpoint.fault is not None
    events = endpoint.events(ask, reply)
    if behaviour.error_mid is not None:
        told = events[: behaviour.error_mid]
        events = [*told, *endpoint.fault(ask, reply, len(told))]
    if behaviour.body is BodyManner.TRUNCATED:
        half = events[: len(events) // 2 + 1]
        events = [*half[:-1], half[-1][: len(half[-1]) // 2]]
    if behaviour.pings and not ask.array:
        events = [b": ping\n\n" + one for one in events]
    if behaviour.crlf:
        events = [one.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") for one in events]
    pieces = encoded(events, behaviour.encoding)
    if behaviour.split:
        pieces = _split(b"".join(pieces), behaviour.split)
    kind = b"application/json; charset=UTF-8" if ask.array else _EVENT_STREAM
    return Answer(
        status=200,
        headers=(*_headers(kind, reply.stem, behaviour), (b"cache-control", b"no-cache")),
        pieces=pieces,
        streamed=True,
        behaviour=behaviour,
        model=reply.model,
        billed=reply.billed,
    )


def _split(body: bytes, size: int) -> tuple[bytes, ...]:
    return tuple(body[start : start + size] for start in range(0, len(body), size))


def _whole(
    status: int,
    kind: bytes,
    body: bytes,
    stem: str,
    behaviour: Behaviour,
    extra: Headers = (),
    *,
    model: str = "",
    billed: Counts | None = None,
) -> Answer:
    (sent,) = encoded((body,), behaviour.encoding)
    length = (b"content-length", str(len(sent)).encode())
    return Answer(
        status=status,
        headers=(*_headers(kind, stem, behaviour), length, *extra),
        pieces=_split(sent, behaviour.split) if behaviour.split else (sent,),
        streamed=False,
        behaviour=behaviour,
        model=model,
        billed=billed,
    )


def _headers(kind: bytes, stem: str, behaviour: Behaviour) -> Headers:
    request_id = f"req_{stem}".encode()
    headers = ((b"content-type", kind), (b"x-request-id", request_id), (b"request-id", request_id))
    if behaviour.encoding == "identity":
        return headers
    return (*headers, (b"content-encoding", behaviour.encoding.encode()))
