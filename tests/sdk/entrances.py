"""Every way into a model that the SDKs offer, as plain functions that older and newer SDKs understand.

Imports no SDK and no HTTP library, so that the same list serves whichever version is installed.
"""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

TEXT = "hello [[sim input=30 output=500]]"
WORDS: list[Any] = [{"role": "user", "content": TEXT}]
CHAT: dict[str, Any] = {"model": "gpt-4o-mini", "messages": WORDS}
RESPONSES: dict[str, Any] = {"model": "gpt-4o-mini", "input": TEXT}
CLAUDE: dict[str, Any] = {"model": "claude-haiku-4-5", "max_tokens": 600, "messages": WORDS}
GEMINI: dict[str, Any] = {"model": "gemini-2.5-flash-lite", "contents": TEXT}
# Without a cap this one answers in 16 tokens.
PLAIN: dict[str, Any] = {"model": "gpt-3.5-turbo-instruct", "prompt": TEXT, "max_tokens": 600}


class Answer(BaseModel):
    """What a structured answer must fit."""

    answer: str


@dataclass(frozen=True)
class Entrance:
    """One way to ask. The same function serves synchronous and asynchronous clients.

    nanodollars: what the simulator's answer costs: 30 tokens of input, 500 of output.
    """

    name: str
    ask: Callable[[Any], Any]
    nanodollars: int

    def __str__(self) -> str:
        return self.name


def read(got: Any) -> None:
    """Read what an entrance gave to its end: an answer, a stream, or what must be entered first."""
    if hasattr(got, "__enter__"):
        with got as opened:
            for _ in opened.iter_bytes() if hasattr(opened, "iter_bytes") else opened:
                pass
    elif hasattr(got, "__next__"):
        for _ in got:
            pass


async def read_async(got: Any) -> None:
    """Do as read does, for asynchronous clients."""
    if inspect.isawaitable(got):
        got = await got
    if hasattr(got, "__aenter__"):
        async with got as opened:
            async for _ in opened.iter_bytes() if hasattr(opened, "iter_bytes") else opened:
                pass
    elif hasattr(got, "__anext__"):
        async for _ in got:
            pass


def _of(nanodollars: int, asks: Iterable[tuple[str, Callable[[Any], Any]]]) -> tuple[Entrance, ...]:
    return tuple(Entrance(name, ask, nanodollars) for name, ask in asks)


OPENAI = (
    *_of(
        30 * 150 + 500 * 600,
        [
            ("chat.completions.create", lambda client: client.chat.completions.create(**CHAT)),
            (
                "chat.completions.create, streamed",
                lambda client: client.chat.completions.create(**CHAT, stream=True),
            ),
            (
                "chat.completions.create, streamed with usage",
                lambda client: client.chat.completions.create(
                    **CHAT, stream=True, stream_options={"include_usage": True}
                ),
            ),
            ("chat.completions.stream", lambda client: client.chat.completions.stream(**CHAT)),
            (
                "chat.completions.parse",
                lambda client: client.chat.completions.parse(**CHAT, response_format=Answer),
            ),
            ("responses.create", lambda client: client.responses.create(**RESPONSES)),
            ("responses.create, streamed", lambda client: client.responses.create(**RESPONSES, stream=True)),
            ("responses.stream", lambda client: client.responses.stream(**RESPONSES)),
            ("responses.parse", lambda client: client.responses.parse(**RESPONSES, text_format=Answer)),
            (
                "with_raw_response",
                lambda client: client.chat.completions.with_raw_response.create(**CHAT),
            ),
            (
                "with_raw_response of the client",
                lambda client: client.with_raw_response.chat.completions.create(**CHAT),
            ),
            (
                "with_streaming_response",
                lambda client: client.chat.completions.with_streaming_response.create(**CHAT),
            ),
            (
                "with_streaming_response, streamed",
                lambda client: client.responses.with_streaming_response.create(**RESPONSES, stream=True),
            ),
            ("with_options", lambda client: client.with_options(timeout=30).chat.completions.create(**CHAT)),
            (
                "copy",
                lambda client: client.copy(default_headers={"x-one": "1"}).chat.completions.create(**CHAT),
            ),
            ("beta.chat.completions.parse", lambda client: client.beta.chat.completions.parse(**CHAT)),
            ("beta.chat.completions.stream", lambda client: client.beta.chat.completions.stream(**CHAT)),
            ("post", lambda client: client.post("/chat/completions", body=CHAT, cast_to=object)),
        ],
    ),
    *_of(
        30 * 20,
        [
            (
                "embeddings.create",
                lambda client: client.embeddings.create(model="text-embedding-3-small", input=TEXT),
            )
        ],
    ),
    *_of(
        30 * 1500 + 500 * 2000,
        [
            ("completions.create", lambda client: client.completions.create(**PLAIN)),
            ("completions.create, streamed", lambda client: client.completions.create(**PLAIN, stream=True)),
        ],
    ),
)

