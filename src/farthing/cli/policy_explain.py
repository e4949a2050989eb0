"""farthing policy explain: why a call was decided as it was, or how one would be decided now."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from farthing.cli import options, screen
from farthing.cli.door import ANSWER_IS_NO, CommandError
from farthing.cli.opening import did_you_mean, open_ledger, policy_or_none, read_policy, read_prices
from farthing.domain.money import dollars

if TYPE_CHECKING:
    from farthing.config.rulings import Ruling
    from farthing.domain.call import Call
    from farthing.engine.foreseeing import Foreseen
    from farthing.ledger.entries import Claim, Entry, Offer
    from farthing.ledger.store import Store
    from farthing.policy.rules import Policy

# What a short question and a short answer have; only the amounts depend on it.
INPUT_TOKENS = 1_000
DIALECTS = ("openai.chat", "openai.responses", "openai.embeddings", "anthropic.messages", "gemini.generate")


def explain(
    call: Annotated[str | None, typer.Option(help="Explain this call, by its id, from its entry.")] = None,
    model: Annotated[str | None, typer.Option(help="The model, or target, that would be asked for.")] = None,
    environment: Annotated[str, typer.Option(help="Where the call would come from.")] = "development",
    key: Annotated[str | None, typer.Option(help="The label of the key that would be used.")] = None,
    group: Annotated[str | None, typer.Option(help="The group of that key; it decides the rest.")] = None,
    developer: Annotated[str | None, typer.Option(help="Whose key it is; else its label.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="NAME=VALUE; repeatable.")] = None,
    run: Annotated[str | None, typer.Option(help="The run it would belong to.")] = None,
    provider: Annotated[str | None, typer.Option(help="The provider, as in /proxy/PROVIDER.")] = None,
    dialect: Annotated[str, typer.Option(help=f"One of {', '.join(DIALECTS)}.")] = DIALECTS[0],
    input_tokens: Annotated[int, typer.Option(min=0, help="How long its input would be.")] = INPUT_TOKENS,
    output_cap: Annotated[int | None, typer.Option(min=1, help="The output cap it would send.")] = None,
    policy: options.Policies = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """Explain how a call would be decided now, without sending anything; or why one was, with --call.

    Exit 1 where it would be refused.
    """
    if (call is None) == (model is None):
        raise CommandError(
            "name a call or a model",
            fix="farthing policy explain --call ID, or --environment development --model gpt-4o",
        )
    if call is not None:
        _explain_entry(call, policy, ledger, as_json=as_json)
        return
    if dialect not in DIALECTS:
        raise CommandError(f"{dialect} is not a dialect", fix=did_you_mean(dialect, DIALECTS))
    from farthing.engine.foreseeing import foresee

    loaded = read_policy(policy)
    asked = _asked(
        loaded.policy,
        model=model or "",
        environment=environment,
        key=key,
        group=group,
        developer=developer,
        labels=_labels(label or ()),
        run=run,
        provider=provider,
        dialect=dialect,
        input_tokens=input_tokens,
        output_cap=output_cap,
    )
    with open_ledger(ledger, policy, empty=True) as store:
        foreseen = foresee(asked, loaded.policy, read_prices(loaded), store)
    if as_json:
        screen.print_json(_foreseen_json(asked, loaded.policy, foreseen))
    else:
        _draw(asked, loaded.policy, foreseen)
    if foreseen.refusal is not None:
        raise typer.Exit(ANSWER_IS_NO)


# ── a call that was made ────────────────────────────────────────────────────────────────────────


def _explain_entry(call_id: str, policy: options.Policies, ledger: options.Ledger, *, as_json: bool) -> None:
    from farthing.config.rulings import ruling_of
    from farthing.reports.calls import call_json
    from farthing.reports.decisions import why

    loaded = policy_or_none(policy, ledger)
    with open_ledger(ledger, policy) as store:
        entry = store.entry(call_id)
        if entry is None:
            raise _no_call(call_id, store)
        digest = entry.facts.policy_digest
        ruling = ruling_of(digest, store) if digest else None
    in_force = loaded is not None and loaded.policy.digest == digest
    if as_json:
        files = [] if ruling is None else ruling.files_for(entry.facts.environment)
        screen.print_json(
            {
                "call": call_json(entry),
                "why": why(entry),
                "ruled_by": {
                    "digest": digest,
                    "in_force": in_force,
                    "files": [{"name": file.name, "sha256": file.sha256} for file in files],
                },
            }
        )
        return
    for sentence in why(entry):
        begins_with_a_name = not sentence.startswith(("it ", "its ", "rule: "))
        screen.line((sentence if begins_with_a_name else sentence[0].upper() + sentence[1:]) + ".")
    screen.line(_ruled_by(entry, ruling, in_force=in_force), "dim")


def _ruled_by(entry: "Entry", ruling: "Ruling | None", *, in_force: bool) -> str:
    digest = entry.facts.policy_digest
    if digest is None:
        return "No policy ruled it."
    files = ", ".join(file.name for file in ruling.files_for(entry.facts.environment)) if ruling else ""
    now = "which is what the files say now" if in_force else "which is not what the files say now"
    return f"Ruled by policy {digest}{f' of {files}' if files else ''}, {now}."


def _no_call(call_id: str, store: "Store") -> CommandError:
    if any(hold.call_id == call_id for hold in store.open_holds()):
        return CommandError(f"call {call_id} is still open", fix="ask again when it has ended")
    return CommandError(
        f"there is no call {call_id} on this ledger", fix="see the header x-farthing-call-id, or /api/calls"
    )


# ── a call that would be made ───────────────────────────────────────────────────────────────────


def _asked(
    rules: "Policy",
    *,
    model: str,
    environment: str,
    key: str | None,
    group: str | None,
    developer: str | None,
    labels: dict[str, str],
    run: str | None,
    provider: str | None,
    dialect: str,
    input_tokens: int,
    output_cap: int | None,
) -> "Call":
    from farthing.domain.call import Call, Identity, RequestFacts

    known = {one.name: one for one in rules.groups}
    if group is not None and group not in known:
        raise CommandError(f"there is no group {group}", fix=did_you_mean(group, known))
    if environment not in rules.environments and group is None:
        raise CommandError(
            f"there is no environment {environment}", fix=did_you_mean(environment, rules.environments)
        )
    of_group = known.get(group or "")
    identity = Identity(
        environment=of_group.environment if of_group else environment,
        key=key or group,
        group=group,
        developer=developer or key,
        wallet=of_group.wallet if of_group else None,
    )
    generates = not dialect.endswith("embeddings")
    facts = RequestFacts(
        dialect=dialect,
        model=model,
        provider=provider,
        input_tokens=input_tokens,
        output_cap=output_cap if generates else None,
        generates=generates,
        media=False,
    )
    now_us = time.time_ns() // 1_000
    return Call(
        call_id="foreseen",
        request_id="foreseen",
        at_us=now_us,
        identity=identity,
        facts=facts,
        labels=labels,
        run=run or labels.get("run"),
    )


def _labels(given: Sequence[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    if any(not separator or not name for name, separator, _ in pairs):
        raise CommandError("a label is NAME=VALUE", fix="--label feature=search")
    return {name: value for name, _, value in pairs}


def _foreseen_json(call: "Call", rules: "Policy", foreseen: "Foreseen") -> dict[str, object]:
    from farthing.domain.errors import explain as explain_refusal
    from farthing.policy.explain import rules_on

    grant, refusal = foreseen.grant, foreseen.refusal
    return {
        "asked": call.facts.model,
        "environment": call.identity.environment,
        "digest": rules.digest,
        "decision": "refused" if grant is None else "granted",
        "reason": foreseen.taken.reason if foreseen.taken else None,
        "target": grant.target.id if grant else None,
        "model": grant.model if grant else None,
        "clamped_to": grant.output_cap if grant and grant.clamped else None,
        "ceiling_nanodollars": grant.ceiling_nanodollars if grant else None,
        "refusal": {**explain_refusal(refusal), "message": refusal.message} if refusal else None,
        "would_refuse": list(grant.would_refuse) if grant else [],
        "rules": rules_on(call, rules),
        "targets": [_offer_json(offer, foreseen) for offer in foreseen.offers],
    }


def _offer_json(offer: "Offer", foreseen: "Foreseen") -> dict[str, object]:
    from farthing.engine.foreseeing import most_nanodollars

    return {
        "target": offer.target,
        "provider": offer.provider,
        "model": offer.model,
        "reason": offer.reason,
        "rules": list(offer.rules),
        "most_nanodollars": most_nanodollars(offer),
        "accounts": [_claim_json(claim, foreseen) for claim in offer.claims],
    }


def _claim_json(claim: "Claim", foreseen: "Foreseen") -> dict[str, object]:
    balance = foreseen.balances.get(claim.account)
    return {
        "budget": claim.budget,
        "value": claim.value,
        "window": claim.window,
        "unit": claim.unit.value,
        "at_short": claim.at_short.value,
        "limit": claim.limit,
        "settled": balance.settled if balance else 0,
        "held": balance.held if balance else 0,
    }


def _draw(call: "Call", rules: "Policy", foreseen: "Foreseen") -> None:
    from farthing.policy.explain import rules_on

    who = call.identity
    asked = f"{call.facts.model} from {who.environment}" + (f", key {who.key}" if who.key else "")
    grant, refusal = foreseen.grant, foreseen.refusal
    if grant is not None:
        screen.line(f"{asked}: goes to {grant.model} at target {grant.target.id}", "green")
        if grant.clamped:
            screen.line(
                f"  its output is capped at {grant.output_cap:,} tokens: the most that fits", "yellow"
            )
        for account in grant.would_refuse:
            screen.line(f"  it does not fit {account}, which lets calls pass", "yellow")
    elif refusal is not None:
        screen.line(f"{asked}: refused ({refusal.reason.value})", "red")
        screen.line(f"  {refusal.message}")
        screen.line(f"  to go on: {refusal.fix}")
    screen.line("Rules", "bold")
    for number, rule in enumerate(rules_on(call, rules), 1):
        screen.line(f"  {number}. {rule}")
    if foreseen.offers:
        screen.line("Targets, in order", "bold")
        screen.table(
            {"target": "left", "model": "left", "why": "text", "costs at most": "right"},
            [_offer_cells(offer) for offer in foreseen.offers],
        )
    taken = foreseen.taken or (foreseen.offers[0] if foreseen.offers else None)
    if taken is not None and taken.claims:
        screen.line(f"Accounts that it counts on, at {taken.target}", "bold")
        columns = {"budget": "left", "of": "left", "window": "left", "limit": "right", "spent": "right",
                   "held": "right", "left": "right", "when it does not fit": "left"}  # fmt: skip
        screen.table(columns, [_claim_cells(claim, foreseen) for claim in taken.claims], spare=("held",))


def _offer_cells(offer: "Offer") -> tuple[str, ...]:
    from farthing.engine.foreseeing import most_nanodollars

    because = "; ".join((offer.reason.replace("_", " "), *offer.rules))
    return offer.target, offer.model, because, dollars(most_nanodollars(offer))


def _claim_cells(claim: "Claim", foreseen: "Foreseen") -> tuple[str, ...]:
    balance = foreseen.balances.get(claim.account)
    settled, held = (balance.settled, balance.held) if balance else (0, 0)
    is_money = claim.unit.value == "nanodollars"
    limit = balance.limit if balance else claim.limit
    amounts = [
        dollars(one) if is_money else f"{one:,}" for one in (limit, settled, held, limit - settled - held)
    ]
    unit = "" if is_money else f" {claim.unit.value.replace('_', ' ')}"
    return (
        claim.budget,
        claim.value or "",
        claim.window,
        amounts[0] + unit,
        *amounts[1:],
        claim.at_short.value,
    )
