"""Read the recordings, and say of each whether the gateway serves it, by which path, or why not."""

import base64
import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from farthing.policy.reach import PROVIDER_ALIASES
from farthing.wire.surfaces import Surface, find

Json = dict[str, Any]

RECORDINGS_IN_ALL = 153
_BESIDE = Path(__file__).parents[2] / "shared" / "traffic"

# The gateway's own path of each dialect, for recordings made at other hosts' paths.
OWN_PATHS = {
    "openai.chat": "/v1/chat/completions",
    "openai.completions": "/v1/completions",
    "openai.responses": "/v1/responses",
    "openai.embeddings": "/v1/embeddings",
    "anthropic.messages": "/v1/messages",
    "gemini.generate": "/v1beta/models/{model}:generateContent",
    "gemini.stream": "/v1beta/models/{model}:streamGenerateContent",
    "gemini.embeddings": "/v1beta/models/{model}:batchEmbedContents",
    "count_tokens": "",
}
NOT_SERVED = {
    "anthropic.batches": "results of a batch: not a call of a model",
    "bedrock.converse": "Bedrock's own dialect, signed requests",
    "bedrock.invoke": "Bedrock's own dialect, signed requests",
    "cohere": "Cohere's own dialect",
    "gemini.interactions": "the Interactions API",
    "ollama.chat": "Ollama's own dialect; its OpenAI-compatible one is served",
    "openai.audio": "audio, billed by duration or by parts of a form",
    "openai.batches": "state and results of a batch: not a call of a model",
    "openai.images": "images, billed apiece",
    "rerank": "rerank, billed by search units",
}
BACKGROUND = "background: true, whose usage comes with a later request"
NOTHING_SAID = [{"role": "user", "content": "Say hello."}]


@dataclass(frozen=True)
class Recording:
    """One request and response of a real provider, with what a correct reader finds in it."""

    told: Json

    @property
    def id(self) -> str:
        """Its name."""
        return str(self.told["id"])

    @property
    def api(self) -> str:
        """The folder it stands in: the dialect."""
        return str(self.told["api"])

    @property
    def model(self) -> str:
        """The model that was asked for."""
        return str(self.told["model"])

    @property
    def provider(self) -> str:
        """Who answered, as policies and price lists name it."""
        name = str(self.told["provider"])
        return PROVIDER_ALIASES.get(name, name)

    @property
    def status(self) -> int:
        """The recorded status."""
        return int(self.told["response"]["status"])

    @property
    def streamed(self) -> bool:
        """Whether the answer is a stream."""
        return bool(self.told["streamed"]) and self.status < 300

    @cached_property
    def answer(self) -> bytes:
        """The recorded body, decoded."""
        response = self.told["response"]
        if "body_base64" in response:
            return base64.b64decode(response["body_base64"])
        return str(response["body"]).encode()

    @cached_property
    def answer_on_the_wire(self) -> bytes:
        """The recorded body as it was sent: compressed where the recording has it so."""
        encoded = self.told["response"].get("body_encoded_base64")
        return base64.b64decode(encoded) if encoded else self.answer

    @property
    def answer_headers(self) -> dict[str, str]:
        """The recorded headers that belong to the body; its length and chunking are made anew."""
        recorded: dict[str, str] = self.told["response"]["headers"]
        kept = {name: text for name, text in recorded.items() if name != "transfer-encoding"}
        if "body_encoded_base64" not in self.told["response"]:
            kept.pop("content-encoding", None)
        return kept

    # ── the request ─────────────────────────────────────────────────────────────────────────────

    @property
    def method(self) -> str:
        """The recorded method."""
        return str(self._request["method"]) if self._request else "POST"

    @property
    def recorded_path(self) -> str | None:
        """Path and query as recorded; None where only the response was."""
        return str(self._request["path"]) if self._request else None

    @property
    def path(self) -> str:
        """Path and query to ask the gateway for: the recorded one, else its own of that dialect."""
        recorded = self.recorded_path or ""
        own = OWN_PATHS.get(self.api)
        if own is None or find(self.method, recorded) is not None:
            return recorded
        _, mark, query = recorded.partition("?")
        return own.format(model=self.model) + mark + query

    @property
    def surface(self) -> Surface | None:
        """What the gateway makes of that path."""
        return find(self.method, self.path)

    @property
    def family(self) -> str:
        """The dialect family that its target must speak."""
        return self.surface.family if self.surface else "openai"

    @cached_property
    def body(self) -> Json | None:
        """The recorded request; the smallest possible one where only the response was recorded."""
        body = self._request["body"] if self._request else self._smallest_body()
        if body is None or self.family == "gemini":
            return body
        return {"model": self.model} | body  # deployments and projects have the model in the path

    @property
    def headers(self) -> dict[str, str]:
        """The recorded headers of the request."""
        return dict(self._request["headers"]) if self._request else {}

    def _smallest_body(self) -> Json:
        if self.api == "openai.responses":
            return {"input": "Say hello.", "stream": True}
        if self.api == "anthropic.messages":
            return {"messages": NOTHING_SAID, "max_tokens": 4096, "stream": True}
        return {"messages": NOTHING_SAID, "stream": True, "stream_options": {"include_usage": True}}

    @property
    def _request(self) -> Json | None:
        request: Json | None = self.told["request"]
        return request

    # ── its fate ────────────────────────────────────────────────────────────────────────────────

    @property
    def why_refused(self) -> str | None:
        """Why the gateway refuses this call by name; None where it serves it."""
        if self.api in NOT_SERVED:
            return NOT_SERVED[self.api]
        return BACKGROUND if (self.body or {}).get("background") else None

    @property
    def usages(self) -> list[Json | None]:
        """The usage that is right, and those that are as right where the provider contradicts itself."""
        return [self.told["expected_usage"], *self.told.get("also_accepted", [])]


def traffic_folder() -> Path:
    """Where the recordings are: FARTHING_TRAFFIC, else the folder beside the repository."""
    return Path(os.environ.get("FARTHING_TRAFFIC") or _BESIDE)


def load_recordings() -> list[Recording]:
    """Every recording. Raises FileNotFoundError where there are none: nothing passes by being absent."""
    folder = traffic_folder()
    files = sorted(folder.glob("*/*.json"))
    if not files:
        raise FileNotFoundError(f"no recordings in {folder}; set FARTHING_TRAFFIC to their folder")
    return [Recording(json.loads(file.read_text(encoding="utf-8"))) for file in files]


RECORDINGS = load_recordings()
SERVED = [recording for recording in RECORDINGS if recording.why_refused is None]
REFUSED = [recording for recording in RECORDINGS if recording.why_refused is not None]
STREAMS = [recording for recording in SERVED if recording.streamed]
