"""Which path is which dialect, and where it leads upstream."""

import pytest

from farthing.domain.errors import BadRequest
from farthing.wire.surfaces import Surface, find

OPENAI = {
    "/chat/completions": "openai.chat",
    "/completions": "openai.completions",
    "/embeddings": "openai.embeddings",
    "/responses": "openai.responses",
    "/responses/compact": "openai.responses",
    "/responses/input_tokens": "openai.responses",
}
ANTHROPIC = {"/messages": "anthropic.messages", "/messages/count_tokens": "anthropic.count_tokens"}
GEMINI = {
    "generateContent": "gemini.generate",
    "streamGenerateContent": "gemini.generate",
    "countTokens": "gemini.count_tokens",
    "embedContent": "gemini.embeddings",
    "batchEmbedContents": "gemini.embeddings",
}


def found(path: str) -> Surface:
    surface = find("POST", path)
    assert surface is not None
    return surface


@pytest.mark.parametrize("front", ["", "/v1", "/proxy/groq", "/proxy/groq/v1"])
@pytest.mark.parametrize(("path", "name"), OPENAI.items())
def test_openai_paths_lead_to_a_base_url_that_has_v1(front: str, path: str, name: str) -> None:
    surface = found(front + path)

    assert (surface.dialect.name, surface.family) == (name, "openai")
    assert surface.upstream_path == surface.upstream_path_for("any") == path
    assert (surface.model, surface.stream) == (None, None)
    assert surface.provider == ("groq" if "proxy" in front else None)


@pytest.mark.parametrize("front", ["", "/v1", "/proxy/anthropic", "/proxy/anthropic/v1"])
@pytest.mark.parametrize(("path", "name"), ANTHROPIC.items())
def test_anthropic_paths_lead_to_a_base_url_that_has_not(front: str, path: str, name: str) -> None:
    surface = found(front + path)

    assert (surface.dialect.name, surface.family) == (name, "anthropic")
    assert surface.upstream_path == "/v1" + path


@pytest.mark.parametrize("version", ["", "/v1", "/v1beta"])
@pytest.mark.parametrize("front", ["", "/proxy/google"])
@pytest.mark.parametrize(("action", "name"), GEMINI.items())
def test_gemini_paths_keep_their_version_and_name_the_model(
    front: str, version: str, action: str, name: str
) -> None:
    surface = found(f"{front}{version}/models/gemini-2.5-flash:{action}?alt=sse")

    assert (surface.dialect.name, surface.family) == (name, "gemini")
    assert surface.model == "gemini-2.5-flash"
    assert surface.stream == (action == "streamGenerateContent")
    assert surface.upstream_path == f"{version or '/v1beta'}/models/gemini-2.5-flash:{action}"
    assert surface.upstream_path_for("other") == f"{version or '/v1beta'}/models/other:{action}"


def test_a_model_may_hold_slashes_and_come_percent_encoded() -> None:
    surface = found("/v1beta/models/google%2Fgemini%3Afree:generateContent")

    assert surface.model == "google/gemini:free"
    assert surface.upstream_path == "/v1beta/models/google/gemini%3Afree:generateContent"
    assert surface.upstream_path_for("a/b") == "/v1beta/models/a/b:generateContent"


@pytest.mark.parametrize(
    "model",
    ["..", "a/../b", "%2e%2e", "a%2F..%2Fb", "a//b", ".", "/a", "a%00b", "a%0D%0Ab", "%252e", "a%3Fb",
     "a%23b", "a\\b", "%FF", "a b", "x" * 257],
)  # fmt: skip
def test_a_model_that_would_lead_elsewhere_is_no_surface(model: str) -> None:
    assert find("POST", f"/v1beta/models/{model}:generateContent") is None


@pytest.mark.parametrize("model", ["", "..", "a/../b", "/a", "a?b", "a#b", "a\nb", "a%2e"])
def test_a_model_that_would_lead_elsewhere_is_not_put_into_a_path(model: str) -> None:
    with pytest.raises(BadRequest):
        found("/v1/models/gemini:generateContent").upstream_path_for(model)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models"), ("POST", "/v1/models"), ("GET", "/v1/chat/completions"),
        ("GET", "/v1/responses/resp_1"), ("POST", "/v1/chat/completions/"), ("POST", "/v1/audio/speech"),
        ("POST", "/v1/v1/messages"), ("POST", "/proxy/groq"), ("POST", "/proxy//v1/messages"),
        ("POST", "/proxy/a/proxy/b/v1/messages"), ("POST", "/proxy/%2e%2e/v1/messages"),
        ("POST", "/v1beta/models/gemini:predict"), ("POST", "/v2/models/gemini:generateContent"),
        ("POST", "/v1beta/models/:generateContent"), ("POST", "/"), ("POST", ""),
        ("DELETE", "/v1/messages"), ("POST", "/v1/messages/batches"),
    ],
)  # fmt: skip
def test_any_other_path_is_no_surface(method: str, path: str) -> None:
    assert find(method, path) is None
