"""What a call owes, by how it ended: each rule of the table, named as its entry names it."""

import pytest

from farthing.domain.usage import Metered, Usage
from farthing.engine.outcomes import Ending, Owed, owed
from farthing.prices.price import Price
from tests.builders import NOON_US, a_book, metered

CEILING = 7_000_000
NOTHING = Metered()


def price() -> Price:
    found = a_book().find("openai", "gpt-4o-mini", NOON_US)
    assert found is not None
    return found


def owes(
    ending: Ending, status: int | None, read: Metered, *, cancelled_usage: Usage | None = None
) -> Owed | None:
    return owed(
        ending=ending,
        status=status,
        metered=read,
        price=price(),
        price_of=lambda _: None,
        ceiling_nanodollars=CEILING,
        cancelled_usage=cancelled_usage,
    )


def test_usage_of_a_whole_answer_is_priced() -> None:
    owing = owes(Ending.ANSWERED, 200, metered(1_000, 500))

    assert owing == Owed(cost_nanodollars=450_000, usage=Usage(input_tokens=1_000, output_tokens=500))


def test_a_provider_that_was_never_reached_is_owed_nothing_and_the_hold_is_void() -> None:
    assert owes(Ending.NEVER_CONNECTED, None, NOTHING) is None


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 429, 500, 503, 529])
def test_an_error_of_the_provider_without_usage_costs_nothing(status: int) -> None:
    owing = owes(Ending.ANSWERED, status, NOTHING)

    assert owing == Owed(cost_nanodollars=0, usage=None, rule="provider_error")


@pytest.mark.parametrize("status", [502, 504, 520, 524, 408])
def test_an_error_in_front_of_the_provider_is_assumed_at_the_ceiling(status: int) -> None:
    owing = owes(Ending.ANSWERED, status, NOTHING)

    assert owing == Owed(cost_nanodollars=CEILING, usage=None, assumed=True, rule=f"status_{status}")


def test_an_error_that_reports_usage_is_owed_that_usage() -> None:
    owing = owes(Ending.ANSWERED, 500, metered(1_000, 0, complete=False))

    assert owing is not None
    assert (owing.cost_nanodollars, owing.assumed, owing.rule) == (150_000, False, "error_with_usage")


@pytest.mark.parametrize("ending", [Ending.BROKEN, Ending.TIMED_OUT, Ending.DRAIN_EXPIRED, Ending.SHUTDOWN])
def test_what_was_sent_and_never_finished_is_assumed(ending: Ending) -> None:
    owing = owes(ending, None, NOTHING)

    assert owing == Owed(cost_nanodollars=CEILING, usage=None, assumed=True, rule=ending.value)


def test_a_stream_that_breaks_after_its_first_usage_is_still_assumed() -> None:
    owing = owes(Ending.BROKEN, 200, metered(1_000, 1, complete=False))

    assert owing is not None
    assert (owing.cost_nanodollars, owing.assumed, owing.rule) == (CEILING, True, "broken")


def test_a_connection_that_breaks_after_the_whole_answer_changes_nothing() -> None:
    owing = owes(Ending.BROKEN, 200, metered(1_000, 500))

    assert owing is not None
    assert (owing.cost_nanodollars, owing.assumed) == (450_000, False)


def test_a_whole_answer_without_usage_is_assumed() -> None:
    owing = owes(Ending.ANSWERED, 200, Metered(complete=True))

    assert owing is not None
    assert (owing.cost_nanodollars, owing.rule) == (CEILING, "no_usage")


def test_garbage_with_status_200_is_assumed() -> None:
    owing = owes(Ending.ANSWERED, 200, NOTHING)

    assert owing is not None
    assert (owing.cost_nanodollars, owing.rule) == (CEILING, "cut_short")


def test_usage_of_zero_is_zero() -> None:
    owing = owes(Ending.ANSWERED, 200, metered(0, 0))

    assert owing is not None
    assert (owing.cost_nanodollars, owing.assumed) == (0, False)


def test_an_error_inside_a_stream_is_owed_its_usage_or_else_assumed() -> None:
    reported = owes(Ending.ANSWERED, 200, metered(1_000, 500, complete=False, error="provider overloaded"))
    silent = owes(Ending.ANSWERED, 200, Metered(error="provider overloaded"))

    assert reported is not None
    assert silent is not None
    assert (reported.cost_nanodollars, reported.rule) == (450_000, "error_in_stream")
    assert (silent.cost_nanodollars, silent.assumed, silent.rule) == (CEILING, True, "error_in_stream")


def test_a_cancelled_stream_owes_its_input_and_the_output_counted() -> None:
    counted = Usage(input_tokens=1_000, output_tokens=10)

    owing = owes(Ending.CANCELLED, 200, metered(1_000, 1, complete=False), cancelled_usage=counted)

    assert owing is not None
    assert (owing.cost_nanodollars, owing.assumed, owing.rule) == (156_000, True, "cancelled")


def test_a_cancelled_reasoning_model_is_assumed_because_its_thoughts_cannot_be_counted() -> None:
    owing = owes(Ending.CANCELLED, 200, NOTHING, cancelled_usage=None)

    assert owing is not None
    assert (owing.cost_nanodollars, owing.rule) == (CEILING, "cancelled")


def test_models_inside_an_answer_are_priced_at_their_own_rates() -> None:
    book = a_book()
    read = metered(1_000, 500, by_model=(("gpt-4o", Usage(input_tokens=1_000, output_tokens=0)),))

    owing = owed(
        ending=Ending.ANSWERED,
        status=200,
        metered=read,
        price=price(),
        price_of=lambda model: book.find("openai", model, NOON_US),
        ceiling_nanodollars=CEILING,
    )

    assert owing is not None
    assert owing.cost_nanodollars == 450_000 + 2_500_000


def test_a_model_inside_an_answer_without_a_price_is_named() -> None:
    read = metered(1_000, 500, by_model=(("advisor-x", Usage(input_tokens=1_000, output_tokens=0)),))

    owing = owes(Ending.ANSWERED, 200, read)

    assert owing is not None
    assert owing.cost_nanodollars == 450_000 + 150_000
    assert "advisor-x" in owing.anomalies[0]


def test_calls_that_are_never_billed_cost_nothing_however_they_end() -> None:
    owing = owed(
        ending=Ending.BROKEN,
        status=None,
        metered=NOTHING,
        price=None,
        price_of=lambda _: None,
        ceiling_nanodollars=0,
    )

    assert owing == Owed(cost_nanodollars=0, usage=None)
