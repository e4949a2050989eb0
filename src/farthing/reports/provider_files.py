"""Read the files that providers export: find out whose they are, and that nothing is in them twice."""

import csv
import io
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from farthing.ledger.grains import DAY_US
from farthing.reports import provider_anthropic, provider_openai
from farthing.reports.provider_rows import (
    ANTHROPIC,
    OPENAI,
    BadExport,
    Document,
    Kind,
    ProviderRow,
    day_text,
)

BYTES_MAX = 1 << 27
_LINES_A_STEP = 1_000
_HOW = "docs/reports.md says how to fetch the files"

Heard = Callable[[int], None]


class _Bucket(msgspec.Struct):
    start_time: int | None = None
    starting_at: str | None = None


class _Shape(msgspec.Struct):
    data: list[_Bucket] | None = None
    error: msgspec.Raw = msgspec.Raw(b"null")


class _Table(msgspec.Struct, frozen=True):
    """A table that a console exports, known by the headings it cannot do without."""

    provider: str
    kind: Kind
    headings: tuple[str, ...]
    row: Callable[[Mapping[str, str], str], ProviderRow | None]
    span: Callable[[Mapping[str, str], str], tuple[int, int]]


_TABLES = tuple(
    _Table(provider, kind, headings, row, console.span_of)
    for provider, console in ((OPENAI, provider_openai), (ANTHROPIC, provider_anthropic))
    for kind, headings, row in (
        (Kind.USAGE, console.USAGE_HEADINGS, console.usage_row),
        (Kind.COST, console.COST_HEADINGS, console.cost_row),
    )
)

_SHAPE = msgspec.json.Decoder(_Shape)
_ANYTHING = msgspec.json.Decoder(msgspec.Raw)
_MORE_BEHIND = "trailing characters"
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_READERS = {OPENAI: provider_openai.documents_of_page, ANTHROPIC: provider_anthropic.documents_of_page}


def read_files(paths: Sequence[Path], *, heard: Heard = lambda _: None) -> list[Document]:
    """Read all files, in either format. Raises BadExport, and OSError for a file that is not there.

    heard: is told of bytes that were read, as it goes.
    """
    documents = _with_tables([document for path in paths for document in _documents_of(path, heard)])
    if not any(document.rows or document.apart for document in documents):
        names = ", ".join(path.name for path in paths)
        raise BadExport(
            f"{names}: no usage and no cost in it",
            why="there is nothing to compare; perhaps the span is another one, or the key sees no usage",
            fix=f"fetch the files again for the days in question; {_HOW}",
        )
    _check_complete(documents)
    _check_told_once(documents)
    return documents


def _documents_of(path: Path, heard: Heard) -> list[Document]:
    size = path.stat().st_size
    if size > BYTES_MAX:
        raise BadExport(
            f"{path.name} has {size:,} bytes, more than {BYTES_MAX:,}",
            fix="fetch fewer days at once, or buckets of a day instead of minutes",
        )
    raw = path.read_bytes()
    begins = raw.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if not begins:
        raise BadExport(f"{path.name} is empty", fix=f"fetch it again; {_HOW}")
    if begins in (b"{", b"["):
        return _of_pages(raw.removeprefix(b"\xef\xbb\xbf"), path.name, heard)
    return [_of_table(raw, path.name, heard)]


# ── JSON ────────────────────────────────────────────────────────────────────────────────────────


def _of_pages(raw: bytes, source: str, heard: Heard) -> list[Document]:
    documents = []
    for page in _pages_of(raw, source):
        documents += _of_page(page, source)
        heard(len(page))
    return documents


def _pages_of(raw: bytes, source: str) -> Iterator[bytes]:
    """One page, a list of pages, or pages one behind the other, as curl appends them."""
    if raw.lstrip()[:1] == b"[":
        try:
            yield from map(bytes, _LIST.decode(raw))
        except (msgspec.DecodeError, RecursionError) as error:
            raise _no_json(source, str(error)) from error
        return
    try:
        _ANYTHING.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        if _MORE_BEHIND not in str(error):
            raise _no_json(source, str(error)) from error
    else:
        yield raw
        return
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise _no_json(source, "it is no UTF-8 text") from error
    decoder, position = json.JSONDecoder(parse_float=str, parse_int=str), 0
    while position < len(text):
        try:
            _, end = decoder.raw_decode(text, position)
        except (json.JSONDecodeError, RecursionError) as error:
            raise _no_json(source, str(error)) from error
        yield text[position:end].encode()
        position = end
        while position < len(text) and text[position].isspace():
            position += 1


