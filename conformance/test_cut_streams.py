"""A recorded stream may be cut at any byte: what passes and what the meter knows are the same.

Each stretch of a stream is fed whole, and again in two parts for every position inside it, from the
same state of the meter. Where both passed on the same bytes and left the same state, all that follows
is the same: so every cut position is tried without reading a stream anew for each. The stretches
together are then compared with the stream in one piece.
"""

import io
import json
import pickle

import pytest

from conformance.recordings import STREAMS, Recording
from conformance.report import Report
from farthing.wire.dialect import Meter

STRETCH_BYTES = 192


@pytest.mark.parametrize("recording", STREAMS, ids=lambda recording: recording.id)
def test_cutting_a_stream_at_any_byte_changes_nothing(recording: Recording, report: Report) -> None:
    """Every position, in the meter that the gateway uses."""
    meter, whole = meter_for(recording), meter_for(recording)
    answer, passed_on = recording.answer, b""
    for start in range(0, len(answer), STRETCH_BYTES):
        stretch = answer[start : start + STRETCH_BYTES]
        before = pickle.dumps(meter)
        passed, state = meter.feed(stretch), state_of(meter)
        for cut in range(1, len(stretch)):
            other: Meter = pickle.loads(before)  # noqa: S301 - our own state
            assert other.feed(stretch[:cut]) + other.feed(stretch[cut:]) == passed, start + cut
            assert state_of(other) == state, start + cut
            report.cuts += 1
        passed_on += passed
    assert passed_on + meter.end() == whole.feed(answer) + whole.end()
    assert meter.result() == whole.result()


def meter_for(recording: Recording) -> Meter:
    """The meter of an answer, as the gateway makes it."""
    surface = recording.surface
    assert surface is not None
    body = json.dumps(recording.body).encode()
    facts = surface.dialect.read(body, model=surface.model, stream=surface.stream).facts
    content_type = recording.answer_headers.get("content-type", "")
    return surface.dialect.meter(
        facts, streamed=True, content_type=content_type, hide_usage=not facts.wants_usage
    )


def state_of(meter: Meter) -> bytes:
    """Everything a meter knows, written so that equal states are equal bytes."""
    written = io.BytesIO()
    pickler = pickle.Pickler(written, protocol=5)
    pickler.fast = True  # no references back: they depend on how a state came about
    pickler.dump(meter)
    return written.getvalue()
