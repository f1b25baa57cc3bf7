"""Blocks in each format: one result, three ways to write it, and no markup in Python's strings."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from page_lab import WIDTH, opened

import featx
from featx.files import printable
from featx.numbers import bounds, cell, interval, number, p_value, percent
from featx.reporting import blocks as b
from featx.reporting.html import page
from featx.reporting.ink import HUES
from featx.reporting.markdown import markdown
from featx.reporting.terminal import show

PACKAGE = Path(featx.__file__).parent
#: Files that must name an element: what a file starts with, and what matplotlib draws.
MAY_NAME_ELEMENTS = {
    *("backbones/_kinds.py", "data/kinds.py", "ours.py", "reporting/drawing.py"),
    "labelling/exchange.py",  # refuses entities in an export of CVAT
}
ELEMENT = re.compile(
    r"</?(?:a|b|body|br|canvas|circle|code|details|div|em|figcaption|figure|h[1-6]|head|html|i|img|"
    r"input|label|li|line|link|main|meta|nav|ol|option|p|path|pre|rect|script|section|select|small|"
    r"span|strong|style|sub|summary|sup|svg|table|tbody|td|text|th|thead|title|tr|ul|wbr)\b[^<>]*/?>"
    r"|<(?:div|table|svg|img|style|script|!doctype)\b",
    re.IGNORECASE,
)


def strings_with_markup(source: str) -> list[str]:
    """String literals that hold an element of HTML or SVG; docstrings may speak of them."""
    if not ELEMENT.search(source):
        return []
    tree = ast.parse(source)
    spoken = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in spoken:
            text = node.value.decode("latin-1") if isinstance(node.value, bytes) else node.value
            if isinstance(text, str) and ELEMENT.search(text):
                found.append(text)
    return found


def test_no_string_of_python_holds_markup() -> None:
    found = {
        path.relative_to(PACKAGE).as_posix(): texts
        for path in sorted(PACKAGE.rglob("*.py"))
        if (texts := strings_with_markup(path.read_text("utf-8")))
    }
    assert not {name: texts for name, texts in found.items() if name not in MAY_NAME_ELEMENTS}
    assert set(found) == MAY_NAME_ELEMENTS, "a name on the list that needs it no more"


@pytest.mark.parametrize(
    ("source", "holds"),
    [
        ('x = "<div class=x>"', True),
        ('x = f"a <b>{1}</b>"', True),
        ('x = b"<svg "', True),
        ('"""Of ``<div>``."""', False),
        ('x = "a < b > c, <FILE>"', False),
    ],
)
def test_the_search_for_markup_finds_it(source: str, holds: bool) -> None:
    assert bool(strings_with_markup(source)) == holds


PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="
KINDS = get_type_hints(b.Gallery)["kind"]
GROUPS = get_type_hints(b.Group)["kind"]
ROW = {"value": 0.853, "low": 0.821, "high": 0.884}
BLOCKS = [
    b.Chapter(
        "one",
        "A <b>title</b>",
        [
            b.Points(["first", ["second ", b.Strong("<i>strong")]], "verdict"),
            b.Heading("Below"),
            b.Table(("name", "n", "share", "bar"), [["a_b", 1234, ROW, b.Bar(0.5)]]),
            b.Paragraph(["type ", b.Code("x & y")], "note"),
            b.CodeBlock("featx fit"),
            b.Folded("more", [b.Table(("x",), [["folded"]])]),
            b.Gallery([b.Card([b.Picture("", "words")], [b.Strong("cat")], ["cat.png"])]),
        ],
    ),
    b.Chapter("two", "Only to be seen", [b.Gallery([])]),
    b.Chapter("three", "Empty", []),
]


def test_every_kind_of_block_has_its_branch() -> None:
    template = (PACKAGE / "reporting" / "templates" / "blocks.html").read_text("utf-8")
    kinds = set(re.findall(r'kind == "(\w+)"', template))
    assert kinds == {kind.__name__ for kind in get_args(b.Block)}


def test_a_page_holds_every_block() -> None:
    text = page("T", BLOCKS)
    for part in (
        '<section id="one"><h2>A &lt;b&gt;title&lt;/b&gt;</h2>',
        '<p class="verdict">second <strong>&lt;i&gt;strong</strong></p>',
        '<td class="word">a_<wbr/>b</td><td>1,234</td><td>0.853 [0.821, 0.884]</td>',
        '<rect width="50.0"',
        "<code>x &amp; y</code>",
        "<details><summary>more</summary>",
        '<span class="gap">no picture',
        '<a href="#two">Only to be seen</a>',
    ):
        assert part in text
    assert "Empty" not in text
    assert text.count("<script") == 1  # featx's own


def test_a_terminal_and_markdown_leave_out_what_is_to_be_seen(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show(BLOCKS)
    assert capsys.readouterr().out == (
        "A <b>title</b>\n→ first\n→ second <i>strong\n\nBelow\n"
        "name      n  share                   bar\n"
        "────  ─────  ────────────────────  ─────\n"
        "a_b   1,234  0.853 [0.821, 0.884]  0.500\n"
        "type x & y\n"
    )
    text = markdown("T", BLOCKS)
    assert text.startswith("# T\n\n## A \\<b\\>title\\</b\\>\n\n- first\n- second **\\<i\\>")
    assert "```\nfeatx fit\n```" in text
    assert "Only to be seen" not in text


@given(st.text())
@example("    x")
@example("[x] - 1. `<b>`")
def test_any_text_stays_text_in_a_page_and_in_markdown(name: str) -> None:
    code = b.Paragraph(["x ", b.Code(f"a{name}b"), " y"])
    blocks = [b.Paragraph(name), b.Points([[b.Strong(f"a{name}b")]]), code]
    html = page("t", blocks)
    assert html.count("<p") == 3 - 1
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e]", html)
    tokens = MarkdownIt("commonmark", {"html": True}).parse(markdown("t", blocks))
    kinds = {t.type for t in tokens} | {c.type for t in tokens for c in t.children or []}
    assert not kinds & {"html_block", "html_inline", "image", "link_open", "hr", "code_block"}
    inline = ["".join(c.content for c in t.children or []) for t in tokens if t.type == "inline"]
    assert f"a{printable(name)}b" in inline
    assert f"x a{printable(name)}b y" in inline


def test_hues_of_the_style_are_those_of_figures() -> None:
    style = (PACKAGE / "reporting" / "static" / "page.css").read_text("utf-8")
    assert re.findall(r"\.h\d \{ fill: (#\w+); \}", style) == list(HUES)


def test_numbers() -> None:
    assert number(-0.01, signed=True) == "−0.010"
    assert number(0.01, signed=True) == "+0.010"
    assert number(-0.0004, signed=True) == number(-0.0004) == "0.000"
    assert number(None) == percent(None) == interval({**ROW, "value": None}) == "–"
    assert number(-1e-7, 3, kind="g") == "−1e-07"
    assert interval(ROW) == cell(ROW) == "0.853 [0.821, 0.884]"
    assert interval({"value": 0.853, "low": None, "high": None}) == "0.853"
    gain = {"mean": 0.012, "low": -0.003, "high": 0.022}
    assert interval(gain, 1, scale=100, signed=True, unit=" points") == "+1.2 points [−0.3, 2.2]"
    assert bounds({"low": None, "high": None}) == ""
    assert (percent(0.931), p_value(0.0004), p_value(0.04)) == ("93.1 %", "< 0.001", "0.040")
    assert [cell(v) for v in ("x", 1234, 0.5, True, None)] == ["x", "1,234", "0.500", "yes", "–"]


def test_a_fit_without_a_page_loads_neither_matplotlib_nor_jinja2(tmp_path: Path) -> None:
    probe = (
        "import sys, featx.api.fit, featx.api.report, featx.reporting.summaries.run\n"
        "import featx.reporting.formats as f\nassert f.REPORTS.names()\n"
        "print([m for m in ('matplotlib', 'jinja2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.parametrize("width", [400, 1400])
def test_long_names_do_not_widen_a_page(chromium: Any, tmp_path: Path, width: int) -> None:
    n = "x" * 300
    table, picture = b.Table((n, "v", n), [[n, 1, n]]), b.Picture(PIXEL, n, 80, 80)
    near = b.Card([picture], lines=[n])
    card = b.Card([picture, picture], ["predicted ", b.Strong(n)], [n], [near])
    marks = [b.Mark(10, 10, 1, False, n, 0)]
    blocks = [
        b.Points([n], "verdict"),
        b.Points([n]),
        b.Chapter("a", n, [b.Heading(n), table, b.CodeBlock(n), b.Folded(n, [table])]),
        b.Chapter("b", n, [b.Gallery([card], kind) for kind in get_args(KINDS)]),
        b.Chapter("c", n, [b.Group([b.Gallery([card])], kind) for kind in get_args(GROUPS)]),
        b.Chapter("d", n, [b.Map([(n, marks)] * 2, [(1, n)], n, [(0, n)], picture, 80)]),
    ]
    (tmp_path / "p.html").write_text(page(n, blocks, broad=True), "utf-8")
    heard: list[str] = []
    opened_page = opened(chromium, tmp_path / "p.html", width, "light", heard)
    assert heard == []
    assert opened_page.evaluate(WIDTH) <= width
    opened_page.close()
