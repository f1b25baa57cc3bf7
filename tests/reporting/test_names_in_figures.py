"""Names of classes in any script: drawn, never parsed, and without a warning of a library.

A warning of Python's is an error in this suite, so drawing alone shows that there is none.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from featx.reporting import fonts
from featx.reporting.blocks import Figure, Table
from featx.reporting.drawing import picture
from featx.reporting.figures import in_legend

NAMES = ["猫", "日本語", "عربي", "עברית", "कुत्ता", "🐱", "ไทย", "\U0001f600",
         "$x_1$", r"\alpha", "$",
         "a_b", "_a", "ℝ", "e\u0301", "\u200bx", "&<b>"]  # fmt: skip


def named(names: list[str]) -> Figure:
    def draw(axes: Any, ink: Any) -> None:
        axes.barh(range(len(names)), 1)
        axes.set_yticks(range(len(names)), names)
        for name in names:
            axes.plot([0, 1], label=in_legend(name))
        axes.legend()

    return Figure("names", "Names", "Names.", draw, Table(["name"], [[name] for name in names]))


@pytest.fixture(autouse=True)
def untold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_told", False)


def test_an_svg_keeps_every_name_as_text(capsys):
    text = picture(named(NAMES), "svg").decode()
    for name in ("猫", "عربي", "कुत्ता", "🐱", "$x_1$", r"\alpha", "_a", "&amp;&lt;b&gt;"):
        assert f">{name}</text>" in text or f"> {name}</text>" in text
    assert text.count("_a</text>") == 2, "on the axis and in the legend"
    assert re.search(r"font-family: 'DejaVu Sans'[^;]*sans-serif", text)
    assert capsys.readouterr().err == ""


def test_a_png_is_drawn_and_boxes_are_said_once(capsys, monkeypatch):
    nothing: tuple[list[str], frozenset[int]] = ([], frozenset([ord("猫")]))
    monkeypatch.setattr(fonts, "_fallbacks", lambda missing: nothing)
    for _ in range(2):
        assert picture(named(NAMES), "png").startswith(b"\x89PNG")
    said = capsys.readouterr().err
    assert said.startswith("Warning: no installed font has all characters of 猫: PNG figures")
    assert said.count("Warning") == 1
    assert ".py" not in said


def test_an_installed_font_is_taken_for_what_the_usual_lacks(monkeypatch):
    usual, covered = fonts._path(fonts.USUAL), fonts._covered
    monkeypatch.setattr(
        fonts, "_covered", lambda path: covered(path) - ({ord("é")} if path == usual else set())
    )
    fonts._fallbacks.cache_clear()
    families = fonts.families_for(["café", "cat"])
    fonts._fallbacks.cache_clear()
    assert families[0] == fonts.USUAL
    assert len(families) == 2
    assert fonts.families_for(["cat"]) == []
    assert picture(named(["café"]), "png").startswith(b"\x89PNG")
