"""Stands between an SDK's HTTP client and its network: authorizes, passes, meters, settles. The hot path."""

import weakref
from collections.abc import AsyncIterator, Iterator
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Protocol, cast

import msgspec

from farthing.domain.errors import BadRequest, FarthingError, Reason, Refusal, Refused
from farthing.engine.outcomes import Ending
from farthing.sdk.abandoned import settle_later, watch
from farthing.sdk.blocked import BLOCKED_HEADER, blocked_answer
from farthing.sdk.errors import OF_LIMITS, GuardError
from farthing.sdk.paths import provider_of, surface_of
from farthing.sdk.reading import this_task, this_thread
from farthing.sdk.recalling import CACHE_HEADER, find, find_async, kept_response

if TYPE_CHECKING:
    import httpx2

    from farthing.sdk.desk import Asked, Desk
    from farthing.sdk.exchange import Exchange
    from farthing.wire.surfaces import Surface


# Only a farthing gateway names its calls like this.
GATEWAY_HEADER = "x-farthing-call-id"


class Inner(Protocol):
    """The transport that was there before."""

    def handle_request(self, request: "httpx2.Request") -> "httpx2.Response":
        """Send a request."""
        ...

    def close(self) -> None:
        """Close every connection."""
        ...


class AsyncInner(Protocol):
    """The asynchronous transport that was there before."""

    async def handle_async_request(self, request: "httpx2.Request") -> "httpx2.Response":
        """Send a request."""
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


class Refuser(Protocol):
    """Says no in the way of one SDK."""

    def __call__(self, family: ModuleType, request: "httpx2.Request", refused: Refused) -> "httpx2.Response":
        """Return an answer that makes the SDK raise, or raise itself."""
        ...


def _cannot(error: Exception) -> Refused:
    """Say why a call cannot be made: it cannot be bounded, or the guard cannot work at all.

    The latter is a wrong policy, a ledger that does not open, a cap that is none.
    """
    if isinstance(error, BadRequest):
        return Refused(
            Refusal(
                reason=Reason.UNMETERED_PATH,
                message=f"the cost of this request cannot be bounded: {error}",
                fix="send what the provider documents",
            )
        )
    return Refused(
        Refusal(
            reason=Reason.LEDGER_UNAVAILABLE,
            message=f"the guard cannot be set up: {error}",
            fix="mend what is named here",
        )
    )


class _Guarding:
    """What both transports do: everything but the waiting."""

    def __init__(self, desk: "Desk", family: ModuleType, refuse: Refuser, keep: object) -> None:
        self.desk = desk
        self._family = family
        self._refuse = refuse
        self._keep = keep  # the client we stand in for closes its connections when it is collected

    def _surface(self, request: "httpx2.Request") -> "Surface | None":
        path = request.url.raw_path.decode("ascii").partition("?")[0]
        return surface_of(request.method, path, self.desk.wishes.family)

    def _read(self, surface: "Surface", request: "httpx2.Request", body: bytes) -> "Asked":
        provider = provider_of(request.url.host, self.desk.wishes.family)
        retry = request.headers.get("x-stainless-retry-count", "0")
        return self.desk.read(
            surface, provider, body, host=request.url.host, retry=int(retry) if retry.isdigit() else 0
        )

    def _outgoing(self, exchange: "Exchange", request: "httpx2.Request", body: bytes) -> "httpx2.Request":
        """The request that was authorized; the very same one where nothing of it changed."""
        written = exchange.body()
        raw = request.url.raw_path.decode("ascii")
        path, mark, query = raw.partition("?")
        wanted = exchange.path(path)
        if written == body and wanted == path:
            return request
        headers = [(name, value) for name, value in request.headers.raw if name.lower() != b"content-length"]
        url = request.url
        if wanted != path:
            url = url.copy_with(raw_path=f"{wanted}{mark}{query}".encode("ascii"))
        changed: httpx2.Request = self._family.Request(
            request.method, url, headers=headers, content=written, extensions=request.extensions
        )
        return changed

    def _said_no(
        self, request: "httpx2.Request", refused: Refused, asked: "Asked | None"
    ) -> "httpx2.Response":
        """Raise in the SDK's way, or answer that the call was blocked where the guard was told to."""
        if self.desk.wishes.on_limit == "stop" and asked is not None and refused.refusal.reason in OF_LIMITS:
            blocked = blocked_answer(asked)
            if blocked is not None:
                headers = {"content-type": blocked[1], BLOCKED_HEADER: refused.refusal.reason.value}
                answer: httpx2.Response = self._family.Response(200, headers=headers, content=blocked[0])
                return answer
        return self._refuse(self._family, request, refused)

    def _is_gateways(
        self, exchange: "Exchange", request: "httpx2.Request", response: "httpx2.Response"
    ) -> bool:
        if GATEWAY_HEADER not in response.headers:
            return False
        self.desk.gateways.add(request.url.netloc.decode("ascii"))
        exchange.booked_by_gateway()
        return True

    def _to_gateway(self, request: "httpx2.Request") -> "httpx2.Request":
        """Tell a gateway the labels, as it expects them; it keeps the books."""
        wishes = self.desk.wishes
        labels = dict(wishes.labels)
        if wishes.run:
            labels["run"] = wishes.run
        if labels and "x-metering-tags" not in request.headers:
            request.headers["x-metering-tags"] = msgspec.json.encode(labels).decode()
        return request

    def _told(self, exchange: "Exchange", response: "httpx2.Response") -> "httpx2.Response":
        """The provider's answer, with a word about what became of the call where that is not plain."""
        grant = exchange.grant
        if grant.model != exchange.call.facts.model:
            response.headers["x-farthing-model"] = grant.model.encode("ascii", "replace").decode()
        if exchange.cache is not None:
            response.headers[CACHE_HEADER] = exchange.cache
        if grant.clamped:
            response.headers["x-farthing-warning"] = (
                f"clamped; the output cap was lowered to {grant.output_cap} tokens to fit the budget"
            )
        return response

    def _decoded(self, response: "httpx2.Response", body: bytes) -> bytes:
        """The body of an answer that the meter can read; the caller gets it as it came."""
        encoding = response.headers.get("content-encoding")
        if encoding is None:
            return body
        readable: httpx2.Response = self._family.Response(
            response.status_code, headers={"content-encoding": encoding}, content=body
        )
        return readable.content

    def _streamed(
        self,
        exchange: "Exchange",
        response: "httpx2.Response",
        tap: "httpx2.SyncByteStream | httpx2.AsyncByteStream",
    ) -> "httpx2.Response":
        """The provider's answer with a tap on its stream, which is no longer encoded."""
        headers = [
            (name, value)
            for name, value in response.headers.raw
            if name.lower() not in (b"content-encoding", b"content-length", b"transfer-encoding")
        ]
        answer: httpx2.Response = self._family.Response(
            response.status_code, headers=headers, stream=tap, extensions=response.extensions
        )
        return self._told(exchange, answer)


