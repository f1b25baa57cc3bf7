"""The page of `featx open`: all images, decisions in corrections.csv, answers about new ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from app_lab import Served, serving

from featx.api.open import _found
from featx.api.report import present_settings
from featx.app.corrections_file import CorrectionsFile
from featx.app.desk import ChangedMeanwhileError
from featx.app.open_page import open_application
from featx.app.run_desk import RunDesk
from featx.app.thumbnails import Thumbnails
from featx.app.trying import Judge
from featx.config import DatasetConfig
from featx.data.reader import read_manifest
from featx.errors import DatasetError, UsageError
from tests.lab import csv_rows, save_pixels

HOSTILE = "<b onmouseover=alert(1)>"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes that are not quite told apart; one has a name that is markup."""
    root = tmp_path_factory.mktemp("open") / "photos"
    rng = np.random.default_rng(0)
    for label, colour in {HOSTILE: (150, 60, 60), "=blue": (110, 60, 100)}.items():
        for i in range(12):
            pixels = np.array(colour) + rng.normal(0, 35, 3) + rng.normal(0, 30, (24, 24, 3))
            save_pixels(root / label / f"{i:02}.png", pixels)
    return root


@pytest.fixture(scope="module")
def run(photos: Path) -> Any:
    import featx

    folders = {"runs": photos.parent / "runs", "cache": photos.parent / "cache"}
    return featx.fit(photos, head=["logreg"], cv=3, estimate="cv", report=False, name="first",
                     engine="torch", **folders)  # fmt: skip


@pytest.fixture
def desk(run: Any, tmp_path: Path) -> RunDesk:
    subject, paths = _found(run, present_settings(run, None, None))
    return RunDesk(subject, paths, CorrectionsFile(tmp_path / "corrections.csv", subject.ids))


@pytest.fixture
def served(run: Any, desk: RunDesk, photos: Path) -> Iterator[Served]:
    settings = present_settings(run, None, None)
    judge = Judge(run, desk, settings.extract)
    thumbnails = Thumbnails(photos.parent / "thumbnails")
    with serving(open_application("first", desk, judge, thumbnails)) as found:
        yield found


def marks(desk: RunDesk, rows: list[int]) -> list[str]:
    return [item["mark"] for item in desk.items(rows)]


def test_filters_find_what_they_say(desk: RunDesk) -> None:
    everything = desk.items(desk.found({}))
    assert len(everything) == 24
    wrong = desk.items(desk.found({"show": "wrong"}))
    assert wrong
    assert all(item["y"] != item["y_pred"] for item in wrong)
    assert [item["p"] for item in wrong] == sorted((i["p"] for i in wrong), reverse=True)
    right = desk.items(desk.found({"show": "right", "order": "unsure"}))
    assert len(right) + len(wrong) == 24
    assert [item["p"] for item in right] == sorted(item["p"] for item in right)
    between = desk.items(desk.found({"low": "0.6", "high": "0.8", "y": "=blue"}))
    assert all(0.6 <= item["p"] <= 0.8 and item["y"] == "=blue" for item in between)
    assert [i["id"] for i in desk.items(desk.found({"named": "BLUE/03"}))] == ["=blue/03.png"]
    assert {item["fold"] for item in desk.items(desk.found({"fold": "1"}))} == {1}
    with pytest.raises(UsageError, match="a number"):
        desk.found({"low": "x"})


def test_decisions_are_a_file_that_a_data_set_is_read_with(
    desk: RunDesk, photos: Path, tmp_path: Path
) -> None:
    row = {item["id"]: item["i"] for item in desk.items(desk.found({}))}
    blue, red = [f"=blue/{i:02}.png" for i in range(4)], [f"{HOSTILE}/{i:02}.png" for i in range(4)]
    desk.decide([row[blue[0]]], "relabel", HOSTILE, [""])
    desk.decide([row[red[0]]], "relabel", "a new, class", [""])
    desk.decide([row[blue[1]]], "exclude", None, [""])
    desk.decide([row[blue[2]], row[blue[3]]], "group", blue[2], ["", ""])
    desk.decide([row[blue[2]]], "right", None, marks(desk, [row[blue[2]]]))
    file = desk.corrections.path
    labels = DatasetConfig(dataset=str(photos), labels=[str(file)])
    rows = {r.id: r for r in read_manifest(labels, labelled=True).rows}
    assert rows[blue[0]].label == HOSTILE
    assert rows[red[0]].label == "a new, class"
    assert blue[1] not in rows
    assert rows[blue[2]].group == rows[blue[3]].group != rows[red[1]].group
    again = CorrectionsFile(file, desk.ids)  # as the next `featx open` finds it
    assert again.document() == desk.corrections.document()
    assert desk.found({"show": "decided"}) == [
        i for i in desk.found({}) if desk.corrections.of(desk.ids[i])
    ]
    desk.decide([row[blue[2]]], "none", None, marks(desk, [row[blue[2]]]))
    assert not desk.corrections.of(blue[2])


