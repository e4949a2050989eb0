"""The audit as people see it: who did what when, from what to what, and why."""

from farthing.domain.period import iso_utc
from farthing.ledger.auditing import Act


def act_json(act: Act) -> dict[str, object]:
    """Show an act."""
    return {
        "at": iso_utc(act.at_us),
        "by": act.by,
        "action": act.action,
        "about": act.about,
        "from": act.before,
        "to": act.after,
        "reason": act.reason,
    }
