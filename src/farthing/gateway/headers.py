"""What of a request's headers is ours, what goes upstream, and what comes back to the caller."""

import re
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, urlencode

import msgspec

from farthing.domain.labels import told_by

Headers = Iterable[tuple[bytes, bytes]]

_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
_CREDENTIALS = frozenset({b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key"})
_NOT_UPSTREAM = (
    _HOP_BY_HOP
    | _CREDENTIALS
    | {
        b"host",
        b"content-length",
        b"content-encoding",
        b"accept-encoding",
        b"x-metering-tags",
        b"cookie",
        b"expect",
        b"forwarded",
        b"via",
    }
)
_NOT_BACK = _HOP_BY_HOP | {
    b"content-length",
    b"content-encoding",
    b"set-cookie",
    b"server",
    b"date",
    b"alt-svc",
}

LABELS_MAX = 20
LABEL_NAME_MAX = 64
LABEL_VALUE_MAX = 256
# Nobody can read them, and they can end a text early or move a cursor wherever labels are shown.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_decode_json = msgspec.json.Decoder().decode


class TwoCredentials(ValueError):
    """The caller sent two different keys; which one is meant cannot be known."""


class Tags(msgspec.Struct, frozen=True, kw_only=True):
    """What X-Metering-Tags said: labels, the run among them, and a claimed environment."""

    labels: Mapping[str, str] = {}
    run: str | None = None
    claimed_environment: str | None = None
    invalid: bool = False


NO_TAGS = Tags()


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """One pass over the request's headers: the key, the labels, and what goes upstream."""

    credential: str | None
    tags: Tags
    upstream: list[tuple[bytes, bytes]]
    content_encoding: bytes
    content_length: int | None


def read_headers(headers: Headers, query: bytes) -> Incoming:
    """Sort a request's headers. Raises TwoCredentials."""
    credentials: set[str] = set()
    tags = NO_TAGS
    tags_seen = False
    encoding = b""
    length: int | None = None
    upstream: list[tuple[bytes, bytes]] = []
    for name, value in headers:
        if name not in _NOT_UPSTREAM:
            if not name.startswith(b"x-farthing-"):
                upstream.append((name, value))
        elif name in _CREDENTIALS:
            credential = _credential(name, value)
            if credential:
                credentials.add(credential)
        elif name == b"x-metering-tags":
            tags = _read_tags(value) if not tags_seen else Tags(invalid=True)
            tags_seen = True
        elif name == b"content-encoding":
            encoding = value.strip().lower()
        elif name == b"content-length" and value.isdigit():
            length = int(value)
    if _may_hold_key(query):
        credentials.update(value for name, value in parse_qsl(query.decode("latin-1")) if name == "key")
    if len(credentials) > 1:
        raise TwoCredentials("two different keys were sent; send one")
    return Incoming(
        credential=credentials.pop() if credentials else None,
        tags=tags,
        upstream=upstream,
        content_encoding=encoding,
        content_length=length,
    )


def _credential(name: bytes, value: bytes) -> str:
    text = value.decode("latin-1").strip()
    if name == b"authorization":
        scheme, _, rest = text.partition(" ")
        return rest.strip() if scheme.lower() == "bearer" else ""
    return text


def _read_tags(value: bytes) -> Tags:
    """Read X-Metering-Tags: a JSON object of scalars. What cannot be read is marked, never an error."""
    try:
        decoded = _decode_json(value)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return Tags(invalid=True)
    if not isinstance(decoded, dict) or len(decoded) > LABELS_MAX:
        return Tags(invalid=True)
    labels: dict[str, str] = {}
    for name, given in decoded.items():
        text = label_text(given)
        if text is None or not name or len(name) > LABEL_NAME_MAX or len(text) > LABEL_VALUE_MAX:
            return Tags(invalid=True)
        if _CONTROL.search(name) is not None or _CONTROL.search(text) is not None:
            return Tags(invalid=True)
        labels[name] = text
    told = told_by(labels)
    return Tags(labels=told.labels, run=told.run, claimed_environment=told.claimed_environment)


def label_text(value: object) -> str | None:
    """A label's value as text: strings as they are, true and false, numbers; None for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return None


def _may_hold_key(query: bytes) -> bool:
    """Say whether a query is worth parsing for a key; an escape may spell its name too."""
    return b"key=" in query or b"%" in query


def query_upstream(query: bytes) -> str:
    """The caller's query without its key."""
    if not query:
        return ""
    if not _may_hold_key(query):
        return query.decode("latin-1")
    kept = [
        (name, value)
        for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True)
        if name != "key"
    ]
    return urlencode(kept)


def headers_back(headers: Headers) -> list[tuple[bytes, bytes]]:
    """The provider's headers that the caller gets: all but the connection's own, cookies and x-farthing-*."""
    return [
        (name, value)
        for name, value in ((name.lower(), value) for name, value in headers)
        if name not in _NOT_BACK and not name.startswith(b"x-farthing-")
    ]
