"""The data files: made by the tool, sorted, with source and date, and within what is plausible."""

import json
import subprocess
import sys
from pathlib import Path

from farthing.prices.book import load_book
from farthing.prices.records import read_book, read_facts, read_provider

ROOT = Path(__file__).parents[2]
DATA = ROOT / "src" / "farthing" / "prices" / "data"


def test_the_book_is_what_the_tool_makes_of_its_source_and_our_corrections() -> None:
    command = [sys.executable, str(ROOT / "tools" / "compile_prices.py"), "--check"]
    assert subprocess.run(command, check=False).returncode == 0, "run make prices and review the difference"


def test_the_book_is_sorted_and_has_one_model_a_line() -> None:
    text = (DATA / "price_book.json").read_text(encoding="utf-8")
    providers = json.loads(text)["providers"]
    assert list(providers) == sorted(providers)
    for provider in providers.values():
        models = [model["model"] for model in provider["models"]]
        assert models == sorted(set(models))
        assert all(f'\n        {{"model": "{model}"' in text for model in models)


def test_the_book_names_its_source_and_the_day_it_was_checked() -> None:
    record, version = read_book()
    assert version.startswith(f"genai-prices-{record.source_version}+")
    assert record.source_url.startswith("https://")
    assert record.checked.year >= 2026


def test_every_correction_says_why_and_where_it_is_from() -> None:
    corrections = json.loads((DATA / "corrections.json").read_text(encoding="utf-8"))["corrections"]
    for correction in corrections:
        assert correction["why"].endswith(".")
        assert "https://" in correction["source"]
        assert correction["checked"] >= "2026-11-22"


def test_every_rate_is_whole_and_none_is_a_thousand_times_too_dear() -> None:
    """A price per token read as one per million is off by a factor of a million, either way."""
    record, _ = read_book()
    for raw in record.providers.values():
        for model in read_provider(raw).models:
            for span in (*model.spans, *model.variants):
                for name, steps in span.rates.items():
                    rates = (steps,) if isinstance(steps, int) else (steps[0], *steps[2::2])
                    assert all(0 <= rate <= 1_000 * 10**9 for rate in rates), (model.model, name)
                    if not isinstance(steps, int):
                        assert list(steps[1::2]) == sorted(set(steps[1::2]))


def test_the_models_of_the_facts_are_in_the_book_and_say_where_they_are_from() -> None:
    book, _ = read_book()
    facts = read_facts()
    assert facts.sources.keys() == facts.providers.keys()
    for provider, listed in facts.providers.items():
        known = set(load_book().names(provider)) | {"*"}
        known |= {model.model for model in read_provider(book.providers[provider]).models}
        assert listed.keys() <= known


def test_what_is_bundled_stays_small() -> None:
    assert sum(file.stat().st_size for file in DATA.iterdir()) < 700_000
