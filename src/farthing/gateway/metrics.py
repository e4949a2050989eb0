"""Counters of one worker and gauges from the ledger, in the Prometheus text format."""

from collections import Counter
from collections.abc import Iterable

from farthing.domain.errors import Reason
from farthing.domain.money import decimal_text
from farthing.engine.governor import Governor
from farthing.engine.outcomes import Ending
from farthing.engine.routes import TargetStanding
from farthing.ledger.entries import Balance, Unit
from farthing.ledger.store import Store


class Counters:
    """What one worker process has seen since it started."""

    def __init__(self) -> None:
        self.open_calls = 0
        self.cached = 0
        self.bad_requests = 0
        self.callers_left = 0
        self.internal_errors = 0
        self.refused: Counter[Reason] = Counter()
        self.ended: Counter[Ending] = Counter()


def exposition(counters: Counters, governor: Governor, store: Store, *, worker: int, now_us: int) -> str:
    """Write all metrics. Counters carry the worker that counted; money comes from the ledger itself."""
    lines: list[str] = []
    mark = f'worker="{worker}"'
    _family(lines, "farthing_open_calls", "gauge", "Calls in flight", [(mark, str(counters.open_calls))])
    _family(
        lines,
        "farthing_calls_total",
        "counter",
        "Calls forwarded, by how the exchange ended",
        [(f'{mark},ending="{ending}"', str(count)) for ending, count in counters.ended.items()],
    )
    _family(
        lines,
        "farthing_calls_cached_total",
        "counter",
        "Calls answered from the response cache",
        [(mark, str(counters.cached))],
    )
    _family(
        lines,
        "farthing_refusals_total",
        "counter",
        "Calls refused, by reason",
        [(f'{mark},reason="{reason}"', str(count)) for reason, count in counters.refused.items()],
    )
    _family(
        lines,
        "farthing_bad_requests_total",
        "counter",
        "Requests that could not be read",
        [(mark, str(counters.bad_requests))],
    )
    _family(
        lines,
        "farthing_callers_left_total",
        "counter",
        "Callers that left in the middle of a stream",
        [(mark, str(counters.callers_left))],
    )
    _family(
        lines,
        "farthing_internal_errors_total",
        "counter",
        "Errors of the gateway's own",
        [(mark, str(counters.internal_errors))],
    )
    _family(
        lines,
        "farthing_opened_without_ledger_total",
        "counter",
        "Calls let through without a hold because the ledger could not answer",
        [(mark, str(governor.opened_without_ledger))],
    )
    _family(
        lines,
        "farthing_settlements_waiting",
        "gauge",
        "Settlements the ledger has not taken yet",
        [(mark, str(governor.settlements_waiting))],
    )
    _targets(lines, mark, governor.routes.standing(now_us))
    _money(lines, store.balances(current_at_us=now_us))
    return "\n".join(lines) + "\n"


def _targets(lines: list[str], mark: str, targets: Iterable[TargetStanding]) -> None:
    rows = [(f'{mark},target="{_escape(target.target)}"', target) for target in targets]
    for name, kind, text, values in (
        ("attempts_total", "counter", "Calls sent to a target", [row.attempts for _, row in rows]),
        ("failures_total", "counter", "Calls that a target failed", [row.failures for _, row in rows]),
        ("resting", "gauge", "Whether others are tried first", [int(row.resting) for _, row in rows]),
    ):
        samples = [(labels, str(value)) for (labels, _), value in zip(rows, values, strict=True)]
        _family(lines, f"farthing_target_{name}", kind, text, samples)


def _money(lines: list[str], balances: Iterable[Balance]) -> None:
    rows = [
        (
            f'budget="{_escape(balance.budget)}",value="{_escape(balance.value or "")}",'
            f'window="{_escape(balance.window)}"',
            balance,
        )
        for balance in balances
        if balance.unit is Unit.NANODOLLARS
    ]
    for name, text, amounts in (
        ("spent", "Money settled in the current window", [row.settled for _, row in rows]),
        ("held", "Money held by calls in flight", [row.held for _, row in rows]),
        ("limit", "Limit of the current window", [row.limit for _, row in rows]),
    ):
        samples = [(mark, decimal_text(amount)) for (mark, _), amount in zip(rows, amounts, strict=True)]
        _family(lines, f"farthing_budget_{name}_usd", "gauge", text, samples)


def _family(lines: list[str], name: str, kind: str, text: str, samples: list[tuple[str, str]]) -> None:
    lines.append(f"# HELP {name} {text}")
    lines.append(f"# TYPE {name} {kind}")
    lines.extend(f"{name}{{{mark}}} {value}" for mark, value in samples)


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
