"""What reached the simulator: every call, in memory and, before its answer begins, in a file."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from io import BufferedWriter
from pathlib import Path

import msgspec

from farthing.simulator.answering import Answer
from farthing.simulator.reply import Counts

KEPT_CALLS = 10_000

OPEN = "open"
ANSWERED = "answered"
CUT = "cut"  # we ended the connection, as told
ABANDONED = "abandoned"  # the caller left before the end


class ReceivedCall(msgspec.Struct, kw_only=True):
    """One request as it arrived; outcome is the only member that changes.

    billed: what the provider this plays would charge, whatever the answer reports.
    """

    number: int
    at_us: int
    method: str
    path: str
    query: str
    raw_headers: list[tuple[bytes, bytes]]
    raw_body: bytes
    status: int
    model: str
    streamed: bool
    billed: Counts | None
    outcome: str = OPEN

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Names in lower case, and values, in the order they came."""
        return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self.raw_headers]

    @property
    def body(self) -> str:
        """The body as text."""
        return self.raw_body.decode(errors="replace")

    def header(self, name: str) -> str | None:
        """The value of a header, by its name in lower case."""
        return next((value for known, value in self.headers if known == name), None)

    def shown(self) -> dict[str, object]:
        """The call as JSON shows it."""
        told = {name: getattr(self, name) for name in self.__struct_fields__ if not name.startswith("raw_")}
        return told | {"headers": self.headers, "body": self.body}


class Record:
    """The calls that were received, newest last, and how many there were of each kind."""

    def __init__(self, log: Path | None = None, *, kept: int = KEPT_CALLS) -> None:
        self.calls: deque[ReceivedCall] = deque(maxlen=kept)
        self.received = 0
        self.outcomes: Counter[str] = Counter()
        self.paths: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self._changed = threading.Condition()
        self._log: BufferedWriter | None = log.open("ab") if log else None

    def begin(
        self,
        *,
        method: str,
        path: str,
        query: bytes,
        headers: list[tuple[bytes, bytes]],
        body: bytes,
        answer: Answer,
    ) -> ReceivedCall:
        """Write down a call. When this returns, the log has it, even if this process is killed."""
        self.received += 1
        call = ReceivedCall(
            number=self.received,
            at_us=time.time_ns() // 1000,
            method=method,
            path=path,
            query=query.decode("latin-1"),
            raw_headers=headers,
            raw_body=body,
            status=answer.status,
            model=answer.model,
            streamed=answer.streamed,
            billed=answer.billed,
        )
        self.calls.append(call)
        self.outcomes[OPEN] += 1
        self.paths[path] += 1
        self.statuses[answer.status] += 1
        if self._log is not None:
            self._log.write(msgspec.json.encode(call.shown()) + b"\n")
            self._log.flush()
        return call

    def end(self, call: ReceivedCall, outcome: str) -> None:
        """Write down how a call ended."""
        if call.outcome == OPEN:
            call.outcome = outcome
            self.outcomes[OPEN] -= 1
            self.outcomes[outcome] += 1
            with self._changed:
                self._changed.notify_all()

    def wait_until(self, fact: Callable[[], bool], seconds: float = 5.0) -> bool:
        """Wait in another thread until a fact about calls that ended is true; tell whether it became so."""
        with self._changed:
            return self._changed.wait_for(fact, seconds)

    def reset(self) -> None:
        """Forget all calls; the log keeps them."""
        self.calls.clear()
        self.received = 0
        self.outcomes.clear()
        self.paths.clear()
        self.statuses.clear()

    def counters(self) -> dict[str, object]:
        """How many calls there were, by outcome, path and status."""
        return {
            "received": self.received,
            "outcomes": {name: count for name, count in self.outcomes.items() if count},
            "paths": dict(self.paths),
            "statuses": {str(status): count for status, count in self.statuses.items()},
        }

    def close(self) -> None:
        """Close the log."""
        if self._log is not None:
            self._log.close()
