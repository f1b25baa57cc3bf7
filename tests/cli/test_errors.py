"""Wrong input: what was wrong, what is allowed, what to do next, and the exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import BACKBONE, Featx


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["frob"], 2, ["No such command 'frob'"]),
        (["extract"], 2, ["Missing argument 'DATASET'"]),
        (["extract", "nowhere"], 2, ["There is no data set at 'nowhere'"]),
        (["extract", "photos", "--backbone", "resnet50"], 2, ["'resnet50'", "timm:"]),
        (["extract", "photos", "--backbone", "timm:resnet5"], 2, ["'resnet5'", "Did you mean"]),
        (["extract", "photos", "--backbone", "tim:resnet18"], 2, ["'tim'", "timm"]),
        (["extract", "photos", "--backbone", "featx:mini"], 2, ["'mini'", "mini-v1"]),
        (["extract", "photos", "--crop", "2"], 2, ["crop", "less than or equal to 1. Got 2"]),
        (["extract", "photos", "--engine", "warp"], 2, ["Unknown engine 'warp'", "torch"]),
        (["extract", "photos", "--device", "abacus"], 2, ["abacus", "cpu"]),
        (["extract", "photos", "--batch-size", "many"], 2, ["batch_size", "'many'"]),
        (
            ["extract", "photos", "--backbone", "timm:a", "--backbone", "timm:b", "--weights", "w"],
            2,
            ["--weights 'w' belongs to one backbone, but 2 are named"],
        ),
        (["extract", "photos", *BACKBONE, "--layer", "layr1"], 2, ["'layr1'", "layer1"]),
        (["extract", "new", *BACKBONE, "--on-error", "fail"], 1, ["broken.png", "empty file"]),
        (["fit", "photos", *BACKBONE, "--head", "logrg"], 2, ["'logrg'", "'logreg'"]),
        (["fit", "photos", *BACKBONE, "--sampler", "smot"], 2, ["'smot'", "'smote'"]),
        (["fit", "photos", *BACKBONE, "--scoring", "acc"], 2, ["'acc'", "balanced_accuracy"]),
        (["fit", "photos", *BACKBONE, "--name", "a/b"], 2, ["'a/b'", "plain folder name"]),
        (["fit", "photos", *BACKBONE, "--cv", "1"], 2, ["cv", "greater than or equal to 2"]),
        (["fit", "photos", *BACKBONE, "--estimate", "test"], 1, ["test"]),
        (["fit", "new", *BACKBONE], 1, ["'new' has no labels", "--label-column"]),
        (["fit", "one", *BACKBONE], 1, ["only", "3"]),
        (["score", "nowhere", "new"], 2, ["nowhere"]),
        (["score", "photos", "new"], 1, ["model.json"]),
        (["run", "nowhere.yaml"], 2, ["Cannot read configuration 'nowhere.yaml'"]),
        (["completion", "tcsh"], 2, ["'tcsh'", "bash"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_input_is_explained(
    featx: Featx, arguments: list[str], code: int, words: list[str]
) -> None:
    result = featx(*arguments)
    assert result.code == code, result.err
    assert "Traceback" not in result.err
    assert result.out == ""
    for word in words:
        assert word in result.err


@pytest.mark.parametrize(
    "arguments", [["--head", "logrg"], ["--sampler", "smot"], ["--search", "grd"]], ids=" ".join
)
def test_names_are_checked_before_any_image_is_read(
    featx: Featx, arguments: list[str], tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    result = featx("fit", "photos", *BACKBONE, "--cache", str(cache), *arguments)
    assert result.code == 2
    assert "Did you mean" in result.err
    assert not cache.exists()


def test_paths_relative_to_somewhere_else_are_explained(featx: Featx, tmp_path: Path) -> None:
    manifest = tmp_path / "list.csv"
    rows = [f"{label}/{i}.png,{label}\n" for label in "ab" for i in range(3)]
    manifest.write_text("path,label\n" + "".join(rows), "utf-8")
    result = featx("fit", str(manifest), *BACKBONE)
    assert result.code == 1
    assert "None of the 6 files that" in result.err
    assert "exists, the first 'a/0.png'" in result.err
    assert "--root" in result.err


def test_offline_without_weights_says_what_to_fetch_and_where_to_put_it(
    featx: Featx, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    result = featx("extract", "photos", "--backbone", "timm:resnet18.a1_in1k", "--offline")
    assert result.code == 1
    for word in ("timm/resnet18.a1_in1k", "model.safetensors", "--weights"):
        assert word in result.err


def test_an_unexpected_error_is_one_line_and_minus_v_shows_more(
    featx: Featx, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise RuntimeError("something odd")

    monkeypatch.setattr("featx.data.opening.read_manifest", broken)
    result = featx("extract", "photos")
    assert result.code == 1
    assert result.err == (
        "Error: RuntimeError: something odd\nRun again with -v for the traceback.\n"
    )
    assert "Traceback" in featx("extract", "photos", "-v").err
