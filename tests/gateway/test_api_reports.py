"""Reports over the API: the same sheets as on the command line, for those who may look."""

import json
import shlex
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from typer.testing import CliRunner

from farthing.cli.main import app
from farthing.domain.outcome import RecordedOutcome
from farthing.domain.usage import Usage
from farthing.reports.catalog import BY_NAME, OPTIONS, REPORTS, Report
from farthing.scenarios.moments import HOUR_US, MONTH_STARTS_AT_US
from farthing.scenarios.rows import Row
from farthing.scenarios.seeds_limits import g7, g11, g14
from farthing.scenarios.seeds_people import g3
from farthing.scenarios.writing import write
from farthing.simulator.server import SimulatorServer
from tests.gateway.conftest import POLICY
from tests.running import Heard, RunningGateway

MONTH = "2026-09"
HOSTILE = "<script>alert(1)</script>|`x`"
_NOT_ASKED = ("since", "until", "month", "week", "format", "output")


@pytest.fixture(scope="module")
def told(
    simulator_of_session: SimulatorServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    """A gateway on a ledger with a month of calls of every kind, one of them with a hostile label."""
    folder = tmp_path_factory.mktemp("reports")
    with RunningGateway(POLICY, folder, simulator_of_session) as gateway:
        store = gateway.running.store
        for rows in (g3(), g7(), g11(), g14()):
            write(rows, store)
        hostile = Row(
            at_us=MONTH_STARTS_AT_US + HOUR_US, environment="staging", model_asked="gpt-4o",
            model_served="gpt-4o", usage=Usage(input_tokens=9, output_tokens=9), cost_nanodollars=90,
            labels={"feature": HOSTILE, "deployment": HOSTILE, "user_id": HOSTILE}, developer=HOSTILE,
        )  # fmt: skip
        write([hostile], store)
        for number in range(3):
            store.add_outcome(
                RecordedOutcome(
                    outcome_id=f"o{number}", at_us=MONTH_STARTS_AT_US, environment="production",
                    name="conversion", labels={"feature": "agents", "workflow": "w"},
                )
            )  # fmt: skip
        yield gateway


def arguments_of(report: Report) -> dict[str, str]:
    """What the example of a report asks for besides a span, by the names of the API."""
    words = iter(shlex.split(report.example)[3:])
    given = {word.removeprefix("--"): next(words) for word in words if word.startswith("--")}
    asked = {name: value for name, value in given.items() if name not in _NOT_ASKED}
    return {**asked, "at": f"{MONTH}-08"} if "at" in asked else asked


def asked(gateway: RunningGateway, name: str, /, **query: str) -> Heard:
    """One report by the API."""
    return gateway.admin(f"/api/reports/{name}?{urlencode(query)}")


def of_command(gateway: RunningGateway, name: str, given: dict[str, str]) -> Any:
    """The same report by the command line."""
    options = [word for option, value in given.items() for word in (f"--{option}", value)]
    ledger = f"sqlite:///{gateway.ledger_file}"
    policy = gateway.folder / "farthing.yaml"
    command = ["report", name, *options, "--json", "--ledger", ledger, "--policy", str(policy)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.name)
def test_every_report_is_the_same_by_api_and_by_command(told: RunningGateway, report: Report) -> None:
    given = {**arguments_of(report), "month": MONTH}

    heard = asked(told, report.name, **given)

    assert heard.status == 200, heard.body
    assert heard.json() == of_command(told, report.name, given)
    assert heard.header("content-type") == "application/json"


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.name)
def test_every_report_is_a_page_that_runs_nothing(told: RunningGateway, report: Report) -> None:
    heard = asked(told, report.name, **arguments_of(report), month=MONTH, format="html")

    page = heard.body.decode()
    assert heard.status == 200, page
    assert heard.header("content-type") == "text/html; charset=utf-8"
    assert heard.header("content-security-policy") == "default-src 'none'; style-src 'unsafe-inline'"
    assert page.startswith("<!doctype html>") and "<script" not in page


