"""The page worked in, in headless Chromium: filter, click, enlarge, sort, download, decide, fit."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page_lab import HOSTILE, opened
from PIL import Image

import featx
from featx.formats.csv import parse_rows
from featx.reporting.glossary import GLOSSARY
from tests.lab import NETWORK


@pytest.fixture
def page(chromium: Any, run: Any) -> Iterator[Any]:
    """The page of the run; whatever it says, asks or fetches is a failure."""
    heard: list[str] = []
    page = opened(chromium, run.folder / "report.html", 1400, "light", heard)
    yield page
    page.close()
    assert heard == []


def downloaded(page: Any, button: Any) -> tuple[str, bytes]:
    with page.expect_download() as waited:
        button.click()
    return waited.value.suggested_filename, Path(waited.value.path()).read_bytes()


def shown(page: Any) -> int:
    return int(page.locator("#browser > ul > li").count())


def test_every_mistake_is_there_and_filters_find_them(page: Any, run: Any) -> None:
    counts = np.array(run.results["estimate"]["confusion_matrix"])
    n, wrong = counts.sum(), counts.sum() - np.trace(counts)
    assert wrong > 0
    assert page.locator("#browser strong").inner_text() == f"{wrong} of {n} images"
    assert shown(page) == wrong
    page.select_option("#browser select >> nth=0", label="all")
    assert shown(page) == n
    page.select_option("#browser select >> nth=1", label=HOSTILE)
    k = run.classes.index(HOSTILE)
    assert shown(page) == counts[k].sum()
    page.select_option("#browser select >> nth=2", label="green")
    assert shown(page) == counts[k, run.classes.index("green")]
    page.get_by_role("button", name="Reset").click()
    sure = [p for p in _confidences(run) if p >= 0.7]
    page.get_by_label("confidence from").fill("70")
    assert shown(page) == len(sure)
    page.get_by_label("confidence from").fill("0")
    page.select_option("#browser select >> nth=3", label="fold 1")
    assert shown(page) == sum(1 for f in _folds(run) if f == 0)
    page.get_by_label("name holds").fill("no such name")
    assert shown(page) == 0


def _confidences(run: Any) -> list[float]:
    part = next(iter(run.levels.values()))
    wrong = part.y != part.y_pred
    return part.proba[wrong, part.y_pred[wrong]].tolist()


def _folds(run: Any) -> list[int]:
    part = next(iter(run.levels.values()))
    return part.fold[part.y != part.y_pred].tolist()


def test_a_cell_of_the_confusion_matrix_shows_its_images(page: Any, run: Any) -> None:
    counts = np.array(run.results["estimate"]["confusion_matrix"])
    np.fill_diagonal(off := counts.copy(), 0)
    i, j = np.unravel_index(int(off.argmax()), off.shape)
    box = page.locator("[data-cells] >> nth=0")
    box.scroll_into_view_if_needed()
    area = box.locator("svg image").bounding_box()
    x = area["x"] + (j + 0.5) * area["width"] / len(counts)
    y = area["y"] + (i + 0.5) * area["height"] / len(counts)
    page.mouse.move(x, y)
    says = page.locator("#confusion .cell >> nth=0").inner_text()
    assert says.startswith(f"true {run.classes[i]}, predicted {run.classes[j]}: {off[i, j]} image")
    page.mouse.click(x, y)
    assert shown(page) == off[i, j]
    captions = page.locator("#browser li p").all_inner_texts()
    assert all(f"labelled {run.classes[i]}" in text for text in captions)
    box.focus()  # and by keyboard: the diagonal too
    for key in ("ArrowUp",) * int(i) + ("ArrowLeft",) * int(j) + ("Enter",):
        page.keyboard.press(key)
    assert shown(page) == counts[0, 0]


def test_pictures_enlarge_and_the_keyboard_goes_through_them(page: Any) -> None:
    dialog = page.locator("dialog")
    assert dialog.count() == 0
    for gallery in ("#browser", "#mistakes"):
        first = page.locator(f"{gallery} .pictures img >> nth=0")
        first.focus()
        page.keyboard.press("Enter")
        assert dialog.is_visible()
        assert dialog.locator("img").evaluate("i => i.complete && i.naturalWidth > 0")
        words = dialog.locator("p").inner_text()
        assert first.get_attribute("alt") in words
        page.keyboard.press("ArrowRight")
        assert dialog.locator("p").inner_text() != words
        page.keyboard.press("ArrowLeft")
        assert dialog.locator("p").inner_text() == words
        page.keyboard.press("Escape")
        dialog.wait_for(state="detached")


def test_tables_sort_are_searched_and_downloaded(page: Any, run: Any) -> None:
    table = page.locator("#estimate table >> nth=1")
    columns, rows = parse_rows(downloaded(page, page.locator("#estimate .tools >> nth=1")
                                          .get_by_text("CSV"))[1])  # fmt: skip
    assert columns[:3] == ["class", "images", "recall"]
    assert {row[0] for row in rows} == set(run.classes)  # formulas and markup come back as names
    recalls = run.results["estimate"]["per_class"]
    assert all(row[2].startswith(f"{recalls[row[0]]['recall']['value']:.3f} [") for row in rows)
    for expected in ("ascending", "descending"):
        table.locator("th button >> nth=2").click()
        assert table.locator("th >> nth=2").get_attribute("aria-sort") == expected
        cells = table.locator("tbody tr td:nth-child(3)").all_inner_texts()
        values = [float(text.split()[0]) for text in cells]
        assert values == sorted(values, reverse=expected == "descending")
    search = page.locator("#estimate .tools input >> nth=0")
    search.fill("matthews")
    visible = page.locator("#estimate table >> nth=0 >> tbody tr:visible")
    assert visible.count() == 1
    _, data = downloaded(page, page.locator("#estimate .tools >> nth=0").get_by_text("CSV"))
    assert len(parse_rows(data)[1]) == 1  # what is shown


def test_a_figure_is_downloaded_as_it_looks(page: Any) -> None:
    for figure, name in (("#curves figure >> nth=0", "roc.png"), ("#map figure >> nth=0", None)):
        saved, data = downloaded(page, page.locator(figure).get_by_text("PNG", exact=True))
        assert name is None or saved == name
        image = Image.open(io.BytesIO(data)).convert("RGB")
        assert image.width >= 1000
        assert len(image.getcolors(1 << 24) or ()) > 20


def test_terms_are_explained_where_they_stand(page: Any) -> None:
    terms = page.locator("#estimate abbr").evaluate_all(
        "all => all.map(a => [a.innerText, a.title])"
    )
    assert dict(terms)["balanced accuracy (the number to read)"] == GLOSSARY["balanced accuracy"]
    assert page.locator("#estimate .terms dt").count() > 10


def test_decisions_are_kept_downloaded_and_fitted_with(
    page: Any, run: Any, photos: Path, tmp_path: Path
) -> None:
    cards = page.locator("#browser > ul > li")
    first, second = (cards.nth(k) for k in (0, 1))
    first.locator("select").select_option("relabel")  # the predicted class is offered
    named = page.evaluate("() => JSON.parse(document.querySelector('#mistakes li').dataset.about)")
    assert page.locator("#mistakes li select >> nth=0").input_value() == "relabel"  # the same image
    second.locator("select").select_option("exclude")
    assert page.locator("#decisions strong").inner_text() == "2 decisions"
    page.reload()
    assert page.locator("#decisions strong").inner_text() == "2 decisions"
    name, data = downloaded(page, page.get_by_text("Download corrections.csv"))
    assert name == "corrections.csv"
    (tmp_path / name).write_bytes(data)
    columns, rows = parse_rows(data)
    assert columns == ["id", "sha256", "label", "decision", "value"]
    assert rows[0] == [named["id"], named["sha256"], named["label"], "relabel", named["guess"]]
    again = featx.fit(photos, **NETWORK, cv=3, estimate="cv", runs=tmp_path, name="x", report=True,
                      cache=photos.parent / "cache", labels=[str(tmp_path / name)])  # fmt: skip
    done = again.results.dataset.corrections
    assert done.decisions == {"relabel": 1, "exclude": 1}
    assert [(c["id"], c["value"]) for c in done.changes] == [
        (named["id"], named["guess"]), (rows[1][0], None),
    ]  # fmt: skip
    assert again.results.dataset.images == run.results.dataset.images - 1
    assert featx.load_run(again.folder).results.dataset.corrections == done
    text = (again.folder / "report.html").read_text("utf-8")
    assert "Corrections: 2 changes by --labels" in text
    page.get_by_text("Discard all").click()
    page.get_by_text("Really discard?").click()
    assert page.locator("#decisions strong").inner_text() == "0 decisions"
    assert page.locator("#mistakes li select >> nth=0").input_value() == ""


def test_where_nothing_can_be_kept_the_page_warns(chromium: Any, run: Any) -> None:
    context = chromium.new_context()
    context.add_init_script("Storage.prototype.setItem = () => { throw new Error('no'); }")
    page = context.new_page()
    page.goto((run.folder / "report.html").resolve().as_uri())
    assert "only until the page is closed" in page.locator("#decisions").inner_text()
    page.locator("#browser li select >> nth=0").select_option("right")
    assert page.locator("#decisions strong").inner_text() == "1 decision"
    context.close()


def test_images_that_are_gone_are_named(run: Any, photos: Path, chromium: Any, tmp_path: Path):
    copy = tmp_path / "photos"
    shutil.copytree(photos, copy)
    part = next(iter(run.levels.values()))
    gone = str(part.ids[np.flatnonzero(part.y != part.y_pred)[0]])
    (copy / gone).unlink()
    made = featx.report(run, dataset=copy, output=tmp_path / "p.html", heat_maps=False)
    heard: list[str] = []
    page = opened(chromium, made, 400, "dark", heard)
    assert page.locator("#browser .gap").all_inner_texts() == [f"cannot be read: {gone}"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert heard == []
    page.close()


def test_methods_are_told_with_their_sources(run: Any) -> None:
    text = (run.folder / "report.html").read_text("utf-8")
    section = text[text.index('id="methods"') :].split("</section>")[0]
    accuracy = run.results["estimate"]["metrics"]["accuracy"]["value"]
    assert f"accuracy {accuracy:.3f} [" in section
    assert f"{run.results['dataset']['images']} images of 3 classes" in section
    works = section.count("<br/>[")
    assert works >= 4
    for k in range(1, works + 1):
        assert section.count(f"[{k}]") == 2 or k in (1, 2)  # cited, and listed
        assert f"<br/>[{k}] " in section


def test_compared_runs_show_where_they_differ(
    run: Any, photos: Path, chromium: Any, tmp_path: Path
) -> None:
    other = featx.fit(photos, **NETWORK, head=["dummy"], cv=3, estimate="cv", name="other",
                      runs=tmp_path, cache=photos.parent / "cache", report=False)  # fmt: skip
    place = tmp_path / "c.html"
    document = featx.compare(run, other, html=str(place)).document
    heard: list[str] = []
    page = opened(chromium, place, 400, "dark", heard)
    cards = page.locator("#images .gallery > li")
    assert cards.count() == document["disagreements"]["n"] > 0
    assert page.locator("#images img").count() == cards.count()
    assert f"other: {document['disagreements']['rows'][0][5]}" in cards.first.inner_text()
    cards.first.locator("select").select_option("right")
    assert page.locator("#decisions strong").inner_text() == "1 decision"
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert heard == []
    page.close()
