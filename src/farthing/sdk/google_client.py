"""Copy a client of google-genai: its many parts share one object that holds the HTTP clients."""

import asyncio
import copy
from typing import TYPE_CHECKING, cast
from weakref import WeakKeyDictionary

from farthing.domain.errors import Refusal
from farthing.sdk.clients import guarded_http, refuser_of
from farthing.sdk.errors import CallRefused
from farthing.sdk.families import family_of
from farthing.sdk.transport import AsyncGuardTransport, AsyncInner

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx2

    from farthing.sdk.desk import Desk


class _SendThrough:
    """A whole client in the place of a transport: this SDK's own keeps one pool for each event loop."""

    def __init__(self, client: "httpx2.AsyncClient") -> None:
        self._client = client

    async def handle_async_request(self, request: "httpx2.Request") -> "httpx2.Response":
        """Send a request through the client."""
        return await self._client.send(request, stream=True, follow_redirects=False)

    async def aclose(self) -> None:
        """Close the client's connections."""
        await self._client.aclose()


class _OneForEachLoop:
    """A client for each event loop in the place of a transport: connections belong to the loop they began in.

    Older versions leave that to aiohttp, which no transport of ours would see.
    """

    def __init__(self, build: "Callable[[], httpx2.AsyncClient]") -> None:
        self._build = build
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx2.AsyncClient] = WeakKeyDictionary()

    async def handle_async_request(self, request: "httpx2.Request") -> "httpx2.Response":
        """Send a request through the client of the loop that runs."""
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            client = self._clients[loop] = self._build()
        return await client.send(request, stream=True, follow_redirects=False)

    async def aclose(self) -> None:
        """Close the connections of the loop that runs; nobody else can close those of another."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()


class ClosedEntrance:
    """An entrance that no transport sees, so that nothing of it could be metered."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        raise CallRefused(unmetered_entrance(self._what))


def unmetered_entrance(what: str) -> Refusal:
    """Say that a WebSocket cannot be metered."""
    from farthing.sdk.paths import unmetered

    return unmetered(what)


def guarded_google(client: object, desk: "Desk") -> object:
    """Copy the client with every part of it on guarded HTTP clients."""
    refuse = refuser_of("google")
    old = client._api_client  # type: ignore[attr-defined]
    api = copy.copy(old)
    api._httpx_client = guarded_http(old._httpx_client, desk, refuse)
    asynchronous = old._async_httpx_client
    if asynchronous is not None:
        api._async_httpx_client = _guarded_async(asynchronous, desk, client)
    # With an HTTP client of its own the SDK leaves aiohttp alone, which no transport of ours would see.
    api._http_options = old._http_options.model_copy(
        update={"httpx_client": api._httpx_client, "httpx_async_client": api._async_httpx_client}
    )
    guarded = _rewired(client, old, api)
    guarded.farthing = desk.report  # type: ignore[attr-defined]
    guarded.aio._live = ClosedEntrance("a live session (WebSocket)")  # type: ignore[attr-defined]
    return guarded


def _guarded_async(client: object, desk: "Desk", owner: object) -> object:
    refuse, family = refuser_of("google"), family_of(type(client))
    through: object
    if getattr(client, "_per_loop", False):
        through = _SendThrough(cast("httpx2.AsyncClient", client))
    else:
        arguments = _arguments_of_its_own(owner._api_client)  # type: ignore[attr-defined]
        if arguments is None:
            return guarded_http(client, desk, refuse)
        through = _OneForEachLoop(lambda: family.AsyncClient(**arguments))
    transport = AsyncGuardTransport(cast("AsyncInner", through), desk, family, refuse, keep=owner)
    return cast("object", family.AsyncClient(transport=transport, follow_redirects=True, timeout=None))


def _arguments_of_its_own(api: object) -> dict[str, object] | None:
    """What the SDK built its asynchronous client with; None where the user gave one, or its transport."""
    arguments: dict[str, object] | None = getattr(api, "_async_httpx_client_args", None)
    if arguments is None or "transport" in arguments or api._http_options.httpx_async_client is not None:  # type: ignore[attr-defined]
        return None
    return arguments


def _rewired(part: object, old: object, new: object) -> object:
    """Copy a part of the client, and in it every part that holds the object to be replaced."""
    copied = copy.copy(part)
    for name, value in list(vars(copied).items()):
        if value is old:
            setattr(copied, name, new)
        elif _is_part(value):
            # What was built from the old object by another generator is built anew when it is asked for.
            built = type(value).__module__.startswith("google.genai._")
            setattr(copied, name, None if built else _rewired(value, old, new))
    return copied


def _is_part(value: object) -> bool:
    return (
        type(value).__module__.startswith("google.genai")
        and hasattr(value, "__dict__")
        and ("_api_client" in vars(value) or "_gaos" in type(value).__module__)
    )
