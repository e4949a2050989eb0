"""Which price a name has at a moment."""

import subprocess
import sys

import pytest

from farthing.prices.book import load_book
from farthing.prices.override import override_from_dollars
from tests.prices.moments import TODAY, at, dollars_per_million, price_of

BOOK = load_book()


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("gpt-4o", "gpt-4o"),
        ("GPT-4o", "gpt-4o"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("gpt-4o-20240513", "gpt-4o-2024-05-13"),
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("gpt-6.1-sol-2026-11-01", "gpt-6.1-sol"),
        ("gpt-5.4-2027-03-01", "gpt-5.4"),
        ("ft:gpt-4o-mini-2024-07-18:acme:support:Ab1", "ft:gpt-4o-mini"),
        ("omni-moderation-latest", "omni-moderation-latest"),
    ],
)
def test_a_name_a_snapshot_and_an_alias_mean_their_model(name: str, model: str) -> None:
    assert price_of("openai", name).model == model
    assert BOOK.listed("openai", name) == model


@pytest.mark.parametrize(
    ("provider", "name", "model"),
    [
        ("anthropic", "claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        ("anthropic", "claude-sonnet-4-20250514", "claude-sonnet-4-0"),
        ("anthropic", "claude-opus-5-5", "claude-opus-5-5"),
        ("google", "gemini-2.5-pro-preview-06-05", "gemini-2.5-pro"),
        ("google", "models/gemini-2.5-flash", "gemini-2.5-flash"),
        ("gemini", "gemini-flash-latest", "gemini-3.8-flash"),
        ("vertex", "publishers/anthropic/models/claude-opus-5-5@20261001", "claude-opus-5-5"),
        ("azure", "gpt-4o-mini", "gpt-4o-mini"),
        ("xai", "grok-4.7-latest", "grok-4.7"),
        ("groq", "openai/gpt-oss-120b", "openai/gpt-oss-120b"),
        ("mistral", "magistral-medium-2509", "magistral-medium"),
        (
            "bedrock",
            "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-haiku-4-5-20251001-v1:0",
            "regional.anthropic.claude-haiku-4-5-20251001-v1:0",
        ),
        (
            "bedrock",
            "global.anthropic.claude-haiku-4-5-20251001-v1:0",
            "global.anthropic.claude-haiku-4-5-20251001-v1:0",
        ),
    ],
)
def test_every_provider_has_its_own_way_to_write_a_name(provider: str, name: str, model: str) -> None:
    assert price_of(provider, name).model == model


@pytest.mark.parametrize(
    ("provider", "name"),
    [
        ("openai", "gpt-4o-mini-mini"),
        ("openai", "gpt-5.4-mini-mini"),
        ("openai", "gpt-4o-nano"),
        ("openai", "my-gpt-4o"),
        ("openai", "gpt-4"[:-1]),
        ("openai", "my-moderation-of-everything"),
        ("anthropic", "claude-haiku"),
        ("anthropic", "claude-haiku-4-5-turbo"),
        ("google", "gemini-3.6-flash-lite"),
        ("google", "gemini-2.5-pro-tts-next"),
        ("google", "not-claude-opus-5-5x"),
        ("deepseek", "deepseek-chat-ultra"),
        ("openai", ""),
    ],
)
def test_a_name_that_is_merely_similar_has_no_price(provider: str, name: str) -> None:
    assert BOOK.find(provider, name, TODAY) is None


@pytest.mark.parametrize("provider", ["vllm", "ollama", "mock", "my-openai", ""])
def test_a_provider_that_is_not_in_the_book_has_no_prices(provider: str) -> None:
    assert BOOK.find(provider, "gpt-4o", TODAY) is None
    assert BOOK.dearest(provider, TODAY) is None


def test_a_price_is_the_one_of_the_day_of_the_call() -> None:
    assert dollars_per_million(price_of("openai", "o3", at("2025-06-09T23:59")))[:2] == (10, 40)
    assert dollars_per_million(price_of("openai", "o3", at("2025-06-10"))) == (2, 8, 0.5)
    assert dollars_per_million(price_of("openai", "gpt-5.6-sol", at("2026-07-15"))) == (5, 30, 0.5)
    assert dollars_per_million(price_of("openai", "gpt-5.6-sol")) == (4, 20, 0.4)


def test_a_price_that_is_already_announced_starts_on_its_day() -> None:
    assert dollars_per_million(price_of("google", "gemini-4-argon", at("2026-11-30T23:59")))[:2] == (2, 10)
    assert dollars_per_million(price_of("google", "gemini-4-argon", at("2026-12-01")))[:2] == (4, 20)
    assert dollars_per_million(price_of("google", "gemini-3.8-flash", at("2026-12-31")))[:2] == (0.75, 3.75)
    assert dollars_per_million(price_of("google", "gemini-3.8-flash", at("2027-01-01")))[:2] == (1.5, 7.5)


def test_a_cache_read_of_sonnet_5_5_cost_twice_as_much_before_it_was_lowered() -> None:
    assert dollars_per_million(price_of("anthropic", "claude-sonnet-5-5", at("2026-10-06T23:59"))) == (
        2,
        10,
        0.2,
    )
    assert dollars_per_million(price_of("anthropic", "claude-sonnet-5-5", at("2026-10-07"))) == (2, 10, 0.1)


@pytest.mark.parametrize(
    ("moment", "rates"),
    [
        ("2026-11-20T00:59", (0.15, 0.6, 0.003)),  # Friday, before the peak
        ("2026-11-20T01:00", (0.3, 1.2, 0.006)),
        ("2026-11-20T03:59", (0.3, 1.2, 0.006)),
        ("2026-11-20T04:00", (0.15, 0.6, 0.003)),
        ("2026-11-20T06:00", (0.3, 1.2, 0.006)),
        ("2026-11-20T10:00", (0.15, 0.6, 0.003)),
        ("2026-11-21T07:00", (0.15, 0.6, 0.003)),  # Saturday
        ("2026-11-22T07:00", (0.15, 0.6, 0.003)),  # Sunday
        ("2026-11-23T07:00", (0.3, 1.2, 0.006)),  # Monday
    ],
)
def test_deepseek_has_peak_hours_on_weekdays(moment: str, rates: tuple[float, float, float]) -> None:
    assert dollars_per_million(price_of("deepseek", "deepseek-flash", at(moment))) == rates


@pytest.mark.parametrize(
    ("moment", "rates"),
    [
        ("2025-06-01T16:29", (0.27, 1.1)),
        ("2025-06-01T16:30", (0.135, 0.55)),
        ("2025-06-02T00:29", (0.135, 0.55)),
        ("2025-06-02T00:30", (0.27, 1.1)),
        ("2025-09-06T18:00", (0.56, 1.68)),
        ("2026-02-01T18:00", (0.28, 0.42)),
        ("2026-11-22T18:00", (0.15, 0.6)),
    ],
)
def test_deepseek_chat_was_halved_at_night_until_it_was_pointed_elsewhere(
    moment: str, rates: tuple[float, float]
) -> None:
    assert dollars_per_million(price_of("deepseek", "deepseek-chat", at(moment)))[:2] == rates


def test_asking_in_any_order_of_time_gives_the_same_prices() -> None:
    moments = ["2026-11-20T00:59", "2026-11-20T01:00", "2026-11-21T07:00", "2026-08-20T02:00", "2026-01-01"]
    forwards = [price_of("deepseek", "deepseek-v4-flash", at(moment)).cards for moment in moments]
    backwards = [price_of("deepseek", "deepseek-v4-flash", at(moment)).cards for moment in reversed(moments)]
    assert forwards == backwards[::-1]


def test_a_declared_price_wins_over_the_bundled_one_and_the_book_stays_as_it_was() -> None:
    book = BOOK.with_overrides({"gpt-4o": override_from_dollars({"input": "1.50", "output": 6})})

    mine = book.find("openai", "gpt-4o", TODAY)

    assert mine is not None
    assert dollars_per_million(mine)[:2] == (1.5, 6)
    assert mine.version == book.version != BOOK.version
    assert dollars_per_million(price_of("openai", "gpt-4o"))[:2] == (2.5, 10)


def test_a_declared_price_holds_for_the_snapshots_of_its_model_but_not_for_dearer_ones() -> None:
    book = BOOK.with_overrides({"gpt-4o": override_from_dollars({"input": 1, "output": 2})})
    snapshot = book.find("openai", "gpt-4o-2024-08-06", TODAY)
    launch = book.find("openai", "gpt-4o-2024-05-13", TODAY)
    assert snapshot is not None and dollars_per_million(snapshot)[0] == 1
    assert launch is not None and dollars_per_million(launch)[0] == 5


def test_a_declared_price_gives_unknown_models_and_providers_one() -> None:
    book = BOOK.with_overrides(
        {
            "my-finetune": override_from_dollars({"input": "3.00", "output": "12.00"}),
            "llama-local": override_from_dollars({"input": 0, "output": 0}, provider="vllm"),
        }
    )
    tuned, local = book.find("openai", "my-finetune", TODAY), book.find("vllm", "llama-local", TODAY)
    assert tuned is not None and not tuned.free
    assert local is not None and local.free
    assert book.find("ollama", "llama-local", TODAY) is None


def test_the_version_of_a_book_names_its_declared_prices() -> None:
    one = BOOK.with_overrides({"m": override_from_dollars({"input": 1})})
    same = BOOK.with_overrides({"m": override_from_dollars({"input": "1.00"})})
    other = BOOK.with_overrides({"m": override_from_dollars({"input": 2})})
    assert one.version == same.version != other.version
    assert BOOK.with_overrides({}) is BOOK
    assert BOOK.version.startswith("genai-prices-0.2.3+")


def test_the_dearest_price_of_a_provider_is_at_least_any_other() -> None:
    dearest = BOOK.dearest("anthropic", TODAY)
    assert dearest is not None
    for name in BOOK.names("anthropic"):
        card = price_of("anthropic", name).cards[-1]
        assert card.input + card.output <= dearest.cards[-1].input + dearest.cards[-1].output


def test_the_book_says_who_has_a_price_for_a_model() -> None:
    assert BOOK.known("gpt-4o-mini") == ("azure", "openai")
    assert BOOK.known("gpt-5.4-mini-mini") == ()
    assert "gpt-4o-2024-08-06" in BOOK.names("openai")
    assert len(BOOK.names()) > 2000


def test_opening_the_book_decodes_no_provider_and_asking_decodes_only_that_one() -> None:
    script = (
        "from farthing.prices import book as room\n"
        "decoded = []\n"
        "read = room.read_provider\n"
        "room.read_provider = lambda raw: decoded.append(len(bytes(raw))) or read(raw)\n"
        "book = room.load_book()\n"
        "assert decoded == [], decoded\n"
        "book.find('openai', 'gpt-4o', 0)\n"
        "assert len(decoded) == 1, decoded\n"
        "import sys\n"
        "assert 'genai_prices' not in sys.modules and 'splintr' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_declared_price_does_not_change_which_model_a_name_means() -> None:
    book = BOOK.with_overrides({"gpt-4o": override_from_dollars({"input": "1"})})

    assert book.listed("openai", "gpt-4o-2024-08-06") == "gpt-4o"
    assert book.listed("openai", "no-such-model") is None


@pytest.mark.parametrize(
    ("model", "maker"),
    [
        ("gpt-4o-2024-08-06", "openai"),
        ("claude-haiku-4-5", "anthropic"),
        ("gemini-2.5-flash", "google"),
        ("deepseek-chat", "deepseek"),
    ],
)
def test_a_simulator_charges_what_the_maker_of_the_model_does(model: str, maker: str) -> None:
    assert BOOK.seller("simulator", model) == maker
    assert BOOK.find("simulator", model, TODAY) == BOOK.find(maker, model, TODAY)
    assert BOOK.seller("azure", model) == "azure"


def test_a_simulator_has_no_price_for_a_model_that_nobody_has() -> None:
    assert BOOK.seller("simulator", "our-own") == "simulator"
    assert BOOK.find("simulator", "our-own", TODAY) is None
