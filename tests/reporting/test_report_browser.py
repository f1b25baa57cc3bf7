"""Pages opened in headless Chromium: nothing runs, nothing overflows, everything is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from page_lab import BROKEN, WIDTH, opened


@pytest.mark.parametrize(("width", "scheme"), [(400, "dark"), (1400, "light")])
def test_the_page_is_whole(chromium: Any, run: Any, width: int, scheme: str) -> None:
    heard: list[str] = []
    page = opened(chromium, run.folder / "report.html", width, scheme, heard)
    assert heard == []
    assert page.evaluate("document.images.length") > 30
    assert page.evaluate(BROKEN) == 0
    assert page.evaluate(WIDTH) <= width
    shade = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (shade == "rgb(255, 255, 255)") == (scheme == "light")
    assert 3 <= page.locator("#found p").count() <= 6
    page.emulate_media(media="print")
    assert page.locator("nav").is_hidden()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.close()


def test_marks_show_their_pictures(chromium: Any, run: Any) -> None:
    heard: list[str] = []
    page = opened(chromium, run.folder / "report.html", 1400, "light", heard)
    tip = page.locator(".tip")
    assert tip.is_hidden()
    page.locator("svg.map").first.focus()
    page.keyboard.press("ArrowRight")
    assert tip.is_visible()
    first = tip.inner_text()
    page.keyboard.press("ArrowRight")
    assert tip.inner_text() != first
    page.locator("svg.map path").nth(3).hover(force=True)
    assert tip.is_visible()
    colours = "new Set(document.querySelector('.tip canvas').getContext('2d')"
    colours += ".getImageData(0, 0, 144, 144).data).size"
    assert page.evaluate(colours) > 2  # a picture is drawn
    page.select_option("#point-out", label="green")
    assert page.locator("svg.map path.lit").count() == 2 * 12
    assert heard == []
    page.close()


def test_a_script_that_is_not_featx_s_does_not_run(chromium: Any, run: Any, tmp_path: Path) -> None:
    text = (run.folder / "report.html").read_text("utf-8")
    smuggled = text.replace("</h1>", "</h1><script>document.title = 'run'</script>")
    (tmp_path / "p.html").write_text(smuggled, "utf-8")
    heard: list[str] = []
    page = opened(chromium, tmp_path / "p.html", 400, "light", heard)
    assert page.title() == "Run first"
    assert any("Content Security Policy" in words for words in heard)
    page.close()


def test_without_script_the_page_is_there(chromium: Any, run: Any) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((run.folder / "report.html").resolve().as_uri())
    assert page.locator("svg.map path").count() == 2 * 36
    assert page.locator("#mistakes").is_visible()
    assert page.locator("#point-out").is_hidden()
    context.close()
