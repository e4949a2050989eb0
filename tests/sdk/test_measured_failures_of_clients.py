"""What a guard got wrong that was measured, asked of ours: how clients behave, rows 10 to 19."""

import asyncio
import copy
import pickle
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import anthropic
import genai_prices
import openai
import pytest
from google import genai
from google.genai import errors, types

from farthing import BudgetExceeded, GuardError, guard
from farthing.simulator.server import SimulatorServer
from tests.sdk.asking import entries_of, messages, report_of
from tests.sdk.snippets import FIFTEEN_CENTS

STANDARD = "[[sim input=4000 output=1000]] hello"


def plain(simulator: SimulatorServer, **more: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=simulator.openai_url, api_key="any", timeout=60, **more)


def guarded(simulator: SimulatorServer, budget: Any, **more: Any) -> openai.OpenAI:
    return guard(plain(simulator), budget=budget, **more)


def claude(simulator: SimulatorServer, budget: Any, **more: Any) -> anthropic.Anthropic:
    return guard(anthropic.Anthropic(base_url=simulator.url, api_key="any"), budget=budget, **more)


def gemini(simulator: SimulatorServer, budget: Any, **more: Any) -> genai.Client:
    client = genai.Client(api_key="any", http_options=types.HttpOptions(base_url=simulator.url))
    return guard(client, budget=budget, **more)


def ask(client: openai.OpenAI, text: str = "hello", model: str = "gpt-4o", **more: Any) -> Any:
    return client.chat.completions.create(model=model, messages=messages(text), **more)


# ── 10: stop ────────────────────────────────────────────────────────────────────────────────────


def test_row_10_a_stopped_answer_is_genuine_and_does_not_look_like_success(
    simulator: SimulatorServer,
) -> None:
    client = guarded(simulator, 0, on_limit="stop")
    answer = ask(client)
    assert type(answer) is openai.types.chat.ChatCompletion
    assert answer.model_dump()["choices"][0]["finish_reason"] == "content_filter"
    assert answer.choices[0].message.tool_calls is None and answer.created > 1_700_000_000
    assert answer.usage is not None and answer.usage.total_tokens == 0
    chunks = list(ask(client, stream=True))
    assert {type(chunk) for chunk in chunks} == {openai.types.chat.ChatCompletionChunk}
    with client.chat.completions.stream(model="gpt-4o", messages=messages("hello")) as stream:
        assert [event.type for event in stream][-1] == "chunk"
    with pytest.raises(openai.ContentFilterFinishReasonError):  # as the SDK tells of every such answer
        client.chat.completions.parse(model="gpt-4o", messages=messages("hello"))
    response = client.responses.create(model="gpt-4o", input="hello")
    assert response.model_dump()["incomplete_details"]["reason"] == "content_filter"
    assert not simulator.record.calls


def test_row_10_stopped_answers_of_the_other_sdks_are_genuine_too(simulator: SimulatorServer) -> None:
    client = claude(simulator, 0, on_limit="stop")
    asked: dict[str, Any] = {"model": "claude-haiku-4-5", "max_tokens": 99, "messages": messages("hello")}
    message = client.messages.create(**asked)
    assert type(message) is anthropic.types.Message and message.model_dump()["stop_reason"] == "refusal"
    with client.messages.stream(**asked) as stream:
        assert stream.get_final_message().stop_reason == "refusal"
    google = gemini(simulator, 0, on_limit="stop")
    whole = google.models.generate_content(model="gemini-2.5-flash", contents="hello")
    assert type(whole) is types.GenerateContentResponse and whole.text is None
    parts = list(google.models.generate_content_stream(model="gemini-2.5-flash", contents="hello"))
    assert [part.text for part in parts] == [None]
    assert not simulator.record.calls


@pytest.mark.parametrize("on_limit", ["raise", "stop"])
def test_row_10_a_blocked_call_is_on_the_ledger_and_costs_nothing(
    simulator: SimulatorServer, on_limit: Any
) -> None:
    client = guarded(simulator, 0, on_limit=on_limit)
    try:
        ask(client)
    except BudgetExceeded:
        assert on_limit == "raise"
    (row,) = entries_of(client)
    assert (row.outcome, row.reason, row.cost_nanodollars) == ("refused", "budget_exceeded", 0)
    assert report_of(client).calls == 0


# ── 11: a loop that swallows everything ─────────────────────────────────────────────────────────


@pytest.mark.parametrize("on_limit", ["raise", "stop"])
def test_row_11_a_loop_that_swallows_every_error_cannot_spend_more_than_the_budget(
    simulator: SimulatorServer, on_limit: Any
) -> None:
    client, begun, seen = guarded(simulator, "$0.50", on_limit=on_limit), time.monotonic(), []
    for _ in range(50):
        try:
            seen.append(ask(client, FIFTEEN_CENTS, max_tokens=7_500).choices[0].finish_reason)
        except openai.OpenAIError as error:
            seen.append(type(error).__name__)
    assert len(simulator.record.calls) == 3
    assert report_of(client).spent == Decimal("0.45")
    assert len(set(seen[3:])) == 1 and seen[3] in ("OpenAIBudgetExceeded", "content_filter")
    assert time.monotonic() - begun < 20  # nothing waits: 47 refusals are told without a pause


