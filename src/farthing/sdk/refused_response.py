"""A refusal as an answer that raises once somebody asks whether it is a good one."""

from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import httpx2


class _Raising:
    """Raises where the SDK judges an answer, and not in the transport: what that raises, many retry."""

    refused: Exception

    def raise_for_status(self) -> object:
        """Raise the refusal: most versions ask each answer for it, and pass on what they do not know."""
        raise self.refused

    @property
    def is_success(self) -> bool:
        """Raise the refusal: the other versions ask this."""
        raise self.refused


@lru_cache(maxsize=4)
def _raising(response_class: type) -> type:
    return type("RefusedResponse", (_Raising, response_class), {})


def refused_response(family: ModuleType, error: Exception, answer: "httpx2.Response") -> "httpx2.Response":
    """Make an answer, of the family that the client stands on, that raises the error after one try."""
    made: Any = _raising(family.Response)(answer.status_code, headers=answer.headers, content=answer.content)
    made.refused = error
    return cast("httpx2.Response", made)
