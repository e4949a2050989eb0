"""OpenAI's plainer endpoints: the older completions, and embeddings."""

import array
import base64
import hashlib

import msgspec

from farthing.simulator.ask import Ask, Malformed, smallest, tokens_in
from farthing.simulator.endpoint import CREATED, Address, Endpoint, read_body
from farthing.simulator.openai_chat_answers import (
    StreamOptions,
    UsageInStream,
    choices_asked,
    fault,
    usage_of,
)
from farthing.simulator.reply import Finish, Reply

_FINISH = {Finish.STOP: "stop", Finish.LENGTH: "length", Finish.TOOL: "stop"}
_DEFAULT_CAP = 16  # what OpenAI takes when a completions request names no max_tokens
_DIMENSIONS = 1536


class _CompletionBody(msgspec.Struct):
    model: str
    prompt: msgspec.Raw
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    n: int | None = None


def _read_completion(body: bytes, address: Address) -> Ask:
    request = read_body(body, _CompletionBody)
    return Ask(
        model=request.model,
        text=_last_text(request.prompt),
        input_tokens=tokens_in(request.prompt),
        output_cap=smallest(request.max_tokens) or _DEFAULT_CAP,
        choices=choices_asked(request.n),
        stream=bool(request.stream),
        wants_usage=bool(request.stream_options and request.stream_options.include_usage),
    )


def _last_text(given: msgspec.Raw) -> str:
    texts = read_body(bytes(given), str | list[str | int | list[int]])  # type: ignore[arg-type]
    if isinstance(texts, str):
        return texts
    if not texts:
        raise Malformed("Invalid input: an empty array.")
    return texts[-1] if isinstance(texts[-1], str) else ""


def _completion_head(reply: Reply) -> dict[str, object]:
    return {
        "id": f"cmpl-{reply.stem}",
        "object": "text_completion",
        "created": CREATED,
        "model": reply.model,
    }


def _choice(index: int, text: str, finish: str | None) -> dict[str, object]:
    return {"text": text, "index": index, "logprobs": None, "finish_reason": finish}


def _whole_completion(ask: Ask, reply: Reply) -> bytes:
    answer = _completion_head(reply) | {
        "choices": [
            _choice(index, choice.text, _FINISH[choice.finish]) for index, choice in enumerate(reply.choices)
        ]
    }
    if reply.counts is not None:
        answer["usage"] = usage_of(reply.counts, reply.manner)
    return msgspec.json.encode(answer)


def _completion_events(ask: Ask, reply: Reply) -> list[bytes]:
    head = _completion_head(reply)
    chunks = []
    for index, choice in enumerate(reply.choices):
        chunks += [head | {"choices": [_choice(index, piece, None)]} for piece in choice.pieces]
        chunks.append(head | {"choices": [_choice(index, "", _FINISH[choice.finish])]})
    return UsageInStream(ask, reply).around(chunks, head)


class _EmbeddingBody(msgspec.Struct):
    model: str
    input: msgspec.Raw
    encoding_format: str | None = None
    dimensions: int | None = None


def _read_embedding(body: bytes, address: Address) -> Ask:
    request = read_body(body, _EmbeddingBody)
    inputs = read_body(bytes(request.input), str | list[str | int | list[int]])  # type: ignore[arg-type]
    one = isinstance(inputs, str) or (bool(inputs) and isinstance(inputs[0], int))
    return Ask(
        model=request.model,
        text=_last_text(request.input),
        input_tokens=tokens_in(request.input),
        choices=1 if one else len(inputs),
        dimensions=request.dimensions,
        base64=request.encoding_format == "base64",
        generates=False,
    )


def vector(stem: str, number: int, dimensions: int | None) -> list[float]:
    """A vector of small numbers, drawn from a name; most of it repeats."""
    length = dimensions or _DIMENSIONS
    digest = hashlib.blake2b(f"{stem}{number}".encode()).digest()
    some = [(byte - 127.5) / 4096 for byte in digest]
    return (some * (length // len(some) + 1))[:length]


def _packed(vector: list[float]) -> str:
    return base64.b64encode(array.array("f", vector).tobytes()).decode()


def _whole_embedding(ask: Ask, reply: Reply) -> bytes:
    vectors = [vector(reply.stem, number, ask.dimensions) for number in range(ask.choices)]
    answer: dict[str, object] = {
        "object": "list",
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": _packed(one) if ask.base64 else one,
            }
            for index, one in enumerate(vectors)
        ],
        "model": reply.model,
    }
    if reply.counts is not None:
        tokens = reply.counts.input_tokens
        answer["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
    return msgspec.json.encode(answer)


COMPLETIONS = Endpoint(
    name="openai.completions",
    family="openai",
    read=_read_completion,
    whole=_whole_completion,
    events=_completion_events,
    fault=fault,
)
EMBEDDINGS = Endpoint(name="openai.embeddings", family="openai", read=_read_embedding, whole=_whole_embedding)
