"""Turn candidates into offers: what each can cost at most, and which accounts must pay."""

from collections.abc import Callable, Iterator, Sequence

import msgspec

from farthing.domain.call import Call
from farthing.domain.errors import BadRequest, Reason, Refusal
from farthing.domain.money import NANODOLLARS_PER_DOLLAR, dollars
from farthing.ledger.entries import AtShort, Claim, Need, Offer, Unit, account_name
from farthing.policy.decide import OBSERVED, Proposal, limits, payers
from farthing.policy.payers import FIXED_FACTS
from farthing.policy.rules import (
    AtLimit,
    Candidate,
    Counted,
    Environment,
    Kept,
    Payer,
    Policy,
    Target,
    Unbounded,
    Unpriced,
)
from farthing.prices.book import PriceBook
from farthing.prices.cost import ceiling
from farthing.prices.facts import ModelFacts
from farthing.prices.price import Price

# A clamped answer shorter than this is of no use to anybody.
OUTPUT_FLOOR = 256
# A reasoning model spends its cap on thinking first: below this the caller pays for an empty answer.
REASONING_FLOOR = 4_096
# Bounds where our own table knows no better.
OUTPUT_MAX_UNKNOWN = 4_096
CONTEXT_UNKNOWN = 2_000_000
# Values of a label that have an account of their own in one window of a budget; later ones share one.
LABEL_VALUES_MAX = 10_000
# A call that could cost more is a mistake, and sums of such amounts are more than a ledger can hold.
CEILING_NANODOLLARS_MAX = 1_000_000 * NANODOLLARS_PER_DOLLAR
# Tokens that providers add around tools and messages and that stand in no body (stated, generous).
HIDDEN_TOKENS = 32
HIDDEN_TOKENS_WITH_TOOLS = 1_024

_AT_SHORT = {
    AtLimit.CLAMP: AtShort.CLAMP,
    AtLimit.REFUSE: AtShort.REFUSE,
    AtLimit.DOWNGRADE: AtShort.REFUSE,  # the cheaper model is the next offer
    AtLimit.OVERRUN: AtShort.PASS,
    AtLimit.OBSERVE: AtShort.PASS,
}

# The window of a limit that holds for each call by itself.
ONE_CALL = "call"

_CLAIMS_REMEMBERED = 10_000
_money_claims: dict[tuple[object, ...], Claim] = {}

FAMILY_PROVIDERS = {"openai": "openai", "anthropic": "anthropic", "gemini": "google"}


# How many tokens of a vocabulary the input is; None where it cannot be counted.
Count = Callable[[str], int | None]


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate with its price: everything needed to send it, bound it and settle it.

    price: None where nothing is billed (a mock, counting tokens, or costs that are not tracked).
    input_tokens: the bound that the ceiling stands on; counted: it is an exact count.
    output_cap: what must be sent upstream as the cap even if nothing is clamped; None leaves it.
    """

    candidate: Candidate
    price: Price | None
    facts: ModelFacts
    input_tokens: int
    output_cap: int | None
    counted: bool = False


def priced_provider(prices: PriceBook, target: Target, model: str, family: str) -> str:
    """The provider whose price list holds for a model at a target; a simulator charges like the real one."""
    if not target.simulated or target.stands_for is not None:
        return target.billed_as
    known = prices.known(model)
    usual = FAMILY_PROVIDERS[family]
    return usual if usual in known or not known else known[0]


def quote(
    call: Call,
    candidate: Candidate,
    environment: Environment,
    policy: Policy,
    prices: PriceBook,
    *,
    count: Count | None = None,
) -> Quote | Refusal:
    """Price one candidate and bound it, or say why it cannot be bounded."""
    facts = call.facts
    family = facts.dialect.partition(".")[0]
    provider = priced_provider(prices, candidate.target, candidate.model, family)
    model = prices.facts(provider, candidate.model)
    observes = environment.at_limit is AtLimit.OBSERVE
    price: Price | None = None
    if policy.cost_tracked and not facts.free and not candidate.target.mock:
        price = prices.find(provider, candidate.model, call.at_us, service_tier=facts.service_tier)
        if price is None and (environment.unpriced is Unpriced.DEAREST or observes):
            price = prices.dearest(provider, call.at_us)
            if environment.unpriced is Unpriced.REFUSE:
                candidate = _observed(candidate, f"{candidate.model} has no price")
        if price is None:
            return Refusal(
                reason=Reason.UNPRICED_MODEL,
                message=f"{candidate.model} of {provider} has no price, so its cost cannot be bounded",
                fix=f'add to the policy:  prices: {{"{candidate.model}": {{input: 1.00, output: 4.00}}}}  '
                "(USD per million tokens; 0 declares it free)",
            )
    exact = count(model.vocabulary) if count is not None and model.vocabulary else facts.input_tokens
    input_tokens = facts.input_bytes if exact is None else exact
    input_tokens += facts.media_tokens + (HIDDEN_TOKENS_WITH_TOOLS if facts.tools else HIDDEN_TOKENS)
    context = model.context_window or CONTEXT_UNKNOWN
    if facts.unbounded and environment.unbounded is Unbounded.REFUSE:
        message = f"billed input of this call is not in its body ({', '.join(facts.unbounded)})"
        if not observes:
            fix = "send the content itself, or set  unbounded: context  for the environment"
            return Refusal(reason=Reason.UNBOUNDED_INPUT, message=message, fix=fix)
        candidate = _observed(candidate, message)
    if facts.unbounded and environment.unbounded is not Unbounded.OVERRUN:
        input_tokens = context
    return Quote(
        candidate=candidate,
        price=price,
        facts=model,
        input_tokens=min(input_tokens, context),
        output_cap=_cap_to_send(call, candidate, environment, model),
        counted=exact is not None,
    )


def _observed(candidate: Candidate, why: str) -> Candidate:
    """The same candidate, with what would have become of it if more than observed."""
    rule = f"{OBSERVED}{why} and would be refused"
    return msgspec.structs.replace(candidate, rules=(*candidate.rules, rule))


def _cap_to_send(call: Call, candidate: Candidate, environment: Environment, model: ModelFacts) -> int | None:
    """The cap that must go upstream because the caller's does not bound the output, or does not suit."""
    facts = call.facts
    if not (facts.generates and facts.cappable):
        return None
    if facts.output_cap is not None:
        # Providers refuse a cap above the model's maximum; whoever was downgraded did not choose it.
        chosen_by_us = candidate.model != facts.model and model.output_tokens_max is not None
        too_large = chosen_by_us and facts.output_cap > (model.output_tokens_max or 0)
        return model.output_tokens_max if too_large else None
    bound = environment.output_bound or model.output_tokens_max or OUTPUT_MAX_UNKNOWN
    # The model's own maximum bounds it already; where we only assume one, it must be sent.
    if model.output_tokens_max is not None and bound >= model.output_tokens_max:
        return None
    return bound


