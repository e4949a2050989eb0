"""Hold each recorded conversation once through the gateway, and keep what came of it for every question."""

import json
from dataclasses import dataclass

from conformance.gateway import RunningGateway, Told
from conformance.recordings import Json, Recording
from conformance.replay import MANNER, WHOLE, Received, Replay

# What differs between two calls that are otherwise the same.
_OF_ONE_CALL = ("call_id", "request_id", "at", "latency_ms", "first_byte_ms")


@dataclass(frozen=True)
class Conversation:
    """What the caller got, what the provider got, and what the ledger says; no entry where it was refused."""

    told: Told
    received: tuple[Received, ...]
    entry: Json | None

    @property
    def entry_without_its_moment(self) -> Json:
        """The entry, without what differs between two calls that are otherwise the same."""
        assert self.entry is not None
        return {name: value for name, value in self.entry.items() if name not in _OF_ONE_CALL}


class Conversations:
    """All conversations of a run."""

    def __init__(self, gateway: RunningGateway, replay: Replay, anybody: str) -> None:
        self._gateway = gateway
        self._replay = replay
        self._anybody = anybody
        self._held: dict[tuple[str, str], Conversation] = {}

    def about(self, recording: Recording, manner: str = WHOLE) -> Conversation:
        """Send the recorded request, unless that was done already in this manner."""
        key = (recording.id, manner)
        if key not in self._held:
            self._held[key] = self._hold(recording, manner)
        return self._held[key]

    def cost_nanodollars(self) -> int:
        """What all of them cost together, by their entries."""
        entries = (held.entry for held in self._held.values())
        return sum(int(entry["cost_nanodollars"]) for entry in entries if entry is not None)

    def _hold(self, recording: Recording, manner: str) -> Conversation:
        environment = self._anybody if recording.why_refused else recording.id
        headers = recording.headers | {
            "authorization": f"Bearer {self._gateway.key_of(environment)}",
            "content-type": recording.headers.get("content-type", "application/json"),
            MANNER: manner,
        }
        arrived = self._replay.received[recording.id]
        before = len(arrived)
        body = json.dumps(recording.body).encode() if recording.body is not None else b""
        told = self._gateway.ask(recording.method, recording.path, headers, body)
        call_id = told.headers.get("x-farthing-call-id")
        return Conversation(
            told=told,
            received=tuple(arrived[before:]),
            entry=self._gateway.entry(call_id) if call_id else None,
        )
