"""Let the budgets of a policy pay for the calls of a scenario, so that both say the same."""

from collections.abc import Iterable, Iterator

import msgspec

from farthing.domain.call import Call, Identity, RequestFacts
from farthing.domain.period import RUN_WINDOW
from farthing.engine.offers import new_money_claim
from farthing.ledger.entries import AtShort, Claim
from farthing.policy.payers import Payers
from farthing.policy.rules import Candidate, Payer, Policy, Target
from farthing.scenarios.rows import Row


def paid_by(rows: Iterable[Row], policy: Policy) -> Iterator[Row]:
    """The same rows, each booked to every budget that covers it.

    What happened stays as it was: a budget that it does not fit into shows an overrun. A budget of
    each run is left out, unless the row has it; there would be an account for every run.
    """
    payers, claims = Payers(policy), dict[tuple[str, str | None, str], Claim]()
    for row in rows:
        if row.cached or row.refused is not None:
            yield row
            continue
        paying = []
        for payer in payers.of(_call(row), _candidate(row)):
            of = payer.budget.name, payer.value, payer.window.key
            claim = claims.get(of) or claims.setdefault(of, _claim(payer))
            own = row.account is not None and claim.account == row.account.account
            if not own and not claim.window.startswith(RUN_WINDOW):
                paying.append(claim)
        yield row._replace(payers=tuple(paying))


def _claim(payer: Payer) -> Claim:
    return msgspec.structs.replace(new_money_claim(payer, whole=False), at_short=AtShort.PASS)


def _call(row: Row) -> Call:
    who = Identity(environment=row.environment, key=row.key, group=row.group, developer=row.developer)
    return Call(
        call_id="",
        request_id="",
        at_us=row.at_us,
        identity=who,
        facts=RequestFacts(dialect="openai.chat", model=row.model_asked),
        labels=row.labels,
        run=row.run,
    )


def _candidate(row: Row) -> Candidate:
    target = Target(id=row.provider, provider=row.provider)
    return Candidate(target=target, model=row.model_served or row.model_asked)
