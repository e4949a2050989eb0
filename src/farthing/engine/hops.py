"""The next attempt of a call whose target failed: whether there is one, and what it knows of those before."""

import msgspec

from farthing.domain.call import Call
from farthing.domain.period import MICROSECONDS
from farthing.engine.call_ids import new_call_id
from farthing.engine.grant import Grant
from farthing.engine.terms import Terms
from farthing.policy.routing import Hop


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """What to authorize next: the call under an id of its own, and the targets that are out."""

    call: Call
    terms: Terms


def next_attempt(first: Call, grant: Grant, why: str, *, now_us: int) -> Attempt | None:
    """The attempt after a failed one; None where no target, attempt or patience is left.

    first: the call as it was first made; every rule decides about it anew.
    """
    route, number = grant.route, grant.call.attempt
    if not grant.others_remain or number >= route.attempts:
        return None
    if now_us - first.at_us >= route.patience_seconds * MICROSECONDS:
        return None
    before = grant.terms.hop
    tried = (*(before.tried if before else ()), grant.target.id)
    replace = msgspec.structs.replace
    return Attempt(
        call=replace(first, call_id=new_call_id(now_us), at_us=now_us, attempt=number + 1),
        terms=replace(grant.terms, hop=Hop(tried, why)),
    )