ANTHROPIC = _of(
    30 * 1_000 + 500 * 5_000,
    [
        ("messages.create", lambda client: client.messages.create(**CLAUDE)),
        ("messages.create, streamed", lambda client: client.messages.create(**CLAUDE, stream=True)),
        ("messages.stream", lambda client: client.messages.stream(**CLAUDE)),
        ("beta.messages.create", lambda client: client.beta.messages.create(**CLAUDE)),
        ("beta.messages.stream", lambda client: client.beta.messages.stream(**CLAUDE)),
        ("with_options", lambda client: client.with_options(timeout=30).messages.create(**CLAUDE)),
        ("copy", lambda client: client.copy(default_headers={"x-one": "1"}).messages.create(**CLAUDE)),
        ("with_raw_response", lambda client: client.messages.with_raw_response.create(**CLAUDE)),
        ("with_streaming_response", lambda client: client.messages.with_streaming_response.create(**CLAUDE)),
        ("post", lambda client: client.post("/v1/messages", body=CLAUDE, cast_to=object)),
    ],
)

# Asynchronously these are asked of client.aio.
GEMINIS = (
    *_of(
        30 * 100 + 500 * 400,
        [
            ("generate_content", lambda client: client.models.generate_content(**GEMINI)),
            ("generate_content_stream", lambda client: client.models.generate_content_stream(**GEMINI)),
            (
                "chats.send_message",
                lambda client: client.chats.create(model=GEMINI["model"]).send_message(TEXT),
            ),
            (
                "chats.send_message_stream",
                lambda client: client.chats.create(model=GEMINI["model"]).send_message_stream(TEXT),
            ),
        ],
    ),
    *_of(
        30 * 150,
        [
            (
                "embed_content",
                lambda client: client.models.embed_content(model="gemini-embedding-001", contents=TEXT),
            )
        ],
    ),
)

# What costs nothing and passes however little money is left.
FREE_OF_ANTHROPIC = _of(
    0,
    [
        (
            "messages.count_tokens",
            lambda client: client.messages.count_tokens(model=CLAUDE["model"], messages=WORDS),
        )
    ],
)
FREE_OF_GEMINI = _of(0, [("count_tokens", lambda client: client.models.count_tokens(**GEMINI))])

# What nobody could tell the cost of beforehand: closed, and not let through unmetered.
CLOSED_OF_OPENAI = _of(
    0,
    [
        ("images.generate", lambda client: client.images.generate(model="gpt-image-1", prompt="a coin")),
        (
            "audio.speech.create",
            lambda client: client.audio.speech.create(model="tts-1", voice="alloy", input="a coin"),
        ),
        (
            "batches.create",
            lambda client: client.batches.create(
                completion_window="24h", endpoint="/v1/chat/completions", input_file_id="file-1"
            ),
        ),
        ("beta.threads.create_and_run", lambda client: client.beta.threads.create_and_run(assistant_id="a")),
    ],
)
CLOSED_OF_ANTHROPIC = _of(
    0,
    [
        (
            "messages.batches.create",
            lambda client: client.messages.batches.create(requests=[{"custom_id": "1", "params": CLAUDE}]),
        ),
    ],
)
CLOSED_OF_GEMINI = _of(
    0,
    [
        (
            "interactions.create",
            lambda client: client.interactions.create(model=GEMINI["model"], input=TEXT),
        ),
        ("batches.create", lambda client: client.batches.create(model=GEMINI["model"], src="files/one")),
    ],
)
