"""A person with arrays: fitted, reported, compared and scored by public functions and commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from PIL import Image

import featx
from featx.errors import DatasetError, FeatxError, FitError, ModelError, UsageError
from tests.lab import Featx, csv_rows, in_process

N, WIDTH = 90, 5
rng = np.random.default_rng(0)
Y = np.array(["ant", "bee", "fly"])[np.arange(N) % 3]
PATIENT = np.arange(N) // 3
X = rng.normal(size=(N, WIDTH)).astype(np.float32)
X[np.arange(N), np.arange(N) % 3] += 4
X[3] = X[0]  # equal rows of two patients
FEATURES = [f"f{i}" for i in range(WIDTH)]
FRAME = pd.DataFrame(X, columns=FEATURES).assign(insect=Y, patient=PATIENT, note="seen")
QUICK: dict[str, Any] = {"cv": 3, "estimate": "cv", "overwrite": True, "report": False}


@pytest.fixture
def featx_cli(capfd: pytest.CaptureFixture[str]) -> Featx:
    return in_process(capfd)


@pytest.fixture
def quick(tmp_path: Path) -> dict[str, Any]:
    return {**QUICK, "runs": tmp_path / "runs"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    runs = tmp_path_factory.mktemp("runs")
    return featx.fit_arrays(
        X, Y, groups=PATIENT, runs=runs, name="own", **{**QUICK, "report": True}
    )


def test_a_run_is_whole(run: Any) -> None:
    again = featx.load_run(run.folder)
    assert again.results.estimate.metrics["accuracy"].value > 0.8
    assert again.results.n_groups == 30
    assert again.results.dataset.exact_copies["sets"] == 1
    assert (again.model.predict(X) == run.model.predict(X)).all()
    page = (run.folder / "report.html").read_text("utf-8")
    assert "Map of the embeddings" in page
    assert "no picture" not in page
    assert "data.dataset=ARRAYS.npz" in page
    card = (run.folder / "model" / "README.md").read_text("utf-8")
    assert "rows of 5 numbers" in card
    assert "featx score . ROWS.npz" in card


def test_equal_rows_and_groups_never_straddle_folds(run: Any) -> None:
    part = run.predictions["oof"]
    fold = dict(zip(part.ids, part.fold, strict=True))
    assert fold["0"] == fold["3"]
    for patient in np.unique(PATIENT):
        assert len({fold[str(i)] for i in np.flatnonzero(patient == PATIENT)}) == 1


def as_file(folder: Path, kind: str) -> Path:
    path = folder / f"arrays{kind}"
    if kind == ".npz":
        np.savez(path, X=X, y=Y, groups=PATIENT)
    elif kind == ".h5":
        with h5py.File(path, "w") as file:
            file["embeddings"], file["labels"], file["group"] = X, Y.astype("S"), PATIENT
    elif kind == ".parquet":
        FRAME.rename(columns={"insect": "label"}).to_parquet(path)
    elif kind == ".csv":
        FRAME.rename(columns={"insect": "label"}).to_csv(path, index=False)
    elif kind == "-lists.parquet":
        pl.DataFrame({"X": list(X), "y": Y, "patient_id": PATIENT}).write_parquet(path)
    return path


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(lambda folder: ((X.astype(np.float64), list(Y)), {"groups": list(PATIENT)}),
                     id="lists"),
        pytest.param(lambda folder: ((FRAME, "insect"), {"groups": "patient"}), id="pandas"),
        pytest.param(lambda folder: ((pl.from_pandas(FRAME), "insect"), {"groups": "patient"}),
                     id="polars"),
        pytest.param(lambda folder: ((FRAME[FEATURES], FRAME["insect"]),
                                     {"groups": FRAME["patient"]}), id="series"),
        pytest.param(lambda folder: ((torch.tensor(X, requires_grad=True), Y),
                                     {"groups": torch.tensor(PATIENT)}), id="torch"),
        *(pytest.param(lambda folder, kind=kind: ((as_file(folder, kind),), {}), id=kind)
          for kind in (".npz", ".h5", ".parquet", ".csv", "-lists.parquet")),
    ],
)  # fmt: skip
def test_every_form_gives_the_same_run(
    run: Any, quick: dict[str, Any], tmp_path: Path, given: Any
) -> None:
    values, more = given(tmp_path)
    other = featx.fit_arrays(*values, **more, **quick, name="other")
    for name in ("fold", "unit", "content", "proba"):
        one, two = (getattr(r.predictions["oof"], name) for r in (run, other))
        assert np.array_equal(one, two) or np.allclose(one, two), name
    comparison = featx.compare(run, other)
    assert len(comparison.verdicts) == 1


def test_the_command_line_takes_files(featx_cli: Featx, tmp_path: Path) -> None:
    path, runs = as_file(tmp_path, ".parquet"), tmp_path / "runs"
    flags = ("--cv", 3, "--estimate", "cv", "--runs", runs)
    one = featx_cli("fit", path, "--name", "one", *flags)
    assert one.code == 0, one.err
    assert "5 columns of numbers: f0 to f4" in one.err
    assert "not fitted on: note" in one.err
    assert f"featx score {runs / 'one'} NEW_ROWS.npz" in one.err
    two = featx_cli("fit", path, "--columns", "f[0-2]", "--name", "two", *flags)
    assert two.code == 0, two.err
    assert featx_cli("compare", runs / "one", runs / "two").code == 0
    report = featx_cli("report", runs / "one")
    assert report.code == 0
    assert "pictures" not in report.err
    again = featx_cli("run", runs / "one" / "config.yaml", "--set", "fit.overwrite=true")
    assert again.code == 0, again.err
    new = FRAME[["note", *FEATURES[::-1]]].head(7)  # columns are found by name, in any order
    new.to_csv(tmp_path / "new.csv", index=False)
    scored = featx_cli("score", runs / "one", tmp_path / "new.csv", "-o", tmp_path / "s.csv",
                       "--report", tmp_path / "s.html")  # fmt: skip
    assert scored.code == 0, scored.err
    rows = csv_rows(tmp_path / "s.csv")
    assert [row["path"] for row in rows] == [str(i) for i in range(7)]
    assert [row["prediction"] for row in rows] == Y[:7].tolist()
    unnamed = featx_cli("score", runs / "one", as_file(tmp_path, ".npz"), "-o", tmp_path / "u.csv")
    assert unnamed.code == 0, unnamed.err
    FRAME[FEATURES[1:]].to_csv(tmp_path / "few.csv", index=False)
    missing = featx_cli("score", runs / "one", tmp_path / "few.csv")
    assert missing.code == 2
    assert "Unknown column 'f0'" in missing.err


def test_an_export_of_the_cache_is_fitted_as_it_is(featx_cli: Featx, tmp_path: Path) -> None:
    for i in range(24):
        place = tmp_path / "photos" / ("dark", "light")[i % 2] / f"{i}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.full((8, 8, 3), 40 + 160 * (i % 2) + i // 4, np.uint8)
        Image.fromarray(pixels).save(place)  # pairs of equal pixels
    common = ("--cache", tmp_path / "cache")
    assert featx_cli("extract", tmp_path / "photos", *common).code == 0
    [store] = (tmp_path / "cache").iterdir()
    runs = ("--runs", tmp_path / "runs", "--cv", 3, "--estimate", "cv")
    images = featx_cli("fit", tmp_path / "photos", "--name", "images", *runs, *common)
    assert images.code == 0, images.err
    for kind in ("h5", "npz", "parquet"):
        file = tmp_path / f"e.{kind}"
        done = featx_cli("cache", "export", store.name, "--dataset", tmp_path / "photos",
                         "-o", file, *common)  # fmt: skip
        assert done.code == 0, done.err
        fitted = featx_cli("fit", file, "--name", kind, *runs, "--json")
        assert fitted.code == 0, fitted.err
        assert json.loads(fitted.out)["dataset"]["exact_copies"]["sets"] == 12
        compared = featx_cli("compare", tmp_path / "runs/images", tmp_path / "runs" / kind)
        assert compared.code == 0, compared.err
    embedded = featx_cli("score", tmp_path / "runs/images", tmp_path / "e.npz", "-o",
                         tmp_path / "s.csv")  # fmt: skip
    assert embedded.code == 0, embedded.err
    assert "cannot check" in embedded.err


def test_scoring_says_what_it_takes(
    run: Any, featx_cli: Featx, tmp_path: Path, quick: dict[str, Any]
) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    refused = featx_cli("score", run.folder, tmp_path)
    assert refused.code == 1
    assert "fitted on arrays of 5 columns, not on images" in refused.err
    assert "featx score MODEL ROWS.npz" in refused.err
    with pytest.raises(ModelError, match="fitted on arrays"):
        featx.export_model(run.folder, tmp_path / "m.onnx")
    with pytest.raises(ModelError, match=r"4 columns; the model was fitted on 5"):
        featx.score(run, X[:, :4])
    holed = X[:3].copy()
    holed[1, 2] = np.nan
    scores = featx.score(run, holed, proba=True)  # one bad row stops nothing
    assert scores.predictions.tolist() == [Y[0], None, Y[2]]
    assert [f.reason for f in scores.failures] == ["it holds NaN or infinity"]
    with pytest.raises(UsageError, match="--sort-into applies to images"):
        featx.score(run, X, sort_into=tmp_path / "sorted")


def test_what_is_made_again_says_where_arrays_are_needed(run: Any, featx_cli: Featx) -> None:
    again = featx_cli("run", run.folder / "config.yaml", "--set", "fit.overwrite=true")
    assert again.code == 2
    assert "in memory, which it does not store" in again.err
    assert "data.dataset=ARRAYS.npz" in again.err


def test_unlabelled_rows_are_left_out_and_test_rows_judge_once(quick: dict[str, Any]) -> None:
    labels = Y.astype(object)
    labels[[4, 7]] = None
    split = np.where(np.arange(N) < 60, "train", "test")
    found = featx.fit_arrays(
        pd.DataFrame(X, index=[f"row {i}" for i in range(N)]), labels, splits=split,
        **{**quick, "estimate": "test"},
    )  # fmt: skip
    assert found.results.n_images == 58
    assert set(found.predictions["test"].ids) == {f"row {i}" for i in range(60, 90)}


def change(value: float) -> np.ndarray:
    changed = X.astype(np.float64)
    changed[11, 2] = value
    return changed


@pytest.mark.parametrize(
    ("values", "more", "kind", "message"),
    [
        ((X[:, 0], Y), {}, DatasetError, r"X has shape \(90,\); it needs \(n_rows"),
        ((np.zeros((4, 8, 8, 3)), Y[:4]), {}, DatasetError, r"featx.fit\(FOLDER\)"),
        ((X, Y[:-1]), {}, DatasetError, "X has 90 rows, and y has 89 values"),
        ((X, Y), {"groups": PATIENT[1:]}, DatasetError, "groups has 89 values"),
        ((change(np.nan), Y), {}, DatasetError, "1 of 90 rows hold NaN.*'11' in column 2"),
        ((change(np.inf), Y), {}, DatasetError, "'11' in column 2"),
        ((change(1e300), Y), {}, DatasetError, "beyond 32 bits"),
        ((X.astype(complex), Y), {}, DatasetError, "must hold numbers. Got dtype complex128"),
        ((np.full((4, 2), "x"), Y[:4]), {}, DatasetError, "values other than numbers"),
        ((X, rng.normal(size=N)), {}, DatasetError, "predicts classes"),
        ((X, np.eye(3)[np.arange(N) % 3]), {}, DatasetError, "one value a row"),
        ((X, ["one"] * N), {}, FitError, "class"),
        ((np.ones((N, 3)), Y), {}, FitError, "90 rows to train on are equal"),
        ((X[:0], Y[:0]), {}, DatasetError, "nothing to fit on"),
        (([[1, 2], [3]], ["a", "b"]), {}, DatasetError, "Rows have different lengths"),
        (({"a": 1}, ["a", "b"]), {}, DatasetError, "X is dict, not rows of numbers"),
        ((np.ma.masked_less(X, -1), Y), {}, DatasetError, "rows hold NaN"),
        ((X.astype(np.float64) + 1e10, Y), {}, FitError, "large common offset"),
        ((X,), {}, DatasetError, "no labels"),
        ((X, "insect"), {}, UsageError, "y='insect' names a column, and X is an array"),
        ((FRAME, "insekt"), {}, UsageError, "mean 'insect'"),
        ((FRAME, "insect"), {"columns": "g*"}, UsageError, r"Unknown column 'g\*'"),
        ((FRAME, "insect"), {"columns": "insect"}, UsageError, "is not a feature"),
        ((FRAME[["insect", "note"]], "insect"), {}, DatasetError, "no column of numbers"),
        ((X, Y), {"ids": ["a"] * N}, DatasetError, "Two rows are called 'a'"),
        ((X, Y), {"splits": ["half"] * N}, DatasetError, "unknown split 'half'"),
        ((X, Y), {"calibrat": "x"}, UsageError, "mean 'calibrate'"),
        ((X, Y), {"concat": True}, UsageError, "concat is not an option of fit_arrays"),
        (("none.npz",), {}, UsageError, "There is no file 'none.npz'"),
        (("x.xlsx",), {}, UsageError, "Choose from: .npz"),
        (("none.npz", Y), {}, UsageError, "names of its columns"),
    ],
)
def test_faults_are_named(values: Any, more: Any, kind: Any, message: str, quick: Any) -> None:
    with pytest.raises(kind, match=message):
        featx.fit_arrays(*values, **quick, **more)


def test_objects_are_not_unpickled_and_damage_is_named(
    tmp_path: Path, quick: dict[str, Any]
) -> None:
    np.savez(tmp_path / "objects.npz", X=X, y=Y.astype(object))
    with pytest.raises(DatasetError, match="does not load"):
        featx.fit_arrays(tmp_path / "objects.npz", **quick)
    for kind in (".npz", ".h5", ".parquet", ".npy"):
        path = tmp_path / f"broken{kind}"
        path.write_bytes(b"PK\x03\x04 not arrays")
        with pytest.raises(FeatxError, match="Cannot read arrays"):
            featx.fit_arrays(path, **quick)


@pytest.mark.parametrize("command", ["inspect", "audit", "extract", "finetune"])
def test_commands_of_images_send_arrays_to_fit(
    command: str, featx_cli: Featx, tmp_path: Path
) -> None:
    found = featx_cli(command, as_file(tmp_path, ".npz"))
    assert found.code == 2
    assert "featx fit and featx score accept files of arrays" in found.err


def test_image_options_and_tables_of_images_are_told_apart(
    featx_cli: Featx, tmp_path: Path
) -> None:
    refused = featx_cli("fit", as_file(tmp_path, ".npz"), "--backbone", "featx:mini-v1")
    assert refused.code == 2
    assert "--backbone applies to images" in refused.err
    (tmp_path / "t.csv").write_text("photo,age,label\na.png,3,x\nb.png,4,y\n", "utf-8")
    table = featx_cli("fit", tmp_path / "t.csv")  # numbers beside images are not fitted on
    assert table.code == 1
    assert "--path-column" in table.err
