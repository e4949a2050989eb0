"""Tell the ledger what was achieved, so that its cost can be told: the cost of one answered question."""

import os
import secrets
from collections.abc import Mapping
from decimal import Decimal

from farthing.sdk import ci
from farthing.sdk.budgets_given import labels_given
from farthing.sdk.context import active_scopes
from farthing.sdk.errors import GuardError


def record_outcome(
    name: str,
    value: bool | int | float | str | Decimal | None = None,
    labels: Mapping[str, object] | None = None,
    *,
    outcome_id: str | None = None,
    environment: str | None = None,
    ledger: str | None = None,
) -> str:
    """Keep an outcome beside the calls that led to it, and return its id once it is durable.

    value: a truth, a number (a float counts as it is shown) or nothing. labels come on top of those of
        the fences around. outcome_id: the same id is kept once, so that telling again changes nothing.
    ledger: else that of the fences around, FARTHING_LEDGER, or memory, which ends with the process.

    Raises GuardError for what cannot be kept, LedgerUnavailable where the ledger does not answer.
    """
    from farthing.config.build import clock
    from farthing.config.surroundings import developer_of_process
    from farthing.domain.labels import told_by
    from farthing.domain.outcome import BadOutcome, RecordedOutcome, check_outcome, value_given
    from farthing.sdk.runtime import runtime_for

    scopes = active_scopes()
    inner = scopes[-1] if scopes else None
    told = told_by({**(inner.labels if inner else {}), **labels_given(labels)})
    runtime = runtime_for(
        environment=environment or (inner.environment if inner else None),
        ledger=ledger or (inner.ledger if inner else None),
        policy=(),
        shared=inner is not None and inner.shared,
    )
    run = ci.run_cap()[0] if ci.is_joined(runtime.environment) else None
    if run is None and scopes and not scopes[0].shared:
        run = scopes[0].budget.name
    try:
        row = RecordedOutcome(
            outcome_id=f"out_{secrets.token_hex(12)}" if outcome_id is None else outcome_id,
            at_us=clock(),
            environment=runtime.environment,
            developer=developer_of_process(os.environ),
            name=name,
            value=value_given(value),
            labels=told.labels,
            run=told.run or run,
        )
        kept, _ = runtime.store.add_outcome(check_outcome(row))
    except BadOutcome as error:
        raise GuardError(str(error)) from error
    return kept.outcome_id
