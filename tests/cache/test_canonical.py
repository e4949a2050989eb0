"""Which requests are identical."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.cache.canonical import NoCanonicalForm, canonical, digest_of

REQUEST = b'{"model": "gpt-4o", "temperature": 0.7, "messages": [{"role": "user", "content": "hello"}]}'

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def turned(value: object) -> object:
    """The same value with its keys in another order."""
    if isinstance(value, dict):
        return {key: turned(value[key]) for key in reversed(value)}
    return [turned(item) for item in value] if isinstance(value, list) else value


@given(json_values)
def test_the_order_of_keys_and_the_space_between_do_not_matter(value: object) -> None:
    one, other = json.dumps(value), json.dumps(turned(value), indent=3, ensure_ascii=False)

    assert canonical(one.encode()) == canonical(other.encode())


@given(json_values, json_values)
def test_different_values_are_never_identical(one: object, other: object) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)

    assert (canonical(json.dumps(one).encode()) == canonical(json.dumps(other).encode())) == same


@pytest.mark.parametrize(
    ("given_text", "changed_text"),
    [
        (b"hello", b"Hello"),
        (b"hello", b"hello "),
        (b"0.7", b"0.8"),
        (b"0.7", b"0.70"),
        (b"0.7", b"0.70000000000000000001"),
        (b'"user"', b'"system"'),
        (b'"gpt-4o"', b'"gpt-4o-mini"'),
        (b'"temperature"', b'"top_p"'),
    ],
)
def test_any_other_character_matters(given_text: bytes, changed_text: bytes) -> None:
    assert canonical(REQUEST) != canonical(REQUEST.replace(given_text, changed_text))


def test_numbers_beyond_any_integer_are_told_apart() -> None:
    long, longer = b'{"seed": 123456789012345678901234}', b'{"seed": 123456789012345678901235}'

    assert canonical(long) != canonical(longer)


@pytest.mark.parametrize(
    "body",
    [
        b'{"messages": [{"content": "one", "content": "two"}]}',
        b'{"content": "\\ud800"}',
        b'{"temperature": NaN}',
        b"not json",
        b'"\xff"',
        b"[" * 100_000,
    ],
    ids=["a key twice", "half a pair", "NaN", "no JSON", "no UTF-8", "too deep"],
)
def test_what_readers_may_understand_differently_is_identical_to_nothing(body: bytes) -> None:
    with pytest.raises(NoCanonicalForm):
        canonical(body)


def test_no_two_lists_of_parts_share_a_name() -> None:
    lists: list[list[str | bytes | None]] = [
        ["a", "b"],
        ["ab"],
        ["a", "b", None],
        ["a", "b", ""],
        [b"a", "b"],
        ["b", "a"],
        [],
    ]

    assert len({digest_of(parts) for parts in lists}) == len(lists)
