"""Callers that see what an SDK would hide: raw answers, byte for byte."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from farthing.simulator.server import SimulatorServer

CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"
COMPLETIONS = "/v1/completions"
MESSAGES = "/v1/messages"
GENERATE = "/v1beta/models/gemini-2.5-flash:generateContent"
STREAM = "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
ARRAY = "/v1beta/models/gemini-2.5-flash:streamGenerateContent"

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Heard:
    """An answer as it came; whole is False where the connection ended before the body did."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool = True

    def json(self) -> Json:
        decoded = json.loads(self.body)
        assert isinstance(decoded, dict)
        return decoded

    def data(self) -> list[str]:
        """What stands behind "data: " in a stream, in order."""
        text = self.body.decode().replace("\r\n", "\n")
        return [line.removeprefix("data: ") for line in text.split("\n") if line.startswith("data: ")]

    def objects(self) -> list[Json]:
        return [json.loads(one) for one in self.data() if one != "[DONE]"]


def a_request(path: str, text: str, *, stream: bool = False, **members: object) -> Json:
    """The smallest request to a path that says this text."""
    if path == CHAT:
        body: Json = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]}
    elif path == RESPONSES:
        body = {"model": "gpt-5-mini", "input": text}
    elif path == COMPLETIONS:
        body = {"model": "gpt-3.5-turbo-instruct", "prompt": text, "max_tokens": 1000}
    elif path == MESSAGES:
        message = {"role": "user", "content": text}
        body = {"model": "claude-haiku-4-5", "max_tokens": 1000, "messages": [message]}
    else:
        return {"contents": [{"role": "user", "parts": [{"text": text}]}], **members}
    return body | ({"stream": True} if stream else {}) | members


@dataclass(frozen=True)
class Caller:
    """Calls a simulator over plain HTTP."""

    simulator: SimulatorServer

    def say(self, text: str, path: str = CHAT, *, stream: bool = False, **members: object) -> Heard:
        return self.post(path, json.dumps(a_request(path, text, stream=stream, **members)).encode())

    def post(self, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> Heard:
        return self.request("POST", path, body, headers)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Heard:
        return self.request("GET", path, b"", headers)

    def request(self, method: str, path: str, body: bytes, headers: Mapping[str, str] | None) -> Heard:
        connection = http.client.HTTPConnection(self.simulator.host, self.simulator.port, timeout=5)
        try:
            connection.request(method, path, body, {"content-type": "application/json", **(headers or {})})
            response = connection.getresponse()
            whole = True
            try:
                read = response.read()
            except http.client.IncompleteRead as broken:
                read, whole = broken.partial, False
            told = {name.lower(): value for name, value in response.getheaders()}
            return Heard(status=response.status, headers=told, body=read, whole=whole)
        finally:
            connection.close()
