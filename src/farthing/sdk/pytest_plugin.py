"""Budgets in pytest: a cap for the whole run, budgets of tests, fixtures, and what each test has spent.

Loaded into every pytest where farthing is installed, so it imports nothing before a test asks for it.
"""

import os
import time
import uuid
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, TypeVar

import pytest

from farthing.sdk import ci

if TYPE_CHECKING:
    from farthing.sdk.client_maker import ClientMaker
    from farthing.sdk.context import Scope
    from farthing.sdk.fenced_test import FencedTest

Result = TypeVar("Result")
MARKER = "ai_budget"
_FIXTURES = frozenset({"farthing_client", "farthing_fence"})
_BUDGET = "ai_budget"
_REACHED = "ai_budget_reached"
_LEDGERS = "farthing_ledgers"
_fenced = pytest.StashKey["FencedTest"]()
_refusals_before = pytest.StashKey[int]()
_told = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --ai-budget, and ai_budget for the configuration file."""
    told = "dollars that all tests of a run may spend on AI models together; every test is metered"
    group = parser.getgroup("farthing", "spend on AI models")
    group.addoption("--ai-budget", dest="ai_budget", metavar="DOLLARS", default=None, help=told)
    parser.addini("ai_budget", help=told, default="")


def pytest_configure(config: pytest.Config) -> None:
    """Name the run and its cap, for every process that it starts."""
    config.addinivalue_line(
        "markers",
        "ai_budget(dollars, model_fallback=None): what this test may spend on AI models; "
        "model_fallback takes the place of every dearer model.",
    )
    if hasattr(config, "workerinput"):  # a worker of pytest-xdist has it all from its parent
        return
    _say(config, ci.RUN, ci.named_run() or f"pytest-{uuid.uuid4().hex[:12]}")
    cap = _cap_given(config)
    if cap is not None:
        _say(config, ci.CAP, cap)
    config.pluginmanager.register(SpendOfRun(), "farthing-spend")


def _say(config: pytest.Config, variable: str, value: str) -> None:
    """Set an environment variable until the run is over."""
    before = os.environ.get(variable)

    def take_back() -> None:
        if before is None:
            os.environ.pop(variable, None)
        else:
            os.environ[variable] = before

    os.environ[variable] = value
    config.add_cleanup(take_back)


def _cap_given(config: pytest.Config) -> str | None:
    """The cap in plain dollars: the option counts before the variable, and that before the ini file."""
    given = (
        ("--ai-budget", config.getoption("ai_budget")),
        (ci.CAP, os.environ.get(ci.CAP, "").strip()),
        ("ai_budget in the configuration file", config.getini("ai_budget")),
    )
    for what, amount in given:
        if amount is not None and (amount or what == "--ai-budget"):
            from farthing.domain.money import BadAmount, decimal_text, nanodollars_from

            try:
                read = decimal_text(nanodollars_from(amount))
            except BadAmount as error:
                raise pytest.UsageError(f"{what}: {error}") from error
            whole, _, fraction = read.partition(".")
            return f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"
    return None


# ── one test ────────────────────────────────────────────────────────────────────────────────────


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Result, Result]:
    """Put a test that is to be metered inside its fences."""
    item.stash[_refusals_before] = len(ci.refusals)
    item.stash[_told] = False
    if item.stash.get(_fenced, None) is not None:
        del item.stash[_fenced]  # the test is run again
    if _is_metered(item):
        _fence(item)
    return (yield from _judged(item))


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Result, Result]:
    """Fail a test that reached a limit, whatever became of the error that told it so."""
    return (yield from _judged(item))


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, Result, Result]:
    """Take the fences away."""
    try:
        return (yield from _judged(item))
    finally:
        fenced = item.stash.get(_fenced, None)
        if fenced is not None:
            fenced.leave()


def _is_metered(item: pytest.Item) -> bool:
    if item.get_closest_marker(MARKER) is not None or not _FIXTURES.isdisjoint(
        getattr(item, "fixturenames", ())
    ):
        return True
    config = item.config
    return config.getoption("ai_budget") is not None or bool(config.getini("ai_budget"))


def _fence(item: pytest.Item) -> "FencedTest":
    """The fences around a test; set up when they are asked for first."""
    known = item.stash.get(_fenced, None)
    if known is not None:
        return known
    from farthing.sdk.errors import GuardError
    from farthing.sdk.fenced_test import FencedTest, read_marker

    marker = item.get_closest_marker(MARKER)
    try:
        budget, model = (None, None) if marker is None else read_marker(marker.args, dict(marker.kwargs))
        fenced = item.stash[_fenced] = FencedTest(item.name, budget, model)
    except GuardError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None
    if budget is not None:
        _note(item, _BUDGET, f"{fenced.budget:f}")
    fenced.enter()
    return fenced


def _note(item: pytest.Item, name: str, value: str) -> None:
    """Write something on the report of a test, where also JUnit's XML shows it."""
    item.user_properties[:] = [one for one in item.user_properties if one[0] != name] + [(name, value)]


