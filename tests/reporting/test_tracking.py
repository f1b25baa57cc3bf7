"""--mlflow, against the real client and its database."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

import featx
from featx.cli import main as cli
from featx.errors import MissingExtraError, UsageError
from featx.runs.tracking import track_run, without_password
from tests.lab import NETWORK

SMALL: dict[str, Any] = {**NETWORK, "report": False}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Of a folder's database; MLflow's own dependencies may warn."""
    import warnings

    pytest.importorskip("mlflow")
    folder = tmp_path_factory.mktemp("tracked") / "with spaces"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient
    return folder, lambda: MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db")


def logged(client: Any, name: str) -> Any:
    experiment = client.get_experiment_by_name("featx")
    found = client.search_runs([experiment.experiment_id])
    return next(run for run in found if run.info.run_name == name)


def test_a_fit_is_in_mlflow(client: Any, photos: Path, run: Any) -> None:
    folder, connect = client
    track_run(str(folder), featx.load_run(run.folder))
    there = logged(connect(), "first")
    assert there.info.status == "FINISHED"
    for name in ("accuracy", "balanced_accuracy"):
        row = run.results["estimate"]["metrics"][name]
        seen = [there.data.metrics[name + end] for end in ("", "_low", "_high")]
        assert seen == pytest.approx([row["value"], row["low"], row["high"]])
    parameters = there.data.params
    assert parameters["fit.head"] == "logreg, knn"
    assert parameters["extract.size"] == "32"
    assert parameters["fit.estimate"] == "cv"
    assert there.data.tags["featx.dataset_sha256"] == run.results["dataset"]["sha256"]
    files = {f.path for f in connect().list_artifacts(there.info.run_id)}
    assert files == {"config.yaml", "results.json", "environment.json", "report.html", "model"}
    [place] = (folder / "artifacts" / there.info.run_id / "artifacts").glob("model")
    assert (place / "README.md").is_file()
    assert featx.load_model(place).classes == run.results["classes"]


def test_curves_of_a_finetune_have_a_step_an_epoch(
    client: Any, photos: Path, tmp_path: Path
) -> None:
    folder, connect = client
    made = featx.finetune(photos, **SMALL, folds=2, epochs=2, patience=2, unfreeze="head",
                          runs=tmp_path, name="tuned", mlflow=str(folder),
                          cache=photos.parent / "cache")  # fmt: skip
    there = logged(connect(), "tuned")
    points = connect().get_metric_history(there.info.run_id, "validation_loss")
    assert [p.step for p in points] == [0, 1, 2]
    fold = connect().get_metric_history(there.info.run_id, "fold 2 of 2/validation_loss")
    assert [p.step for p in fold] == [0, 1, 2]
    assert there.data.params["finetune.unfreeze"] == "head"
    other = "frozen" if made.results["finetuning"]["answer"] == "finetuned" else "finetuned"
    value = made.results["estimates"][other]["metrics"]["accuracy"]["value"]
    assert there.data.metrics[f"{other}/accuracy"] == pytest.approx(value)


def test_a_server_that_is_gone_costs_nothing_but_a_warning(
    client: Any, run: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        address = f"http://me:secret@127.0.0.1:{taken.getsockname()[1]}"
        track_run(address, run)
    said = capsys.readouterr().err
    assert "is complete, but MLflow at http://127.0.0.1" in " ".join(said.split())
    assert featx.load_model(run.folder).classes == run.results["classes"]


def test_a_run_keeps_no_password() -> None:
    assert without_password("postgresql://me:a@b@host/db") == "postgresql://host/db"
    assert without_password("http://host:5000") == "http://host:5000"
    assert without_password("runs/tracked") == "runs/tracked"


def test_what_cannot_be_is_refused_before_anything_is_spent(
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(UsageError, match="no longer writes plain files"):
        featx.fit(photos, mlflow="file:///tmp/x", runs=tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file"):
        featx.fit(photos, mlflow=str(tmp_path / "file"), runs=tmp_path)
    monkeypatch.setattr("featx.runs.tracking.find_spec", lambda _: None)
    for command in (featx.fit, featx.finetune):
        with pytest.raises(MissingExtraError):
            command(photos, mlflow=str(tmp_path / "m"), runs=tmp_path)
    with pytest.raises(SystemExit) as ended:
        cli.main(["fit", str(photos), "--mlflow", str(tmp_path / "m")])
    assert ended.value.code == 1
    assert "pip install 'featx[mlflow]'" in capsys.readouterr().err
