"""How each SDK's client is copied with the guard at its transport; the copy is of the very same class."""

import copy
import re
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar, cast

from farthing.sdk.errors import CallRefused, GuardError
from farthing.sdk.families import family_of
from farthing.sdk.transport import AsyncGuardTransport, AsyncInner, GuardTransport, Inner, Refuser

if TYPE_CHECKING:
    from farthing.sdk.desk import Desk
    from farthing.sdk.report import Report

Client = TypeVar("Client")


class _ClosedAddress:
    """The address of WebSockets, which no transport sees: whoever reads it is told so."""

    @property
    def __class__(self) -> type:
        from farthing.sdk.paths import unmetered

        raise CallRefused(unmetered("a WebSocket"))

    @__class__.setter
    def __class__(self, _: type) -> None:
        raise TypeError("this address stays closed")

    def __reduce__(self) -> "tuple[type[_ClosedAddress], tuple[()]]":
        return (_ClosedAddress, ())  # whoever copies or pickles a client does not ask for the address


class _Reported:
    """The report of a client, read off its transport: a copy has it too, however it was made."""

    def __get__(self, client: object, _: type | None = None) -> "Report":
        transport = getattr(getattr(client, "_client", None), "_transport", None)
        if isinstance(transport, GuardTransport | AsyncGuardTransport):
            return transport.desk.report
        raise AttributeError("only a client that guard() returned, or a copy of it, has a report")


def sdk_of(client: object) -> str:
    """Which SDK a client is of: openai, anthropic or google.

    Raises GuardError for anything else, naming the clients that can be guarded.
    """
    for kind in type(client).__mro__:
        top = kind.__module__.partition(".")[0]
        if top in ("openai", "anthropic"):
            return top
        if kind.__module__.startswith("google.genai"):
            return "google"
    raise GuardError(
        f"{type(client).__module__}.{type(client).__qualname__} cannot be guarded; give a client of openai, "
        "anthropic or google-genai, or send its calls through a gateway (farthing serve)"
    )


# Older ones hide their transport (Gemini's stood on requests) or retry a refusal; nobody tries them here.
_OLDEST = {"openai": "1.40", "anthropic": "0.34", "google.genai": "1.10"}
FAMILIES = {"openai": "openai", "anthropic": "anthropic", "google": "gemini"}


def guarded_copy(client: Client, sdk: str, desk: "Desk") -> Client:
    """Copy a client with the guard in place; the original stays as it was."""
    _check_age("google.genai" if sdk == "google" else sdk)
    if sdk == "google":
        from farthing.sdk.google_client import guarded_google

        return cast("Client", guarded_google(client, desk))
    return cast("Client", _guarded_stainless(client, sdk, desk))


def _check_age(package: str) -> None:
    version, oldest = str(sys.modules[package].__version__), _OLDEST[package]
    if _numbers(version) < _numbers(oldest):
        raise GuardError(
            f"{package} {version} cannot be guarded: {oldest} is the oldest that can; upgrade it, "
            "or send its calls through a gateway (farthing serve)"
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


def _guarded_stainless(client: object, sdk: str, desk: "Desk") -> object:
    """Openai and anthropic were made by one generator: copy takes another HTTP client."""
    guarded = client.copy(http_client=guarded_http(client._client, desk, refuser_of(sdk)))  # type: ignore[attr-defined]
    if hasattr(guarded, "websocket_base_url"):
        guarded.websocket_base_url = _ClosedAddress()  # what a transport cannot see is closed
    base = next(kind for kind in type(client).__mro__ if kind.__name__ == "BaseClient")
    if "farthing" not in vars(base):
        base.farthing = _Reported()  # type: ignore[attr-defined]
    return cast("object", guarded)


def refuser_of(sdk: str) -> Refuser:
    """How an SDK is told no."""
    if sdk == "openai":
        from farthing.sdk.openai_errors import refuse as by_openai

        return by_openai
    if sdk == "anthropic":
        from farthing.sdk.anthropic_errors import refuse as by_anthropic

        return by_anthropic
    from farthing.sdk.google_errors import refuse as by_google

    return by_google


def guarded_http(client: object, desk: "Desk", refuse: Refuser) -> object:
    """Copy an HTTP client, its hooks, proxies and time-outs included, with guards around its transports."""
    family = family_of(type(client))
    is_async = isinstance(client, family.AsyncClient)
    transport, mounts = getattr(client, "_transport", None), getattr(client, "_mounts", None)
    if transport is None or mounts is None:
        raise GuardError(
            f"{type(client).__name__} hides its transport; give the SDK a plain client of {family.__name__}"
        )
    if isinstance(transport, GuardTransport | AsyncGuardTransport):
        raise GuardError("this client is guarded already; use a Fence for a budget inside another")

    def around(inner: object) -> object:
        if is_async:
            return AsyncGuardTransport(cast("AsyncInner", inner), desk, family, refuse, keep=client)
        return GuardTransport(cast("Inner", inner), desk, family, refuse, keep=client)

    guarded = copy.copy(client)
    guarded.__class__ = _not_closed_when_collected(type(client))  # type: ignore[arg-type]  # it has a hash
    guarded._transport = around(transport)  # type: ignore[attr-defined]
    guarded._mounts = {  # type: ignore[attr-defined]
        pattern: around(mounted) if mounted is not None else None for pattern, mounted in mounts.items()
    }
    return guarded


@lru_cache(maxsize=64)
def _not_closed_when_collected(client_class: type) -> type:
    """The class of a copied HTTP client: its connections belong to the original, which may be in use.

    Whoever closes the copy closes them all the same, as with the SDKs' own copies.
    """

    def as_its_own_class(self: object, _: object) -> tuple[object, ...]:
        return _unfilled, (client_class,), vars(self)  # nobody finds the class made here by its name

    manners = {"__del__": lambda _: None, "__reduce_ex__": as_its_own_class}
    return type(client_class.__name__, (client_class,), manners)


def _unfilled(client_class: type[object]) -> object:
    return object.__new__(client_class)
