"""Models and runs that earlier versions wrote are read, and say what they said.

``models-COMMIT`` and ``runs-COMMIT`` were written at that commit (see ``formats.py``): a model for
each head and each way to decide, a fine-tuned network, and a run whose classes are called ``+``,
``-``, ``=x`` and ``@y``, which tables hold behind an apostrophe.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import featx
from tests.golden.formats import HERE, SIGNS, new_embeddings, write_few
from tests.golden.lab import exact_engine, read_csv, run_featx

MODELS = sorted(path.parent for path in HERE.glob("models-*/*/model.json"))
RUNS = sorted(path.parent for path in HERE.glob("runs-*/*/results.json"))
TUNED = sorted(HERE.glob("runs-*/tuned.zip"))
#: Heads that compute in float32 add in another order on other processors; a network's layers more.
CLOSE = 1e-5
CLOSE_NETWORK = 1e-3


def name_of(path: Path) -> str:
    """``NAME-COMMIT``, for the names of tests."""
    return f"{path.stem}-{path.parent.name.partition('-')[2]}"


def answers(path: Path) -> dict:
    """What was recorded of every model of the same commit."""
    commit = path.parent.name.partition("-")[2]
    document: dict = json.loads((HERE / f"models-{commit}" / "answers.json").read_text())
    return document


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The images that the runs are of, made anew; the runs are copied beside them."""
    root = tmp_path_factory.mktemp("formats")
    write_few(root)
    for run in RUNS:
        shutil.copytree(run, root / "runs" / name_of(run))
    for archive in TUNED:
        with zipfile.ZipFile(archive) as file:
            file.extractall(root / "runs" / name_of(archive))
    return root


@pytest.fixture
def here(world: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same folder, as the one that commands are run in."""
    monkeypatch.chdir(world)
    monkeypatch.setenv("FEATX_CACHE", str(world / "cache"))
    return world


@pytest.fixture
def exact() -> Iterator[None]:
    """Embeddings as those of the runs."""
    with exact_engine():
        yield


def test_there_are_models_and_runs() -> None:
    """A folder that is lost, or not found, must not pass for tests that passed."""
    assert len(MODELS) >= 29
    assert len(RUNS) >= 8
    assert len(TUNED) >= 2


@pytest.mark.parametrize("folder", MODELS, ids=name_of)
def test_a_model_predicts_what_it_did(folder: Path) -> None:
    model, kept, X = featx.load_model(folder), answers(folder)[folder.name], new_embeddings()
    assert list(model.classes) == kept["classes"]
    assert model.predict(X).tolist() == kept["predict"]
    np.testing.assert_allclose(model.predict_proba(X), kept["predict_proba"], atol=CLOSE)
    np.testing.assert_allclose(model.ood_scores(X), kept["ood_scores"], rtol=CLOSE)


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("folder", MODELS, ids=name_of)
def test_a_model_scores_a_folder(folder: Path, here: Path) -> None:
    output = here / "scores" / f"{name_of(folder)}.csv"
    output.parent.mkdir(exist_ok=True)
    assert run_featx("score", folder, "new", "-o", output, "--proba", "--device", "cpu") == 0
    rows, kept = read_csv(output), answers(folder)[folder.name]
    assert rows["prediction"] == kept["predict"]
    proba = np.column_stack([rows[f"p_{name}"] for name in kept["classes"]])
    np.testing.assert_allclose(proba, kept["predict_proba"], atol=CLOSE)


@pytest.mark.parametrize("run", RUNS, ids=name_of)
def test_a_run_is_a_model_too(run: Path) -> None:
    kept = answers(run)[f"run {run.name}"]
    model = featx.load_model(run)
    assert list(model.classes) == kept["classes"]
    proba = model.predict_proba(new_embeddings())
    np.testing.assert_allclose(proba, kept["predict_proba"], atol=CLOSE)


@pytest.mark.parametrize(("first", "second"), [("signs", "signs-knn"), ("split", "split-vote")])
@pytest.mark.parametrize("folder", sorted(HERE.glob("runs-*")), ids=lambda path: path.name)
def test_runs_are_compared(folder: Path, first: str, second: str, here: Path) -> None:
    """The accuracies are counted here, from the tables as they stand."""
    runs = [here / "runs" / name_of(folder / name) for name in (first, second)]
    report, table = here / f"{folder.name}-{first}.json", here / f"{folder.name}-{first}.csv"
    code = run_featx("compare", *runs, "--json", report, "--disagreements", table)
    assert code == 0
    document = json.loads(report.read_text())
    level = "test" if first == "split" else "oof"
    for run, compared in zip(runs, document["runs"], strict=True):
        rows = read_csv(run / "predictions.csv")
        judged = [i for i, split in enumerate(rows["split"]) if split.startswith(level)]
        nested = [i for i, split in enumerate(rows["split"]) if split == "nested"]
        rights = [rows["y_true"][i] == rows["y_pred"][i] for i in nested or judged]
        assert compared["metrics"]["accuracy"]["value"] == pytest.approx(np.mean(rights))
    if first == "signs":
        per_class = document["differences"][0]["per_class"]
        assert {name: row["support"] for name, row in per_class.items()} == SIGNS


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("run", RUNS, ids=name_of)
def test_a_run_is_reported(run: Path, here: Path) -> None:
    page = here / f"{name_of(run)}.html"
    folder = here / "runs" / name_of(run)
    assert run_featx("report", folder, "-o", page, "--no-heat-maps") == 0
    text = page.read_text("utf-8")
    assert "This page has no pictures" not in text
    for name in json.loads((run / "results.json").read_text())["classes"]:
        assert f">{name}<" in text
    assert not (folder / "report.html").exists()


@pytest.mark.parametrize("run", RUNS, ids=name_of)
def test_a_run_whose_images_are_gone_is_reported(run: Path, here: Path, tmp_path: Path) -> None:
    folder = here / "runs" / name_of(run)
    words = ("--dataset", tmp_path / "gone", "-o", tmp_path / "page.html")
    assert run_featx("report", folder, *words) == 0
    assert "This page has no pictures" in (tmp_path / "page.html").read_text("utf-8")


@pytest.mark.parametrize("archive", TUNED, ids=name_of)
def test_a_fine_tuned_run_is_read(archive: Path, here: Path, tmp_path: Path) -> None:
    runs, kept = here / "runs" / name_of(archive), answers(archive)["tuned"]
    tuned, frozen, scores = runs / "tuned", runs / "frozen", tmp_path / "scores.csv"
    assert run_featx("score", tuned, "new", "-o", scores, "--proba", "--device", "cpu") == 0
    rows = read_csv(scores)
    assert rows["prediction"] == kept["prediction"]
    for name in ("p_blue", "p_green", "p_red"):
        np.testing.assert_allclose(rows[name], kept[name], atol=CLOSE_NETWORK)
    assert run_featx("compare", frozen, tuned, "--json", tmp_path / "c.json") == 0
    document = json.loads((tmp_path / "c.json").read_text())
    assert [row["label"] for row in document["runs"]] == ["frozen", "tuned"]
    assert run_featx("report", tuned, "-o", tmp_path / "t.html", "--no-heat-maps") == 0
    text = (tmp_path / "t.html").read_text("utf-8")
    assert "epoch" in text
    assert "Weights file" not in text, "where its training began is not needed: it has its own"
