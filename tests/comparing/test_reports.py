"""Reports: whole, self-contained, and with names that do nothing."""

from __future__ import annotations

import json
import re
from html import escape
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
from markdown_it import MarkdownIt
from runs_lab import answers, outcomes, write_run

from featx.comparing.compare import compare_runs
from featx.errors import UnknownNameError
from featx.files import printable
from featx.formats import write_rows
from featx.reporting.blocks import Chapter, Figures
from featx.reporting.comparison import comparison_blocks
from featx.reporting.drawing import inline_svg
from featx.reporting.formats import REPORTS, render

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
        if tag not in {"meta", "wbr"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append(SimpleNamespace(tag=tag, attributes=dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


PLAIN_TAGS = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "ul", "li", "div"),
    *(
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "nav",
        "a",
        "section",
        "wbr",
        "script",
        "abbr",
        "strong",
    ),
    *("figure", "figcaption", "svg", "defs", "g", "use", "clippath", "text", "rect", "path"),
}


def test_no_name_becomes_markup_in_html(hostile):
    page = Page(render(hostile.document, "html"))
    assert {e.tag for e in page.elements} <= PLAIN_TAGS
    assert [e.tag for e in page.elements].count("script") == 1  # featx's own
    assert page.open == []
    text = "".join(page.words)
    for name in ("<script>alert(1)</script>", "</style></svg><b>", "<b>base", "<i>timm"):
        assert name in text  # shown as it is


def test_html_loads_nothing(hostile):
    page = Page(render(hostile.document, "html"))
    for element in page.elements:
        names = set(element.attributes)
        assert not names & {"src", "srcset", "action"}
        for name in names & {"href", "xlink:href"}:
            assert element.attributes[name].startswith("#")
        assert "url(" not in re.sub(r"url\(#[\w-]+\)", "", element.attributes.get("style", ""))
        assert not any(name.startswith("on") for name in names)
    style = next(page.words[i] for i in range(len(page.words)) if ":root" in page.words[i])
    assert "url(" not in style
    assert "@import" not in style
    assert "prefers-color-scheme: dark" in style
    policies = [e.attributes.get("http-equiv") for e in page.elements if e.tag == "meta"]
    assert "Content-Security-Policy" in policies


def test_no_name_becomes_markup_in_markdown(hostile):
    renderer = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    text = render(hostile.document, "markdown")
    tokens = renderer.parse(text)
    kinds = {t.type for t in tokens} | {c.type for t in tokens for c in t.children or []}
    blocks = {"heading", "paragraph", "bullet_list", "list_item", "table", "thead", "tbody", "tr",
              "th", "td"}  # fmt: skip
    ends = {f"{block}_{end}" for block in blocks for end in ("open", "close")}
    assert kinds <= {*ends, "inline", "text", "text_special", "strong_open", "strong_close"}
    headings = [t.tag for t in tokens if t.type == "heading_open"]
    assert headings == ["h1"] + ["h2"] * (len(headings) - 1)
    shown = ["".join(c.content for c in t.children or []) for t in tokens if t.type == "inline"]
    assert {printable(name) for name in HOSTILE} <= set(shown)
    # Nor what GitHub adds to CommonMark: boxes to tick, and addresses that become links.
    assert not re.search(r"^- \[|(?<!\\)(@|://)|www\.", text, re.MULTILINE)


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
    assert "<td>+0.200</td><td>[0.100, 0.303]</td><td>&lt; 0.001</td>" in html
    assert "| accuracy | +0.200 | [0.100, 0.303] | \\< 0.001 |" in markdown
    assert escape(document["differences"][0]["verdict"]) in html
    assert [section.key for section in comparison_blocks(document) if section.blocks] == [
        *("verdict", "metrics", "quality", "cost", "difference-1", "classes-1", "images"),
    ]


def plotted(points):
    """The figure of quality against cost of runs of (seconds, value, interval or not, front)."""
    runs = [
        {"label": f"r{i}", "cost": {"total_s": cost}, "pareto": front,
         "metrics": {"accuracy": {"value": value, "low": value - 0.1 if bars else None,
                                  "high": value + 0.1 if bars else None}}}
        for i, (cost, value, bars, front) in enumerate(points)
    ]  # fmt: skip
    document = {"metric": "accuracy", "runs": runs, "differences": [], "notes": [],
                "disagreements": {"n": 0}, "judged": JUDGED}  # fmt: skip
    for run in runs:
        names = ("extract_s", "cached_s", "fit_s", "finetune_s", "score_s")
        run["what"] = ""
        run["cost"] |= dict.fromkeys((*names, "images_per_s", "model_bytes"))
    [section] = [s for s in comparison_blocks(document) if s.key == "quality"]
    assert isinstance(section, Chapter)
    [figures] = section.blocks
    assert isinstance(figures, Figures)
    return figures.figures[0]


JUDGED = {"n_images": 1, "description": "", "n_repeats": 1, "n_folds": None, "interval": ""}


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
def test_any_costs_can_be_drawn(costs, values):
    figure = plotted([(c, v, True, True) for c, v in zip(costs, values, strict=True)])
    assert [row[1] for row in figure.table.rows] == costs
    drawing = inline_svg(figure)
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", drawing.inside)
    assert [str(i + 1) for i in range(len(costs))] == texts[-len(costs) :]
    assert "mathdefault" not in drawing.inside
    assert len(texts) <= 30


@pytest.mark.parametrize(
    ("costs", "ticks"),
    [
        ([8.0, 400.0], {"10 s", "1 min", "5 min"}),
        ([3000.0, 200000.0], {"1 h", "12 h", "2 d"}),
        ([17.6, 26.3], {"20 s", "25 s"}),
    ],
)
def test_costs_are_read_from_the_axis(costs, ticks):
    drawn = inline_svg(plotted([(c, 0.5, True, True) for c in costs])).inside
    assert ticks <= set(re.findall(r"<text[^>]*>([^<]*)</text>", drawn))


def test_beaten_runs_have_another_shape():
    """A disc is made of curves, a square of lines, and only what is known has bars."""
    shapes = {}
    for front in (True, False):
        drawn = inline_svg(plotted([(1.0, 0.9, False, True), (2.0, 0.5, True, front)])).inside
        shapes[front] = {d for d in re.findall(r'<path id="[^"]*" d="([^"]*)"', drawn)
                         if d.strip().endswith("z")}  # fmt: skip
    assert len(shapes[False] - shapes[True]) == 1
