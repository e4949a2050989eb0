"""Guarded clients for tests: made or taken, on the budget of the test, closed at its end."""

from collections.abc import Callable
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, overload

from farthing.sdk.errors import GuardError
from farthing.sdk.fenced_test import ENVIRONMENT
from farthing.sdk.guard import guard

if TYPE_CHECKING:
    import openai

Client = TypeVar("Client")


class ClientMaker:
    """What the fixture farthing_client is: call it with a client, or with none for openai.OpenAI()."""

    def __init__(self, budget: Decimal) -> None:
        self._budget = budget
        self._close: list[Callable[[], object]] = []

    @overload
    def __call__(self, client: Client, **wishes: Any) -> Client: ...  # noqa: ANN401 - as guard takes them

    @overload
    def __call__(self, client: None = None, **wishes: Any) -> "openai.OpenAI": ...  # noqa: ANN401

    def __call__(self, client: object = None, **wishes: Any) -> object:
        """Guard a client; wishes are guard's own arguments, the budget is the test's unless told.

        Raises GuardError for what guard cannot do, and without a client where openai is not installed.
        """
        if client is None:
            client = _openai()
            self._close.append(client.close)
        return guard(client, **{"budget": self._budget, "environment": ENVIRONMENT, **wishes})

    def __enter__(self) -> "ClientMaker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for close in self._close:
            close()


def _openai() -> "openai.OpenAI":
    try:
        import openai
    except ImportError as error:
        raise GuardError(
            "farthing_client() makes a client of openai, which is not installed; "
            "give it yours: farthing_client(anthropic.Anthropic())"
        ) from error
    return openai.OpenAI()
