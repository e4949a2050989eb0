"""The columns of a guard's row: what it does under loads, in streams, at each entrance, at the limit."""

import multiprocessing
import sys
import tempfile
from collections.abc import Callable
from decimal import Decimal
from multiprocessing.queues import Queue
from typing import Any

import anthropic
import openai
from pydantic import BaseModel

from benchmarks.guard_stage import (
    ANSWER_TOKENS,
    Outcome,
    Stage,
    asked,
    booked,
    count_no_tokens,
    english,
    in_a_row,
    in_tasks,
    in_threads,
    long_call,
    said,
)
from farthing import BudgetExceeded, CallRefused, guard
from farthing.prices.book import load_book

CAP = "$0.50"
PLENTY = 1_000
Column = Callable[[Stage], object]


def creating(client: openai.OpenAI, request: Callable[[int], dict[str, Any]]) -> Callable[[int], object]:
    return lambda number: client.chat.completions.create(**request(number))


# ── loads ───────────────────────────────────────────────────────────────────────────────────────


def ten_in_a_row(stage: Stage) -> Outcome:
    client = stage.openai(CAP)
    return stage.outcome(in_a_row(creating(client, stage.long), 10), booked(client))


def fifty_threads(stage: Stage) -> Outcome:
    client = stage.openai(CAP)
    return stage.outcome(in_threads(creating(client, stage.long)), booked(client))


def fifty_tasks(stage: Stage) -> Outcome:
    client = stage.async_openai(CAP)
    return stage.outcome(in_tasks(client, stage.long), booked(client))


def short(number: int) -> dict[str, Any]:
    told = f"Write a long story, please. Number {number}. [[sim output={ANSWER_TOKENS}]]"
    return {"model": "gpt-4o", "messages": said(told)}


def fifty_threads_without_a_cap(stage: Stage) -> Outcome:
    client = stage.openai(CAP)
    return stage.outcome(in_threads(creating(client, short)), booked(client))


def _in_a_process(url: str, ledger: str, counts: bool, results: "Queue[int]") -> None:
    if not counts:
        count_no_tokens()
    client = guard(
        openai.OpenAI(base_url=url, api_key="any", timeout=120),
        budget=CAP, workflow_id="shared", ledger=ledger, environment="development",
    )  # fmt: skip
    text = english()
    results.put(in_threads(creating(client, lambda number: long_call(text, number)), 16))


def four_processes(stage: Stage) -> Outcome:
    with tempfile.TemporaryDirectory(dir=stage.folder) as folder:
        ledger = f"sqlite:///{folder}/shared.db"
        spawning = multiprocessing.get_context("spawn")
        results = spawning.Queue()
        told = (stage.server.openai_url, ledger, sys.modules["splintr"] is not None, results)
        processes = [spawning.Process(target=_in_a_process, args=told) for _ in range(4)]
        for process in processes:
            process.start()
        answered = sum(results.get(timeout=120) for _ in processes)
        for process in processes:
            process.join(30)
        return stage.outcome(answered, booked(stage.openai(CAP, workflow_id="shared", ledger=ledger)))


def forty_in_a_row_on_five_dollars(stage: Stage) -> Outcome:
    client = stage.openai(5)
    return stage.outcome(in_a_row(creating(client, stage.long), 40), booked(client))


def fifty_threads_on_five_dollars(stage: Stage) -> Outcome:
    client = stage.openai(5)
    return stage.outcome(in_threads(creating(client, stage.long)), booked(client))


# ── streams ─────────────────────────────────────────────────────────────────────────────────────


def share_booked(stage: Stage, client: object) -> str:
    return f"{booked(client) / stage.true_dollars:.0%}" if stage.true_dollars else "nothing reached"


def stream_with_usage(stage: Stage) -> str:
    client = stage.openai(PLENTY)
    told = stage.long(0) | {"stream": True, "stream_options": {"include_usage": True}}
    usages = [chunk.usage for chunk in client.chat.completions.create(**told)]
    return share_booked(stage, client) + ("" if usages[-1] else ", usage withheld")


def stream_without_usage(stage: Stage) -> str:
    client = stage.openai(PLENTY)
    chunks = list(client.chat.completions.create(**stage.long(0), stream=True))
    return share_booked(stage, client) + (
        ", extra chunk" if any(not chunk.choices for chunk in chunks) else ""
    )


def stream_left(stage: Stage) -> str:
    client = stage.openai(PLENTY)
    with client.chat.completions.create(**stage.long(0), stream=True) as stream:
        for _ in range(3):
            next(stream)
    return share_booked(stage, client)


# ── entrances ───────────────────────────────────────────────────────────────────────────────────


class Answer(BaseModel):
    """What a structured answer must fit."""

    answer: str


def _streamed(client: openai.OpenAI, chat: dict[str, Any]) -> None:
    with client.chat.completions.stream(**chat) as stream:
        for _ in stream:
            pass


