"""`featx race`, and fits on its winner: what they say, keep, reuse and refuse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import featx as library
from featx.config import ExtractConfig
from featx.finetuning.baseline import _same_backbone
from tests.cli.conftest import COLOURS, paint
from tests.lab import Featx, csv_rows

NUMBERS = ["--engine", "torch", "--precision", "fp32"]
BACKBONES = ["--backbone", "featx:mini-v1", *NUMBERS]
QUICK = [*BACKBONES, "--size", "32", "--size", "64", "--rounds", "24", "--rounds", "48"]


@pytest.fixture
def many(workspace: Path) -> Path:
    """72 images of three classes, one of them broken, in ``many/``."""
    root = workspace / "many"
    if not root.exists():
        rng = np.random.default_rng(1)
        for name, colour in COLOURS.items():
            for i in range(24):
                paint(root / name / f"{i:02}.png", colour, rng)
        (root / "blue" / "00.png").write_bytes(b"no image")
    return root


@pytest.fixture
def raced(featx: Featx, many: Path) -> Path:
    folder = many.parent / "raced"
    if not folder.exists():
        result = featx("race", "many", *QUICK, "-o", "raced")
        assert result.code == 0, result.err
    return folder


def test_a_race_shows_a_table_sentences_and_the_next_command(
    featx: Featx, many: Path, raced: Path
) -> None:
    result = featx("race", "many", *QUICK, "-o", "raced", "--overwrite")
    assert result.code == 0, result.err
    assert "wins with" in result.out
    assert "too high on average" in result.out
    assert "Next: featx fit many --race raced" in result.err
    document = json.loads((raced / "race.json").read_text("utf-8"))
    assert document["embedded"] == 0, "a second race computes nothing"
    assert document["winner"] == document["rows"][0]
    assert document["rounds"][-1] <= 36, "half of the images evaluate"
    assert len(document["drawn"]) == document["rounds"][-1]
    table = csv_rows(raced / "race.csv")
    assert [row["size_px"] for row in table] == [str(r["size_px"]) for r in document["rows"]]
    assert (raced / "race.html").read_text("utf-8").startswith("<!doctype html>")


def test_square_images_race_once(raced: Path) -> None:
    """The small backbone crops nothing: both ways to resize give the same embeddings."""
    rows = json.loads((raced / "race.json").read_text("utf-8"))["rows"]
    twins = [row for row in rows if "the same embeddings as" in row["left"]]
    assert len(twins) == 2
    assert not any(row["pareto"] for row in twins), "their speeds differ by chance"


def test_a_fit_reuses_what_the_race_embedded_and_evaluates_on_the_others(
    featx: Featx, raced: Path
) -> None:
    result = featx("fit", "many", "--race", "raced", *NUMBERS, "--name", "of-race", "--cv", "3",
                   "-j", "1", "--json")  # fmt: skip
    assert result.code == 0, result.err
    results = json.loads(result.out)
    document = json.loads((raced / "race.json").read_text("utf-8"))
    n = document["rounds"][-1]
    assert {e["report"]["cached"] for e in results["extraction"].values()} == {n}
    embeddings = [" + ".join(f"{document['winner']['backbone']}/{layer}" for layer in e["layers"])
                  for e in document["winner"]["embeddings"]]  # fmt: skip
    assert {row["backbone"] for row in results["candidates"]} == set(embeddings[:6])
    assert results["estimate"]["n_images"] == results["dataset"]["images"] - 1 - n
    assert results["race"]["winner"] == document["winner"]
    assert "drawn" not in results["race"]
    assert any("A race over 4 forward passes chose" in note for note in results["notes"])
    nested = {
        r["content"]
        for r in csv_rows(raced.parent / "runs/of-race/predictions.csv")
        if r["split"] == "nested"
    }
    assert not nested & {digest[:16] for digest in document["drawn"]}
    scored = featx("score", "runs/of-race", "new", "-o", "of-race.csv")
    assert scored.code == 0, scored.err
    # a fine-tuning of that run starts from the same layers at the same size
    extract = _same_backbone(ExtractConfig(), library.load_run(raced.parent / "runs/of-race"))
    winner = document["winner"]
    assert (extract.backbone, extract.size) == ([winner["backbone"]], winner["size_px"])
    chosen = results["chosen"]["backbone"].split(" + ")
    assert [f"{winner['backbone']}/{layer}" for layer in extract.layer] == chosen
    assert not extract.pooling
    shown = featx("report", "runs/of-race")
    assert shown.code == 0, shown.err
    assert "Race before the fit" in (raced.parent / "runs/of-race/report.html").read_text("utf-8")


def test_backbone_auto_races_first(
    featx: Featx, many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("featx.racing.streams.weights_here", lambda: ["featx:mini-v1"])
    result = featx("fit", "many", "--backbone", "auto", *NUMBERS, "--name", "raced-auto",
                   "--cv", "3", "-j", "1", "--json")  # fmt: skip
    assert result.code == 0, result.err
    results = json.loads(result.out)
    assert results["race"]["rounds"] == [results["race"]["rounds"][0]]
    assert results["estimate"]["n_images"] < results["dataset"]["images"]
    config = (many.parent / "runs/raced-auto/config.yaml").read_text("utf-8")
    assert "- auto" in config


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("fit", "many", "--race", "raced", "--size", "64"), "--size cannot be combined"),
        (("fit", "many", "--race", "raced", *BACKBONES), "--backbone cannot be combined"),
        (("fit", "many", "--backbone", "auto", "--layer", "auto"), "--layer cannot be combined"),
        (("fit", "many", "--race", "photos"), "'photos' is not a race"),
        (("fit", "many", "--backbone", "auto", "--backbone", "featx:mini-v1"), "fit alone"),
        (("extract", "many", "--backbone", "auto"), "--backbone auto is for featx fit alone"),
        (("race", "one", *QUICK, "-o", "r1"), "of 2 classes"),
        (("race", "many", *QUICK, "--limit", "6", "-o", "r0"), "A race needs 20 images"),
        (("race", "many", *QUICK, "--rounds", "0", "-o", "r5"), "rounds"),
        (("race", "many", *QUICK, "-o", "raced"), "already"),
        (("race", "many", *QUICK, "-o", "photos", "--overwrite"), "photos"),
        (("race", "many", *BACKBONES, "--keep", "2", "-o", "r2"), "keep"),
        (("race", "many", *BACKBONES, "--budget", "soon", "-o", "r3"), "length of time"),
        (("race", "many", "--weights", "none.pt", "-o", "r4"), "none.pt"),
    ],
)
def test_what_cannot_be_is_refused(
    featx: Featx, many: Path, raced: Path, words: tuple[str, ...], message: str
) -> None:
    result = featx(*words)
    assert result.code != 0
    assert message in result.err
    assert "Traceback" not in result.err


def test_in_python(featx: Featx, many: Path) -> None:
    found = library.race(
        many, backbone="featx:mini-v1", size=32, rounds=24, engine="torch", precision="fp32",
        output=many.parent / "of-python", scoring="neg_log_loss",
    )  # fmt: skip
    assert found.results["winner"]["size_px"] == 32
    assert found.results["winner"]["score"]["value"] < 0
    assert "32 px" in repr(found)