def _no_json(source: str, why: str) -> BadExport:
    return BadExport(f"{source} is not JSON", why=why, fix=f"fetch it again, it may be cut short; {_HOW}")


def _of_page(page: bytes, source: str) -> list[Document]:
    try:
        shape = _SHAPE.decode(page)
        if bytes(shape.error) != b"null":
            raise BadExport(
                f"{source} is an error that the provider answered with",
                why=bytes(shape.error).decode(errors="replace")[:300],
                fix="the endpoints want an admin key of the organization; " + _HOW,
            )
        provider = _provider_of(shape, source)
        return _READERS[provider](page, source) if provider else []
    except msgspec.DecodeError as error:
        raise BadExport(
            f"{source} is no usage or cost export in the documented shape",
            why=str(error),
            fix=f"fetch the page as it is, without changing it; {_HOW}",
        ) from error


def _provider_of(shape: _Shape, source: str) -> str | None:
    """Whose page it is, by how its buckets tell time; None for a page without buckets."""
    if shape.data is None:
        raise BadExport(
            f"{source} is no usage or cost export in the documented shape",
            why="a page has a list of buckets under the name data, and there is none",
            fix=f"fetch the page as it is, without changing it; {_HOW}",
        )
    for bucket in shape.data:
        if bucket.start_time is not None:
            return OPENAI
        if bucket.starting_at is not None:
            return ANTHROPIC
    if shape.data:
        raise BadExport(
            f"{source} is no usage or cost export in the documented shape",
            why="its buckets have neither start_time (OpenAI) nor starting_at (Anthropic)",
            fix=f"give the pages of the usage and cost endpoints; {_HOW}",
        )
    return None


# ── tables ──────────────────────────────────────────────────────────────────────────────────────