def offer_of(
    call: Call, quoted: Quote, environment: Environment, policy: Policy, also: tuple[Payer, ...] = ()
) -> Offer:
    """Make the offer that the ledger decides on: needs in every unit, and the accounts that must pay.

    also: budgets that must pay besides those of the policy.
    """
    facts, candidate = call.facts, quoted.candidate
    full, floor = _output_range(call, quoted, environment)
    most = (
        ceiling(
            quoted.price,
            input_tokens=quoted.input_tokens,
            choices=facts.choices,
            cache_writes=facts.cache_write_ttl,
            fees=facts.fees,
            media=facts.media or bool(facts.unbounded),
        )
        if quoted.price is not None
        else None
    )
    money = Need(most.fixed_nanodollars, most.rate_nanodollars_per_million) if most else Need(0)
    if money.at(full) > CEILING_NANODOLLARS_MAX:
        raise BadRequest(
            f"this request could cost {dollars(money.at(full))}; lower its output cap or number of choices"
        )
    billed = quoted.price is not None and not quoted.price.free
    return Offer(
        target=candidate.target.id,
        provider=candidate.target.provider,
        model=candidate.model,
        needs={
            Unit.NANODOLLARS: money,
            Unit.REQUESTS: Need(1),
            Unit.TOKENS: Need(quoted.input_tokens, 1_000_000 * facts.choices) if not facts.free else Need(0),
            Unit.CALLS_OPEN: Need(1),
        },
        claims=_claims(call, candidate, environment, policy, also, billed=billed),
        unpaid=() if billed else _budgets(call, candidate, policy, also),
        output_full=full,
        output_floor=floor,
        price_version=quoted.price.version if quoted.price else None,
        reason=candidate.reason,
        rules=candidate.rules,
    )


def _output_range(call: Call, quoted: Quote, environment: Environment) -> tuple[int, int]:
    facts = call.facts
    if not facts.generates:
        return 0, 0
    full = quoted.output_cap or facts.output_cap or quoted.facts.output_tokens_max or OUTPUT_MAX_UNKNOWN
    floor = max(REASONING_FLOOR if quoted.facts.reasoning else OUTPUT_FLOOR, quoted.facts.output_floor)
    if facts.thinking_tokens is not None:
        floor = max(floor, facts.thinking_tokens + OUTPUT_FLOOR)
    return full, min(floor, full) if facts.cappable else full


def _budgets(call: Call, candidate: Candidate, policy: Policy, also: tuple[Payer, ...]) -> tuple[str, ...]:
    return tuple([payer.budget.name for payer in (*payers(call, policy, candidate), *also)])


