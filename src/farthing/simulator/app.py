"""The simulated providers as one raw ASGI application: receive, record, answer as told."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

import msgspec

from farthing.simulator.answering import Answer, answer, failure
from farthing.simulator.ask import stem_of
from farthing.simulator.behaviour import Behaviour
from farthing.simulator.record import ABANDONED, ANSWERED, CUT, ReceivedCall, Record
from farthing.simulator.routes import MOCK, family_of, models_listed, route

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# The server puts a function that resets the connection here; ASGI itself knows no such thing.
RESET_EXTENSION = "farthing.reset"

_REMEMBERED_ANSWERS = 512
_REMEMBERED_BYTES = 65_536  # of one request and its answer together
_SECOND_MS = 1000


class SimulatorApp:
    """Fake providers. behaviour holds for all calls; mock for those below /mock, which echo by default."""

    def __init__(
        self,
        behaviour: Behaviour | None = None,
        *,
        mock: Behaviour | None = None,
        record: Record | None = None,
    ) -> None:
        self.behaviour = behaviour or Behaviour()
        self.mock = mock or msgspec.structs.replace(self.behaviour, echo=True)
        self.record = record or Record()
        self._answers: dict[tuple[object, ...], Answer] = {}
        self._attempts: Counter[tuple[object, ...]] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        body = await _body(receive)
        path: str = scope["path"]
        if path.startswith("/_simulator/"):
            await _send_whole(send, 200, self._about(path))
            return
        planned = self._planned(scope, path, body)
        call = self.record.begin(
            method=scope["method"],
            path=path,
            query=scope["query_string"],
            headers=scope["headers"],
            body=body,
            answer=planned,
        )
        await _Performance(planned, self.record, call, scope, receive, send).play()

    def _about(self, path: str) -> bytes:
        """Answer questions about the simulator itself."""
        if path == "/_simulator/reset":
            self.record.reset()
            self._attempts.clear()
        counters = self.record.counters()
        if path == "/_simulator/calls":
            return msgspec.json.encode(
                {"calls": [call.shown() for call in self.record.calls], "counters": counters}
            )
        return msgspec.json.encode({"counters": counters})

    def _planned(self, scope: Scope, path: str, body: bytes) -> Answer:
        """The answer of a call, worked out once for each request that differs."""
        mocked = path.startswith(MOCK + "/")
        behaviour = self.mock if mocked else self.behaviour
        path = path.removeprefix(MOCK) if mocked else path
        query: bytes = scope["query_string"]
        found = route(path, query) if scope["method"] == "POST" else None
        if found is None or (behaviour.api_key and not _authorized(scope, behaviour.api_key)):
            return self._without_endpoint(scope, path, behaviour)
        endpoint, address = found
        key: tuple[object, ...] = (endpoint.name, address, body, mocked)
        attempt = 1
        if b"fails=" in body or behaviour.fails:
            self._attempts[key] += 1
            attempt = self._attempts[key]
            key = (*key, attempt)
        planned = self._answers.get(key)
        if planned is None:
            planned = answer(endpoint, address, body, behaviour, attempt)
            if len(body) + sum(map(len, planned.pieces)) <= _REMEMBERED_BYTES:
                if len(self._answers) >= _REMEMBERED_ANSWERS:
                    self._answers.clear()
                self._answers[key] = planned
        return planned

    def _without_endpoint(self, scope: Scope, path: str, behaviour: Behaviour) -> Answer:
        """Lists of models, a wrong key, a path that no provider has."""
        stem = stem_of(behaviour.seed, path.encode())
        family = family_of(path, frozenset(name for name, _ in scope["headers"]))
        if behaviour.api_key and not _authorized(scope, behaviour.api_key):
            return failure(family, 401, stem, behaviour)
        listed = models_listed(path, family, behaviour.models) if scope["method"] == "GET" else None
        if listed is None:
            return failure(family, 404, stem, behaviour, f"Unknown request URL: {scope['method']} {path}.")
        length = (b"content-length", str(len(listed)).encode())
        return Answer(
            status=200,
            headers=((b"content-type", b"application/json"), length),
            pieces=(listed,),
            streamed=False,
            behaviour=behaviour,
        )


class _Performance:
    """One answer on its way out, with the pauses and accidents that were asked for."""

    def __init__(
        self,
        planned: Answer,
        record: Record,
        call: ReceivedCall,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        self._answer = planned
        self._record = record
        self._call = call
        extensions = scope.get("extensions") or {}
        self._reset: Callable[[], None] | None = extensions.get(RESET_EXTENSION, {}).get("reset")
        self._receive = receive
        self._send = send
        self._gone: asyncio.Task[None] | None = None

    async def play(self) -> None:
        behaviour = self._answer.behaviour
        try:
            if behaviour.reset and self._reset is not None:
                self._record.end(self._call, CUT)
                self._reset()
                await _until_gone(self._receive)
            elif behaviour.hang:
                await _until_gone(self._receive)
                self._record.end(self._call, ABANDONED)
            elif not await self._left_after(behaviour.latency_ms):
                await self._head_and_body()
        finally:
            self._record.end(self._call, ABANDONED)
            if self._gone is not None:
                self._gone.cancel()

    async def _head_and_body(self) -> None:
        planned, behaviour = self._answer, self._answer.behaviour
        head = {"type": "http.response.start", "status": planned.status, "headers": planned.headers}
        await self._send(head)
        if await self._left_after(behaviour.first_byte_ms):
            return
        pieces, cut = planned.pieces, behaviour.cut
        if cut is not None and not planned.streamed:
            pieces, cut = (pieces[0][: len(pieces[0]) // 2],), 1
        last = len(pieces) - 1
        for number, piece in enumerate(pieces):
            if number and await self._left_after(behaviour.chunk_interval_ms):
                return
            if number == cut:
                break
            if number == last and cut is None:
                # Written down first: who has read the last byte finds the call answered.
                self._record.end(self._call, ANSWERED)
            await self._send(
                {"type": "http.response.body", "body": piece, "more_body": number < last or cut is not None}
            )
        if cut is not None:
            # Returning now makes the server close the connection without ending the body.
            self._record.end(self._call, CUT)

    async def _left_after(self, pause_ms: int) -> bool:
        """Wait; tell whether the caller has left meanwhile."""
        if not pause_ms:
            return self._gone is not None and self._gone.done()
        if self._gone is None:
            self._gone = asyncio.ensure_future(_until_gone(self._receive))
        done, _ = await asyncio.wait((self._gone,), timeout=pause_ms / _SECOND_MS)
        return bool(done)


async def _body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return body
    parts = [body]
    while message.get("more_body"):
        message = await receive()
        parts.append(message.get("body", b""))
    return b"".join(parts)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_whole(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _authorized(scope: Scope, api_key: str) -> bool:
    """Whether any of the places where providers look for a key holds this one."""
    wanted = api_key.encode()
    for name, value in scope["headers"]:
        if name in (b"x-api-key", b"x-goog-api-key") and value == wanted:
            return True
        if name == b"authorization" and value == b"Bearer " + wanted:
            return True
    return parse_qs(scope["query_string"].decode("latin-1")).get("key") == [api_key]