def test_a_hostile_label_is_shown_as_it_is(told: RunningGateway) -> None:
    page = asked(told, "percentiles", month=MONTH, format="html").body.decode()
    text = asked(told, "percentiles", month=MONTH, format="markdown")

    assert "&lt;script&gt;alert(1)&lt;/script&gt;|`x`" in page
    assert "\\<script\\>alert(1)\\</script\\>\\|\\`x\\`" in text.body.decode()
    assert text.header("content-type") == "text/markdown; charset=utf-8"
    assert HOSTILE in json.dumps(asked(told, "percentiles", month=MONTH).json(), ensure_ascii=False)


def test_the_list_says_what_each_report_answers_and_takes(told: RunningGateway) -> None:
    listed = told.admin("/api/reports").json()["reports"]

    assert [(one["name"], one["help"]) for one in listed] == [(one.name, one.help) for one in REPORTS]
    assert {name for one in listed for name in one["takes"]} <= {*OPTIONS}


def test_without_a_span_the_usual_one_is_told(told: RunningGateway) -> None:
    sheet = asked(told, "environments").json()

    assert sheet["tables"] == {} and "farthing serve" in sheet["notes"][0]


@pytest.mark.parametrize(
    ("name", "query", "status", "said"),
    [
        ("nothing", {}, 404, "there is no report nothing; there are: environments"),
        ("environments", {"month": "2026-13"}, 400, "is not a month"),
        ("environments", {"week": "2026-W99"}, 400, "is not a week"),
        ("environments", {"month": "this", "week": "this"}, 400, "exclude each other"),
        ("environments", {"since": "yesterday-ish"}, 400, "is no moment"),
        ("environments", {"since": "2026-09-02", "until": "2026-09-01"}, 400, "before it begins"),
        ("environments", {"by": "label:feature"}, 400, "environments does not take by"),
        ("outcomes", {"by": "colour"}, 400, "outcomes cannot be told by"),
        ("caps", {"top": "0"}, 422, "top"),
        ("caps", {"top": "100000"}, 422, "top"),
        ("caps", {"format": "pdf"}, 422, "format"),
        ("caps", {"environment": "x" * 301}, 422, "environment"),
    ],
)
def test_bad_questions_are_told_how_to_ask(
    told: RunningGateway, name: str, query: dict[str, str], status: int, said: str
) -> None:
    heard = asked(told, name, **query)

    assert heard.status == status
    assert said in heard.json()["error"]["message"]


def test_call_keys_may_not_read_reports_and_viewers_may(told: RunningGateway) -> None:
    key = told.key("production")
    assert told.request("GET", "/api/reports/environments", headers=key.bearer).status == 403
    assert told.request("GET", "/api/reports/environments").status == 401

    made = told.admin("/api/tokens", "POST", {"name": "looks", "role": "viewer"}).json()
    bearer = {"authorization": f"Bearer {made['token']}"}

    assert told.request("GET", f"/api/reports/environments?month={MONTH}", headers=bearer).status == 200


def test_the_costs_of_outcomes_have_their_own_route_and_agree(told: RunningGateway) -> None:
    (row,) = asked(told, "outcomes", month=MONTH).json()["tables"]["outcomes"]["rows"]
    (own,) = told.admin(f"/api/outcomes/costs?since_us={MONTH_STARTS_AT_US}").json()["outcomes"]

    figures = ("outcomes", "cost_nanodollars", "cost_per_outcome_nanodollars")
    assert [row[name] for name in figures] == [own[name] for name in figures]


def test_descriptions_name_every_report(told: RunningGateway) -> None:
    route = told.request("GET", "/api/openapi.json").json()["paths"]["/api/reports/{report}"]["get"]

    (name,) = [one for one in route["parameters"] if one["name"] == "report"]
    assert name["schema"]["enum"] == [*BY_NAME]
    assert {*route["responses"]["200"]["content"]} == {"application/json", "text/html", "text/markdown"}
