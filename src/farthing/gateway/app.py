"""The ASGI application: finds the surface of a path, keeps the worker's background work going."""

import asyncio
import gc
import logging
from collections.abc import Callable
from typing import Literal

import msgspec

from farthing.config.build import Running
from farthing.config.reload import Following
from farthing.domain.errors import Reason, Refusal, Refused
from farthing.gateway.api import AdminApi
from farthing.gateway.asgi import Receive, Scope, Send, send_whole
from farthing.gateway.calls import Calls, Limits, StreamBroken
from farthing.gateway.http_client import HttpClient
from farthing.gateway.identities import Identities
from farthing.gateway.metrics import Counters, exposition
from farthing.gateway.models_list import models_body, models_for, shape_for
from farthing.gateway.refusals import reject, reject_refusal
from farthing.gateway.reloading import Reloader
from farthing.gateway.targets import Targets
from farthing.gateway.upstream import Upstream
from farthing.wire.surfaces import Surface, find

log = logging.getLogger("farthing.gateway")

UpstreamClient = Literal["own", "aiohttp"]

_SURFACES_REMEMBERED = 4_096
_PRIVATE = ((b"cache-control", b"private, no-store"),)
_JSON = (b"content-type", b"application/json")
_PLAIN_ONLY = (
    (b"content-type", b"text/plain"),
    (b"connection", b"close"),
    (b"x-farthing-refusal", b"unmetered_path"),
)
_MODELS_PATHS = frozenset({"/v1/models", "/models", "/v1beta/models"})


