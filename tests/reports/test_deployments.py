"""The report deployments: calls and cost of each rollout, and the mean of each environment."""

from fractions import Fraction

from farthing.reports.deployments import report
from farthing.scenarios.moments import WEEK_STARTS_AT_US
from farthing.scenarios.rows import Row
from tests.reports.ledgers import DOLLAR, a_call_of, a_ledger, asking, rows_of, total_of


def rollout(name: str | None, calls: int, environment: str = "staging", cost: str = "0.50") -> list[Row]:
    """Calls of one rollout."""
    labels = {} if name is None else {"deployment": name}
    return [
        a_call_of(cost, environment=environment, labels=labels, at_us=WEEK_STARTS_AT_US + number)
        for number in range(calls)
    ]


def test_every_deployment_has_its_calls_and_its_cost() -> None:
    rows = [*rollout("v1", 4), *rollout("v2", 2), *rollout(None, 3), *rollout("v1", 1, "production", "0.25")]
    sheet = report(asking(a_ledger(rows)))
    each = rows_of(sheet, "each")
    assert [(row["deployment"], row["environment"], row["calls"]) for row in each] == [
        ("v1", "staging", 4),
        ("(none)", "staging", 3),
        ("v2", "staging", 2),
        ("v1", "production", 1),
    ]
    assert each[0]["cost_nanodollars"] == 2 * DOLLAR
    assert each[0]["cost_percent"] == Fraction(200, 475)
    assert each[0]["cost_per_call_nanodollars"] == DOLLAR // 2
    assert total_of(sheet, "each")["cost_nanodollars"] == 4_750_000_000


def test_the_mean_of_an_environment_counts_only_what_has_a_name() -> None:
    rows = [*rollout("v1", 4), *rollout("v2", 1), *rollout(None, 30), *rollout("v1", 1, "production")]
    production, staging = sorted(
        rows_of(report(asking(a_ledger(rows))), "environments"), key=lambda row: str(row["environment"])
    )
    assert production["deployments"] == 1
    assert staging == {
        "environment": "staging",
        "deployments": 2,
        "calls": 5,
        "calls_per_deployment": Fraction(5, 2),
        "cost_nanodollars": 2_500_000_000,
        "cost_per_deployment_nanodollars": 1_250_000_000,
        "dearest_nanodollars": 2 * DOLLAR,
    }


def test_one_environment_alone_can_be_asked_for() -> None:
    store = a_ledger([*rollout("v1", 4), *rollout("v1", 1, "production")])
    sheet = report(asking(store, environment="production"))
    assert [row["calls"] for row in rows_of(sheet, "each")] == [1]


def test_the_dearest_stand_first_and_the_others_in_one_row() -> None:
    rows = [row for number in range(1, 8) for row in rollout(f"v{number}", number)]
    sheet = report(asking(a_ledger(rows), top=3))
    each = rows_of(sheet, "each")
    assert [row["deployment"] for row in each] == ["v7", "v6", "v5", "(others)"]
    assert sum(row["calls"] for row in each) == total_of(sheet, "each")["calls"] == 28  # type: ignore[misc]


def test_without_the_label_the_report_says_how_to_send_it() -> None:
    for rows in ([], rollout(None, 3)):
        sheet = report(asking(a_ledger(rows)))
        assert sheet.tables == ()
        assert 'X-Metering-Tags: {"deployment"' in sheet.notes[0]


def test_environments_that_name_no_rollout_are_left_out() -> None:
    rows = [*rollout("v1", 2), *rollout(None, 30, "development")]
    sheet = report(asking(a_ledger(rows)))
    assert {row["environment"] for row in rows_of(sheet, "each")} == {"staging"}


def test_what_is_told_together_has_no_bar() -> None:
    rows = [row for number in range(1, 8) for row in rollout(f"v{number}", number)]
    table = report(asking(a_ledger(rows), top=1)).table("each")
    assert [bool(bar) for bar in table.bar_values()] == [True, False]