_TOLD = "hello [[sim input=30 output=500]]"
_CHAT: dict[str, Any] = {"model": "gpt-4o-mini", "messages": said(_TOLD)}
_RESPONSE: dict[str, Any] = {"model": "gpt-4o-mini", "input": _TOLD}
ENTRANCES: dict[str, Callable[[openai.OpenAI], object]] = {
    "chat.create": lambda client: client.chat.completions.create(**_CHAT),
    "responses.create": lambda client: client.responses.create(**_RESPONSE),
    "embeddings": lambda client: client.embeddings.create(model="text-embedding-3-small", input="hello"),
    "with_options()": lambda client: client.with_options(timeout=60).chat.completions.create(**_CHAT),
    "chat.parse": lambda client: client.chat.completions.parse(**_CHAT, response_format=Answer),
    "responses.parse": lambda client: client.responses.parse(**_RESPONSE, text_format=Answer),
    "with_raw_response": lambda client: client.chat.completions.with_raw_response.create(**_CHAT),
    "chat.stream()": lambda client: _streamed(client, _CHAT),
}


def entrance(ask: Callable[[openai.OpenAI], object]) -> Column:
    """Enforced and counted; judged with money left and with none."""

    def judged(stage: Stage) -> str:
        rich, poor = stage.openai(PLENTY), stage.openai(0)
        ask(rich)
        counted = 0 < booked(rich) == stage.true_dollars
        stage.forget()
        enforced = not asked(lambda: ask(poor)) and stage.paid == 0
        return "●" if enforced and counted else "◐" if enforced or counted else "○"

    return judged


# ── prices ──────────────────────────────────────────────────────────────────────────────────────


def unknown_model(stage: Stage) -> str:
    client = stage.openai(PLENTY)
    try:
        client.chat.completions.create(model="gpt-nobody-knows", messages=said("hello"))
    except CallRefused as refused:
        return f"refused, {stage.paid} paid: {refused.refusal.message}"
    return f"let through, {booked(client)} booked"


def cached_prompt(stage: Stage) -> str:
    client = stage.openai(PLENTY)
    told = "[[sim input=100000 cached=100000 output=0]] hello"
    client.chat.completions.create(model="gpt-4o", messages=said(told), max_tokens=10)
    return f"{booked(client):.3f} of {stage.true_dollars:.3f}"


def answer_without_usage(stage: Stage) -> str:
    client = stage.openai(PLENTY)
    client.chat.completions.create(**stage.long(0, "no_usage"))
    return f"{booked(client):.2f} of {stage.true_dollars:.2f}"


def models_priced(_: Stage) -> str:
    book = load_book()
    return " + ".join(f"{len(book.names(name))} of {name}" for name in ("openai", "anthropic", "google"))


# ── other clients ───────────────────────────────────────────────────────────────────────────────


def claude(told: str, *, streamed: bool = False) -> Column:
    def measured(stage: Stage) -> str:
        client = stage.anthropic(PLENTY)
        request: dict[str, Any] = {
            "model": "claude-sonnet-4-5", "max_tokens": 4_000,
            "messages": said(f"[[sim output=2000 {told}]] hello"),
        }  # fmt: skip
        if streamed:
            _read_messages(client, request)
        else:
            client.messages.create(**request)
        return f"{booked(client):.4f} of {stage.true_dollars:.4f}"

    return measured


def _read_messages(client: anthropic.Anthropic, request: dict[str, Any]) -> None:
    with client.messages.stream(**request) as stream:
        for _ in stream:
            pass


def gemini(stage: Stage) -> str:
    client = stage.google(PLENTY)
    told = "[[sim input=100000 output=11000 reasoning=10000]] hello"
    client.models.generate_content(model="gemini-2.5-flash", contents=told)
    return f"{booked(client):.4f} of {stage.true_dollars:.4f}"


# ── at the limit ────────────────────────────────────────────────────────────────────────────────


def exception(stage: Stage) -> str:
    client = stage.openai(0)
    try:
        client.chat.completions.create(**_CHAT)
    except openai.RateLimitError as error:
        bases = [kind.__qualname__ for kind in type(error).__mro__[1:] if kind.__module__ != "builtins"]
        ours = "" if isinstance(error, BudgetExceeded) else "not "
        return f"{type(error).__qualname__} ({', '.join(bases)}), {ours}a BudgetExceeded"
    return "nothing was raised"


def attempts_at_the_limit(stage: Stage) -> int:
    client = stage.openai(0)
    asked(lambda: client.chat.completions.create(**_CHAT))
    return stage.server.record.received


def message(stage: Stage) -> str:
    client = stage.openai(CAP)
    client.chat.completions.create(**stage.long(0))
    client.chat.completions.create(**stage.long(1))
    try:
        client.chat.completions.create(**stage.long(2))
    except BudgetExceeded as error:
        return str(error)
    return "nothing was raised"


