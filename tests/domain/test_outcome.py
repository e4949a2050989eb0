"""What an outcome may be: values are exact or refused, texts are short and printable."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.domain.outcome import (
    BadOutcome,
    RecordedOutcome,
    add_exactly,
    check_outcome,
    value_from,
    value_given,
    value_text,
)


@pytest.mark.parametrize(
    ("given", "value"),
    [
        (None, None),
        (True, True),
        (False, False),
        (3, Decimal(3)),
        (-3, Decimal(-3)),
        (0.1, Decimal("0.1")),
        (1 / 3, Decimal("0.3333333333333333")),
        (1e-7, Decimal("0.0000001")),
        ("12.50", Decimal("12.50")),
        (" 7 ", Decimal(7)),
        (Decimal("0.1234567890123456789"), Decimal("0.1234567890123456789")),
    ],
)
def test_a_value_is_kept_as_it_was_given(given: object, value: Decimal | bool | None) -> None:
    assert value_given(given) == value
    assert type(value_given(given)) is type(value)
    assert value_from(value_text(value_given(given))) == value


@pytest.mark.parametrize(
    "given",
    ["", "many", "$5", "true", float("nan"), float("inf"), "-inf", "1e99", "1e-99", 10**64, [], {}, b"1"],
)
def test_what_is_no_exact_number_is_refused(given: object) -> None:
    with pytest.raises(BadOutcome):
        value_given(given)


@given(
    st.floats(allow_nan=False, allow_infinity=False, min_value=-1e30, max_value=1e30).filter(
        lambda x: abs(x) > 1e-30
    )
)
def test_every_usual_float_comes_back_as_itself(number: float) -> None:
    kept = value_from(value_text(value_given(number)))
    assert isinstance(kept, Decimal)
    assert float(kept) == number


def test_sums_lose_nothing() -> None:
    large, small = Decimal(10) ** 60, Decimal("0." + "0" * 50 + "1")
    assert add_exactly(add_exactly(large, small), -large) == small


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": " "},
        {"name": "x" * 65},
        {"name": "a\nb"},
        {"outcome_id": ""},
        {"outcome_id": "x" * 129},
        {"labels": {f"l{number}": "x" for number in range(21)}},
        {"labels": {"": "x"}},
        {"labels": {"x": "y" * 257}},
        {"labels": {"x": "a\0b"}},
        {"run": "a\0b"},
    ],
)
def test_texts_are_short_and_printable(changes: dict[str, object]) -> None:
    known: dict[str, object] = {"outcome_id": "o", "at_us": 1, "environment": "ci", "name": "resolved"}
    check_outcome(RecordedOutcome(**known))  # type: ignore[arg-type]
    with pytest.raises(BadOutcome):
        check_outcome(RecordedOutcome(**(known | changes)))  # type: ignore[arg-type]
