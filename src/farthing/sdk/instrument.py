"""Reach the clients that nobody wrapped: while a fence is around, every HTTP client's model calls pass it."""

import contextvars
import os
import sys
import threading
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, cast

from farthing.domain.period import Period
from farthing.sdk.clients import FAMILIES, refuser_of
from farthing.sdk.context import active_scopes
from farthing.sdk.desk import Desk, Wishes
from farthing.sdk.transport import AsyncGuardTransport, AsyncInner, GuardTransport, Inner

if TYPE_CHECKING:
    import httpx2

# How the SDKs name themselves in their user agent.
_AGENTS = (("OpenAI/Python", "openai"), ("Anthropic", "anthropic"), ("google-genai-sdk", "google"))
_done: set[str] = set()
_lock = threading.Lock()
_guards: contextvars.ContextVar[object | None] = contextvars.ContextVar("farthing_guards", default=None)


def instrument() -> None:
    """See to it that the HTTP libraries loaded so far ask us; without a fence around they do as before."""
    for name in ("httpx2", "httpx"):
        family = sys.modules.get(name)
        if family is not None and name not in _done:
            with _lock:
                if name not in _done:
                    _wrap(family)
                    _done.add(name)
    google = sys.modules.get("google.genai._api_client")
    if google is not None and "google" not in _done:
        with _lock:
            if "google" not in _done:
                _leave_aiohttp(google)
                _done.add("google")


def _wrap(family: ModuleType) -> None:
    for client_class in (family.Client, family.AsyncClient):
        _wrap_choice(client_class)
    send, send_async = family.Client._send_single_request, family.AsyncClient._send_single_request

    def guarded_send(self: object, request: "httpx2.Request") -> object:
        token = _guards.set(_guard_for(self, request, family))
        try:
            return cast("object", send(self, request))
        finally:
            _guards.reset(token)

    async def guarded_send_async(self: object, request: "httpx2.Request") -> object:
        token = _guards.set(_guard_for(self, request, family))
        try:
            return cast("object", await send_async(self, request))
        finally:
            _guards.reset(token)

    family.Client._send_single_request = guarded_send
    family.AsyncClient._send_single_request = guarded_send_async


def _wrap_choice(client_class: type) -> None:
    choose = client_class._transport_for_url  # type: ignore[attr-defined]

    def chosen(self: object, url: object) -> object:
        guard = _guards.get()
        return guard if guard is not None else choose(self, url)

    client_class._transport_for_url = chosen  # type: ignore[attr-defined]


def _guard_for(client: object, request: "httpx2.Request", family: ModuleType) -> object | None:
    """The guard for one request of an SDK inside a fence; None where there is nothing to guard."""
    scopes = active_scopes()
    if not scopes:
        return None
    inner = client._transport_for_url(request.url)  # type: ignore[attr-defined]
    if isinstance(inner, GuardTransport | AsyncGuardTransport):
        return None
    sdk = _sdk_of(request)
    if sdk is None:
        return None
    scope = scopes[-1]  # what the fences around it say, it says too
    ledger = scope.url or os.environ.get("FARTHING_LEDGER")  # named, so that a desk is not kept beyond it
    desk = _desk(sdk, ledger, scope.environment, scope.shared)
    refuse = refuser_of(sdk)
    if isinstance(client, family.AsyncClient):
        return AsyncGuardTransport(cast("AsyncInner", inner), desk, family, refuse)
    return GuardTransport(cast("Inner", inner), desk, family, refuse)


def _sdk_of(request: "httpx2.Request") -> str | None:
    """Which SDK made a request: frameworks put their name over its user agent, but not over its version."""
    headers = request.headers
    agent = f"{headers.get('user-agent', '')} {headers.get('x-goog-api-client', '')}"
    named = next((sdk for mark, sdk in _AGENTS if mark in agent), None)
    version = headers.get("x-stainless-package-version")
    if named is not None or version is None:
        return named
    of_version = [
        sdk
        for sdk in ("openai", "anthropic")
        if getattr(sys.modules.get(sdk), "__version__", None) == version
    ]
    if not of_version:
        return None
    return of_version[-1 if "anthropic-version" in headers else 0]


@lru_cache(maxsize=256)
def _desk(sdk: str, ledger: str | None, environment: str | None, shared: bool) -> Desk:
    """One desk for all clients of an SDK that nobody wrapped; only the fences' budgets pay there."""
    return Desk(
        Wishes(
            family=FAMILIES[sdk],
            name="fence",
            limit_nanodollars=None,
            period=Period.TOTAL,
            shared=shared,
            environment=environment,
            ledger=ledger,
        )
    )


def _leave_aiohttp(google: ModuleType) -> None:
    """Inside a fence google-genai goes through its HTTP client that we see, not through aiohttp."""
    uses = google.BaseApiClient._use_aiohttp

    def uses_aiohttp(self: object) -> bool:
        return not active_scopes() and bool(uses(self))

    google.BaseApiClient._use_aiohttp = uses_aiohttp