def _judged(item: pytest.Item) -> Generator[None, Result, Result]:
    try:
        result = yield
    except (KeyboardInterrupt, SystemExit, pytest.exit.Exception):
        raise
    except BaseException as error:
        _tell(item, error)
        raise
    _tell(item, None)
    return result


def _tell(item: pytest.Item, error: BaseException | None) -> None:
    """Fail with the reason where a limit was reached in this test and nobody has told so yet."""
    fenced = item.stash.get(_fenced, None)
    refusal = fenced.refusal() if fenced is not None else None
    before = item.stash.get(_refusals_before, 0)
    if refusal is None and len(ci.refusals) > before:
        refusal = ci.refusals[before]
    if refusal is None or item.stash.get(_told, False):
        return
    from farthing.sdk.context import FenceShut
    from farthing.sdk.errors import CallRefused
    from farthing.sdk.fenced_test import reason_of

    item.stash[_told] = True
    _note(item, _REACHED, "run" if refusal.budget == ci.CAP_NAME else "test")
    reason = reason_of(refusal, item.name, error.__traceback__ if error else None, item.path)
    if error is None or isinstance(error, FenceShut | CallRefused | pytest.skip.Exception):
        raise pytest.fail.Exception(reason, pytrace=False) from None
    error.add_note(reason)  # the test has a failure of its own to show


# ── fixtures ────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def farthing_fence(request: pytest.FixtureRequest) -> "Scope":
    """The fence around this test: spent, remaining, held, limit, calls."""
    return _fence(request.node).scope


@pytest.fixture
def farthing_client(request: pytest.FixtureRequest) -> "Iterator[ClientMaker]":
    """Guard a client, or openai.OpenAI() where none is given, on the budget of this test."""
    fenced = _fence(request.node)
    from farthing.sdk.client_maker import ClientMaker

    with ClientMaker(fenced.budget) as made:
        yield made


# ── the end of the run ──────────────────────────────────────────────────────────────────────────


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the parent of this worker where its guards kept their books."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None and ci.ledgers:
        output[_LEDGERS] = sorted(ci.ledgers)


class SpendOfRun:
    """Collects what the tests of a run say of their budgets, and shows what they have spent."""

    def __init__(self) -> None:
        self._since_us = time.time_ns() // 1_000
        self._budgets: dict[str, str] = {}
        self._reached: dict[str, str] = {}
        self._ledgers: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the budget of a test, and which limit it reached."""
        for name, value in report.user_properties:
            if name == _BUDGET:
                self._budgets[report.nodeid] = str(value)
            elif name == _REACHED:
                self._reached[report.nodeid] = str(value)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object) -> None:
        """Learn where the guards of a worker kept their books."""
        self._ledgers.update(getattr(node, "workeroutput", {}).get(_LEDGERS, ()))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show the table; nothing at all where no test asked a model."""
        ledgers = self._ledgers | ci.ledgers
        if not ledgers:
            return
        from farthing.sdk.spend_table import spend_table

        terminalreporter.section("spend on AI models")
        for line in spend_table(
            sorted(ledgers), since_us=self._since_us, budgets=self._budgets, reached=self._reached
        ):
            terminalreporter.write_line(line)
