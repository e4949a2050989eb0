"""Ask the cache on behalf of a caller, and send what it has as the provider would have sent it."""

from farthing.cache.response_cache import ResponseCache
from farthing.domain.call import Call
from farthing.engine.governor import Governor
from farthing.engine.recall import Posed, Recall, Served, caching_for, door_facts
from farthing.gateway.answers import cost_headers, grant_headers
from farthing.gateway.asgi import Scope, Send, send_whole
from farthing.gateway.headers import Incoming, query_upstream
from farthing.wire.dialect import Request
from farthing.wire.surfaces import Surface

_PIECE_BYTES = 64 * 1024


def recall_of(
    cache: ResponseCache,
    governor: Governor,
    call: Call,
    *,
    scope: Scope,
    surface: Surface,
    incoming: Incoming,
    request: Request,
) -> Recall | None:
    """What the cache may know of a call; None where its environment keeps no answers."""
    caching = caching_for(call, governor.policy)
    if caching is None:
        return None
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in incoming.upstream]
    posed = Posed(
        call=call,
        request=request,
        surface=surface,
        door=door_facts(query_upstream(scope["query_string"]), headers),
        cache_control=",".join(value for name, value in headers if name == "cache-control").lower(),
        provider_hint=surface.provider,
    )
    return Recall(cache, governor, posed, caching)


async def send_kept(send: Send, served: Served, *, tracked: bool) -> None:
    """Send an answer from the cache: whole as it was whole, and as a stream where it was one."""
    kept, grant = served.kept, served.grant
    headers = [(b"content-type", kept.content_type.encode("latin-1"))]
    headers += grant_headers(grant, cache="hit")
    headers += cost_headers(served.booked, (), tracked=tracked)
    if not grant.call.facts.stream:
        await send_whole(send, 200, headers, kept.body)
        return
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for place in range(0, len(kept.body), _PIECE_BYTES):
        piece = kept.body[place : place + _PIECE_BYTES]
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
