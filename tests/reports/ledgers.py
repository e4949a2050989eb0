"""Ledgers in memory and questions about them, for tests of reports."""

from collections.abc import Iterable
from typing import Any

from farthing.domain.usage import Usage
from farthing.ledger.memory import MemoryStore
from farthing.ledger.store import Store
from farthing.reports.asking import Question
from farthing.reports.sheet import Sheet, Value
from farthing.reports.spans import Span
from farthing.scenarios.moments import DAY_US, MONTH_ENDS_AT_US, MONTH_STARTS_AT_US, WEEK_STARTS_AT_US
from farthing.scenarios.rows import Row
from farthing.scenarios.writing import write

MONTH = Span(MONTH_STARTS_AT_US, MONTH_ENDS_AT_US)
WEEK = Span(WEEK_STARTS_AT_US, WEEK_STARTS_AT_US + 7 * DAY_US)
DOLLAR = 1_000_000_000


def a_ledger(rows: Iterable[Row] = ()) -> MemoryStore:
    """A ledger in memory that holds these calls."""
    store = MemoryStore()
    write(rows, store)
    return store


def a_call_of(
    cost: str = "1.00",
    *,
    at_us: int = WEEK_STARTS_AT_US,
    environment: str = "development",
    model: str = "gpt-4o",
    tokens: tuple[int, int] = (1_200, 500),
    **facts: Any,
) -> Row:
    """A call that cost so many dollars."""
    whole, _, rest = cost.partition(".")
    return Row(
        at_us=at_us,
        environment=environment,
        model_asked=model,
        model_served=facts.pop("model_served", model),
        usage=None if facts.get("refused") else Usage(input_tokens=tokens[0], output_tokens=tokens[1]),
        cost_nanodollars=int(whole) * DOLLAR + int(rest.ljust(9, "0")),
        **facts,
    )


def asking(store: Store, span: Span = WEEK, **facts: Any) -> Question:
    """A question that is asked when its span is over."""
    return Question(store=store, span=span, now_us=facts.pop("now_us", span.until_us + DAY_US), **facts)


def rows_of(sheet: Sheet, table: str) -> list[dict[str, Value]]:
    """The rows of a table by the names of its columns."""
    return sheet.table(table).named_rows()


def total_of(sheet: Sheet, table: str) -> dict[str, Value]:
    """The footer of a table by the names of its columns."""
    found = sheet.table(table)
    assert found.footer is not None
    return found.named(found.footer)