# ── 12 and 13: asynchronous clients, Gemini ─────────────────────────────────────────────────────


def test_row_12_asynchronous_clients_are_counted_by_the_same_guard(simulator: SimulatorServer) -> None:
    ours = guard(openai.AsyncOpenAI(base_url=simulator.openai_url, api_key="any"), budget=1)
    theirs = guard(anthropic.AsyncAnthropic(base_url=simulator.url, api_key="any"), budget=1)

    async def twenty() -> None:
        async with ours, theirs:
            for _ in range(20):
                await ours.chat.completions.create(model="gpt-4o", messages=messages(STANDARD))
            await theirs.messages.create(
                model="claude-sonnet-4-6", max_tokens=2_000, messages=messages(STANDARD)
            )

    asyncio.run(twenty())
    assert report_of(ours).spent == Decimal("0.40")
    assert report_of(theirs).spent == Decimal("0.027")


def test_row_13_gemini_is_counted_and_refused(simulator: SimulatorServer) -> None:
    client = gemini(simulator, "$0.15")
    for _ in range(9):
        client.models.generate_content(
            model="gemini-2.5-pro", contents=STANDARD, config={"max_output_tokens": 1_000}
        )
    assert report_of(client).spent == Decimal("0.135")
    with pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(
            model="gemini-2.5-pro", contents="word " * 12_100, config={"max_output_tokens": 1_000}
        )
    assert isinstance(caught.value, BudgetExceeded)
    assert len(simulator.record.calls) == 9


# ── 14: how a budget is written ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("written", "read"), [("$1,000.00", "1000"), ("0.50 USD", "0.50"), (0.1, "0.1"), (2, "2")]
)
def test_row_14_amounts_are_read_as_people_write_them(
    simulator: SimulatorServer, written: Any, read: str
) -> None:
    assert report_of(guarded(simulator, written)).limit == Decimal(read)


@pytest.mark.parametrize(
    "written", ["nan", "inf", "-inf", "$$1", "", " ", "1e3x", "1,00,0", -0.5, True, False, float("nan")]
)
def test_row_14_what_is_no_amount_is_an_error_at_once(simulator: SimulatorServer, written: Any) -> None:
    with pytest.raises(GuardError):
        guarded(simulator, written)


# ── 15: cheaper models ──────────────────────────────────────────────────────────────────────────


def test_row_15_a_client_is_never_sent_a_model_of_another_provider(simulator: SimulatorServer) -> None:
    client = claude(simulator, "$0.02", fallback="gpt-4o-mini", threshold=0.01)
    for _ in range(3):
        client.messages.create(
            model="claude-haiku-4-5", max_tokens=500, messages=messages("[[sim output=400]] hello")
        )
    assert {row.model_served for row in entries_of(client)} == {"claude-haiku-4-5"}


def test_row_15_a_fallback_is_never_dearer(simulator: SimulatorServer) -> None:
    client = guarded(simulator, "$0.01", fallback="gpt-4o", threshold=0.01)
    for _ in range(3):
        ask(client, "[[sim output=400]] hello", model="gpt-4o-mini", max_tokens=500)
    assert {row.model_served for row in entries_of(client)} == {"gpt-4o-mini"}


def test_row_15_with_fifty_in_flight_the_second_half_of_the_money_is_for_the_fallback(
    simulator: SimulatorServer,
) -> None:
    client = guarded(simulator, "$1.00", fallback="gpt-4o-mini", threshold=0.5)
    text = "[[sim output=2000 latency_ms=300]] hello"
    with ThreadPoolExecutor(50) as pool:
        list(pool.map(lambda _: ask(client, text, max_tokens=2_000), range(50)))
    served = [row.model_served for row in entries_of(client)]
    assert (served.count("gpt-4o"), served.count("gpt-4o-mini")) == (25, 25)


# ── 16: what guards share ───────────────────────────────────────────────────────────────────────


def test_row_16_five_guards_of_one_branch_have_one_budget(simulator: SimulatorServer, tmp_path: Path) -> None:
    shared: dict[str, Any] = {"workflow_id": "branch-main", "ledger": f"sqlite:///{tmp_path / 'one.db'}"}
    guards = [guarded(simulator, "$0.02", **shared) for _ in range(5)]
    made = 0
    for client in guards * 2:
        try:
            ask(client, "[[sim output=1900]] hello", max_tokens=1_900)
            made += 1
        except BudgetExceeded:
            continue
    assert made == len(simulator.record.calls) == 1
    assert {report_of(client).spent for client in guards} == {report_of(guards[0]).spent}
    assert report_of(guards[0]).spent <= Decimal("0.02")


def test_row_16_attempts_that_the_sdk_makes_by_itself_are_on_the_ledger(simulator: SimulatorServer) -> None:
    client = guarded(simulator, 1).with_options(timeout=0.2, max_retries=2)
    with pytest.raises(openai.APITimeoutError):
        ask(client, "[[sim hang]] hello", max_tokens=100)
    rows = entries_of(client)
    assert len(rows) == len(simulator.record.calls) == 3
    assert all(row.assumed and row.cost_nanodollars > 0 for row in rows)