class GuardTransport(_Guarding):
    """Guards a synchronous client."""

    def __init__(
        self, inner: Inner, desk: "Desk", family: ModuleType, refuse: Refuser, keep: object = None
    ) -> None:
        super().__init__(desk, family, refuse, keep)
        self._inner = inner

    def __enter__(self) -> "GuardTransport":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()

    def handle_request(self, request: "httpx2.Request") -> "httpx2.Response":
        """Make one call, or refuse it."""
        asked = None
        try:
            surface = self._surface(request)
            if surface is None:
                return self._inner.handle_request(request)
            if self.desk.gateways and request.url.netloc.decode("ascii") in self.desk.gateways:
                return self._inner.handle_request(self._to_gateway(request))
            body = request.read()
            asked = self._read(surface, request, body)
            recall = self.desk.recall(asked, request)
            if (served := find(recall)) is not None:
                return kept_response(self._family, served)
            grant = self.desk.authorize(asked)
        except Refused as refused:
            return self._said_no(request, refused, asked)
        except (FarthingError, GuardError) as error:
            return self._said_no(request, _cannot(error), None)
        from farthing.sdk.exchange import Exchange  # it brings the engine: at the first call

        exchange = Exchange(self.desk, asked, grant, recall)
        try:
            outgoing = self._outgoing(exchange, request, body)
            response = self._inner.handle_request(outgoing)
        except BaseException as error:
            exchange.failed(error)
            raise
        response.request = outgoing
        if self._is_gateways(exchange, request, response):
            return response
        return self._pass(exchange, response)

    def _pass(self, exchange: "Exchange", response: "httpx2.Response") -> "httpx2.Response":
        if exchange.opened(response.status_code, response.headers.get("content-type", "")):
            tap = sync_tap(self._family)(exchange, response)
            return self._streamed(exchange, response, cast("httpx2.SyncByteStream", tap))
        stream = cast("httpx2.SyncByteStream", response.stream)
        try:
            body = b"".join(stream)
            exchange.relay.feed(self._decoded(response, body))
        except BaseException as error:
            exchange.failed(error)
            response.close()
            raise
        stream.close()
        exchange.end(Ending.ANSWERED)
        response.stream = self._family.ByteStream(body)
        return self._told(exchange, response)


