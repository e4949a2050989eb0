"""Callers that send governed calls at once, and tell for each what came back."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import aiohttp
import msgspec

CALL_SECONDS_MAX = 60.0
NO_ANSWER = 0


class PlannedCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call to make: how much the simulator is to bill, how it is asked, and by whom.

    number: stands in the text and in a label, so that the simulator's log and the ledger can be joined.
    """

    number: int
    key: str
    model: str
    output_cap: int
    output_tokens: int
    input_tokens: int
    stream: bool = False
    feature: str = "search"
    directives: str = ""
    padding: int = 0

    @property
    def path(self) -> str:
        """Where the model's dialect is served."""
        return "/v1/messages" if self.model.startswith("claude") else "/v1/chat/completions"

    @property
    def body(self) -> dict[str, Any]:
        """The request, in the dialect of its model."""
        told = f"output={self.output_tokens} input={self.input_tokens} {self.directives}".strip()
        text = f"call={self.number}; [[sim {told}]] " + "word " * max(self.input_tokens, self.padding)
        return {
            "model": self.model,
            "max_tokens": self.output_cap,
            "stream": self.stream,
            "messages": [{"role": "user", "content": text}],
        }

    @property
    def headers(self) -> dict[str, str]:
        """The key, and labels."""
        tags = msgspec.json.encode({"call": str(self.number), "feature": self.feature}).decode()
        return {"authorization": f"Bearer {self.key}", "x-metering-tags": tags}


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller saw: the status (0: no answer at all), the refusal, and whether the answer was whole."""

    number: int
    status: int
    refusal: str | None = None
    whole: bool = False
    call_id: str | None = None
    tries: int = 1

    @property
    def served(self) -> bool:
        """Whether a whole answer arrived."""
        return self.status == 200 and self.whole


def random_calls(
    count: int, keys: Sequence[str], *, seed: int, output_tokens: int = 6_000, first: int = 1
) -> list[PlannedCall]:
    """Calls of random cost, some streamed, over several keys, labels, models and two dialects."""
    dice = random.Random(seed)
    planned = []
    for number in range(first, first + count):
        cap = dice.randint(300, output_tokens)
        planned.append(
            PlannedCall(
                number=number,
                key=dice.choice(keys),
                model=dice.choice(("gpt-4o", "penny-model", "claude-haiku-4-5")),
                output_cap=cap,
                output_tokens=dice.randint(cap // 2, cap),
                input_tokens=dice.randint(1, 200),
                stream=dice.random() < 0.3,
                feature=dice.choice(("search", "summary", "chat")),
            )
        )
    return planned


class Callers:
    """Sends planned calls over one connection pool; a use as a context closes it."""

    def __init__(self, *, at_once: int = 200) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=at_once),
            timeout=aiohttp.ClientTimeout(total=CALL_SECONDS_MAX),
        )

    async def __aenter__(self) -> "Callers":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def call(self, url: str, planned: PlannedCall) -> Seen:
        """Make one call and read its answer to the end."""
        number, status, refusal, call_id = planned.number, NO_ANSWER, None, None
        try:
            async with self._session.post(
                url + planned.path, json=planned.body, headers=planned.headers
            ) as answer:
                status, refusal = answer.status, answer.headers.get("x-farthing-refusal")
                call_id = answer.headers.get("x-farthing-call-id")
                text = await answer.read()
        except (aiohttp.ClientError, OSError, TimeoutError):
            return Seen(number=number, status=status, refusal=refusal, call_id=call_id)
        whole = _is_whole(text) if planned.stream and status == 200 else True
        return Seen(number=number, status=status, refusal=refusal, whole=whole, call_id=call_id)

    async def insist(self, url: str, planned: PlannedCall, *, again_seconds: float = 0.1) -> Seen:
        """Call again while the money is only held by others, as a patient client does."""
        tries = 1
        seen = await self.call(url, planned)
        while seen.refusal == "budget_held":
            tries += 1
            await asyncio.sleep(again_seconds)
            seen = await self.call(url, planned)
        return msgspec.structs.replace(seen, tries=tries)

    async def all_of(self, url: str, planned: Iterable[PlannedCall], *, insist: bool = False) -> list[Seen]:
        """Make all calls at once."""
        one = self.insist if insist else self.call
        return list(await asyncio.gather(*[one(url, call) for call in planned]))


def _is_whole(text: bytes) -> bool:
    return b"data: [DONE]" in text or b"event: message_stop" in text


def tally(seen: Iterable[Seen]) -> dict[str, int]:
    """Count what callers saw, by status and refusal."""
    return dict(Counter(f"{one.status} {one.refusal or ('whole' if one.whole else 'cut')}" for one in seen))
