"""``featx similar`` as a user types it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import featx as package
from tests.cli.conftest import BACKBONE, Featx
from tests.lab import NETWORK, csv_rows


def test_neighbours_with_their_labels(featx: Featx, workspace: Path) -> None:
    done = featx("similar", "new/blue.png", "photos", *BACKBONE, "--neighbours", "3")
    assert done.code == 0, done.err
    title, head, _, *rows = done.out.splitlines()
    assert title == "'new/blue.png': neighbours are 'blue' 100 %"
    assert head.split() == ["rank", "path", "similarity", "label"]
    assert [row.split()[0] for row in rows] == ["1", "2", "3"]
    assert all(row.split()[3] == "blue" for row in rows)


def test_an_image_is_not_its_own_neighbour_but_its_copy_is(featx: Featx, workspace: Path) -> None:
    shutil.copytree(workspace / "photos" / "red", workspace / "twins", dirs_exist_ok=True)
    shutil.copy(workspace / "twins" / "00.png", workspace / "twins" / "twin.png")
    done = featx("similar", "twins/00.png", "twins", *BACKBONE, "--neighbours", "99", "--json")
    document = json.loads(done.out)
    [query] = document["queries"]
    paths = [n["path"] for n in query["neighbours"]]
    assert paths[0] == "twin.png"
    assert query["neighbours"][0]["similarity"] == pytest.approx(1, abs=1e-5)
    assert sorted(paths) == sorted({p.name for p in (workspace / "twins").iterdir()} - {"00.png"})
    assert query["classes"] == {}
    shown = featx("similar", "twins/00.png", "twins", *BACKBONE, "--neighbours", "2")
    assert shown.out.splitlines()[0] == "'twins/00.png': 1 copy is in the data set"
    assert "label" not in shown.out


def test_several_images_into_a_table(featx: Featx, workspace: Path) -> None:
    arguments = ["similar", "new/red.png", "new/broken.png", "new/green.png", "photos", *BACKBONE]
    done = featx(*arguments, "-o", "near.csv", "--neighbours", "2", "--overwrite")
    assert done.code == 0, done.err
    assert "quarantined new/broken.png" in done.err
    rows = csv_rows(workspace / "near.csv")
    assert [(r["image"], r["rank"]) for r in rows] == [
        ("new/red.png", "1"), ("new/red.png", "2"), ("new/green.png", "1"), ("new/green.png", "2"),
    ]  # fmt: skip
    assert {r["label"] for r in rows[:2]} == {"red"}
    assert featx(*arguments, "--strict", "-q").code == 3
    assert featx(*arguments, "-o", "near.csv").code == 2


@pytest.mark.parametrize(
    ("images", "code", "told"),
    [
        (["new/none.png"], 2, "'new/none.png' is not a file"),
        (["new"], 2, "'new' is a folder"),
        (["new/broken.png"], 1, "new/broken.png"),
        ([], 2, "Missing argument"),
    ],
)
def test_what_is_no_image(featx: Featx, images: list[str], code: int, told: str) -> None:
    done = featx("similar", *images, "photos", *BACKBONE)
    assert (done.code, told in done.err) == (code, True), done.err


def test_by_the_backbone_of_a_run_and_in_python(
    featx: Featx, run_folder: Path, workspace: Path
) -> None:
    done = featx("similar", "new/red.png", "photos", "--model", run_folder, "--json")
    assert done.code == 0, done.err
    first = json.loads(done.out)["queries"][0]
    assert first["classes"].get("red", 0) > 0.5
    found = package.similar(workspace / "new/red.png", workspace / "photos", neighbours=4,
                            cache=workspace / "cache", **NETWORK)  # fmt: skip
    [query] = found.queries
    assert [n.id for n in query.neighbours] == [n["path"] for n in first["neighbours"][:4]]
    assert sum(query.classes.values()) == pytest.approx(1)
