"""The one call: put a budget around a client of openai, anthropic or google-genai."""

import uuid
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from farthing.domain.period import Period
from farthing.sdk.alerts import Alarm, OnAlert, on_alert_given
from farthing.sdk.budgets_given import (
    Amount,
    amount_given,
    at_limit_given,
    labels_given,
    period_given,
    share_given,
)
from farthing.sdk.clients import FAMILIES, guarded_copy, sdk_of
from farthing.sdk.desk import Desk, Wishes
from farthing.sdk.errors import GuardError

if TYPE_CHECKING:
    from farthing.sdk.report import Report

Client = TypeVar("Client")
OnLimit = Literal["raise", "stop", "warn"]
AtLimit = Literal["clamp", "refuse"]
Paths = str | PathLike[str] | Sequence[str | PathLike[str]]
_SHARED_NAME = "org"


def guard(
    client: Client,
    *,
    budget: Amount | None = None,
    downgrade_model: str | None = None,
    fallback: str | None = None,
    threshold: float = 0.8,
    workflow_id: str | None = None,
    period: str | None = None,
    environment: str | None = None,
    labels: Mapping[str, object] | None = None,
    on_limit: OnLimit = "raise",
    at_limit: AtLimit = "clamp",
    alert_at: float | None = None,
    on_alert: OnAlert | None = None,
    policy: Paths | None = None,
    ledger: str | None = None,
) -> Client:
    """Copy a client so that every call it makes is on a budget, metered at its transport.

    budget: dollars, as 2, 0.50, "$1,000.00" or Decimal; may be left out where a policy is given.
    downgrade_model: takes the place of every dearer model. fallback: does so from threshold of the
        budget, or where the model asked for does not fit.
    workflow_id: the budget is shared by all processes that name it, daily unless period says otherwise.
    environment: else FARTHING_ENV, APP_ENV, the variables of CI services; else development.
    on_limit: raise BudgetExceeded; stop with a genuine answer marked as blocked; warn and meter on.
    at_limit: what becomes of a call that could cost more than is left. clamp: its output cap is lowered
        to what fits. refuse: it is not made.
    alert_at: from this share of the budget on, a log line and on_alert, once in each window.
    policy: a farthing.yaml; its rules and budgets apply as they would at the gateway.
    ledger: a URL; else FARTHING_LEDGER, the policy's, a file of this user for shared budgets, memory.

    The copy is of the client's own class. Its ``farthing`` tells spent, remaining, held, limit, calls.
    Raises GuardError for what cannot be done. Opens nothing before the first call.
    """
    sdk = sdk_of(client)
    if on_limit not in ("raise", "stop", "warn"):
        raise GuardError(f"on_limit={on_limit!r} is not one of: raise, stop, warn")
    if at_limit_given(at_limit) == "refuse" and on_limit == "warn":
        raise GuardError("at_limit='refuse' and on_limit='warn' contradict each other; give one of them")
    if budget is None and policy is None:
        raise GuardError("give a budget, such as budget=2.00, or a policy")
    if downgrade_model and fallback and downgrade_model != fallback:
        raise GuardError("downgrade_model and fallback name two models; give one of them")
    for name, model in (("downgrade_model", downgrade_model), ("fallback", fallback)):
        if model is not None and not (isinstance(model, str) and model.strip()):
            raise GuardError(f"{name}={model!r} is not the name of a model")
    given_period = period_given(period)
    shared = workflow_id is not None or given_period is not None
    name = _name_given(workflow_id) if shared else f"guard-{uuid.uuid4().hex[:12]}"
    limit_nanodollars = None if budget is None else amount_given(budget)
    wishes = Wishes(
        family=FAMILIES[sdk],
        name=name,
        limit_nanodollars=limit_nanodollars,
        period=given_period or (Period.DAILY if shared else Period.TOTAL),
        shared=shared,
        downgrade_model=downgrade_model,
        fallback=fallback,
        threshold=share_given(threshold, what="threshold"),
        environment=environment,
        labels=labels_given(labels),
        on_limit=on_limit,
        at_limit=at_limit,
        alarm=_alarm_given(name, limit_nanodollars, alert_at, on_alert),
        policy=_paths_given(policy),
        ledger=ledger,
    )
    desk = Desk(wishes)
    return guarded_copy(client, sdk, desk)


def report_of(client: object) -> "Report":
    """The report of a guarded client, for type checkers that do not know ``client.farthing``."""
    report: Report = client.farthing  # type: ignore[attr-defined]
    return report


def _name_given(workflow_id: str | None) -> str:
    if workflow_id is None:
        return _SHARED_NAME
    name = str(workflow_id).strip()
    if not name or len(name) > 256 or not name.isprintable():
        raise GuardError(f"workflow_id={workflow_id!r} must have 1 to 256 printable characters")
    return name


def _alarm_given(
    name: str, limit_nanodollars: int | None, alert_at: float | None, on_alert: OnAlert | None
) -> Alarm | None:
    told = on_alert_given(on_alert, alert_at)
    if alert_at is None:
        return None
    if limit_nanodollars is None:
        raise GuardError("alert_at= is a share of a budget; give one, such as budget=2.00")
    share = share_given(alert_at, what="alert_at")
    return Alarm(name, share=share, limit_nanodollars=limit_nanodollars, on_alert=told)


def _paths_given(policy: Paths | None) -> tuple[Path, ...]:
    if policy is None:
        return ()
    if isinstance(policy, str | PathLike):
        return (Path(policy),)
    return tuple(Path(path) for path in policy)
