"""One replay server and one gateway for the whole run, and the report at its end."""

from collections.abc import Iterator

import pytest

from conformance.conversation import Conversations
from conformance.gateway import RunningGateway
from conformance.policy import policy_of
from conformance.recordings import RECORDINGS, SERVED, Json
from conformance.replay import Replay
from conformance.report import Report
from farthing.prices.book import PriceBook, load_book
from farthing.prices.override import override_from_dollars

_REPORT = pytest.StashKey[Report]()


@pytest.fixture(scope="session")
def replay() -> Iterator[Replay]:
    """Every provider at once."""
    with Replay(RECORDINGS) as server:
        yield server


@pytest.fixture(scope="session")
def policy(replay: Replay) -> Json:
    """The policy of the run."""
    return policy_of(SERVED, replay)


@pytest.fixture(scope="session")
def gateway(policy: Json, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway in a process of its own."""
    with RunningGateway(tmp_path_factory.mktemp("gateway"), policy) as running:
        yield running


@pytest.fixture(scope="session")
def conversations(gateway: RunningGateway, replay: Replay) -> Conversations:
    """Every recorded conversation, held when it is first asked for."""
    return Conversations(gateway, replay, anybody=SERVED[0].id)


@pytest.fixture(scope="session")
def book(policy: Json) -> PriceBook:
    """The prices that the gateway has: the bundled ones, and those of the policy before them."""
    declared = {
        model: override_from_dollars(
            {name: rate for name, rate in price.items() if name != "provider"}, provider=price.get("provider")
        )
        for model, price in policy["prices"].items()
    }
    return load_book().with_overrides(declared)


@pytest.fixture(scope="session")
def report(request: pytest.FixtureRequest) -> Report:
    """What the run has shown, printed at its end."""
    return request.config.stash.setdefault(_REPORT, Report())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the report."""
    shown = config.stash.get(_REPORT, None)
    if shown is not None:
        terminalreporter.section("recorded traffic through the gateway")
        for line in shown.lines():
            terminalreporter.write_line(line)