def test_two_windows_and_other_files_are_not_overwritten(desk: RunDesk, tmp_path: Path) -> None:
    desk.decide([0], "exclude", None, [""])
    with pytest.raises(ChangedMeanwhileError):
        desk.decide([1, 0], "right", None, ["", ""])
    assert len(desk.corrections) == 1
    other = tmp_path / "other.csv"
    other.write_text("path,label\na,b\n")
    with pytest.raises(DatasetError, match="no column id"):
        CorrectionsFile(other, desk.ids)


def test_a_new_image_is_predicted_as_score_does(
    served: Served, desk: RunDesk, run: Any, photos: Path
) -> None:
    path = photos / "=blue" / "05.png"
    headers = {**served.own, "Content-Type": "application/octet-stream"}
    found = served.ask("POST", "api/try?name=%3Cb%3E.png", path.read_bytes(), headers)
    [item] = found.json["items"]
    expected = run.model.predict_images([str(path)])
    assert item["id"] == "<b>.png"
    assert item["y_pred"] == expected.predictions[0]
    assert item["p"] == pytest.approx(expected.probabilities[0].max(), abs=1e-4)
    nearest = item["about"]["nearest"]
    assert nearest[0]["id"] == "=blue/05.png"  # which is that very image
    assert nearest[0]["cosine"] == pytest.approx(1, abs=1e-3)
    assert any(note.startswith("Prediction set: ") for note in item["about"]["notes"])
    assert served.ask("GET", item["large"]).data[:4] == b"RIFF"
    heat = served.ask("GET", f"{item['large']}/heat")
    assert heat.status == 200, heat.data
    assert heat.data[:4] == b"RIFF"
    assert "Evidence%20for" in heat.headers["x-words"]
    broken = served.ask("POST", "api/try", b"no image", headers)
    assert broken.status == 400
    assert "cannot be read" in broken.json["error"]


def test_the_gallery_says_why_and_shows_nearest_training_images(
    served: Served, desk: RunDesk
) -> None:
    [row] = desk.found({"show": "wrong"})[:1]
    about = served.ask("GET", f"api/about/{row}").json
    assert about["shares"][0][0] == desk.items([row])[0]["y_pred"]
    fold = desk.items([row])[0]["fold"]
    assert about["nearest"]
    assert all(desk.items([near["i"]])[0]["fold"] != fold for near in about["nearest"])
    heat = served.ask("GET", f"heat/{row}")
    assert heat.status == 200
    assert "fitted%20on%20this%20image%20too" in heat.headers["x-words"]
    for path in ("api/about/999", "heat/999", "tried/7", "tried/7/heat"):
        assert served.ask("GET", path).status in (400, 404)


def test_by_keyboard_from_the_worst_mistake_to_the_file(
    served: Served, desk: RunDesk, photos: Path, chromium: Any
) -> None:
    context = chromium.new_context(viewport={"width": 400, "height": 800})
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("dialog", lambda dialog: faults.append(dialog.message))
    page.goto(served.place.address)
    first, second = desk.items(desk.found({"show": "wrong"})[:2])
    page.locator(f'#picture[alt="{first["id"]}"]').wait_for()
    page.locator("#nearest li").nth(2).wait_for()
    page.keyboard.press("x")
    page.locator(f'#picture[alt="{second["id"]}"]').wait_for()
    page.keyboard.press("h")
    page.locator('#picture[src^="heat/"]').wait_for()
    page.keyboard.press("Enter")
    page.locator("#n-decided", has_text="2").wait_for()
    page.set_input_files("#file", str(photos / "=blue" / "05.png"))
    page.locator("#verdict", has_text="Predicted").filter(has_not_text="label").wait_for()
    page.locator('#picture[src="tried/0"]').wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert page.locator("[onmouseover]").count() == 0
    context.close()
    assert faults == []
    rows = csv_rows(desk.corrections.path)
    assert [(row["decision"], row["value"].removeprefix("'")) for row in rows] == [
        ("exclude", ""),
        ("relabel", second["y_pred"]),
    ]
