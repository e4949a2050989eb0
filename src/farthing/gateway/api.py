"""The governance API under /api: calls, budgets, spend, holds, keys. FastAPI, loaded at first use."""

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from farthing.config.build import Running
from farthing.domain.call import Identity
from farthing.gateway.asgi import Receive, Scope, Send, send_whole
from farthing.gateway.headers import TwoCredentials, read_headers
from farthing.gateway.identities import Identities
from farthing.gateway.keys import ADMIN_PREFIX
from farthing.gateway.refusals import reject
from farthing.gateway.reloading import Reloader
from farthing.ledger.store import Store

if TYPE_CHECKING:
    from fastapi import FastAPI

Elsewhere = Callable[[Scope, Receive, Send], Awaitable[None]]

_TOKEN_FACT = "admin_token_sha256"  # noqa: S105 - the name under which its hash is kept


def admin_sha256(store: Store, given: str | None) -> tuple[str, str | None]:
    """The hash of the admin token in force, and the token itself where it was made just now.

    given: the token of FARTHING_ADMIN_TOKEN, which wins; without it one is made at the first start.
    """
    if given:
        return sha256_text(given), None
    made = f"{ADMIN_PREFIX}-{secrets.token_urlsafe(32)}"
    kept = store.remember(_TOKEN_FACT, sha256_text(made))
    return kept, made if kept == sha256_text(made) else None


class AdminApi:
    """Checks who asks before anything of /api is served.

    The admin token sees and does everything here; a call key sees only its own calls and spend.

    elsewhere: answers paths under /api that are not ours; Ollama's /api/chat is one.
    """

    def __init__(
        self,
        running: Running,
        *,
        admin_sha256: str,
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

    def is_admin(self, scope: Scope) -> bool:
        """Whether the request carries the admin token."""
        credential = _credential(scope)
        return credential is not None and hmac.compare_digest(sha256_text(credential), self._admin_sha256)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request under /api."""
        if scope["path"] not in ("/api/docs", "/api/openapi.json"):
            identity: Identity | None = None
            admin = self.is_admin(scope)
            if not admin:
                credential = _credential(scope)
                identity = await self.identities.find(credential) if credential else None
                if identity is None:
                    rejection = reject(
                        "openai",
                        401,
                        "/api needs the admin token, or a call key for its own calls",
                        code="invalid_key",
                    )
                    await send_whole(send, rejection.status, rejection.headers, rejection.body)
                    return
            scope["farthing.admin"] = admin
            scope["farthing.identity"] = identity
        app = self._app or await self._load()
        await app(scope, receive, send)

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


def _credential(scope: Scope) -> str | None:
    try:
        return read_headers(scope["headers"], b"").credential
    except TwoCredentials:
        return None


def sha256_text(text: str) -> str:
    """The hash under which a token is kept."""
    return hashlib.sha256(text.encode()).hexdigest()