class AsyncGuardTransport(_Guarding):
    """Guards an asynchronous client."""

    def __init__(
        self, inner: AsyncInner, desk: "Desk", family: ModuleType, refuse: Refuser, keep: object = None
    ) -> None:
        super().__init__(desk, family, refuse, keep)
        self._inner = inner

    async def __aenter__(self) -> "AsyncGuardTransport":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()

    async def handle_async_request(self, request: "httpx2.Request") -> "httpx2.Response":
        """Make one call, or refuse it."""
        asked = None
        try:
            surface = self._surface(request)
            if surface is None:
                return await self._inner.handle_async_request(request)
            if self.desk.gateways and request.url.netloc.decode("ascii") in self.desk.gateways:
                return await self._inner.handle_async_request(self._to_gateway(request))
            body = await request.aread()
            asked = self._read(surface, request, body)
            recall = self.desk.recall(asked, request)
            if (served := await find_async(recall)) is not None:
                return kept_response(self._family, served)
            grant = await self.desk.authorize_async(asked)
        except Refused as refused:
            return self._said_no(request, refused, asked)
        except (FarthingError, GuardError) as error:
            return self._said_no(request, _cannot(error), None)
        from farthing.sdk.exchange import Exchange  # it brings the engine: at the first call

        exchange = Exchange(self.desk, asked, grant, recall)
        try:
            outgoing = self._outgoing(exchange, request, body)
            response = await self._inner.handle_async_request(outgoing)
        except BaseException as error:
            exchange.failed(error)
            raise
        response.request = outgoing
        if self._is_gateways(exchange, request, response):
            return response
        return await self._pass(exchange, response)

    async def _pass(self, exchange: "Exchange", response: "httpx2.Response") -> "httpx2.Response":
        if exchange.opened(response.status_code, response.headers.get("content-type", "")):
            tap = async_tap(self._family)(exchange, response)
            return self._streamed(exchange, response, cast("httpx2.AsyncByteStream", tap))
        stream = cast("httpx2.AsyncByteStream", response.stream)
        try:
            body = b"".join([chunk async for chunk in stream])
            exchange.relay.feed(self._decoded(response, body))
            await stream.aclose()
            await exchange.end_async(Ending.ANSWERED)
        except BaseException as error:
            exchange.failed(error)
            await response.aclose()
            raise
        response.stream = self._family.ByteStream(body)
        return self._told(exchange, response)


# ── streams ─────────────────────────────────────────────────────────────────────────────────────


class _Tap:
    """A stream on its way to the caller; its last event waits for the settlement."""

    def __init__(self, exchange: "Exchange", response: "httpx2.Response") -> None:
        self._exchange = exchange
        self._response = response
        self._is_over = False
        watch()
        self._unread = weakref.finalize(self, settle_later, exchange)
        self._unread.atexit = False

    def _over(self) -> None:
        self._is_over = True
        self._unread.detach()


class _SyncTap(_Tap):
    """A stream that a thread reads."""

    def __iter__(self) -> Iterator[bytes]:
        self._exchange.reader = this_thread()  # it may be another than the one that asked
        self._chunks = self._response.iter_bytes()
        return self

    def __next__(self) -> bytes:
        exchange = self._exchange
        if self._is_over:
            raise StopIteration
        try:
            for chunk in self._chunks:
                passed = exchange.relay.feed(chunk)
                if passed:
                    return passed
        except BaseException as error:
            exchange.failed(error)
            self._over()
            raise
        exchange.end(Ending.ANSWERED)
        self._over()
        if exchange.relay.held_back:
            return exchange.relay.held_back
        raise StopIteration

    def close(self) -> None:
        """Let go; a stream that was not read to its end is closed upstream and settled."""
        try:
            self._response.close()
        finally:
            self._exchange.abandoned()
            self._over()


class _AsyncTap(_Tap):
    """A stream that a task reads."""

    def __init__(self, exchange: "Exchange", response: "httpx2.Response") -> None:
        super().__init__(exchange, response)
        exchange.reader = this_task()

    def __aiter__(self) -> AsyncIterator[bytes]:
        self._exchange.reader = this_task()
        self._chunks = self._response.aiter_bytes()
        return self

    async def __anext__(self) -> bytes:
        exchange = self._exchange
        if self._is_over:
            raise StopAsyncIteration
        try:
            async for chunk in self._chunks:
                passed = exchange.relay.feed(chunk)
                if passed:
                    return passed
            await exchange.end_async(Ending.ANSWERED)
        except BaseException as error:
            exchange.failed(error)
            self._over()
            raise
        self._over()
        if exchange.relay.held_back:
            return exchange.relay.held_back
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Let go; a stream that was not read to its end is closed upstream and settled."""
        try:
            await self._response.aclose()
        finally:
            self._exchange.abandoned()
            self._over()


@lru_cache(maxsize=4)
def sync_tap(family: ModuleType) -> type[_SyncTap]:
    """The tap as a stream of an httpx family, which asks for its own class."""
    return cast("type[_SyncTap]", type("Tap", (_SyncTap, family.SyncByteStream), {}))


@lru_cache(maxsize=4)
def async_tap(family: ModuleType) -> type[_AsyncTap]:
    """The asynchronous tap as a stream of an httpx family."""
    return cast("type[_AsyncTap]", type("AsyncTap", (_AsyncTap, family.AsyncByteStream), {}))
