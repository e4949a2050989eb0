"""Text completions: many prompts, many tries, one usage."""

from typing import Any

import pytest

from farthing.domain.usage import Usage
from tests.wire.streams import COMPLETIONS, a_meter, facts, feed_all, metered, read, sent, sse

COUNTS = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


@pytest.mark.parametrize(
    ("asked", "choices"),
    [
        ({"prompt": "a"}, 1),
        ({"prompt": "a", "n": 2, "best_of": 5}, 5),
        ({"prompt": ["a", "b", "c"], "n": 2}, 6),
        ({"prompt": [[1, 2], [3]]}, 2),
        ({"prompt": [1, 2, 3]}, 1),
        ({"prompt": []}, 1),
        ({}, 1),
    ],
)
def test_every_answer_to_every_prompt_may_use_the_whole_cap(asked: dict[str, Any], choices: int) -> None:
    assert facts(COMPLETIONS, **asked).choices == choices


def test_a_cap_is_lowered_or_inserted_and_usage_is_asked_for() -> None:
    assert sent(read(COMPLETIONS, {"max_tokens": 50}), output_cap=9)["max_tokens"] == 9
    assert sent(read(COMPLETIONS, {"max_tokens": 5}), output_cap=9)["max_tokens"] == 5
    asked = sent(read(COMPLETIONS, {"stream": True}), output_cap=9, ask_usage=True)
    assert (asked["max_tokens"], asked["stream_options"]) == (9, {"include_usage": True})


def test_whole_and_streamed_answers_tell_their_usage() -> None:
    whole = metered(COMPLETIONS, {"model": "babbage", "choices": [{"text": "hi"}], "usage": COUNTS})
    word = {"model": "babbage", "choices": [{"text": "hi"}]}
    meter = a_meter(COMPLETIONS, streamed=True, hide_usage=True, collect_text=True)
    passed = feed_all(meter, sse(word, {"choices": [], "usage": COUNTS}, "[DONE]"))

    assert whole.usage == meter.result().usage == Usage(input_tokens=10, output_tokens=5)
    assert passed == b"".join(sse(word, "[DONE]"))
    assert (meter.result().output_text, meter.result().model_answered) == ("hi", "babbage")
