"""Which HTTP library a client stands on: httpx2, or httpx before it."""

import sys
from types import ModuleType

from farthing.sdk.errors import GuardError

_NAMES = ("httpx2", "httpx")


def family_of(client_class: type) -> ModuleType:
    """The library whose client a class is.

    Raises GuardError for a class of neither.
    """
    for kind in client_class.__mro__:
        name = kind.__module__.partition(".")[0]
        if name in _NAMES:
            return sys.modules[name]
    raise GuardError(f"{client_class.__name__} stands on no HTTP library known here (httpx2, httpx)")
