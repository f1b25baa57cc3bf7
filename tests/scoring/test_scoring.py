"""Scoring end to end: one row per file in stable order, nothing computed twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import featx
from featx.api.score import score
from featx.artifact import Model, save_model
from featx.config import ExtractConfig, ScoreConfig
from featx.errors import DatasetError, ModelError, UnknownNameError, UsageError
from featx.scoring.scores import Scores
from tests.lab import NETWORK

IDS = [
    "-twin.png", "0.png", "1.png", "2.png", "broken.jpg",
    "sub/0.png", "sub/1.png", "sub/2.png", "sub/empty.png",
]  # fmt: skip
EXPECTED = ["=green", "=green", "blue", "red", None, "=green", "blue", "red", None]


def test_one_row_for_each_file_in_stable_order(
    fitted: Model, images: Path, config: ExtractConfig
) -> None:
    scores = score(fitted, images, extract=config)
    assert scores.ids == IDS
    assert scores.predictions.tolist() == EXPECTED
    assert np.isnan(scores.probabilities[4]).all()
    good = [i for i, label in enumerate(EXPECTED) if label]
    np.testing.assert_allclose(scores.probabilities[good].sum(axis=1), 1, atol=1e-6)
    assert scores.probabilities[0].tobytes() == scores.probabilities[1].tobytes()
    assert [f.id for f in scores.failures] == ["broken.jpg", "sub/empty.png"]
    rows = list(scores.rows())
    assert scores.columns == ["path", "prediction", "probability", "error"]
    assert [row[0] for row in rows] == IDS
    assert rows[4][1:3] == [None, None]
    assert rows[4][3].startswith("not an image")
    assert rows[0][3] is None


def test_the_predictions_are_those_of_the_model(
    fitted: Model, images: Path, config: ExtractConfig
) -> None:
    scores = score(fitted, images, extract=config)
    extraction = featx.extract(
        images, **NETWORK, cache=config.cache,
        device="cpu", batch_size=4,
    )  # fmt: skip
    assert extraction.report.computed == 0  # the very same store
    good = ~np.isnan(scores.probabilities[:, 0])
    assert scores.probabilities[good].tobytes() == fitted.predict_proba(extraction.X).tobytes()


def test_nothing_is_computed_twice(fitted: Model, images: Path, config: ExtractConfig) -> None:
    first = score(fitted, images, extract=config)
    assert (first.report["computed"], first.report["cached"]) == (6, 0)
    (images / "sub" / "1.png").rename(images / "renamed.png")
    again = score(fitted, images, extract=config)
    assert (again.report["computed"], again.report["cached"]) == (0, 7)
    assert again.ids[5] == "renamed.png"
    assert again.probabilities[5].tobytes() == first.probabilities[6].tobytes()


def test_top_k_and_probabilities(
    fitted: Model, images: Path, config: ExtractConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = score(fitted, images, config=ScoreConfig(top_k=5, proba=True), extract=config)
    assert "the model has 3 classes, so --top-k 5 is 3" in capsys.readouterr().err
    assert scores.columns == [
        "path", "prediction", "probability", "prediction_2", "probability_2", "prediction_3",
        "probability_3", "p_=green", "p_blue", "p_red", "error",
    ]  # fmt: skip
    for i, row in enumerate(scores.rows()):
        cells = dict(zip(scores.columns, row, strict=True))
        if EXPECTED[i] is None:
            assert [name for name, cell in cells.items() if cell is not None] == ["path", "error"]
            continue
        ranked = [cells["probability"], cells["probability_2"], cells["probability_3"]]
        assert ranked == sorted(ranked, reverse=True)
        for k in ("", "_2", "_3"):
            assert cells[f"probability{k}"] == cells[f"p_{cells[f'prediction{k}']}"]


def test_the_prediction_comes_first_even_in_a_tie() -> None:
    scores = Scores(
        ids=["a"], classes=["x", "y", "z"], predictions=np.array(["y"], dtype=object),
        probabilities=np.array([[0.4, 0.4, 0.2]]), failures=[], report={}, top_k=3,
    )  # fmt: skip
    assert list(scores.rows()) == [["a", "y", 0.4, "x", 0.4, "z", 0.2, None]]


def test_csv_exactly(fitted: Model, images: Path, config: ExtractConfig, tmp_path: Path) -> None:
    scores = score(fitted, images, output=tmp_path / "out" / "s.csv", extract=config)
    p = [repr(float(scores.probabilities[i].max())) if EXPECTED[i] else "" for i in range(9)]
    reasons = {failure.id: failure.reason for failure in scores.failures}
    expected = (
        "path,prediction,probability,error\n"
        f"'-twin.png,'=green,{p[0]},\n0.png,'=green,{p[1]},\n1.png,blue,{p[2]},\n"
        f'2.png,red,{p[3]},\nbroken.jpg,,,"{reasons["broken.jpg"]}"\n'
        f"sub/0.png,'=green,{p[5]},\nsub/1.png,blue,{p[6]},\nsub/2.png,red,{p[7]},\n"
        f"sub/empty.png,,,{reasons['sub/empty.png']}\n"
    )
    assert (tmp_path / "out" / "s.csv").read_text("utf-8") == expected
    assert scores.output == str(tmp_path / "out" / "s.csv")


def test_names_that_are_not_utf_8(
    fitted: Model, images: Path, config: ExtractConfig, tmp_path: Path
) -> None:
    strange = os.fsdecode(b"caf\xe9.png")
    try:
        (images / "2.png").rename(images / strange)
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    for name in ("s.csv", "s.jsonl", "s.parquet"):
        score(fitted, images, output=tmp_path / name, extract=config)
    assert b"\ncaf\xe9.png,red," in (tmp_path / "s.csv").read_bytes()
    rows = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text("ascii").splitlines()]
    named = [row["path"] for row in rows]
    assert strange in named
    assert (images / named[named.index(strange)]).exists()
    from pyarrow import parquet

    table = parquet.read_table(tmp_path / "s.parquet").to_pylist()
    assert "caf\\xe9.png" in [row["path"] for row in table]


@pytest.mark.parametrize("cache", ["under a file", "in a file's place"])
def test_a_cache_that_cannot_be_written(
    fitted: Model,
    images: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    cache: str,
) -> None:
    (tmp_path / "file").write_text("in the way")
    place = tmp_path / "file" / "cache" if cache == "under a file" else tmp_path / "file"
    scores = score(fitted, images, cache=place, batch_size=4)
    assert scores.predictions.tolist() == EXPECTED
    assert "the cache cannot be written, embeddings stay in memory" in capsys.readouterr().err


def test_a_full_disk_in_the_cache_loses_no_score(
    fitted: Model,
    images: Path,
    config: ExtractConfig,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from featx.store import EmbeddingStore

    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(EmbeddingStore, "add", full)
    scores = score(fitted, images, extract=config)
    assert scores.predictions.tolist() == EXPECTED
    assert "No space left on device" in capsys.readouterr().err


def test_all_cached_loads_no_backbone(
    fitted: Model, images: Path, config: ExtractConfig, tmp_path: Path
) -> None:
    save_model(fitted, tmp_path / "m.featx")
    score(fitted, images, extract=config)
    (images / "broken.jpg").unlink()
    (images / "sub" / "empty.png").unlink()
    code = (
        "import sys, featx\n"
        f"s = featx.score({str(tmp_path / 'm.featx')!r}, {str(images)!r}, cache={config.cache!r})\n"
        "assert s.report['computed'] == 0 and len(s) == 7\n"
        "print({'timm', 'torch', 'sklearn', 'featx.engines.torch'} & set(sys.modules))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "set()\n", result.stderr


def test_labels_of_class_folders_are_just_ignored(
    fitted: Model, images: Path, config: ExtractConfig
) -> None:
    for label in ("red", "train"):
        (images / label).mkdir()
        (images / "1.png").rename(images / label / "1.png")
        (images / label / "1.png").rename(images / "1.png")
    (images / "1.png").rename(images / "red" / "1.png")
    (images / "2.png").rename(images / "train" / "2.png")
    scores = score(fitted, images, extract=config)
    found = dict(zip(scores.ids, scores.predictions, strict=True))
    assert len(scores) == 9
    assert (found["red/1.png"], found["train/2.png"]) == ("blue", "red")


def test_a_manifest_without_labels(
    fitted: Model, images: Path, config: ExtractConfig, tmp_path: Path
) -> None:
    listed = tmp_path / "new.csv"
    listed.write_text("path\nnew/2.png\nnew/0.png\n")
    scores = score(fitted, listed, extract=config)
    assert scores.predictions.tolist() == ["red", "=green"]
    listed.write_text("path\nnew/2.png\n")
    with pytest.raises(UsageError, match="is the data set's file"):
        score(fitted, listed, output=listed, config=ScoreConfig(overwrite=True), extract=config)
    assert listed.read_text() == "path\nnew/2.png\n"


def other(fitted: Model, **changes: Any) -> Model:
    """The model with other keys in its extractor."""
    [only] = fitted.extractors
    return replace(fitted, extractors=[replace(only, document={**only.document, **changes})])


def test_other_weights_are_refused_with_what_to_do(
    fitted: Model, images: Path, config: ExtractConfig
) -> None:
    key = next(k for k in fitted.extractors[0].document if "weights" in k)
    with pytest.raises(
        ModelError, match="differs from the one the model was fitted with"
    ) as caught:
        score(other(fitted, **{key: "0" * 64}), images, extract=config)
    assert f"{key}: model" in str(caught.value)
    assert "--weights FILE" in str(caught.value)
    assert not list(Path(str(config.cache)).rglob("*.h5"))


def test_another_precision_is_refused(fitted: Model, images: Path, config: ExtractConfig) -> None:
    asked = config.model_copy(update={"precision": "fp16"})
    with pytest.raises(ModelError, match=r"precision '(fp32|bf16)'; 'fp16' was asked for"):
        score(fitted, images, extract=asked)


def test_a_model_from_a_device_that_is_not_here(
    fitted: Model, images: Path, config: ExtractConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    """Embeddings of another kind of device have a store of their own, and it is said."""
    scores = score(fitted, images, extract=config)
    elsewhere = other(
        fitted, numerics={**fitted.extractors[0].document["numerics"], "device": "mps"}
    )
    capsys.readouterr()
    same = score(elsewhere, images, extract=config)
    said = capsys.readouterr().err
    assert "on mps; here featx uses" in said
    assert "on cpu; the two differ slightly" in said
    assert same.probabilities.tobytes() == scores.probabilities.tobytes()
    assert same.report["computed"] == 0


@pytest.mark.parametrize(
    "extractor", [{"numerics": None}, {"preprocess": 3}, {"preprocess": {"code": "x"}}]
)
def test_a_foreign_extractor_is_refused(
    fitted: Model, images: Path, config: ExtractConfig, extractor: dict[str, Any]
) -> None:
    with pytest.raises(ModelError, match="The model's"):
        score(other(fitted, **extractor), images, extract=config)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"output": "s.xlsx"}, UsageError, r"extension '\.xlsx'\. Choose from: \.csv, \.jsonl"),
        ({"output": "s"}, UsageError, r"has the extension ''"),
        ({"top_k": 0}, UsageError, "top_k: input should be greater than or equal to 1"),
        ({"topk": 1}, UnknownNameError, "Did you mean 'top_k'"),
        ({"top_k": 1, "config": ScoreConfig()}, UsageError, "not both"),
        (
            {"backbone": "timm:other"},
            UsageError,
            "backbone is not an option of score: the model's own",
        ),
        ({"size": 64}, UsageError, "size is not an option of score: the model's own"),
    ],
)
def test_requests_that_make_no_sense(
    fitted: Model, images: Path, tmp_path: Path, options: dict[str, Any],
    error: type[Exception], message: str,
) -> None:  # fmt: skip
    with pytest.raises(error, match=message):
        score(fitted, images, **{"cache": tmp_path / "cache", **options})
    assert not (tmp_path / "cache").exists()


def test_nothing_to_score(fitted: Model, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError):
        score(fitted, tmp_path / "empty")
    with pytest.raises(UsageError, match="no data set at"):
        score(fitted, tmp_path / "absent")


def test_only_broken_files(fitted: Model, config: ExtractConfig, tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").write_bytes(b"x")
    for name in ("s.csv", "s.jsonl", "s.parquet"):
        scores = score(fitted, tmp_path / "bad", output=tmp_path / name, extract=config)
    assert scores.predictions.tolist() == [None]
    assert scores.counts() == {"=green": 0, "blue": 0, "red": 0}


def test_existing_output_is_kept_until_overwritten(
    fitted: Model, images: Path, config: ExtractConfig, tmp_path: Path
) -> None:
    output = tmp_path / "s.csv"
    output.write_text("mine")
    with pytest.raises(UsageError, match="exists already") as caught:
        score(fitted, images, output=output, extract=config)
    assert caught.value.exit_code == 2
    assert not Path(str(config.cache)).exists()  # refused before any work
    assert output.read_text() == "mine"
    again = {"config": ScoreConfig(overwrite=True), "extract": config}
    with pytest.raises(UsageError, match="is not a table of scores that featx wrote"):
        score(fitted, images, output=output, **again)
    assert output.read_text() == "mine"
    output.unlink()
    score(fitted, images, output=output, extract=config)
    written = output.read_bytes()
    output.write_bytes(written.split(b"\n")[0] + b"\n")
    score(fitted, images, output=output, **again)
    assert output.read_bytes() == written