# ── failures ────────────────────────────────────────────────────────────────────────────────────


def _failing(client: openai.OpenAI, told: str) -> bool:
    try:
        client.chat.completions.create(
            model="gpt-4o", messages=said(f"hello [[sim {told}]]"), max_tokens=1_000
        )
    except (openai.InternalServerError, openai.APITimeoutError):
        return True
    return False


def held(client: object) -> Decimal:
    found: Decimal = client.farthing.held  # type: ignore[attr-defined]
    return found


def six_errors(stage: Stage) -> str:
    client = stage.openai(CAP)
    failed = in_threads(lambda number: _failing(client, f"status=500 seed={number}"), 6)
    attempts, charged = stage.server.record.received, booked(client)
    usable = asked(lambda: client.chat.completions.create(**_CHAT))
    told = "still usable" if usable else "not usable any more"
    return f"{failed} errors, {attempts} attempts: booked {charged:.2f}, held {held(client):.2f}, {told}"


def leak(stage: Stage) -> str:
    client = stage.openai("$0.05")
    once = client.with_options(max_retries=0)
    for _ in range(4):
        once.chat.completions.create(**_CHAT)
    for _ in range(2):
        _failing(once, "status=500")
    refused = not asked(
        lambda: once.chat.completions.create(model="gpt-4o", messages=said("word " * 30_000), max_tokens=10)
    )
    off = booked(client) - stage.true_dollars
    return f"held {held(client):.2f}, booked − true {off:.2f}, {'refused' if refused else 'nothing refused'}"


def time_outs(stage: Stage) -> str:
    client = stage.openai(5, timeout=0.3)
    try:
        client.chat.completions.create(**stage.long(0, "latency_ms=2000"))
    except openai.APITimeoutError:
        return f"{stage.paid} × billed {stage.true_dollars:.2f}, booked {booked(client):.2f}"
    return "no time-out"


def ledger_down(stage: Stage) -> str:
    client = stage.openai(CAP, ledger=f"sqlite:///{stage.folder}/no/such/folder/ledger.db")
    try:
        client.chat.completions.create(**_CHAT)
    except CallRefused as refused:
        return f"{stage.paid} paid; {refused.refusal.message}"
    return f"{stage.paid} paid"


def conversation(stage: Stage) -> str:
    client, document = stage.openai(PLENTY), stage.long(0)["messages"][0]["content"][100:8_100]
    turns = said(document)
    for number in range(8):
        turns = [*turns, *said(f"And point {number}?")]
        answer = client.chat.completions.create(model="gpt-4o-mini", messages=turns)
        turns = [*turns, {"role": "assistant", "content": answer.choices[0].message.content or ""}]
    return f"{stage.paid} of 8 turns answered"


def ten_calls_to_one_model(stage: Stage) -> str:
    client = stage.openai(PLENTY)
    return f"{in_a_row(lambda _: client.chat.completions.create(**_CHAT), 10)} of 10 answered"


SECTIONS: dict[str, dict[str, Column]] = {
    "loads on $0.50, calls of $0.20 (n → true / booked)": {
        "10 in a row": ten_in_a_row,
        "50 threads": fifty_threads,
        "50 asyncio tasks": fifty_tasks,
        "50 threads, no max_tokens, $0.10 answers": fifty_threads_without_a_cap,
        "4 processes × 16": four_processes,
    },
    "usable of $5.00 (25 calls fit)": {
        "40 in a row": forty_in_a_row_on_five_dollars,
        "50 threads": fifty_threads_on_five_dollars,
    },
    "streams, booked of the true $0.20": {
        "with include_usage": stream_with_usage,
        "without": stream_without_usage,
        "left after 3 chunks": stream_left,
    },
    "entrances": {name: entrance(ask) for name, ask in ENTRANCES.items()},
    "prices": {
        "unknown model": unknown_model,
        "100k prompt, all cached": cached_prompt,
        "answer without usage": answer_without_usage,
        "models priced": models_priced,
    },
    "other clients": {
        "Anthropic": claude("input=5000"),
        "write 5 min": claude("input=105000 cache_write=100000"),
        "write 1 h": claude("input=105000 cache_write_1h=100000"),
        "read": claude("input=105000 cached=100000"),
        "streamed with a write": claude("input=105000 cache_write=100000", streamed=True),
        "Gemini, thinking": gemini,
    },
    "at the limit": {"exception": exception, "attempts": attempts_at_the_limit, "message": message},
    "failures": {
        "provider answers 500 six times": six_errors,
        "four good calls, two failures, one refusal": leak,
        "three time-outs": time_outs,
        "ledger cannot be opened": ledger_down,
        "8,000 characters sent again in each turn": conversation,
        "10 calls to one model": ten_calls_to_one_model,
    },
}
