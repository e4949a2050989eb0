"""Prices of models: list, show, and set one in the policy."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from farthing.cli import options, screen
from farthing.cli.door import ANSWER_IS_NO, CommandError, command, noun
from farthing.cli.opening import POLICY, did_you_mean, policy_paths, read_policy, read_prices
from farthing.cli.rates import card_json, price_json, sample_nanodollars
from farthing.cli.spend import moment
from farthing.domain.money import dollars
from farthing.domain.period import iso_utc

if TYPE_CHECKING:
    from farthing.config.load import Loaded
    from farthing.prices.book import PriceBook
    from farthing.prices.price import Price

app = noun("price", "Prices of models: list them, show one, set one in the policy.")

USUAL_PROVIDERS = ("openai", "anthropic", "google")

Provider = Annotated[str | None, typer.Option(help="Provider whose price list is meant.")]


@command(app, "list", example="farthing price list --provider openai --match gpt-4o")
def list_prices(
    provider: Annotated[
        list[str] | None,
        typer.Option(
            help="Provider; repeatable.", show_default="those of the policy, else the three largest"
        ),
    ] = None,
    match: Annotated[str, typer.Option(help="Only models whose name contains this.")] = "",
    policy: options.Policies = None,
    as_json: options.AsJson = False,
) -> None:
    """List what models cost now, in dollars per million tokens."""
    loaded = _policy_if_any(policy)
    book = read_prices(loaded)
    now_us = time.time_ns() // 1_000
    rows = [
        price
        for name in provider or _providers(loaded)
        for price in _prices_of(book, name, match.lower(), now_us)
    ]
    if as_json:
        told = [{"provider": row.provider, "model": row.model, **card_json(row.cards[0])} for row in rows]
        screen.print_json({"version": book.version, "prices": told})
        return
    if not rows:
        raise CommandError(
            "no price matches", fix="leave --match out, or name another --provider", exit_code=ANSWER_IS_NO
        )
    columns = {"provider": "left", "model": "left", "input": "right", "output": "right",
               "cache read": "right", "cache write": "right", "above": "left"}  # fmt: skip
    screen.table(columns, [_cells(row) for row in rows])
    screen.line(f"Dollars per million tokens; {screen.count(len(rows), 'model')}; {book.version}", "dim")


def _cells(price: "Price") -> tuple[str, ...]:
    card = price.cards[0]
    steps = ", ".join(f"{dearer.above_input_tokens:,}: {dollars(dearer.input)}" for dearer in price.cards[1:])
    read, write = (
        "" if name in card.assumed else dollars(getattr(card, name))
        for name in ("cache_read", "cache_write_5m")
    )
    return (price.provider, price.model, dollars(card.input), dollars(card.output), read, write, steps)


def _prices_of(book: "PriceBook", provider: str, match: str, now_us: int) -> "list[Price]":
    """The prices of a provider, one for each model however many names it has."""
    found: dict[str, Price] = {}
    for name in book.names(provider):
        price = book.find(provider, name, now_us)
        if price is not None and (match in name.lower() or match in price.model.lower()):
            found.setdefault(price.model, price)
    return [found[model] for model in sorted(found)]


def _providers(loaded: "Loaded | None") -> Sequence[str]:
    if loaded is None:
        return USUAL_PROVIDERS
    # A simulator that stands for nobody charges like the usual three.
    billed = dict.fromkeys(target.billed_as for target in loaded.policy.targets)
    return tuple(name for name in billed if name not in ("simulator", "mock")) or USUAL_PROVIDERS


def _policy_if_any(given: Sequence[Path] | None) -> "Loaded | None":
    return read_policy(given) if given or POLICY.is_file() else None


@command(app, "show", example="farthing price show claude-haiku-4-5 --at 2026-11-01")
def show(
    model: Annotated[str, typer.Argument(help="Name of the model, as callers write it.")],
    provider: Provider = None,
    at: Annotated[str | None, typer.Option(help="A date; default: now. Prices change.")] = None,
    policy: options.Policies = None,
    as_json: options.AsJson = False,
) -> None:
    """Show everything that a model costs: classes of tokens, tiers, fees, limits, and the source."""
    loaded = _policy_if_any(policy)
    book = read_prices(loaded)
    now_us = time.time_ns() // 1_000
    at_us = moment(at, now_us, loaded.policy.zone if loaded else "UTC") if at else now_us
    declared = loaded.prices if loaded is not None else {}
    homes = [provider] if provider else list(book.known(model)) or (["any"] if model in declared else [])
    prices = [price for name in homes if (price := book.find(name, model, at_us)) is not None]
    # Who resells at the maker's prices answers with the maker's own: it is told once.
    found = [price for number, price in enumerate(prices) if price not in prices[:number]]
    if not found:
        raise _unpriced(book, model, provider)
    told = [
        price_json(price, book.facts(price.provider, model), declared=model in declared) for price in found
    ]
    if as_json:
        screen.print_json({"model": model, "at": iso_utc(at_us), "prices": told})
        return
    for price, document in zip(found, told, strict=True):
        _draw_price(price, document)


def _unpriced(book: "PriceBook", model: str, provider: str | None) -> CommandError:
    question = did_you_mean(model, book.names(provider))
    return CommandError(
        f"{model} has no price" + (f" at {provider}" if provider else ""),
        why="names are matched exactly; a model without a price is refused, never guessed",
        fix=f"{question + ' Else d' if question else 'd'}eclare it:  farthing price set {model} --input 1.00 "
        "--output 4.00",
        exit_code=ANSWER_IS_NO,
    )


def _draw_price(price: "Price", document: dict[str, object]) -> None:
    home = "any provider" if price.provider == "any" else price.provider
    screen.line(f"{price.model} at {home}", "bold")
    columns = {"dollars per million tokens": "left"}
    cards = [("standard", card) for card in price.cards]
    cards += [(tier, card) for tier, steps in price.tiers.items() for card in steps]
    for tier, card in cards:
        above = f", above {card.above_input_tokens:,} input tokens" if card.above_input_tokens else ""
        columns[f"{tier}{above}"] = "right"
    kinds = list(card_json(price.cards[0]))
    rows = [
        (kind.replace("_", " "), *(str(card_json(card).get(kind, "")) for _, card in cards)) for kind in kinds
    ]
    screen.table(columns, rows)
    for name, fee in price.fees.items():
        screen.line(f"  {name.replace('_', ' ')}: {dollars(fee)} apiece")
    for name in ("output_tokens_max", "context_window"):
        limit = document[name]
        told = f"{limit:,}" if isinstance(limit, int) else "not known"
        screen.line(f"  {name.replace('_', ' ')}: {told}")
    screen.line(f"  source: {document['source']}", "dim")


@command(app, "set", example="farthing price set my-finetune --input 3.00 --output 12.00")
def set_price(
    model: Annotated[str, typer.Argument(help="Name of the model, as callers write it.")],
    input_dollars: Annotated[
        str, typer.Option("--input", help="Dollars per million input tokens; 0 is free.")
    ],
    output_dollars: Annotated[
        str | None, typer.Option("--output", help="The same for output tokens.")
    ] = None,
    cache_read: Annotated[str | None, typer.Option(help="The same for input read from a cache.")] = None,
    cache_write_5m: Annotated[str | None, typer.Option(help="For cache writes of five minutes.")] = None,
    cache_write_1h: Annotated[str | None, typer.Option(help="For cache writes of one hour.")] = None,
    provider: Annotated[
        str | None, typer.Option(help="The only provider it holds for; default: any.")
    ] = None,
    sure: Annotated[bool, typer.Option("--sure", help="Accept a price that looks like a slip.")] = False,
    policy: options.Policies = None,
    as_json: options.AsJson = False,
) -> None:
    """Declare a price in the policy file; comments stay. Calls already booked are not changed."""
    from farthing.cli.price_file import declare_price
    from farthing.cli.rates import check_rates

    given = {
        "input": input_dollars, "output": output_dollars, "cache_read": cache_read,
        "cache_write_5m": cache_write_5m, "cache_write_1h": cache_write_1h,
    }  # fmt: skip
    rates = {name: amount for name, amount in given.items() if amount is not None}
    if not sure:
        check_rates(rates)
    paths = policy_paths(policy)
    before, after, file = declare_price(paths, model, rates, provider)
    now_us = time.time_ns() // 1_000
    name = provider or next(iter(read_prices(before).known(model)), "any")
    samples = [
        sample_nanodollars(read_prices(loaded).find(name, model, now_us)) for loaded in (before, after)
    ]
    if as_json:
        screen.print_json(
            {
                "model": model, "provider": provider, "file": str(file), "rates": rates,
                "sample": {"input_tokens": 1_000, "output_tokens": 500,
                           "before_nanodollars": samples[0], "after_nanodollars": samples[1]},
            }
        )  # fmt: skip
        return
    was, now = (dollars(cost) if cost is not None else "no price" for cost in samples)
    screen.line(f"{model} is priced in {file}.")
    screen.line(f"  1,000 input and 500 output tokens: {was} before, {now} now")
    screen.line("  A running gateway reads the policy when it starts: restart it.", "dim")
