"""Costs that providers reported themselves in recorded answers: ours is the same on that day.

The recordings lie beside the repository; without them there is nothing to collect here.
"""

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from farthing.domain.usage import Usage
from farthing.prices.book import load_book
from farthing.prices.cost import cost_nanodollars
from tests.prices.moments import at

_BESIDE = Path(__file__).parents[2] / ".." / "shared" / "traffic"
TRAFFIC = Path(os.environ.get("FARTHING_TRAFFIC", str(_BESIDE)))

# The book cannot tell, so it marks the entry or takes the dearest.
DIFFERENT = {
    "or-web-search": "the book has no fee for a search of this reseller, and says so on the entry",
    "perplexity-cost": "the fee depends on the size of the search, the book has the largest",
    "perplexity-doc-pro": "the fee depends on the size of the search, the book has the largest",
}
# Resellers, names and kinds of call that are not in the book: no price, no guess.
UNPRICED = {
    "or-basic-cost",
    "or-rerank-cost",
    "or-stream-error-mid",
    "vercel-gw-gpt5",
    "vercel-gw-stream-cost",
}


def reported() -> list[Any]:
    """Recorded answers whose provider says what they cost, of models that are in the book."""
    cases = []
    for file in sorted(TRAFFIC.glob("*/*.json")):
        case = json.loads(file.read_text(encoding="utf-8"))
        if case.get("expected_cost_usd") is not None and case["recorded_on"]:
            cases.append(pytest.param(case, id=case["id"]))
    return cases


if reported():

    @pytest.mark.parametrize("case", reported())
    def test_the_cost_is_the_one_that_the_provider_reported(case: dict[str, Any]) -> None:
        usage = Usage(**{key: value for key, value in case["expected_usage"].items() if value is not None})
        price = load_book().find(case["provider"], case["model"], at(case["recorded_on"]))
        theirs = Decimal(str(case["expected_cost_usd"])) * 10**9
        if case["id"] in UNPRICED:
            assert price is None
            return
        assert price is not None
        ours = cost_nanodollars(usage, price, service_tier=case.get("service_tier"))
        if case["id"] in DIFFERENT:
            assert ours.nanodollars > theirs or ours.anomalies == ("no price for web_search",)
        else:
            assert 0 <= ours.nanodollars - theirs < 1
