"""The commands as a user types them: output, files and exit codes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.cli.conftest import BACKBONE, Featx
from tests.lab import csv_rows


def test_inspect_says_what_is_there(featx: Featx) -> None:
    result = featx("inspect", "photos")
    assert result.code == 0
    assert result.out.startswith(
        "photos: 28 images in 3 classes, imbalance 2.0 : 1\n"
        "\n"
        "Classes\n"
        "class  images\n"
        "─────  ──────\n"
        "blue       12\n"
        "green      10\n"
        "red         6\n"
    )
    assert result.err == "Next: featx extract photos\n"


def test_strict_turns_quarantined_files_into_exit_code_3(featx: Featx) -> None:
    assert featx("inspect", "new").code == 0
    result = featx("inspect", "new", "--strict")
    assert result.code == 3
    assert "broken.png" in result.err
    assert featx("extract", "new", *BACKBONE, "--strict").code == 3
    assert featx("extract", "photos", *BACKBONE, "--strict").code == 0


def test_extract_prints_a_table_and_the_second_run_computes_nothing(featx: Featx) -> None:
    first = featx("extract", "photos", *BACKBONE)
    assert first.code == 0
    head, rule, row = first.out.splitlines()
    assert head.split() == ["backbone", "features", "images", "quarantined", "store"]
    assert set(rule) == {"─", " "}
    assert row.split()[:1] == ["timm:test_resnet"]
    assert row.split()[2:4] == ["28", "0"]
    assert "28 images:" in first.err
    assert first.err.splitlines()[-1] == (
        "Next: featx fit photos --backbone timm:test_resnet --no-pretrained --size 32"
    )
    second = featx("extract", "photos", *BACKBONE)
    assert second.out == first.out
    assert "28 cached, 0 computed, 0 quarantined" in second.err


def test_random_weights_are_said_loudly(featx: Featx) -> None:
    result = featx("extract", "photos", *BACKBONE)
    [warning] = [line for line in result.err.splitlines() if line.startswith("Warning: ")]
    assert warning.startswith("Warning: timm:test_resnet")
    assert "random weights" in warning


def test_extract_json(featx: Featx) -> None:
    result = featx("extract", "new", *BACKBONE, "--json")
    [document] = json.loads(result.out)
    assert document["name"] == "timm:test_resnet"
    assert document["report"]["images"] == 4
    [failure] = document["failures"]
    assert failure["id"] == "broken.png"
    assert failure["reason"]


def test_separate_outputs_have_stores_of_their_own(featx: Featx) -> None:
    layers = ["--layer", "layer1", "--layer", "layer2", "--pooling", "avg", "--separate"]
    result = featx("extract", "photos", *BACKBONE, *layers, "--json")
    documents = json.loads(result.out)
    assert len({d["fingerprint"] for d in documents}) == 2
    joined = json.loads(featx("extract", "photos", *BACKBONE, *layers[:-1], "--json").out)
    assert [d["n_features"] for d in joined] == [sum(d["n_features"] for d in documents)]


def test_a_dry_run_writes_nothing(featx: Featx, tmp_path: Path) -> None:
    result = featx("extract", "photos", *BACKBONE, "--dry-run", "--cache", str(tmp_path / "c"))
    assert result.code == 0
    assert "28 computed" in result.err
    assert result.out.startswith("Would be computed; nothing was written\n")
    assert not list(tmp_path.rglob("*.h5"))


def test_fit_writes_a_whole_run(featx: Featx, run_folder: Path) -> None:
    assert {p.name for p in run_folder.iterdir()} == {
        "config.yaml",
        "environment.json",
        "failures.csv",
        "model",
        "predictions.csv",
        "results.json",
    }
    results = json.loads((run_folder / "results.json").read_text())
    accuracy = results["estimate"]["metrics"]["accuracy"]
    assert 0 <= accuracy["low"] <= accuracy["value"] <= accuracy["high"] <= 1
    assert accuracy["value"] > 0.8  # the classes differ in colour
    assert results["dataset"]["classes"] == {"blue": 12, "green": 10, "red": 6}
    rows = csv_rows(run_folder / "predictions.csv")
    nested = [r for r in rows if r["split"] == "nested"]
    assert sorted(r["id"] for r in nested) == sorted(
        f"{c}/{i:02}.png" for c, n in (("blue", 12), ("green", 10), ("red", 6)) for i in range(n)
    )
    right = sum(r["y_true"] == r["y_pred"] for r in nested)
    assert right / 28 == pytest.approx(accuracy["value"])


def test_the_row_without_resampling_stands_beside_the_one_with_it(featx: Featx) -> None:
    result = featx(
        "fit", "photos", *BACKBONE, "--sampler", "smote", "--cv", "3", "--json", "-j", "1"
    )
    assert result.code == 0, result.err
    document = json.loads(result.out)
    assert [(c["sampler"], c["class_weight"]) for c in document["candidates"]] == [
        ("none", "none"),
        ("smote", "none"),
        ("none", "balanced"),
    ]
    assert Path(document["run"], "model", "model.json").exists()


def test_the_same_seed_gives_the_same_result(featx: Featx) -> None:
    def numbers(*more: str) -> dict:
        flags = ["--cv", "3", "--overwrite", "--name", "again", "--json"]
        document = json.loads(featx("fit", "photos", *BACKBONE, *flags, *more).out)
        return {k: document[k] for k in ("estimate", "estimates", "chosen")}

    def timeless(document: dict) -> str:
        document["chosen"].pop("elapsed_s")
        return json.dumps(document, sort_keys=True)

    first = timeless(numbers("-j", "1"))
    assert first == timeless(numbers("-j", "2"))


def test_a_run_is_not_replaced_unasked(featx: Featx, run_folder: Path) -> None:
    before = (run_folder / "results.json").read_bytes()
    result = featx("fit", "photos", *BACKBONE, "--name", "first")
    assert result.code == 2
    assert result.err == (
        "Error: The run 'runs/first' exists.\nGive another --name, or --overwrite.\n"
    )
    assert (run_folder / "results.json").read_bytes() == before


@pytest.mark.parametrize("resume", ["true", "false"])
def test_the_written_configuration_runs_again_to_the_same_result(
    featx: Featx, run_folder: Path, resume: str
) -> None:
    before = json.loads((run_folder / "results.json").read_text())
    config = run_folder / "config.yaml"
    name = ["--set", f"fit.name=again-{resume}", "--set", f"fit.resume={resume}"]
    result = featx("run", str(config), *name, "--json")
    assert result.code == 0, result.err
    after = json.loads(result.out)
    assert after["estimate"] == before["estimate"]
    assert after["chosen"]["params"] == before["chosen"]["params"]
    assert (after["search"]["resumed_fits"] > 0) is (resume == "true")


def test_run_scores_as_declared(featx: Featx, workspace: Path) -> None:
    (workspace / "declared.yaml").write_text(
        "data: {dataset: photos}\n"
        "extract: {backbone: ['timm:test_resnet'], pretrained: false, size: 32}\n"
        "fit: {name: declared, cv: 3, head: [lda]}\n"
        "score: {images: new, output: declared.jsonl, top_k: 2}\n"
    )
    result = featx("run", "declared.yaml")
    assert result.code == 0, result.err
    rows = [json.loads(line) for line in (workspace / "declared.jsonl").read_text().splitlines()]
    assert [row["path"] for row in rows] == ["blue.png", "broken.png", "green.png", "red.png"]
    assert rows[0]["prediction_2"]


def test_score_writes_one_row_per_file(featx: Featx, run_folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "scores.csv"
    result = featx("score", "runs/first", "new", "-o", str(output))
    assert result.code == 0, result.err
    rows = csv_rows(output)
    assert [(r["path"], r["prediction"]) for r in rows] == [
        ("blue.png", "blue"),
        ("broken.png", ""),
        ("green.png", "green"),
        ("red.png", "red"),
    ]
    assert rows[1]["error"] == "empty file (0 bytes)"
    assert "Warning: quarantined broken.png: empty file (0 bytes)" in result.err
    again = featx("score", "runs/first", "new", "-o", str(output))
    assert again.code == 2
    second = featx("score", "runs/first", "new", "-o", str(output), "--overwrite", "--json")
    assert json.loads(second.out)["report"]["computed"] == 0


def test_score_from_a_cache_that_cannot_be_written(
    featx: Featx, run_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    output, blocked = str(tmp_path / "s.csv"), str(tmp_path / "file" / "cache")
    result = featx("score", "runs/first", "new", "-o", output, "--cache", blocked)
    assert result.code == 0
    assert "Warning: the cache cannot be written, embeddings stay in memory" in result.err
    assert len(Path(output).read_text().splitlines()) == 5


def test_cache_commands(featx: Featx, workspace: Path) -> None:
    featx("extract", "photos", *BACKBONE)
    listed = featx("cache", "ls", "--json")
    assert listed.code == 0
    assert any("timm-test_resnet" in str(row) for row in json.loads(listed.out))
    assert featx("cache", "verify").code == 0
    [shard, *_] = (workspace / "cache").rglob("*.h5")
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1])
    broken = featx("cache", "verify")
    assert broken.code == 1
    assert shard.name in broken.out + broken.err
    shard.write_bytes(whole)
    assert featx("cache", "verify").code == 0


def test_backbones_lists_and_filters(featx: Featx) -> None:
    result = featx("backbones", "timm:test_resnet*", "--json")
    assert result.code == 0
    assert all(row["name"].startswith("timm:test_resnet") for row in json.loads(result.out))
    embedded = json.loads(featx("backbones", "featx:", "--json").out)
    assert [(row["name"], row["embedded"]) for row in embedded] == [
        ("featx:lite0", True),
        ("featx:mini-v1", True),
    ]
    assert featx("backbones", "featx:").out.splitlines()[-1].endswith("with featx")


def test_doctor_names_versions_and_devices(featx: Featx) -> None:
    document = json.loads(featx("doctor", "--json").out)
    assert document["engine"].split()[0] in {"openvino", "torch"}
    assert document["networks"] == os.environ["FEATX_NETWORKS"]
    assert document["versions"]["torch"]
    assert document["devices"][-1]["device"] == "cpu"
    assert document["cache"]["writable"] is True


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(featx: Featx, shell: str) -> None:
    result = featx("completion", shell)
    assert result.code == 0
    assert "_FEATX_COMPLETE" in result.out


def test_the_default_backbone_is_named(featx: Featx) -> None:
    """The tests' own default: see conftest.py, and test_lite0.py for featx's."""
    result = featx("extract", "photos")
    assert result.code == 0, result.err
    assert "featx:mini-v1" in result.out
    assert result.err.startswith("Using the default backbone featx:mini-v1; `featx backbones")
    assert (
        "--backbone timm:vit_small_patch14_dinov2.lvd142m" in featx("extract", "photos", "-v").err
    )
    assert "random" not in result.err
