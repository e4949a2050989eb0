"""Usage can be where it belongs, elsewhere, wrong or nowhere."""

import json

import pytest

from tests.simulator.callers import (
    ARRAY,
    CHAT,
    COMPLETIONS,
    GENERATE,
    MESSAGES,
    RESPONSES,
    STREAM,
    Caller,
    Heard,
    Json,
)

WHOLE = (CHAT, RESPONSES, COMPLETIONS, MESSAGES, GENERATE)
STREAMS = (CHAT, RESPONSES, COMPLETIONS, MESSAGES, STREAM)


def usages(event: Json) -> list[Json]:
    """Every usage an event reports, wherever in it."""
    places = (event, event.get("message"), event.get("response"), event.get("x_groq"))
    found = [place.get(name) for place in places if place for name in ("usage", "usageMetadata")]
    return [usage for usage in found if usage]


def reports(heard: Heard) -> list[int]:
    """The numbers of the events that report usage."""
    return [number for number, event in enumerate(heard.objects()) if usages(event)]


def test_a_chat_stream_reports_only_when_asked(caller: Caller) -> None:
    unasked = caller.say("hello", stream=True)
    asked = caller.say("hello", stream=True, stream_options={"include_usage": True})

    assert reports(unasked) == []
    assert all("usage" not in event for event in unasked.objects())
    assert reports(asked) == [len(asked.objects()) - 1]
    assert asked.objects()[-1]["choices"] == []
    assert all(event["usage"] is None for event in asked.objects()[:-1])


def test_a_chat_stream_can_report_unasked(caller: Caller) -> None:
    heard = caller.say("[[sim usage_unasked]]", stream=True)

    assert reports(heard) == [len(heard.objects()) - 1]


@pytest.mark.parametrize("path", WHOLE)
def test_a_whole_answer_can_lack_usage(caller: Caller, path: str) -> None:
    assert not usages(caller.say("[[sim no_usage]]", path).json())
    assert usages(caller.say("hello", path).json())


@pytest.mark.parametrize("path", STREAMS)
def test_a_stream_can_lack_usage(caller: Caller, path: str) -> None:
    asked = {"stream_options": {"include_usage": True}} if path in (CHAT, COMPLETIONS) else {}

    heard = caller.say("[[sim no_usage]]", path, stream=path in WHOLE, **asked)

    assert reports(heard) == []


@pytest.mark.parametrize("path", STREAMS)
def test_a_stream_can_report_in_its_first_event_alone(caller: Caller, path: str) -> None:
    heard = caller.say("[[sim usage_first output=33]]", path, stream=path in WHOLE)

    assert reports(heard) == [0]
    (usage,) = usages(heard.objects()[0])
    assert 33 in usage.values()


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS, STREAM])
def test_a_stream_can_report_in_every_event(caller: Caller, path: str) -> None:
    heard = caller.say("[[sim usage_every chunks=3]]", path, stream=path in WHOLE)

    assert reports(heard) == list(range(len(heard.objects())))


def test_an_older_groq_stream_reports_in_a_member_of_its_own(caller: Caller) -> None:
    heard = caller.say("[[sim usage_x_groq output=5]]", stream=True)

    assert reports(heard) == [len(heard.objects()) - 1]
    assert heard.objects()[-1]["x_groq"]["usage"]["completion_tokens"] == 5


@pytest.mark.parametrize("path", WHOLE)
def test_zero_is_reported_as_zero(caller: Caller, path: str) -> None:
    (usage,) = usages(caller.say("[[sim zero_usage]]", path).json())

    counts = [count for count in usage.values() if isinstance(count, int)]
    assert len(counts) >= 2
    assert set(counts) == {0}


def test_usage_can_contradict_itself(caller: Caller) -> None:
    (chat,) = usages(caller.say("[[sim usage_contradictory]]").json())
    messages = caller.say("[[sim usage_contradictory output=40]]", MESSAGES, stream=True)

    assert chat["prompt_tokens_details"]["cached_tokens"] > chat["prompt_tokens"]
    assert chat["total_tokens"] < chat["prompt_tokens"]
    start, end = (usages(messages.objects()[number])[0] for number in reports(messages))
    assert (start["output_tokens"], end["output_tokens"]) == (40, 0)


def test_a_gemini_stream_without_sse_is_one_array_with_the_same_members(caller: Caller) -> None:
    array = json.loads(caller.say("hello", ARRAY).body)
    events = caller.say("hello", STREAM).objects()

    assert array == events


def test_the_input_grows_to_hold_its_cached_share(caller: Caller) -> None:
    (usage,) = usages(caller.say("[[sim cached=5000 cache_write=600]]").json())

    assert usage["prompt_tokens"] == 5600
    assert usage["prompt_tokens_details"] == {
        "cached_tokens": 5000,
        "audio_tokens": 0,
        "cache_write_tokens": 600,
    }


def test_a_call_can_be_made_to_cost_a_round_sum(caller: Caller) -> None:
    heard = caller.say("[[sim input=0 output=333333]]")

    (usage,) = usages(heard.json())
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (0, 333_333)
    assert len(heard.body) < 20_000  # nobody needs to read them all


def test_a_provider_can_overrun_the_cap(caller: Caller) -> None:
    (usage,) = usages(caller.say("[[sim output=90 ignore_cap]]", max_tokens=10).json())

    assert usage["completion_tokens"] == 90
