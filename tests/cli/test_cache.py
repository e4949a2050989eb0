"""farthing cache: what is kept and what it saved, and to forget it, also while gateways run."""

from pathlib import Path

import pytest

from farthing.cache.kept import Kept, Room
from farthing.config.stores import cache_file, open_answers, open_store
from farthing.ledger.entries import EntryFacts, Outcome, Record
from tests.cli.conftest import Calls, CommandLine, complaint, told

AT_US = 1_796_904_000_000_000


@pytest.fixture
def cache(company: Path) -> Path:
    """A policy that keeps answers, and two answers of development and one of production."""
    policy = company / "farthing.yaml"
    policy.write_text(
        policy.read_text("utf-8").replace(
            "    rate_limit: 10/minute\n",
            "    rate_limit: 10/minute\n    cache: {enabled: true, ttl_seconds: 7200, max_entries: 5000}\n",
        ),
        "utf-8",
    )
    file = company / "farthing-cache.db"
    answers = open_answers(file)
    room = Room(entries_max=9, bytes_max=100_000, kept_us=1)
    for number, environment in enumerate(("development", "development", "production")):
        kept = Kept(
            call_id="call_1", content_type="application/json", body=b"secret text" * 100, stored_at_us=AT_US,
            cost_nanodollars=7,
        )  # fmt: skip
        answers.keep(environment, bytes([number]), kept, room)
    answers.close()
    return file


@pytest.fixture
def hits(company: Path, calls: Calls) -> None:
    """Three calls of development, of which two were answered from the cache."""
    calls.spent(500_000_000)
    store = open_store(str(company / "farthing.db"))
    facts = EntryFacts(
        request_id="r", environment="development", dialect="openai.chat", model_asked="gpt-4o-mini"
    )
    for number in (1, 2):
        hit = Record(
            call_id=f"hit_{number}", at_us=AT_US, facts=facts, outcome=Outcome.CACHED, reason="as_asked",
            avoided_nanodollars=250_000_000,
        )  # fmt: skip
        store.apply([hit])
    store.close()


@pytest.mark.usefixtures("cache", "hits")
def test_show_tells_what_is_kept_and_what_it_saved(farthing: CommandLine) -> None:
    development, production = told(farthing("cache", "show", "--json"))["cache"]

    assert development == {
        "environment": "development", "enabled": True, "ttl_seconds": 7_200, "max_entries": 5_000,
        "max_bytes": 268_435_456, "temperature_max": "1", "tools": False, "entries": 2,
        "bytes": development["bytes"], "oldest_at": "2026-12-10T12:00:00.000000Z", "calls": 3, "hits": 2,
        "avoided_nanodollars": 500_000_000,
    }  # fmt: skip
    assert development["bytes"] > 2_000
    assert (production["enabled"], production["entries"], production["calls"]) == (False, 1, 0)

    shown = farthing("cache", "show").stdout
    assert "7,200 s" in shown and "3 (66.7 %)" in shown and "$0.50" in shown and "off" in shown


@pytest.mark.usefixtures("cache")
def test_clear_forgets_one_environment_or_all(farthing: CommandLine, cache: Path) -> None:
    one = farthing("cache", "clear", "--environment", "development")
    assert one.stdout == "Forgot 2 answers of development.\n"
    assert b"secret text" in cache.read_bytes()

    assert told(farthing("cache", "clear", "--json")) == {"cleared": 1, "environment": None}
    assert b"secret text" not in cache.read_bytes()
    assert farthing("cache", "clear").stdout == "There were no answers.\n"


@pytest.mark.usefixtures("cache")
def test_an_environment_that_is_misspelt_is_told_from_one_that_keeps_nothing(farthing: CommandLine) -> None:
    farthing("cache", "clear")
    assert farthing("cache", "clear", "--environment", "production").exit_code == 0

    result = farthing("cache", "clear", "--environment", "developmnt", "--json")

    assert result.exit_code == 2
    assert complaint(result)["fix"] == "did you mean development?"


def test_a_file_that_cannot_be_read_is_removed_by_clear_and_by_nothing_else(
    farthing: CommandLine, cache: Path
) -> None:
    cache.write_bytes(b"no database" * 1_000)

    shown = farthing("cache", "show", "--json")
    assert shown.exit_code == 2
    assert "farthing cache clear" in str(complaint(shown)["fix"])
    assert farthing("cache", "clear", "--environment", "development").exit_code == 2
    assert cache.exists()

    assert "it is removed" in farthing("cache", "clear").stdout
    assert not cache.exists()


def test_where_nothing_is_kept_it_says_how_to_begin(farthing: CommandLine, company: Path) -> None:
    assert "cache: {enabled: true}" in farthing("cache", "show").stdout
    assert told(farthing("cache", "clear", "--json")) == {"cleared": 0, "environment": None}
    assert [file.name for file in company.iterdir()] == ["farthing.yaml"]


@pytest.mark.parametrize(
    ("ledger", "file"),
    [
        ("sqlite:///farthing.db", "farthing-cache.db"),
        ("sqlite:////var/lib/books.db", "/var/lib/books-cache.db"),
        ("ledgers/team", "ledgers/team-cache"),
        ("memory://", None),
        ("postgresql://host/db", None),
    ],
)
def test_the_cache_stands_beside_the_ledger_under_its_name(ledger: str, file: str | None) -> None:
    assert cache_file(ledger) == (None if file is None else Path(file))
