"""What labels say besides themselves: the run a call belongs to, and an environment that is only claimed."""

from collections.abc import Mapping

import msgspec

_RUN = "run"
_ENVIRONMENT = ("env", "environment")


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """The labels of a call, without those that have a place of their own.

    claimed_environment: what the caller says; what counts is the environment of its key or process.
    """

    labels: Mapping[str, str]
    run: str | None = None
    claimed_environment: str | None = None


def told_by(labels: Mapping[str, str]) -> Told:
    """Sort labels into what they say. Both doors ask here, so that a budget for each run is one at either."""
    kept = dict(labels)
    claimed = next((kept.pop(name) for name in _ENVIRONMENT if name in kept), None)
    return Told(labels=kept, run=kept.pop(_RUN, None) or None, claimed_environment=claimed)
