"""Reports: whole, self-contained, and with names that do nothing."""

from __future__ import annotations

import json
import re
from html import escape
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
from runs_lab import answers, outcomes, write_run

from featx.comparing.compare import compare_runs
from featx.comparing.layout import Plot, Point, lay_out
from featx.comparing.reports import REPORTS, render
from featx.comparing.reports._plot import draw
from featx.errors import UnknownNameError
from featx.formats import write_rows

HOSTILE = [
    "<script>alert(1)</script>",
    "'\"><img src=x onerror=alert(1)>",
    "![x](http://evil.example/x.png)",
    "[x](javascript:alert(1))",
    "a|b | c",
    "`code` *bold* $x$",
    "</style></svg><b>",
    "{{7*7}}",
    "=HYPERLINK(1)",
    "\u202egnp.\r\n# Title",
    "<!-- -->&lt;",
    "www.evil.example me@evil.example",
    "caf\udce9",  # a name that is not UTF-8
]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A comparison of three runs in which every name is hostile."""
    root = tmp_path_factory.mktemp("hostile")
    classes = sorted(HOSTILE)
    n = len(classes)
    y = np.arange(8 * n) % n
    ids = [f"{HOSTILE[i % n]}{i}" for i in range(len(y))]
    said = [np.where(np.arange(len(y)) % k == 0, (y + 1) % n, y) for k in (3, 4, 5)]
    names = ["<b>base", "- [x]: http:~~evil.example", "1. <svg onload=alert(1)>"]
    cost = [{"extract_s": s, "fit_s": 1.0} for s in (1.0, 30.0, 900.0)]
    chosen = {"backbone": "<i>timm", "head": "[h](http://h)", "sampler": "none"}
    runs = [
        write_run(
            root / name, y, each, classes=classes, ids=ids,
            results={"cost": price, "chosen": chosen, "scoring": "<u>"},
        )
        for name, each, price in zip(names, said, cost, strict=True)
    ]  # fmt: skip
    return compare_runs(runs)


class Page(HTMLParser):
    """Elements, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[SimpleNamespace] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append(SimpleNamespace(tag=tag, attributes=dict(attributes)))
        if tag not in {"meta", "line", "circle", "rect", "path"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append(SimpleNamespace(tag=tag, attributes=dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


PLAIN_TAGS = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "ul", "li", "div"),
    *("table", "thead", "tbody", "tr", "th", "td"),
    *("svg", "line", "text", "circle", "rect", "path"),
}


def test_no_name_becomes_markup_in_html(hostile):
    page = Page(render(hostile.document, "html"))
    assert {e.tag for e in page.elements} <= PLAIN_TAGS
    assert page.open == []
    text = "".join(page.words)
    for name in ("<script>alert(1)</script>", "</style></svg><b>", "<b>base", "<i>timm"):
        assert name in text  # shown as it is


def test_html_loads_and_runs_nothing(hostile):
    page = Page(render(hostile.document, "html"))
    for element in page.elements:
        names = set(element.attributes)
        assert not names & {"src", "href", "xlink:href", "style", "srcset", "action"}
        assert not any(name.startswith("on") for name in names)
    style = next(page.words[i] for i in range(len(page.words)) if ":root" in page.words[i])
    assert "url(" not in style
    assert "@import" not in style
    assert "prefers-color-scheme: dark" in style
    policies = [e.attributes.get("http-equiv") for e in page.elements if e.tag == "meta"]
    assert "Content-Security-Policy" in policies


def test_no_name_becomes_markup_in_markdown(hostile):
    text = render(hostile.document, "markdown")
    assert "<" not in text
    assert not re.search(r"(?<!\\)\]\s*[(:\[]", text)
    assert "http:" not in text.replace("http&#58;", "").replace("http:~", "").replace(
        "http:\\~", ""
    )
    assert "@" not in text
    assert "www." not in text
    lines = text.splitlines()
    tables = [line for line in lines if line.startswith("|")]
    bars = [len(re.findall(r"(?<!\\)\|", line)) for line in tables]
    blocks = "\n".join(lines).split("\n\n")
    for block in (b.splitlines() for b in blocks if b.startswith("|")):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block}) == 1
    assert min(bars) > 1
    for line in lines:  # nothing but featx's own headings, lists and tables begins a line
        assert not line or re.match(r"#{1,2} |- |\||[A-Z9N]", line), line
        assert not re.match(r"- [-+=]|- \d+[.)]", line), line


def test_control_characters_are_escaped_everywhere(hostile):
    for name in ("html", "markdown"):
        text = render(hostile.document, name)
        assert "\u202e" not in text
        assert "\r" not in text


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_all_disagreements_can_be_written(hostile, tmp_path, ending):
    path = tmp_path / f"d.{ending}"
    write_rows(path, hostile.columns, hostile.disagreements())
    assert path.stat().st_size > 1000


def test_json_reads_back_to_the_document(hostile):
    text = render(hostile.document, "json")
    assert text.isascii()
    assert json.loads(text) == hostile.document


def test_a_format_is_one_file():
    assert REPORTS.names() == ["html", "json", "markdown"]
    with pytest.raises(UnknownNameError, match="Unknown report format 'pdf'"):
        render({}, "pdf")


def test_every_number_of_the_tables_is_in_every_format(tmp_path):
    before, right = outcomes(60, 25, 5, 10)
    y = np.arange(100) % 2
    runs = [write_run(tmp_path / n, y, answers(y, w)) for n, w in (("a", before), ("b", right))]
    document = compare_runs(runs).document
    html, markdown = render(document, "html"), render(document, "markdown")
    for run in document["runs"]:
        row = run["metrics"]["accuracy"]
        cell = f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
        assert f"<td>{cell}</td>" in html
        assert f"| {cell} |" in markdown
    assert "<td>+0.200</td><td>[+0.100, +0.303]</td><td>&lt; 0.001</td>" in html
    assert "| accuracy | +0.200 | [+0.100, +0.303] | &lt; 0.001 |" in markdown
    assert escape(document["differences"][0]["verdict"]) in html
    assert [type(block).__name__ for block in lay_out(document)] == [
        *("Sentences", "Sentences", "Table", "Plot", "Table", "Table", "Table", "Table"),
    ]


@pytest.mark.parametrize(
    ("costs", "values"),
    [
        ([1.0, 1.0], [0.5, 0.5]),
        ([0.001, 1e7], [-1.0, 1.0]),
        ([3.0, 3.1, 3.2], [0.91, 0.911, 0.912]),
        ([10.0, 100.0], [0.0, 0.0]),
        ([1e-9, 1e12, 5.0], [1e-12, 2e-12, 3e-12]),
    ],
)
def test_plots_stay_inside_their_frame(costs, values):
    points = [Point(f"r{i}", c, v, v, v, True) for i, (c, v) in enumerate(zip(costs, values))]  # noqa: B905
    text = draw(Plot("t", "m", False, points))
    places = [float(v) for v in re.findall(r' (?:x|y|x1|x2|y1|y2|cx|cy)="(-?[\d.]+)"', text)]
    assert min(places) >= 0
    assert max(places) <= 360
    assert text.count("<circle") == len(points)
    assert 2 <= text.count("<text") <= 30


def test_beaten_runs_have_another_shape():
    points = [Point("a", 1.0, 0.9, 0.8, 0.95, True), Point("b", 2.0, 0.5, None, None, False)]
    text = draw(Plot("t", "m", False, points))
    assert text.count("<circle") == text.count('class="beaten"') == text.count('"error"') == 1
