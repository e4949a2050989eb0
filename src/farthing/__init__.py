"""Governs what software spends on AI models, on one exact ledger."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from farthing.sdk.alerts import Alert
    from farthing.sdk.branch import branch_name
    from farthing.sdk.context import carry
    from farthing.sdk.errors import BudgetExceeded, CallRefused, GuardError
    from farthing.sdk.fence import Fence
    from farthing.sdk.guard import guard
    from farthing.sdk.outcome import record_outcome

__all__ = [
    "Alert",
    "BudgetExceeded",
    "CallRefused",
    "Fence",
    "GuardError",
    "__version__",
    "branch_name",
    "carry",
    "guard",
    "record_outcome",
]
__version__ = "0.1.0"

_ROOMS = {
    "guard": "farthing.sdk.guard",
    "record_outcome": "farthing.sdk.outcome",
    "Fence": "farthing.sdk.fence",
    "Alert": "farthing.sdk.alerts",
    "branch_name": "farthing.sdk.branch",
    "carry": "farthing.sdk.context",
    "BudgetExceeded": "farthing.sdk.errors",
    "CallRefused": "farthing.sdk.errors",
    "GuardError": "farthing.sdk.errors",
}


def __getattr__(name: str) -> object:
    """Import the guard when it is asked for, so that a gateway does not."""
    room = _ROOMS.get(name)
    if room is None:
        raise AttributeError(f"module 'farthing' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(room), name)
