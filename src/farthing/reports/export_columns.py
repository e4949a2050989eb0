"""The columns of an export: every member of an entry under a name of its own, in one fixed order."""

import enum
from collections.abc import Mapping, Sequence

import msgspec

from farthing.domain.money import decimal_text
from farthing.domain.usage import Usage
from farthing.ledger.entries import Entry
from farthing.reports.calls import call_json

# What a cell may hold; amounts of dollars are decimal text, so that no reader makes them inexact.
Cell = str | int | bool | None


class Kind(enum.StrEnum):
    """What a column holds, whatever format it is written in."""

    TEXT = "text"
    JSON = "json"
    COUNT = "count"
    DOLLARS = "dollars"  # nine decimals
    QUANTITY = "quantity"  # one decimal, for readers that take a whole number for another type
    YES_NO = "yes_no"
    TIME = "time"


class ExportColumn(msgspec.Struct, frozen=True):
    """One column of an export."""

    name: str
    kind: Kind


# Labels that reports know by name have a column each; all labels together have another one.
LABELS = ("feature", "workflow", "branch", "deployment", "user_id", "tier", "experiment")
_AMOUNTS = ("ceiling", "cost", "cost_asked", "overrun", "avoided")
_REQUESTS = "requests"  # the one member of usage that is no count of tokens


def _columns() -> tuple[ExportColumn, ...]:
    of_usage = [name for name in Usage.__struct_fields__ if name != _REQUESTS]
    kinds: dict[Kind, Sequence[str]] = {
        Kind.COUNT: (
            "attempt", "status", "clamped_to", "latency_ms", "first_byte_ms", "count",
            *[f"usage_{name}" for name in of_usage],
            *[f"{amount}_nanodollars" for amount in _AMOUNTS],
        ),
        Kind.DOLLARS: [f"{amount}_dollars" for amount in _AMOUNTS],
        Kind.YES_NO: ("stream", "assumed", "corrected", "tags_invalid"),
        Kind.JSON: (
            "labels", "usage_requests", "by_model", "accounts", "anomalies", "decision_rules",
            "decision_would_refuse",
        ),
        Kind.TIME: ("at",),
    }  # fmt: skip
    kind_of = {name: kind for kind, names in kinds.items() for name in names}
    names = (
        "call_id", "request_id", "attempt", "at", "environment", "claimed_environment", "group", "key",
        "developer", "wallet", *[f"label_{name}" for name in LABELS], "labels", "tags_invalid", "run",
        "prompt_hash", "dialect", "provider", "target", "model_asked", "model_served", "model_answered",
        "stream", "outcome", "assumed", "assumed_rule", "corrected", "status", "cache", "clamped_to",
        *[f"usage_{name}" for name in of_usage], "usage_requests", "by_model", "service_tier",
        *[f"{amount}_{unit}" for amount in _AMOUNTS for unit in ("nanodollars", "dollars")],
        "accounts", "price_version", "policy_digest", "latency_ms", "first_byte_ms", "anomalies", "error",
        "count", "decision_reason", "decision_rules", "decision_would_refuse",
    )  # fmt: skip
    return tuple(ExportColumn(name, kind_of.get(name, Kind.TEXT)) for name in names)


ENTRY_COLUMNS = _columns()
_NAMES = tuple(column.name for column in ENTRY_COLUMNS)
_JSON_NAMES = tuple(column.name for column in ENTRY_COLUMNS if column.kind is Kind.JSON)
_AMOUNT_NAMES = tuple((f"{amount}_nanodollars", f"{amount}_dollars") for amount in _AMOUNTS)
_LABEL_NAMES = tuple((name, f"label_{name}") for name in LABELS)
_encode = msgspec.json.Encoder().encode


def entry_cells(entry: Entry) -> list[Cell]:
    """One entry as cells in the order of the columns; what is absent or empty is None."""
    flat = flattened(call_json(entry))
    return [flat.get(name) for name in _NAMES]  # type: ignore[misc] # the columns say what each one holds


def flattened(told: Mapping[str, object]) -> dict[str, object]:
    """The members of an entry with those inside of usage, labels and decision beside them."""
    flat = dict(told)
    labels = flat["labels"]
    assert isinstance(labels, Mapping)
    for name, column in _LABEL_NAMES:
        flat[column] = labels.get(name)
    for outer in ("usage", "decision"):
        inner = flat.pop(outer)
        if isinstance(inner, Mapping):
            for name, value in inner.items():
                flat[f"{outer}_{name}"] = value
    for name in _JSON_NAMES:
        value = flat.get(name)
        flat[name] = _encode(value).decode() if value else None
    for name, column in _AMOUNT_NAMES:
        amount = flat[name]
        flat[column] = decimal_text(amount) if isinstance(amount, int) else None
    return flat