def _of_table(raw: bytes, source: str, heard: Heard) -> Document:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadExport(
            f"{source} is neither JSON nor a table of text", why="it is no UTF-8 text", fix=_HOW
        ) from error
    first = text.partition("\n")[0]
    lines = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if "\t" in first else ",", strict=True)
    spans: set[tuple[int, int]] = set()
    rows: list[ProviderRow] = []
    try:
        headings = [name.strip() for name in next(lines)]
        table = _table_with(headings, source)
        for count, line in enumerate(lines, start=1):
            if not any(line):
                continue
            where = f"{source}, line {lines.line_num}"
            if len(line) != len(headings):
                raise BadExport(
                    f"{where}: {len(line)} columns where the headings are {len(headings)}",
                    fix="export it again; the file may be cut short or edited",
                )
            cells = dict(zip(headings, line, strict=True))
            spans.add(table.span(cells, where))
            row = table.row(cells, where)
            if row is not None:
                rows.append(row)
            if count % _LINES_A_STEP == 0:
                heard(len(raw) * _LINES_A_STEP // max(text.count("\n"), _LINES_A_STEP))
    except csv.Error as error:
        raise BadExport(f"{source}, line {lines.line_num}: {error}", fix="export it again") from error
    return Document(
        source=source,
        provider=table.provider,
        kind=table.kind,
        table="completions" if table.provider == OPENAI and table.kind is Kind.USAGE else table.kind.value,
        spans=_whole_days(spans),
        rows=tuple(rows),
    )


def _table_with(headings: Sequence[str], source: str) -> _Table:
    for table in _TABLES:
        if set(table.headings) <= set(headings):
            return table
    known = "\n".join(f"{table.provider}, {table.kind}: {', '.join(table.headings)}" for table in _TABLES)
    found = ", ".join(headings)
    raise BadExport(
        f"{source} is a table that is not known",
        why=f"its headings are {found[:400]}\nknown are tables that have\n{known}",
        fix=f"export usage or costs from the provider's console, or fetch them as JSON; {_HOW}",
    )


def _whole_days(spans: set[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """A table leaves out when nothing was used, so it covers all days from its first to its last."""
    if not spans:
        return ()
    first, last = min(spans)[0] // DAY_US, max(spans)[0] // DAY_US
    return tuple((day * DAY_US, (day + 1) * DAY_US) for day in range(first, last + 1))


# ── what all files together must be ─────────────────────────────────────────────────────────────


def _with_tables(documents: Sequence[Document]) -> list[Document]:
    """Say of pages without rows which endpoint they are of: that of the pages they came with."""
    known = [document for document in documents if document.table]
    placed = []
    for document in documents:
        if not document.table:
            mates = [other for other in known if other.provider == document.provider]
            mates = [other for other in mates if other.source == document.source] or mates
            if len({other.table for other in mates}) != 1:
                continue  # nobody can tell what it is empty of
            document = msgspec.structs.replace(document, kind=mates[0].kind, table=mates[0].table)
        placed.append(document)
    return placed


def _check_complete(documents: Sequence[Document]) -> None:
    """Raise BadExport where the last page of an endpoint was not fetched."""
    pages: dict[tuple[str, str], list[Document]] = defaultdict(list)
    for document in documents:
        pages[(document.provider, document.table)].append(document)
    for (provider, table), found in pages.items():
        if all(document.more for document in found):
            raise BadExport(
                f"{', '.join(sorted({document.source for document in found}))}: not the whole of {table}",
                why=f"{provider} says has_more: further pages follow, and none of them is the last",
                fix="ask again with page=<next_page> until has_more is false, and give all pages",
            )


def _check_told_once(documents: Sequence[Document]) -> None:
    """Raise BadExport where two documents tell the same, which would count it twice."""
    tellers: dict[tuple[str, str, int], set[int]] = defaultdict(set)
    for number, document in enumerate(documents):
        for row in document.rows:
            tellers[(document.provider, document.table, row.day)].add(number)
    manners: dict[tuple[str, str, int], tuple[int, object]] = {}
    seen: dict[tuple[object, ...], int] = {}
    for number, document in enumerate(documents):
        names = frozenset(name for row in document.rows for name in row.told)
        for row in document.rows:
            day = (document.provider, document.table, row.day)
            if len(tellers[day]) == 1:
                continue
            manner = (names, row.ends_at_us - row.starts_at_us)
            first, known = manners.setdefault(day, (number, manner))
            again = seen.setdefault((*day, row.starts_at_us, frozenset(row.told.items())), number)
            if known != manner or again != number:
                raise _told_twice(documents[first if known != manner else again], document, row)


def _told_twice(one: Document, other: Document, row: ProviderRow) -> BadExport:
    both = one.source if one.source == other.source else f"{one.source} and {other.source}"
    return BadExport(
        f"{both}: the {other.kind} of {day_text(row.day)} is in two pages",
        why="what is told twice would be counted twice"
        + ("" if set(row.told) else "; rows that name no project, key or model cannot be told apart"),
        fix="give each page once; for several projects or keys, fetch one export grouped by them",
    )


def covered(documents: Sequence[Document], provider: str, kind: Kind) -> dict[int, tuple[int, int]]:
    """The days that an export covers, each with the part of it that is covered."""
    days: dict[int, tuple[int, int]] = {}
    for document in documents:
        if (document.provider, document.kind) == (provider, kind):
            for starts_at_us, ends_at_us in document.spans:
                day = starts_at_us // DAY_US
                since_us, until_us = days.get(day, (starts_at_us, ends_at_us))
                days[day] = min(since_us, starts_at_us), max(until_us, ends_at_us)
    return days


def apart(documents: Sequence[Document], provider: str) -> Counter[str]:
    """What is in the files of a provider and is not compared, such as web searches."""
    counts: Counter[str] = Counter()
    for document in documents:
        if document.provider == provider:
            counts.update(document.apart)
    return counts
