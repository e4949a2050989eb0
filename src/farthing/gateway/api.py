"""The governance API under /api: calls, budgets, spend, holds, keys. FastAPI, loaded at first use."""

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from farthing.config.build import Running
from farthing.domain.errors import LedgerUnavailable
from farthing.domain.role import Role
from farthing.gateway.asgi import Message, Receive, Scope, Send, send_whole
from farthing.gateway.calls import StreamBroken
from farthing.gateway.headers import TwoCredentials, read_headers
from farthing.gateway.identities import Identities
from farthing.gateway.keys import ADMIN_PREFIX, sha256_of
from farthing.gateway.refusals import reject
from farthing.gateway.reloading import Reloader
from farthing.gateway.token_admin import ADMIN, FIRST, first_token
from farthing.ledger.store import Store

if TYPE_CHECKING:
    from fastapi import FastAPI

    from farthing.gateway.api_asking import Asker

Elsewhere = Callable[[Scope, Receive, Send], Awaitable[None]]


def admin_sha256(store: Store, given: str | None) -> tuple[bytes | None, str | None]:
    """The hash of FARTHING_ADMIN_TOKEN, and a token that was made just now because nobody governs yet.

    given: the token of FARTHING_ADMIN_TOKEN; it stands in for the one that is made at the first start.
    """
    if given:
        return sha256_of(given), None
    return None, first_token(store, at_us=time.time_ns() // 1_000)


class AdminApi:
    """Checks who asks before anything of /api is served.

    admin_sha256: of FARTHING_ADMIN_TOKEN, where that is set.
    elsewhere: answers paths under /api that are not ours; Ollama's /api/chat is one.
    """

    def __init__(
        self,
        running: Running,
        *,
        admin_sha256: bytes | None,
        identities: Identities,
        reloader: Reloader,
        elsewhere: Elsewhere,
    ) -> None:
        self._running = running
        self._elsewhere = elsewhere
        self._reloader = reloader
        self.identities = identities
        self._admin_sha256 = admin_sha256
        self._app: FastAPI | None = None
        self._loading = asyncio.Lock()

    async def has_token(self, scope: Scope) -> bool:
        """Whether the request carries a token of any role."""
        credential = _credential(scope)
        return credential is not None and await self._holder(credential) is not None

    async def _holder(self, credential: str) -> tuple[str, Role] | None:
        """The name and role of the token that a credential is, if it is one."""
        sha256 = sha256_of(credential)
        if self._admin_sha256 is not None and hmac.compare_digest(sha256, self._admin_sha256):
            return ADMIN, Role.ADMIN
        if not credential.startswith(f"{ADMIN_PREFIX}-"):
            return None
        row = await asyncio.to_thread(self._running.store.token_by_hash, sha256)
        if row is None or not row.is_good(self._running.clock()):
            return None
        if row.token_id == FIRST and self._admin_sha256 is not None:
            return None  # FARTHING_ADMIN_TOKEN stands in for it
        return row.name, row.role

    async def _asker(self, credential: str) -> "Asker | None":
        from farthing.gateway.api_asking import Asker

        holder = await self._holder(credential)
        if holder is not None:
            return Asker(name=holder[0], role=holder[1])
        identity = await self.identities.find(credential)
        if identity is None:
            return None
        name = identity.developer or identity.key or "unknown"
        return Asker(name=name, role=Role.DEVELOPER, identity=identity)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request under /api."""
        app = self._app or await self._load()
        if scope["path"] not in ("/api/docs", "/api/openapi.json"):
            credential = _credential(scope)
            try:
                who = await self._asker(credential) if credential else None
            except LedgerUnavailable as error:
                await _tell(send, 503, f"the ledger cannot say who asks: {error}", "ledger_unavailable")
                return
            if who is None:
                message = "/api needs a token, or a call key for its own calls"
                await _tell(send, 401, message, "invalid_key")
                return
            scope["farthing.asker"] = who
        answer = _Answer(send)
        try:
            await app(scope, receive, answer)
        except Exception as error:
            if not answer.begun:
                raise
            raise StreamBroken(f"the answer to {scope['path']} ends unfinished: {error}") from error

    async def _load(self) -> "FastAPI":
        """Import FastAPI once somebody asks: the data path neither needs nor waits for it."""
        async with self._loading:
            if self._app is None:
                self._app = await asyncio.to_thread(self._build)
        return self._app

    def _build(self) -> "FastAPI":
        from farthing.gateway.api_routes import build_api

        app = build_api(self._running, self._reloader)
        app.router.default = self._elsewhere
        return app


class _Answer:
    """Sends an answer as one that nobody on the way may keep; begun: its head has been sent."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = False

    async def __call__(self, message: Message) -> None:
        """Send a part of it."""
        if message["type"] == "http.response.start":
            self.begun = True
            message["headers"] = [*message["headers"], (b"cache-control", b"private, no-store")]
        await self._send(message)


def _credential(scope: Scope) -> str | None:
    try:
        return read_headers(scope["headers"], b"").credential
    except TwoCredentials:
        return None


async def _tell(send: Send, status: int, message: str, code: str) -> None:
    rejection = reject("openai", status, message, code=code)
    await send_whole(send, rejection.status, rejection.headers, rejection.body)
