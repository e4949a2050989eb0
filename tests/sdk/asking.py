"""Ways to ask, and to read what a guard has booked."""

from collections.abc import Callable
from typing import Any

from farthing import guard
from farthing.ledger.entries import Entry
from farthing.sdk.desk import Desk
from farthing.sdk.report import Report


def report_of(client: Any) -> Report:
    report: Report = client.farthing
    return report


def desk_of(client: Any) -> Desk:
    """The desk behind a guarded client of openai or anthropic."""
    desk: Desk = client._client._transport.desk
    return desk


def entries_of(client: Any) -> list[Entry]:
    """What the ledger has of a guard's calls, newest first."""
    desk = desk_of(client)
    rows = desk.runtime.store.entries(limit=1000)
    return [row for row in rows if row.facts.key == desk.wishes.name]


def messages(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


Guarded = Callable[..., Any]
__all__ = ["desk_of", "entries_of", "guard", "messages", "report_of"]
