"""Embeddings of both families: input only, nothing to cap."""

import json
from typing import Any

import pytest

from farthing.domain.errors import BadRequest
from farthing.domain.usage import Usage
from tests.wire.streams import EMBEDDINGS, GEMINI_EMBED, facts, metered, read, sent

ONE = "/v1beta/models/gemini-embedding-001:embedContent"


def test_an_embedding_generates_nothing() -> None:
    for path in (EMBEDDINGS, GEMINI_EMBED, ONE):
        asked = facts(path, input="words")
        assert not asked.generates
        assert asked.output_cap is None


def test_no_cap_is_ever_inserted() -> None:
    assert sent(read(EMBEDDINGS, {"input": "a"}), output_cap=9, ask_usage=True) == {
        "model": "gpt-4o",
        "input": "a",
    }


@pytest.mark.parametrize("usage", [{"prompt_tokens": 5, "total_tokens": 5}, {"total_tokens": 5}])
def test_the_input_is_read_also_where_only_a_total_is_told(usage: dict[str, int]) -> None:
    result = metered(EMBEDDINGS, {"model": "m", "data": [{"embedding": [0.5] * 9}], "usage": usage})

    assert result.usage == Usage(input_tokens=5, output_tokens=0)
    assert (result.complete, result.model_answered) == (True, "m")


def test_inputs_that_are_objects_may_hold_pictures_from_elsewhere() -> None:
    assert facts(EMBEDDINGS, input=[{"image_url": "https://e.com"}]).unbounded == ("input_object",)
    assert facts(EMBEDDINGS, input={"image": "https://e.com"}).unbounded == ("input_object",)
    assert facts(EMBEDDINGS, input=["a", [1, 2]]).unbounded == ()


def test_the_model_stands_in_every_request_of_a_batch_and_is_replaced_in_all() -> None:
    named = {"model": "models/gemini-embedding-001", "content": {"parts": [{"text": "a"}]}}
    request = read(GEMINI_EMBED, {"requests": [named, {"content": {"parts": [{"text": "b"}]}}]})

    models = [item["model"] for item in sent(request, model="other")["requests"]]

    assert models == ["models/other", "models/other"]


def test_a_second_model_in_one_request_of_a_batch_cannot_slip_past() -> None:
    body = b'{"requests":[{"model":"models/dear","model":"models/gemini-embedding-001","content":{}}]}'

    assert b"dear" not in read(GEMINI_EMBED, body).render(model="gemini-embedding-001")
    for inner in ("models/dear", "dear"):
        with pytest.raises(BadRequest, match="dear"):
            read(GEMINI_EMBED, {"requests": [{"model": inner}]})
    with pytest.raises(BadRequest):
        read(ONE, {"model": "models/dear"})


@pytest.mark.parametrize("requests", ["a", {"a": 1}, ["a"]])
def test_requests_that_are_no_list_of_objects_are_refused(requests: object) -> None:
    with pytest.raises(BadRequest) as caught:
        read(GEMINI_EMBED, {"requests": requests})

    assert caught.value.param == "requests"


@pytest.mark.parametrize(
    ("part", "reason"),
    [({"inlineData": {}}, "inline_data"), ({"file_data": {}}, "file_data"), ({"text": "a"}, None)],
)
def test_media_to_embed_make_the_input_unbounded(part: dict[str, Any], reason: str | None) -> None:
    expected = (reason,) if reason else ()
    assert facts(ONE, content={"parts": [part]}).unbounded == expected
    assert facts(GEMINI_EMBED, requests=[{"content": {"parts": [part]}}]).unbounded == expected


def test_gemini_may_report_its_input_or_nothing() -> None:
    told = metered(GEMINI_EMBED, {"embeddings": [], "usageMetadata": {"promptTokenCount": 4}})
    silent = metered(GEMINI_EMBED, {"embeddings": []})

    assert told.usage == Usage(input_tokens=4, output_tokens=0)
    assert silent.usage is None
    assert silent.complete


def test_an_error_is_told() -> None:
    for path in (EMBEDDINGS, GEMINI_EMBED):
        result = metered(path, json.loads('{"error": {"message": "no"}}'))
        assert (result.error, result.usage) == ("no", None)
