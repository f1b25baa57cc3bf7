"""How far to trust a score: columns, from the command line and from Python."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import featx
from featx.api.score import score
from featx.artifact import Model, save_model
from featx.artifact.novelty import Novelty
from featx.artifact.trust import NoveltyLimit, PredictionSets, Trust
from featx.cli.main import main
from featx.config import ExtractConfig
from featx.scoring.scores import Scores, join_names
from tests.lab import csv_rows, save_pixels


@pytest.fixture
def trusting(fitted: Model) -> Model:
    """Sets of one or two classes, and a score of which some images are beyond the limit."""
    width = fitted.n_features
    novelty = Novelty(
        np.zeros((1, width), np.float32),
        np.zeros((0, width), np.float32),
        np.zeros(0, np.float32),
        np.ones(1, np.float32),
    )
    trust = Trust(
        sets=PredictionSets(coverage=0.9, over="images", thresholds=[0.02] * 3),
        novelty=NoveltyLimit(rate=0.01, limit=1.0),
    )
    return replace(fitted, trust=trust, novelty=novelty)


def write_image(path: Path, colour: tuple[int, int, int], seed: int) -> None:
    noise = np.random.default_rng(seed).normal(0, 60, (24, 24, 3))
    save_pixels(path, np.array(colour) + noise)


def run(*arguments: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["score", *arguments])
    assert ended.value.code == 0


def test_the_columns(
    trusting: Model,
    images: Path,
    config: ExtractConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    save_model(trusting, tmp_path / "m")
    scores = score(trusting, images, extract=config)
    run("m", "new", "-o", "out.csv", "--cache", "cache", "--json")
    document = json.loads(capsys.readouterr().out)
    rows = csv_rows(Path("out.csv"))
    assert list(rows[0]) == [
        "path", "prediction", "probability", "margin", "prediction_set", "abstained", "ood_score",
        "ood", "error",
    ]  # fmt: skip
    for i, row in enumerate(rows):
        if row["error"]:
            assert set(row.values()) == {row["path"], row["error"], ""}
            continue
        p = scores.probabilities[i]
        first, second = np.sort(p)[::-1][:2]
        inside = [c for c, q in zip(scores.classes, p, strict=True) if q >= 0.02]
        assert float(row["margin"]) == pytest.approx(first - second)
        names = "|".join(inside)
        assert row["prediction_set"] == (f"'{names}" if names[0] == "=" else names)
        assert row["abstained"] == str(len(inside) > 1)
        assert float(row["ood_score"]) == pytest.approx(scores.ood_scores[i])
        assert row["ood"] == str(bool(scores.ood_scores[i] > 1.0))
    assert document["abstained"] == sum(r["abstained"] == "True" for r in rows)
    assert document["ood"] == sum(r["ood"] == "True" for r in rows)


def test_abstaining_where_no_class_is_likely_enough(
    trusting: Model, images: Path, config: ExtractConfig
) -> None:
    strict = PredictionSets(coverage=0.1, over="images", thresholds=[1.0] * 3)
    model = replace(trusting, trust=trusting.trust.model_copy(update={"sets": strict}))
    scores = score(model, images, extract=config)
    read = np.array([label is not None for label in scores.predictions])
    sure = read & (scores.probabilities.max(axis=1, initial=0) >= 1.0)
    assert (scores.sets[read].sum(axis=1) == 1).all()
    assert scores.abstained[read & ~sure].all()
    assert (read & ~sure).any()
    assert not scores.abstained[~read].any()
    assert scores.document()["abstained"] == (read & ~sure).sum()


def test_abstaining_below_a_probability(
    trusting: Model, fitted: Model, images: Path, config: ExtractConfig
) -> None:
    usual = score(trusting, images, extract=config)
    strict = score(trusting, images, extract=config, config=_config(1.0))
    read = np.array([label is not None for label in usual.predictions])
    assert usual.abstained[read].sum() < read.sum()
    assert strict.abstained[read].all()
    assert not strict.abstained[~read].any()
    old = score(fitted, images, extract=config, config=_config(1.0))
    assert old.columns == ["path", "prediction", "probability", "margin", "abstained", "error"]
    assert all(len(row) == 6 for row in old.rows())
    plain = score(fitted, images, extract=config)
    assert plain.columns == ["path", "prediction", "probability", "error"]


def _config(below: float) -> featx.config.ScoreConfig:
    return featx.config.ScoreConfig(abstain_below=below)


def test_names_in_sets_come_back() -> None:
    names = ["a|b", "c\\", "|", "", "d\\|e"]
    text = join_names(names)
    assert text == r"a\|b|c\\|\||" + r"|d\\\|e"
    found, escaped = [""], False
    for letter in text:
        if not escaped and letter in "|\\":
            escaped = letter == "\\"
            if not escaped:
                found.append("")
            continue
        found[-1] += letter
        escaped = False
    assert found == names


def test_exact_rows() -> None:
    scores = Scores(
        ids=["x.png", "y.png"],
        classes=["a", "b", "c|d"],
        predictions=np.array(["a", "b"], object),
        probabilities=np.array([[0.75, 0.25, 0.0], [0.5, 0.25, 0.25]]),
        failures=[],
        report={},
        sets=np.array([[True, False, False], [True, True, True]]),
        abstained=np.array([False, True]),
        ood_scores=np.array([1.0, 2.5]),
        ood=np.array([False, True]),
    )
    assert list(scores.rows()) == [
        ["x.png", "a", 0.75, 0.5, "a", False, 1.0, False, None],
        ["y.png", "b", 0.25, -0.25, r"a|b|c\|d", True, 2.5, True, None],
    ]


def test_from_a_fit_to_the_scores(
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The whole way through the command line, with everything asked for."""
    monkeypatch.chdir(tmp_path)
    for label, colour in {"blue": (20, 40, 190), "red|r": (200, 30, 30)}.items():
        for i in range(12):
            write_image(tmp_path / "photos" / label / f"{i}.png", colour, i)
    asked = [
        "--calibrate",
        "auto",
        "--coverage",
        "0.8",
        "--ood-rate",
        "0.1",
        "--threshold",
        "blue:recall=0.9",
    ]
    backbone = [
        "--backbone",
        "timm:test_resnet",
        "--no-pretrained",
        "--size",
        "32",
        "--cache",
        "cache",
    ]
    assert call("fit", "photos", *backbone, *asked, "--cv", "3", "--name", "r", "-v") == 0
    said = capsys.readouterr().out
    for words in (
        "Threshold in force: blue is predicted from",
        "meant for 80 %",
        "(10 % asked for)",
    ):
        assert words in " ".join(said.split())
    assert (tmp_path / "runs/r/model/novelty.safetensors").exists()
    trust = json.loads((tmp_path / "runs/r/results.json").read_text("utf-8"))["trust"]
    assert trust["calibration"]["asked"] == "auto"
    assert call("score", "runs/r", "new", "-o", "out.csv", "--cache", "cache") == 0
    rows = [row for row in csv_rows(Path("out.csv")) if not row["error"]]
    assert {row["prediction"] for row in rows} <= {"blue", "red|r"}
    cutoff = trust["decision"]["cutoff"]
    for row in rows:
        assert float(row["cutoff"]) == cutoff
        p = float(row["p_blue"])
        assert (row["prediction"] == "blue") == (p >= cutoff)
        assert float(row["margin"]) == pytest.approx(abs(p - cutoff))
        sets = {"blue": {"blue"}, r"red\|r": {"red|r"}, r"blue|red\|r": {"blue", "red|r"}}
        assert row["prediction"] in sets[row["prediction_set"]]
        assert float(row["ood_score"]) > 0
    assert call("fit", "photos", *backbone, "--threshold", "green:recall=0.9") == 2
    assert "Unknown class" in capsys.readouterr().err


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert isinstance(ended.value.code, int)
    return ended.value.code
