"""A sheet as Markdown, HTML and JSON: whatever callers wrote into labels stays text."""

from fractions import Fraction
from html.parser import HTMLParser

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from farthing.reports.sheet import Column, Flag, Kind, Level, Sheet, Table, Value
from farthing.reports.sheet_html import sheet_html
from farthing.reports.sheet_json import sheet_json
from farthing.reports.sheet_markdown import sheet_markdown
from farthing.reports.spans import Span
from farthing.reports.telling import readable

_SPAN = Span(1_788_220_800_000_000, 1_790_812_800_000_000)
_COLUMNS = (Column("feature", "Feature"), Column("cost_nanodollars", "Cost", Kind.MONEY))
_HOSTILE = st.lists(
    st.sampled_from(
        ["|", "`", "``", "*", "_", "[a](b)", "<script>", "</td>", "&lt;", "~~~", "\\", "# ", "- ", "1. ", ">",
         "\n", "\r\n", "\x1b[2J", "\x00", "\u202e", "---", "![x](y)", "<!--", "'", '"', "=", "feature"]
    ) | st.text(max_size=4),
    max_size=8,
).map("".join)  # fmt: skip


def a_sheet(label: str = "search", cost: Value = 202_500_000_000, **given: object) -> Sheet:
    """A sheet that has a label everywhere a sheet can have text."""
    table = Table(
        name="split",
        title=label,
        columns=(*_COLUMNS, Column("label", label)),
        rows=((label, cost, "end"), ("(others)", 0, label)),
        footer=("total", cost, label),
        chart="cost_nanodollars",
    )
    flag = Flag(name="high", level=Level.WARNING, text=label, fix=label)
    sheet = Sheet(name="test", title=label, span=_SPAN, tables=(table,), flags=(flag,), notes=(label,))
    return msgspec.structs.replace(sheet, **given)


class _Page(HTMLParser):
    """The elements of a page, and the text of its cells, paragraphs and headings."""

    LEAVES = ("td", "th", "h1", "h2", "p", "code", "caption", "li")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[tuple[str, list[str]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag in self.LEAVES:
            self._open.append((tag, []))

    def handle_data(self, data: str) -> None:
        for _, parts in self._open:
            parts.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.LEAVES and self._open and self._open[-1][0] == tag:
            name, parts = self._open.pop()
            self.texts.append((name, " ".join("".join(parts).split())))

    def told(self, *tags: str) -> list[str]:
        """The texts of elements, in order."""
        return [text for tag, text in self.texts if tag in tags]


def in_one_line(text: str) -> str:
    """A text as a page shows it."""
    return " ".join(readable(text).split())


def rendered(sheet: Sheet) -> _Page:
    """The Markdown of a sheet, as a common renderer shows it, raw HTML allowed."""
    return _Page(MarkdownIt("commonmark", {"html": True}).enable("table").render(sheet_markdown(sheet)))


@given(_HOSTILE)
def test_nothing_in_a_label_becomes_markdown(label: str) -> None:
    page, shown = rendered(a_sheet(label)), in_one_line(label)

    assert page.told("td", "th") == [
        "Feature", "Cost", shown, shown, "$202.50", "end", "(others)", "$0.00", shown,
        "total", "$202.50", shown,
    ]  # fmt: skip
    assert page.told("h1", "h2") == [shown, shown]
    assert {*page.tags} <= {
        "h1", "h2", "p", "strong", "blockquote", "code", "table", "thead", "tbody", "tr", "th", "td",
    }  # fmt: skip
    assert page.told("code") == ([shown] if shown else [])
    paragraphs = page.told("p")
    assert f"Warning: {shown}".strip() in paragraphs
    assert not shown or paragraphs[-1] == shown


@given(_HOSTILE)
def test_nothing_in_a_label_becomes_an_element_of_the_page(label: str) -> None:
    ordinary, page, shown = (
        _Page(sheet_html(a_sheet())),
        _Page(sheet_html(a_sheet(label))),
        in_one_line(label),
    )

    assert page.tags == ordinary.tags or not label
    assert page.told("caption", "h1", "p")[0] == shown
    assert page.told("td", "th") == [
        "Feature", "Cost", shown, "", shown, "$202.50", "end", "", "(others)", "$0.00", shown, "",
        "total", "$202.50", shown, "",
    ]  # fmt: skip


@given(_HOSTILE)
def test_nothing_in_a_label_steers_a_terminal(label: str) -> None:
    told = readable(label)

    assert all(sign.isprintable() or sign in "\n\t" or ord(sign) > 0x9F for sign in told)
    assert not {"\x1b", "\u202e", "\u2066"} & {*told}
    assert len(told) == len(label)


def test_letters_of_every_script_stay_as_they_are() -> None:
    for text in ("café", "日本語", "\U0001f469\u200d\U0001f4bb", "עברית", "naïve 10 % – “so”"):
        assert readable(text) == text


@pytest.mark.parametrize("cost", [None, -1_000_000_000, 0])
def test_pages_show_missing_and_negative_figures(cost: int | None) -> None:
    shown = {None: "", -1_000_000_000: "-$1.00", 0: "$0.00"}[cost]

    assert rendered(a_sheet(cost=cost)).told("td")[1] == shown
    cells = _Page(sheet_html(a_sheet("", cost=cost))).told("td", "th")
    assert cells[cells.index("end") - 1] == shown


def test_a_page_loads_nothing_and_can_be_read_without_colours() -> None:
    page = sheet_html(a_sheet())

    assert "http" not in page and "<script" not in page and "url(" not in page
    assert "<b>Warning:</b>" in page
    assert '<th scope="row"' in page and '<th scope="col"' in page and "<caption>" in page
    assert "prefers-color-scheme: dark" in page and "@media print" in page


def test_bars_are_as_long_as_their_share_of_the_longest() -> None:
    rows = (("a", 300, ""), ("b", 100, ""), ("c", -5, ""))
    table = msgspec.structs.replace(a_sheet().tables[0], rows=rows)

    page = sheet_html(a_sheet(tables=(table,)))

    assert [part.split('"')[0] for part in page.split('<rect width="')[1:]] == ["100.00", "33.33", "0.00"]


def test_json_tells_exact_figures_by_name() -> None:
    columns = (*_COLUMNS, Column("cost_percent", "of cost", Kind.SHARE))
    table = Table(
        name="split", title="Split", columns=columns, rows=(("a|b", 1, Fraction(1, 3)),),
        footer=("total", 10**15 + 1, None),
    )  # fmt: skip

    told = msgspec.json.decode(sheet_json(a_sheet(tables=(table,))))

    assert told["tables"]["split"] == {
        "title": "Split",
        "rows": [{"feature": "a|b", "cost_nanodollars": 1, "cost_percent": 33.3333}],
        "total": {"feature": "total", "cost_nanodollars": 10**15 + 1, "cost_percent": None},
    }
    assert (told["since"], told["until"]) == ("2026-09-01T00:00:00.000000Z", "2026-10-01T00:00:00.000000Z")
    assert told["flags"] == [{"name": "high", "level": "warning", "text": "search", "fix": "search"}]


def test_documents_say_that_the_line_of_a_flag_is_the_way_on() -> None:
    sheet = a_sheet()
    assert "To go on: <code>" in sheet_html(sheet)
    assert "> To go on: `" in sheet_markdown(sheet)