def _claims(
    call: Call,
    candidate: Candidate,
    environment: Environment,
    policy: Policy,
    also: tuple[Payer, ...],
    *,
    billed: bool,
) -> tuple[Claim, ...]:
    paying = (*payers(call, policy, candidate), *also) if billed else ()
    claims = [_money_claim(payer, whole=candidate.whole) for payer in paying]
    if billed:
        claims += _call_claims(environment, paying, whole=candidate.whole)
    claims += [_limit_claim(kept, environment.at_limit) for kept in limits(call, policy)]
    return tuple(claims)


def _call_claims(environment: Environment, paying: tuple[Payer, ...], *, whole: bool) -> Iterator[Claim]:
    """The limits of what this one call may cost: the environment's, and those of its budgets."""
    if environment.call_limit_nanodollars is not None:
        name, limit = f"call:{environment.name}", environment.call_limit_nanodollars
        yield _call_claim(name, limit, _at_short(environment.at_limit, whole=whole))
    for payer in paying:
        budget = payer.budget
        if budget.call_limit_nanodollars is not None:
            yield _call_claim(
                budget.name, budget.call_limit_nanodollars, _at_short(payer.at_limit, whole=whole)
            )


def _call_claim(name: str, limit_nanodollars: int, at_short: AtShort) -> Claim:
    return Claim(
        account=account_name(name, None, ONE_CALL),
        unit=Unit.NANODOLLARS,
        limit=limit_nanodollars,
        at_short=at_short,
        budget=name,
        window=ONE_CALL,
        of_one_call=True,
    )


def _limit_claim(kept: Kept, at_limit: AtLimit) -> Claim:
    """The claim of a limit: only observing lets a call pass it, and only tokens can be fewer."""
    limit, window = kept.limit, kept.window
    clamps = at_limit is AtLimit.CLAMP and limit.counts is Counted.TOKENS
    at_short = AtShort.CLAMP if clamps else AtShort.REFUSE
    return Claim(
        account=account_name(kept.name, kept.value, window.key),
        unit=Unit(limit.counts.value),
        limit=limit.most,
        at_short=AtShort.PASS if at_limit is AtLimit.OBSERVE else at_short,
        budget=kept.name,
        value=kept.value,
        window=window.key,
        starts_at_us=window.starts_at_us,
        ends_at_us=window.ends_at_us,
    )


def _money_claim(payer: Payer, *, whole: bool) -> Claim:
    """The claim of a payer; nearly every call has the same ones as the call before it."""
    budget, window = payer.budget, payer.window
    manner = (payer.at_limit, whole, payer.fallback_from)
    key = (budget.name, payer.limit_nanodollars, budget.per, payer.value, window, manner)
    claim = _money_claims.get(key)
    if claim is None:
        if len(_money_claims) >= _CLAIMS_REMEMBERED:
            _money_claims.clear()
        claim = _money_claims[key] = new_money_claim(payer, whole=whole)
    return claim


def new_money_claim(payer: Payer, *, whole: bool) -> Claim:
    """The claim of a payer on its account."""
    budget, window = payer.budget, payer.window
    return Claim(
        account=account_name(budget.name, payer.value, window.key),
        unit=Unit.NANODOLLARS,
        limit=payer.limit_nanodollars,
        at_short=_at_short(payer.at_limit, whole=whole),
        budget=budget.name,
        value=payer.value,
        window=window.key,
        starts_at_us=window.starts_at_us,
        ends_at_us=window.ends_at_us,
        values_max=None if budget.per is None or budget.per in FIXED_FACTS else LABEL_VALUES_MAX,
        fallback_from=payer.fallback_from if whole else None,
        spent_reason=budget.spent_reason.value,
    )


def _at_short(at_limit: AtLimit, *, whole: bool) -> AtShort:
    """What the ledger does; what has a cheaper one behind it is taken in full or not at all."""
    at_short = _AT_SHORT[at_limit]
    return AtShort.REFUSE if whole and at_short is AtShort.CLAMP else at_short


def quotes_of(
    call: Call,
    proposal: Proposal,
    policy: Policy,
    prices: PriceBook,
    *,
    count: Count | None = None,
) -> Sequence[Quote] | Refusal:
    """Quote every candidate that can be bounded; the first refusal when none can.

    count: counts the input in the vocabulary of each candidate's own model; None bounds it by bytes.
    """
    quoted: list[Quote] = []
    refusal: Refusal | None = None
    for candidate in proposal.candidates:
        answer = quote(call, candidate, proposal.environment, policy, prices, count=count)
        if isinstance(answer, Quote):
            quoted.append(answer)
        elif refusal is None:
            refusal = answer
    if not quoted and refusal is not None:
        return refusal
    return quoted
