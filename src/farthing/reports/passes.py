"""Premium passes as people see them: who may ask for what, until when, with how much money left, and why."""

from farthing.domain.money import dollars
from farthing.domain.period import iso_utc
from farthing.domain.premium_pass import PremiumPass
from farthing.ledger.entries import account_name
from farthing.ledger.store import Store


def pass_json(store: Store, row: PremiumPass, at_us: int) -> dict[str, object]:
    """Show a pass with what is spent of it."""
    balance = store.balance(account_name(row.account, None, "total"))
    settled, held = (balance.settled, balance.held) if balance else (0, 0)
    return {
        "pass_id": row.pass_id,
        "model": row.model,
        "environment": row.environment,
        "key": row.key,
        "developer": row.developer,
        "budget_nanodollars": row.budget_nanodollars,
        "settled_nanodollars": settled,
        "held_nanodollars": held,
        "left": dollars(max(row.budget_nanodollars - settled - held, 0)),
        "at": iso_utc(row.at_us),
        "until": iso_utc(row.until_us),
        "by": row.by,
        "reason": row.reason,
        "live": row.is_live(at_us),
        "ended_at": iso_utc(row.ended_at_us) if row.ended_at_us is not None else None,
        "ended_by": row.ended_by,
        "ended_reason": row.ended_reason,
    }
