"""``featx fit --learning-curve``: what is written, and what is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featx.reporting.summaries.curve import complete_curve, curve_blocks
from featx.reporting.terminal import show
from tests.cli.conftest import BACKBONE, COLOURS, Featx, paint
from tests.lab import csv_rows

FLAGS = ["--head", "ridge", "--estimate", "cv", "--cv", "3", "-j", "1", "--overwrite"]


@pytest.fixture
def plenty(workspace: Path) -> str:
    """``plenty/{blue,green,red}``: 30, 20 and 10 images."""
    if not (workspace / "plenty").exists():
        rng = np.random.default_rng(5)
        for (name, colour), count in zip(COLOURS.items(), (30, 20, 10), strict=True):
            for i in range(count):
                paint(workspace / "plenty" / name / f"{i:02}.png", colour, rng)
    return "plenty"


def test_a_run_holds_its_curve(featx: Featx, workspace: Path, plenty: str) -> None:
    given = ["fit", plenty, *BACKBONE, *FLAGS, "--name", "curve", "--learning-curve"]
    result = featx(*given, "--cache", "fresh")
    assert result.code == 0, result.err
    folder = workspace / "runs" / "curve"
    assert {p.name for p in folder.iterdir()} == {
        "config.yaml",
        "environment.json",
        "failures.csv",
        "learning_curve.csv",
        "model",
        "predictions.csv",
        "results.json",
    }
    assert "learning_curve: true" in (folder / "config.yaml").read_text()
    curve = json.loads((folder / "results.json").read_text())["learning_curve"]
    assert [size["n_images"] for size in curve["sizes"]][-1] == 40
    assert [(row["class"], row["n_images"]) for row in curve["classes"]] == [
        ("blue", 30),
        ("green", 20),
        ("red", 10),
    ]
    seconds = curve["cost"]["embed_s_per_image"]
    assert curve["cost"]["images_computed"] == 60
    assert curve["classes"][0]["embed_s"] == pytest.approx(30 * seconds, abs=1e-3)
    for sentence in curve["summary"]:
        assert sentence in result.out
    assert "Embedding an image took" in curve["summary"][-1]


def test_the_table_is_the_curve(featx: Featx, workspace: Path, plenty: str) -> None:
    result = featx(
        "fit", plenty, *BACKBONE, *FLAGS, "--name", "curve", "--learning-curve", "--json"
    )
    assert result.code == 0, result.err
    curve = json.loads(result.out)["learning_curve"]
    rows = csv_rows(workspace / "runs" / "curve" / "learning_curve.csv")
    assert list(rows[0]) == ["kind", "n_images", "metric", "class", "value", "low", "high"]
    measured = [r for r in rows if r["kind"] == "measured" and r["metric"] == "accuracy"]
    assert [(int(r["n_images"]), float(r["value"])) for r in measured] == [
        (size["n_images"], size["metrics"]["accuracy"]["value"]) for size in curve["sizes"]
    ]
    recalls = [r for r in rows if r["metric"] == "recall"]
    assert {r["class"] for r in recalls} == set(COLOURS)
    assert len(recalls) == 3 * len(curve["sizes"])


def test_without_the_flag_there_is_no_curve(featx: Featx, run_folder: Path) -> None:
    assert json.loads((run_folder / "results.json").read_text())["learning_curve"] is None
    assert not (run_folder / "learning_curve.csv").exists()


def share(value: float, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high}


def growth(verdict: str, gain: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    """A growth with a foretold gain of a doubling from 3,068 images, or a refusal."""
    ahead = [
        {"factor": f, "n_images": 3068 * f, "score": share(0.9), "gain": gain if f > 1 else None}
        for f in (1, 2)
    ]
    reason = "it is short" if gain is None else None
    last = {"from_images": 100, "to_images": 200, **share(0.001, -0.004, 0.006)}
    return {
        "verdict": verdict,
        "reason": reason,
        "ahead": ahead if gain else [],
        "last_doubling": last,
        **more,
    }


def document(**growths: dict[str, Any]) -> dict[str, Any]:
    classes = [
        ("cat\n", growth("rising", share(0.031, 0.004, 0.057))),
        ("dog", growth("flat", None)),
    ]
    return {
        "scorings": list(growths),
        "n_groups": None,
        "n_images": 3068,
        "interval": "95 % bootstrap",
        "growth": growths,
        "sizes": [
            {"n_images": 2454, "metrics": {name: share(0.9, 0.88, 0.92) for name in growths}}
        ],
        "classes": [
            {"class": name, "n_images": 10, "recall": share(0.5), "growth": g, "by_size": []}
            for name, g in classes
        ],
        "notes": ["A note."],
    }


class Measured:
    """A report of an extraction."""

    images, computed = 100, 50
    read_s, decode_s, forward_s, commit_s = 1.0, 1.0, 2.0, 0.5


def test_sentences() -> None:
    gain = share(0.012, 0.003, 0.022)
    curve = document(
        balanced_accuracy=growth("rising", gain), neg_log_loss=growth("unknown", share(0.05))
    )
    said = complete_curve(curve, Measured)["summary"]
    assert said == [
        "Doubling the labelled images from 3,068 to 6,136 would add about +1.2 points [0.3, 2.2] "
        "to balanced accuracy: the curve is still rising.",
        "Doubling the labelled images from 3,068 to 6,136 would lower log loss by about 0.050: "
        "whether it is worth it cannot be told.",
        "Recall still rises for 1 of 2 classes; points that twice the images of all classes would "
        "add: cat\\n +3.1 [0.4, 5.7] (each interval is for one class alone).",
        "Embedding an image took 0.08 s of a thread in this run; as many again as there are would "
        "take 245 s.",
    ]


def test_sentences_where_nothing_can_be_told() -> None:
    curve = document(accuracy=growth("flat", None))
    curve["classes"] = curve["classes"][1:]

    class Cached(Measured):
        computed = 0

    completed = complete_curve(curve, Cached)
    assert completed["summary"] == [
        "What more labelled images would add to accuracy is not forecast: it is short. From 100 to "
        "200 images trained on it changed by +0.1 points [−0.4, 0.6]: the curve is nearly flat.",
        "For no class by itself is it clear that more of its images would raise its recall.",
        "Every embedding was in the cache, so what one more costs was not measured.",
    ]
    assert completed["cost"]["embed_s_per_image"] is None
    curve["growth"]["accuracy"]["last_doubling"] = None
    assert complete_curve(curve, Cached)["summary"][0].endswith("not forecast: it is short.")


def test_groups_are_new_groups_and_many_classes_are_shortened(
    capsys: pytest.CaptureFixture[str],
) -> None:
    curve = document(accuracy=growth("rising", share(0.02, 0.01, 0.03)))
    curve["n_groups"] = 12
    curve["classes"] = [{**curve["classes"][0], "class": f"k{i}"} for i in range(25)]
    completed = complete_curve(curve, Measured)
    show(list(curve_blocks(completed)))
    shown = capsys.readouterr().out
    assert "to 6,136, in new groups like these, would add about +2.0 points" in shown
    assert "(20 largest gains of 25; all are in results.json)" in shown
    assert "k19" in shown
    assert "k20" not in shown
    assert "A note." in shown
