"""The report outcomes: the calls behind an outcome, over how many outcomes there were."""

from collections.abc import Mapping
from decimal import Decimal

import pytest

from farthing.domain.outcome import RecordedOutcome
from farthing.domain.usage import Usage
from farthing.ledger.memory import MemoryStore
from farthing.ledger.outcome_sums import WantedOutcomes
from farthing.reports.asking import BadQuestion, Question
from farthing.reports.outcomes import report
from farthing.reports.sheet import Sheet
from farthing.reports.spans import Span
from farthing.scenarios.moments import DAY_US, HOUR_US, MONTH_ENDS_AT_US, MONTH_STARTS_AT_US
from farthing.scenarios.rows import Row
from farthing.scenarios.writing import write

_ALL = WantedOutcomes()
DOLLAR = 1_000_000_000
MONTH = Span(MONTH_STARTS_AT_US, MONTH_ENDS_AT_US)


@pytest.fixture
def store() -> MemoryStore:
    """Two workflows of two users in production, one in development; $12 in all."""
    opened = MemoryStore()
    spent = [
        ("production", {"workflow": "checkout", "user_id": "u1", "feature": "cart"}, 6),
        ("production", {"workflow": "support", "user_id": "u2", "feature": "chat"}, 3),
        ("production", {"user_id": "u2"}, 1),
        ("development", {"workflow": "checkout", "feature": "cart"}, 2),
    ]
    write(
        [
            Row(
                at_us=MONTH_STARTS_AT_US + number * HOUR_US, environment=environment, model_asked="gpt-4o",
                model_served="gpt-4o", usage=Usage(input_tokens=1, output_tokens=1), labels=labels,
                cost_nanodollars=dollars * DOLLAR,
            )
            for number, (environment, labels, dollars) in enumerate(spent)
        ],
        opened,
    )  # fmt: skip
    return opened


def tell(
    store: MemoryStore,
    count: int,
    name: str = "conversion",
    *,
    value: bool | Decimal | None = None,
    environment: str = "production",
    at_us: int = MONTH_STARTS_AT_US,
    **labels: str,
) -> None:
    """Tell so many outcomes that are alike."""
    for _ in range(count):
        store.add_outcome(
            RecordedOutcome(
                outcome_id=f"{name}-{len(store.outcomes(_ALL, limit=10_000))}", at_us=at_us,
                environment=environment, name=name, value=value, labels=labels,
            )
        )  # fmt: skip


def asked(store: MemoryStore, by: tuple[str, ...] = (), **given: object) -> Sheet:
    """The report over the month."""
    question = Question(store=store, span=MONTH, now_us=MONTH_ENDS_AT_US, by=by, **given)  # type: ignore[arg-type]
    return report(question)


def rows(sheet: Sheet) -> list[Mapping[str, object]]:
    """Its rows by the names of their columns."""
    return [dict(row) for row in sheet.table("outcomes").named_rows()]


def test_a_conversion_costs_the_calls_of_its_environment(store: MemoryStore) -> None:
    tell(store, 4)
    tell(store, 1, environment="development")

    assert [(row["environment"], row["cost_per_outcome_nanodollars"]) for row in rows(asked(store))] == [
        ("production", 2_500_000_000),
        ("development", 2_000_000_000),
    ]
    (only,) = rows(asked(store, environment="development"))
    assert only["cost_nanodollars"] == 2 * DOLLAR


@pytest.mark.parametrize(
    ("label", "costs"),
    [
        ("workflow", {"checkout": 3, "support": 3}),
        ("user_id", {"u1": 3, "u2": 4}),
        ("feature", {"cart": 3, "chat": 3}),
    ],
)
def test_outcomes_meet_their_calls_by_what_both_say(
    store: MemoryStore, label: str, costs: dict[str, int]
) -> None:
    tell(store, 2, workflow="checkout", user_id="u1", feature="cart")
    tell(store, 1, workflow="support", user_id="u2", feature="chat")

    told = rows(asked(store, (f"label:{label}",)))

    assert {row[f"label:{label}"]: row["cost_per_outcome_nanodollars"] for row in told} == {
        value: dollars * DOLLAR for value, dollars in costs.items()
    }


def test_only_true_outcomes_are_conversions(store: MemoryStore) -> None:
    tell(store, 2, value=True, workflow="checkout")
    tell(store, 1, value=False, workflow="checkout")
    tell(store, 1, value=False, workflow="support")

    checkout, support = rows(asked(store, ("label:workflow",), name="conversion"))

    assert (checkout["true"], checkout["cost_per_true_nanodollars"]) == (2, 3 * DOLLAR)
    assert (support["true"], support["cost_per_true_nanodollars"]) == (0, None)


def test_values_are_summed_digit_by_digit(store: MemoryStore) -> None:
    tell(store, 3, "score", value=Decimal("0.10"))

    assert rows(asked(store))[0]["total"] == "0.30"


def test_outcomes_without_calls_are_said(store: MemoryStore) -> None:
    tell(store, 2, workflow="checkout")
    tell(store, 5, workflow="chekout")

    flag = asked(store, ("label:workflow",)).flag("outcomes_without_calls")

    assert flag is not None and "5 outcomes" in flag.text and "workflow" in flag.fix
    assert asked(store).flags == ()


def test_outcomes_of_other_times_are_left_out(store: MemoryStore) -> None:
    tell(store, 1, at_us=MONTH_STARTS_AT_US - 1)
    tell(store, 2, at_us=MONTH_ENDS_AT_US - 1)

    assert [row["outcomes"] for row in rows(asked(store))] == [2]


def test_many_outcomes_end_in_the_others_and_their_calls_count_once(store: MemoryStore) -> None:
    for name in ("a", "b", "c", "d"):
        tell(store, 1, name, workflow="support")
    tell(store, 1, "z", workflow="checkout")

    *first, others = rows(asked(store, ("label:workflow",), top=2))

    assert [row["name"] for row in first] == ["z", "a"]
    assert (others["name"], others["outcomes"], others["cost_nanodollars"]) == ("(others)", 3, 3 * DOLLAR)


def test_without_outcomes_it_says_how_to_tell_them() -> None:
    sheet = asked(MemoryStore())

    assert sheet.tables == () and "record_outcome()" in sheet.notes[0]


def test_what_outcomes_cannot_be_told_by_is_said(store: MemoryStore) -> None:
    for by in (("model",), ("label:a", "label:b")):
        tell(store, 1)
        with pytest.raises(BadQuestion):
            asked(store, by)


def test_one_day_is_enough(store: MemoryStore) -> None:
    tell(store, 1)
    day = Span(MONTH_STARTS_AT_US, MONTH_STARTS_AT_US + DAY_US)

    sheet = report(Question(store=store, span=day, now_us=MONTH_STARTS_AT_US + HOUR_US))

    assert sheet.provisional
    assert rows(sheet)[0]["cost_nanodollars"] == 10 * DOLLAR
