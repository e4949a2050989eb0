"""Every recorded request goes through a running gateway; its ledger says what a correct reader finds."""

import json

import pytest

from conformance.conversation import Conversations
from conformance.expected import (
    agreement_of_costs,
    answer_for_the_caller,
    cost_by_its_own_usage,
    request_for_the_provider,
    usage_in,
    usages_beside,
)
from conformance.gateway import PROVIDER_SECRET, RunningGateway
from conformance.policy import BUDGET, has_bundled_price
from conformance.recordings import (
    BACKGROUND,
    RECORDINGS,
    RECORDINGS_IN_ALL,
    REFUSED,
    SERVED,
    STREAMS,
    Recording,
)
from conformance.replay import BYTE_BY_BYTE, IN_PIECES, WHOLE
from conformance.report import Report
from farthing.prices.book import PriceBook

WITH_A_COST = [recording for recording in SERVED if recording.told.get("expected_cost_usd") is not None]


def named(recordings: list[Recording]) -> pytest.MarkDecorator:
    """Run a test for each of these, under its name."""
    return pytest.mark.parametrize("recording", recordings, ids=lambda recording: recording.id)


@named(SERVED)
def test_the_caller_receives_what_the_provider_sent(
    recording: Recording, conversations: Conversations
) -> None:
    """Status and body, byte for byte, decoded."""
    conversation = conversations.about(recording)

    (received,) = conversation.received
    assert conversation.told.status == recording.status
    assert conversation.told.body == answer_for_the_caller(recording, received)
    assert "content-encoding" not in conversation.told.headers


@named(SERVED)
def test_the_provider_receives_what_the_caller_sent(
    recording: Recording, conversations: Conversations, gateway: RunningGateway
) -> None:
    """The same members but for usage asked for and a cap inserted; never the caller's key."""
    (received,) = conversations.about(recording).received

    assert received.body == request_for_the_provider(recording, received)
    assert gateway.key_of(recording.id) not in json.dumps(received.headers)
    assert PROVIDER_SECRET in json.dumps(received.headers)


@named(SERVED)
def test_the_ledger_has_the_usage_that_a_correct_reader_finds(
    recording: Recording, conversations: Conversations, report: Report
) -> None:
    """Usage, further models, service tier."""
    entry = conversations.about(recording).entry

    assert entry is not None
    assert entry["outcome"] == "settled"
    assert usage_in(entry) in recording.usages
    assert usages_beside(entry) == recording.told.get("expected_by_model", {})
    assert entry["service_tier"] == recording.told.get("service_tier")
    report.agreed[recording.id] = recording
    if not has_bundled_price(recording):
        report.price_ours.append(recording.id)


@named(SERVED)
def test_the_cost_is_that_of_the_usage(
    recording: Recording, conversations: Conversations, book: PriceBook, report: Report
) -> None:
    """At the prices of the moment of the call; contradictions and gaps in the prices are marked."""
    entry = conversations.about(recording).entry

    assert entry is not None
    contradictions = entry["anomalies"]
    if entry["assumed"]:
        assert recording.told["expected_usage"] is None
        assert entry["cost_nanodollars"] == entry["ceiling_nanodollars"] > 0
    elif entry["usage"] is None:
        assert recording.status >= 400 or recording.told.get("expected_count") is not None
        assert entry["cost_nanodollars"] == 0
    else:
        cost = cost_by_its_own_usage(recording, entry, book)
        assert entry["cost_nanodollars"] == cost.nanodollars
        assert set(cost.anomalies) <= set(entry["anomalies"])
        contradictions = [marked for marked in entry["anomalies"] if marked not in cost.anomalies]
        if cost.anomalies:
            report.marked[recording.id] = list(cost.anomalies)
    assert bool(contradictions) == bool(recording.told.get("anomaly"))


@named(SERVED)
def test_no_call_costs_more_than_was_held_for_it(recording: Recording, conversations: Conversations) -> None:
    """So no limit can be overrun."""
    entry = conversations.about(recording).entry

    assert entry is not None
    assert entry["cost_nanodollars"] <= entry["ceiling_nanodollars"]
    assert entry["overrun_nanodollars"] == 0


@named(WITH_A_COST)
def test_the_cost_is_the_one_that_the_provider_reported(
    recording: Recording, conversations: Conversations, book: PriceBook, report: Report
) -> None:
    """At the prices of the recording day: the provider charged those, and the entry has today's."""
    entry = conversations.about(recording).entry

    assert entry is not None
    report.costs[recording.id] = agreement_of_costs(recording, entry, book)


@named([recording for recording in SERVED if recording.told.get("expected_count") is not None])
def test_counting_tokens_is_passed_on_and_costs_nothing(
    recording: Recording, conversations: Conversations
) -> None:
    """The count reaches the caller; nothing is billed."""
    conversation = conversations.about(recording)

    counted = json.loads(conversation.told.body)
    assert counted.get("input_tokens", counted.get("totalTokens")) == recording.told["expected_count"]
    assert conversation.entry is not None
    assert conversation.entry["cost_nanodollars"] == 0


@named(REFUSED)
def test_what_cannot_be_metered_is_refused_and_never_sent(
    recording: Recording, conversations: Conversations, report: Report
) -> None:
    """The provider sees nothing of it."""
    conversation = conversations.about(recording)

    assert conversation.received == ()
    if recording.why_refused == BACKGROUND:
        assert conversation.told.status == 400
        assert b"background" in conversation.told.body
    else:
        assert conversation.told.status == 404
        assert conversation.told.headers["x-farthing-refusal"] == "unmetered_path"
    report.refused[recording.id] = recording


@named(STREAMS)
@pytest.mark.parametrize("manner", [IN_PIECES, BYTE_BY_BYTE])
def test_chopping_a_stream_changes_nothing(
    recording: Recording, manner: str, conversations: Conversations, report: Report
) -> None:
    """One write for each piece, down to each byte: the same answer, and the same entry."""
    whole, chopped = conversations.about(recording, WHOLE), conversations.about(recording, manner)

    assert chopped.told.body == whole.told.body
    assert chopped.entry_without_its_moment == whole.entry_without_its_moment
    if manner == BYTE_BY_BYTE:
        report.chopped.append(recording.id)


def test_the_budget_is_the_sum_of_the_entries(conversations: Conversations, gateway: RunningGateway) -> None:
    """What is settled on the one budget is what all calls of this run cost."""
    for recording in SERVED:
        conversations.about(recording)

    assert gateway.settled_nanodollars(BUDGET) == conversations.cost_nanodollars()


def test_every_recording_is_accounted_for() -> None:
    """Served or refused by name: nothing is left out."""
    assert len(SERVED) + len(REFUSED) == len(RECORDINGS) == RECORDINGS_IN_ALL
    assert len({recording.id for recording in RECORDINGS}) == RECORDINGS_IN_ALL