class Gateway:
    """The HTTP door of one worker process."""

    def __init__(
        self,
        running: Running,
        *,
        admin_sha256: bytes | None,
        simulator_url: str | None = None,
        worker: int = 0,
        limits: Limits | None = None,
        answer_seconds: float = 600.0,
        upstream_client: UpstreamClient = "own",
        metrics_open: bool = True,
    ) -> None:
        self._running = running
        self._simulator_url = simulator_url
        self._targets = Targets(running.policy, running.secrets, simulator_url=simulator_url)
        self._counters = Counters()
        self._identities = Identities(running.store, running.policy, running.clock)
        self._limits = limits or Limits()
        self._answer_seconds = answer_seconds
        self._upstream_client = upstream_client
        self._worker = worker
        self._metrics_open = metrics_open
        self._reloader = Reloader(running, self)
        self._api = AdminApi(
            running,
            admin_sha256=admin_sha256,
            identities=self._identities,
            reloader=self._reloader,
            elsewhere=self._unmetered_path,
        )
        self._surfaces: dict[tuple[str, str], Surface | None] = {}
        self._background: list[asyncio.Task[None]] = []
        self._refreshing: asyncio.Task[None] | None = None
        self._upstream: Upstream | None = None
        self._calls: Calls | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Speak ASGI."""
        kind = scope["type"]
        if kind == "http":
            await self._http(scope, receive, send)
        else:
            assert kind == "lifespan", kind  # the server is told to take no WebSocket
            await self._lifespan(receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            surface = self._surface(scope["method"], scope["path"])
            if surface is not None:
                assert self._calls is not None
                await self._calls.serve(scope, receive, send, surface)
            else:
                await self._unmetered(scope, receive, send)
        except StreamBroken as broken:
            # Leaving the response unfinished is how the server is told to break the connection.
            log.warning("stream broke: %s", broken)
        except Exception:
            # The outermost door: whatever went wrong in here, the caller gets an answer and we get a log.
            self._counters.internal_errors += 1
            log.exception("an error of our own while serving %s %s", scope["method"], scope["path"])
            rejection = reject("openai", 500, "farthing met an error of its own; it is in the gateway's log")
            await send_whole(send, rejection.status, rejection.headers, rejection.body)

    def _surface(self, method: str, path: str) -> Surface | None:
        key = (method, path)
        if key in self._surfaces:
            return self._surfaces[key]
        surface = find(method, path)
        if len(self._surfaces) >= _SURFACES_REMEMBERED:
            self._surfaces.clear()
        self._surfaces[key] = surface
        return surface

    async def _unmetered(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        if path == "/api" or path.startswith("/api/"):
            await self._api(scope, receive, send)
        elif _asks_for_websocket(scope):
            await send_whole(
                send, 426, _PLAIN_ONLY, b"WebSocket calls cannot be metered; use plain requests."
            )
        elif path in ("/healthz", "/readyz"):
            await self._health(path, send)
        elif path == "/metrics" and method == "GET":
            await self._metrics(scope, send)
        elif path in _MODELS_PATHS and method == "GET":
            await self._models(scope, send)
        elif path == "/" and method in ("GET", "HEAD"):
            body = b"" if method == "HEAD" else _welcome()
            await send_whole(send, 200, [_JSON, *_PRIVATE], body)
        else:
            await self._unmetered_path(scope, receive, send)

    async def _unmetered_path(self, scope: Scope, _: Receive, send: Send) -> None:
        self._counters.refused[Reason.UNMETERED_PATH] += 1
        family = _family_of(scope)
        refusal = Refusal(
            reason=Reason.UNMETERED_PATH,
            message=f"{scope['method']} {scope['path'][:200]} cannot be metered here, so it cannot be called",
            fix="POST to one of the metered paths: /v1/chat/completions, /v1/responses, /v1/completions, "
            "/v1/embeddings, /v1/messages, /v1beta/models/MODEL:generateContent; what else there is stands "
            "at /api/docs",
        )
        rejection = reject_refusal(family, "", refusal)
        await send_whole(send, rejection.status, rejection.headers, rejection.body)

    async def _health(self, path: str, send: Send) -> None:
        """Alive is whether this process answers; ready is whether its ledger does."""
        if path == "/healthz":
            await send_whole(send, 200, [_JSON], b'{"status":"ok"}')
            return
        ready = await asyncio.to_thread(self._running.ledger_answers)
        told = {"status": "ready" if ready else "ledger_unavailable", **self._reloader.in_short()}
        await send_whole(send, 200 if ready else 503, [_JSON], msgspec.json.encode(told))

    async def _metrics(self, scope: Scope, send: Send) -> None:
        if not self._metrics_open and not await self._api.has_token(scope):
            rejection = reject("openai", 401, "metrics need a token when the gateway listens off loopback")
            await send_whole(send, rejection.status, rejection.headers, rejection.body)
            return
        running = self._running
        text = await asyncio.to_thread(
            exposition,
            self._counters,
            running.governor,
            running.store,
            worker=self._worker,
            now_us=running.clock(),
        )
        await send_whole(
            send,
            200,
            [(b"content-type", b"text/plain; version=0.0.4; charset=utf-8"), *_PRIVATE],
            text.encode(),
        )

    async def _models(self, scope: Scope, send: Send) -> None:
        assert self._calls is not None
        shape = shape_for(scope["path"], scope["headers"])
        try:
            _, identity = await self._calls.authenticate(scope)
        except Refused as refused:
            rejection = reject_refusal(shape, "", refused.refusal)
            await send_whole(send, rejection.status, rejection.headers, rejection.body)
            return
        names = models_for(identity, self._running.policy, self._running.prices)
        await send_whole(send, 200, [_JSON, *_PRIVATE], models_body(shape, names))

    # ── life ────────────────────────────────────────────────────────────────────────────────────

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self.start()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def start(self) -> None:
        """Open connections and begin the background work; calls can be served afterwards."""
        self._upstream = _open_upstream(self._upstream_client, self._answer_seconds)
        self._calls = self._new_calls()
        self._refreshing = asyncio.create_task(self._identities.keep_fresh())
        self._background = [asyncio.create_task(self._tick()), asyncio.create_task(self._reloader.watch())]
        await asyncio.to_thread(self._reloader.tell_in_force)
        self._reloader.heed_signal()
        # What was loaded lives as long as the process: the collector need not walk it during calls.
        gc.collect()
        gc.freeze()

    def _new_calls(self) -> Calls:
        assert self._upstream is not None
        running = self._running
        return Calls(
            governor=running.governor,
            identities=self._identities,
            upstream=self._upstream,
            targets=self._targets,
            counters=self._counters,
            cache=running.cache,
            clock=running.clock,
            prompt_salt=running.prompt_salt,
            limits=self._limits,
        )

    def ready_for(self, following: Following) -> Callable[[], None]:
        """Make ready for another policy; calls in flight keep the targets and keys they came in by."""
        policy = following.loaded.policy
        targets = Targets(policy, following.secrets, simulator_url=self._simulator_url)
        identities = Identities(self._running.store, policy, self._running.clock)

        def put_in_use() -> None:
            self._targets, self._identities, self._api.identities = targets, identities, identities
            self._calls = self._new_calls()
            if self._refreshing is not None:
                self._refreshing.cancel()
            self._refreshing = asyncio.create_task(identities.keep_fresh())

        return put_in_use

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(1)
            await asyncio.to_thread(self._reloader.tick)

    async def stop(self) -> None:
        """Finish what is open, write what is left, close everything. The server has drained the calls."""
        tasks = [*self._background, *([self._refreshing] if self._refreshing else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._upstream is not None:
            await self._upstream.close()
        await asyncio.to_thread(self._running.close)


def _open_upstream(client: UpstreamClient, answer_seconds: float) -> Upstream:
    if client == "own":
        return HttpClient(answer_seconds=answer_seconds)
    from farthing.gateway.aiohttp_client import AiohttpClient  # heavy, so only where it is asked for

    return AiohttpClient(answer_seconds=answer_seconds)


def _asks_for_websocket(scope: Scope) -> bool:
    """Whether a client wants to leave HTTP; told 426, it falls back to plain requests."""
    return any(name == b"upgrade" and b"websocket" in value.lower() for name, value in scope["headers"])


def _family_of(scope: Scope) -> str:
    """Guess whose client asks on a path that is nobody's, so that it can read the refusal."""
    return shape_for(scope["path"], scope["headers"])


def _welcome() -> bytes:
    return (
        b'{"name":"farthing","docs":"/api/docs","health":"/readyz","metrics":"/metrics",'
        b'"openai":"/v1","anthropic":"/","gemini":"/"}'
    )
