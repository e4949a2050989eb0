"""A stop: which calls are refused until it is lifted, by whom, since when and why."""

import secrets
from collections.abc import Mapping

import msgspec

from farthing.domain.period import iso_utc

# What a stop can name besides labels, in the order people are told.
STOPPABLE = ("environment", "group", "key", "developer", "workflow", "run", "provider", "model")
LABEL = "label:"


class BadStop(ValueError):
    """A stop names something that calls do not have, or nothing at all."""


class Stop(msgspec.Struct, gc=False, frozen=True, kw_only=True, omit_defaults=True):
    """Calls that match everything it names are refused while it is live. It is kept when it is lifted.

    match: names of STOPPABLE or label:NAME, each with a value or pattern; empty matches every call.
    """

    stop_id: str
    match: Mapping[str, str]
    reason: str
    by: str
    at_us: int
    resumed_at_us: int | None = None
    resumed_by: str | None = None
    resumed_reason: str | None = None

    @property
    def is_live(self) -> bool:
        """Whether it still refuses calls."""
        return self.resumed_at_us is None

    @property
    def scope(self) -> str:
        """What is stopped, in words."""
        return scope_of(self.match)

    def __str__(self) -> str:
        """Tell what is stopped, by whom, since when and why."""
        return f"{self.scope} was stopped by {self.by} at {iso_utc(self.at_us)}: {self.reason}"


def scope_of(match: Mapping[str, str]) -> str:
    """Say in words which calls are meant: "environment ci and model gpt-4o", or "everything"."""
    named = [f"{name.replace(LABEL, 'label ')} {value}" for name, value in match.items()]
    return " and ".join(named) or "everything"


def stop_match(given: Mapping[str, str]) -> dict[str, str]:
    """Check what a stop is to match and put it in order. Raises BadStop."""
    for name, value in given.items():
        if name not in STOPPABLE and (not name.startswith(LABEL) or name == LABEL):
            raise BadStop(
                f"{name!r} is nothing that a stop can name; it can name {', '.join(STOPPABLE)}, label:NAME"
            )
        if not value.strip():
            raise BadStop(f"{name} is empty; name what to stop")
    known = {name: given[name] for name in STOPPABLE if name in given}
    return known | {name: given[name] for name in sorted(given) if name not in known}


def new_stop(match: Mapping[str, str], *, reason: str, by: str, at_us: int) -> Stop:
    """Make a stop that is not kept anywhere yet. Raises BadStop."""
    for name, text in (("reason", reason), ("by", by)):
        if not text.strip():
            raise BadStop(f"a stop needs a {name!r}: whoever is refused is told")
    stop_id = f"stop_{secrets.token_hex(4)}"
    return Stop(stop_id=stop_id, match=stop_match(match), reason=reason.strip(), by=by.strip(), at_us=at_us)
