"""What a request will cost at most, on which models: bounded by the same functions as a real call."""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from farthing.cli import options, screen
from farthing.cli.door import ANSWER_IS_NO, CommandError, command
from farthing.cli.opening import POLICY, did_you_mean, read_policy, read_prices
from farthing.domain.call import Call, Identity
from farthing.domain.money import decimal_text, dollars

if TYPE_CHECKING:
    from farthing.config.load import Loaded
    from farthing.policy.rules import Environment, Policy
    from farthing.prices.book import PriceBook
    from farthing.wire.dialect import Request

app = typer.Typer()

PATHS = {
    "openai.chat": "/v1/chat/completions",
    "openai.responses": "/v1/responses",
    "openai.embeddings": "/v1/embeddings",
    "anthropic.messages": "/v1/messages",
    "gemini.generate": "/v1beta/models/{model}:generateContent",
}
# People want to see something less than the worst: a guess, and named so.
TYPICAL_PART = 4


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """What one model can cost for the request; refused says why it cannot be bounded."""

    model: str
    provider: str
    input_tokens: int = 0
    input_bound_by: str = ""
    output_tokens: int = 0
    ceiling_nanodollars: int = 0
    typical_nanodollars: int = 0
    refused: str | None = None


@command(
    app,
    "estimate",
    example='farthing estimate --message "Summarise this." --model gpt-4o --model gpt-4o-mini',
)
def estimate(
    body: Annotated[
        str | None, typer.Argument(metavar="[BODY.json|-]", help="A request body; - is stdin.")
    ] = None,
    message: Annotated[list[str] | None, typer.Option(help="A user message instead; repeatable.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="Model to price; repeatable.")] = None,
    output_cap: Annotated[int | None, typer.Option(min=1, help="Most output tokens.")] = None,
    dialect: Annotated[str, typer.Option(help=f"How the body speaks: {', '.join(PATHS)}.")] = "openai.chat",
    environment: Annotated[str | None, typer.Option(help="Environment whose bounds hold.")] = None,
    policy: options.Policies = None,
    as_json: options.AsJson = False,
) -> None:
    """Show the most that a request can cost on each model.

    Without --model: the body's own; else the models that targets of the policy name.
    """
    loaded = read_policy(policy) if policy or POLICY.is_file() else None
    rules = _environment(loaded, environment)
    models = list(model or ())
    text = _body(body, message, dialect, models)
    request = _read(text, dialect, models)
    if output_cap is not None:
        request_facts = msgspec.structs.replace(request.facts, output_cap=output_cap)
    else:
        request_facts = request.facts
    call = Call(
        call_id="estimate", request_id="estimate", at_us=time.time_ns() // 1_000,
        identity=Identity(environment=rules.name), facts=request_facts,
    )  # fmt: skip
    book = read_prices(loaded)
    names = models or _own_models(request_facts.model, loaded, rules, dialect)
    rows = [estimate_on(name, call, request.prompt, rules, _policy(loaded), book) for name in names]
    if as_json:
        screen.print_json({"dialect": dialect, "estimates": [_estimate_json(row) for row in rows]})
    else:
        _draw(rows)
    if all(row.refused for row in rows):
        raise typer.Exit(ANSWER_IS_NO)


def estimate_on(
    model: str, call: Call, prompt: bytes, environment: "Environment", policy: "Policy", book: "PriceBook"
) -> Estimate:
    """Bound one call on one model, as the gateway would."""
    from farthing.domain.errors import Refusal
    from farthing.engine.offers import offer_of, priced_provider, quote
    from farthing.ledger.entries import Unit
    from farthing.policy.rules import Candidate, Target
    from farthing.prices.tokens import input_tokens_exact

    family = call.facts.dialect.partition(".")[0]
    # A simulated target charges like the provider that is usual for the model.
    target = Target(id=model, provider="simulator", model=model, families=(family,), simulated=True)
    provider = priced_provider(book, target, model, family)
    vocabulary = book.facts(provider, model).vocabulary
    exact = input_tokens_exact(prompt, vocabulary) if vocabulary and not call.facts.unbounded else None
    quoted = quote(
        call, Candidate(target=target, model=model), environment, policy, book, count=lambda _: exact
    )
    if isinstance(quoted, Refusal):
        return Estimate(model=model, provider=provider, refused=f"{quoted.message}. {quoted.fix}")
    offer = offer_of(call, quoted, environment, msgspec.structs.replace(policy, budgets=()))
    need = offer.needs[Unit.NANODOLLARS]
    return Estimate(
        model=model,
        provider=provider,
        input_tokens=quoted.input_tokens,
        input_bound_by="context window"
        if call.facts.unbounded
        else "bytes"
        if exact is None
        else "exact count",
        output_tokens=offer.output_full,
        ceiling_nanodollars=need.at(offer.output_full),
        typical_nanodollars=need.at(offer.output_full // TYPICAL_PART),
    )


def _body(file: str | None, messages: Sequence[str] | None, dialect: str, models: Sequence[str]) -> bytes:
    if dialect not in PATHS:
        raise CommandError(
            f"{dialect} is not a dialect known here",
            fix=did_you_mean(dialect, PATHS) or f"use one of: {', '.join(PATHS)}",
        )
    if (file is None) == (not messages):
        raise CommandError(
            "nothing to estimate" if file is None else "a body and messages were given at once",
            fix='name a request body, - for stdin, or write --message "TEXT"',
        )
    if messages:
        return _spoken(messages, dialect, models[0] if models else "auto")
    return sys.stdin.buffer.read() if file == "-" else Path(str(file)).read_bytes()


def _spoken(messages: Sequence[str], dialect: str, model: str) -> bytes:
    """Messages as a body of the dialect."""
    turns = [{"role": "user", "content": text} for text in messages]
    documents: dict[str, dict[str, object]] = {
        "openai.chat": {"model": model, "messages": turns},
        "openai.responses": {"model": model, "input": turns},
        "openai.embeddings": {"model": model, "input": list(messages)},
        "anthropic.messages": {"model": model, "messages": turns},
        "gemini.generate": {"contents": [{"role": "user", "parts": [{"text": text}]} for text in messages]},
    }
    return json.dumps(documents[dialect], ensure_ascii=False).encode()


def _read(body: bytes, dialect: str, models: Sequence[str]) -> "Request":
    from farthing.wire.surfaces import find

    surface = find("POST", PATHS[dialect].format(model=models[0] if models else "auto"))
    if surface is None:
        raise CommandError(f"{models[0]} cannot be the name of a model", fix="look at its spelling")
    return surface.dialect.read(body, model=surface.model, stream=surface.stream)


def _environment(loaded: "Loaded | None", name: str | None) -> "Environment":
    from farthing.policy.rules import Environment

    if name is None:
        return Environment(name="estimate")
    known = loaded.policy.environments if loaded is not None else {}
    if name not in known:
        raise CommandError(
            f"the policy has no environment {name}",
            why=f"it has: {', '.join(sorted(known))}" if known else "no policy file was found",
            fix=did_you_mean(name, known) or "name one of the policy's environments",
        )
    return known[name]


def _policy(loaded: "Loaded | None") -> "Policy":
    from farthing.policy.rules import Policy

    return loaded.policy if loaded is not None else Policy(digest="", environments={})


def _own_models(asked: str, loaded: "Loaded | None", environment: "Environment", dialect: str) -> list[str]:
    """The model of the body; where it names none, those of the policy's targets that speak the dialect."""
    from farthing.domain.names import names_model

    if asked != "auto":
        return [asked]
    family = dialect.partition(".")[0]
    targets = loaded.policy.targets if loaded is not None else ()
    models = dict.fromkeys(target.model for target in targets if target.model and family in target.families)
    allowed = [
        name for name in models
        if environment.allow is None or any(names_model(entry, name) for entry in environment.allow)
    ]  # fmt: skip
    if not allowed:
        raise CommandError("no model was named", fix="name one with --model, such as --model gpt-4o-mini")
    return allowed


def _estimate_json(row: Estimate) -> dict[str, object]:
    told: dict[str, object] = msgspec.structs.asdict(row)
    if row.refused is None:
        told["ceiling_usd"] = decimal_text(row.ceiling_nanodollars)
    return told


def _draw(rows: Sequence[Estimate]) -> None:
    columns = {
        "model": "left",
        "provider": "left",
        "input at most": "right",
        "by": "left",
        "output at most": "right",
        "ceiling": "right",
        "typical*": "right",
    }
    bounded = [row for row in rows if row.refused is None]
    if bounded:
        screen.table(columns, [_cells(row) for row in bounded])
        screen.line("The ceiling is what a call holds: the most it can cost.")
        screen.line(f"* no bound: as if one token in {TYPICAL_PART} of the output bound were written.", "dim")
    for row in rows:
        if row.refused is not None:
            screen.line(f"{row.model}: {row.refused}", "red")


def _cells(row: Estimate) -> tuple[str, ...]:
    return (
        row.model,
        row.provider,
        f"{row.input_tokens:,}",
        row.input_bound_by,
        f"{row.output_tokens:,}",
        dollars(row.ceiling_nanodollars),
        f"~ {dollars(row.typical_nanodollars)}",
    )