# ── 17: one attempt, and the SDK's own types ────────────────────────────────────────────────────

REFUSED: dict[str, tuple[Callable[[SimulatorServer], Any], type[Exception]]] = {
    "openai": (lambda simulator: lambda: ask(guarded(simulator, 0)), openai.RateLimitError),
    "anthropic": (
        lambda simulator: (
            lambda: claude(simulator, 0).messages.create(
                model="claude-haiku-4-5", max_tokens=99, messages=messages("hello")
            )
        ),
        anthropic.RateLimitError,
    ),
    "gemini": (
        lambda simulator: (
            lambda: gemini(simulator, 0).models.generate_content(model="gemini-2.5-flash", contents="hello")
        ),
        errors.ClientError,
    ),
}


@pytest.mark.parametrize("sdk", REFUSED)
def test_row_17_a_refusal_is_the_sdks_own_error_after_one_attempt(
    simulator: SimulatorServer, sdk: str
) -> None:
    make, kind = REFUSED[sdk]
    asking, begun = make(simulator), time.monotonic()
    with pytest.raises(kind) as caught:
        asking()
    assert isinstance(caught.value, BudgetExceeded)
    assert caught.value.limit == 0
    assert time.monotonic() - begun < 5
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is type(caught.value) and str(again) == str(caught.value)
    assert not simulator.record.calls


def test_row_17_the_code_of_a_refusal_can_be_read(simulator: SimulatorServer) -> None:
    client = guarded(simulator, 0)
    with pytest.raises(openai.RateLimitError) as caught:
        ask(client)
    assert (caught.value.status_code, caught.value.code) == (429, "insufficient_quota")
    assert len(entries_of(client)) == 1


# ── 18: as an object ────────────────────────────────────────────────────────────────────────────

CLIENTS: dict[str, Callable[[SimulatorServer], Any]] = {
    "openai": plain,
    "anthropic": lambda simulator: anthropic.Anthropic(base_url=simulator.url, api_key="any"),
    "gemini": lambda simulator: genai.Client(
        api_key="any", http_options=types.HttpOptions(base_url=simulator.url)
    ),
}


@pytest.mark.parametrize("sdk", CLIENTS)
def test_row_18_a_guarded_client_is_an_instance_of_its_own_class(
    simulator: SimulatorServer, sdk: str
) -> None:
    bare = CLIENTS[sdk](simulator)
    client = guard(bare, budget=1)
    assert type(client) is type(bare) and isinstance(client, type(bare))
    with client as entered:
        assert entered is client


@pytest.mark.parametrize("sdk", CLIENTS)
@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, pickle.dumps])
def test_row_18_copying_and_pickling_do_what_they_do_with_the_bare_client(
    simulator: SimulatorServer, sdk: str, how: Callable[[Any], Any]
) -> None:
    bare = CLIENTS[sdk](simulator)
    client = guard(bare, budget=1)
    assert outcome(how, client) == outcome(how, bare)


def outcome(how: Callable[[Any], Any], of: Any) -> str:
    """The kind of what comes out, be it an error."""
    try:
        return type(how(of)).__name__
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        return type(error).__name__


def test_row_18_a_copy_is_on_the_same_budget(simulator: SimulatorServer) -> None:
    client = guarded(simulator, 1)
    ask(copy.copy(client), STANDARD)
    assert report_of(client).spent == Decimal("0.02")


# ── 19: prices ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "model",
    ["o3", "o4-mini", "gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-5", "gpt-5.4", "gpt-5.4-mini", "gpt-5.4-nano"],
)
def test_row_19_a_call_of_openai_costs_what_the_price_list_says(
    simulator: SimulatorServer, model: str
) -> None:
    client = guarded(simulator, 5)
    ask(client, STANDARD, model=model)
    usage = genai_prices.Usage(input_tokens=4_000, output_tokens=1_000)
    assert report_of(client).spent == genai_prices.calc_price(usage, model, provider_id="openai").total_price


@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-2.5-pro", "gemini-2.5-flash-lite"])
def test_row_19_a_call_of_gemini_costs_what_the_price_list_says(
    simulator: SimulatorServer, model: str
) -> None:
    client = gemini(simulator, 5)
    client.models.generate_content(model=model, contents=STANDARD)
    usage = genai_prices.Usage(input_tokens=4_000, output_tokens=1_000)
    assert report_of(client).spent == genai_prices.calc_price(usage, model, provider_id="google").total_price


@pytest.mark.parametrize("model", ["claude-haiku-4-5", "claude-sonnet-4-6", "claude-opus-4-6"])
def test_row_19_a_call_of_anthropic_costs_what_the_price_list_says(
    simulator: SimulatorServer, model: str
) -> None:
    client = claude(simulator, 5)
    client.messages.create(model=model, max_tokens=2_000, messages=messages(STANDARD))
    usage = genai_prices.Usage(input_tokens=4_000, output_tokens=1_000)
    assert (
        report_of(client).spent == genai_prices.calc_price(usage, model, provider_id="anthropic").total_price
    )
