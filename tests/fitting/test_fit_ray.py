"""The search on a Ray: every number is the one that this machine's threads give."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fit_lab import make_data
from PIL import Image

from featx.cli.main import main
from featx.clusters.ray import RaySession
from featx.config import FitConfig, load_config
from featx.errors import ClusterError
from featx.fitting import FitData, FitResult, fit_heads

ray = pytest.importorskip("ray", reason="the extra 'ray' is not installed")


@pytest.fixture(scope="module")
def session() -> Iterator[RaySession]:
    """A Ray of two CPUs on this machine, which this process has initialised."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers lack tests/
        ray.init(
            address="local",
            num_cpus=2,
            object_store_memory=80 << 20,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=40,
        )
        yield RaySession(ray)
        ray.shutdown()


def content(result: FitResult) -> dict[str, Any]:
    """The result's document without its times."""

    def timeless(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: timeless(v) for k, v in value.items() if k != "elapsed_s"}
        return [timeless(v) for v in value] if isinstance(value, list) else value

    document: dict[str, Any] = timeless(json.loads(json.dumps(result.document())))
    return document


@pytest.mark.parametrize(
    "options",
    [
        {"head": ["logreg", "knn"], "sampler": ["smote"], "class_weight": "balanced"},
        {"head": ["svm-linear"], "estimate": "cv", "jobs": 2, "scoring": "roc_auc_ovr"},
        {"sampler": ["random-under"], "ensemble": ["stack"], "seeds": 2, "class_weight": "none"},
    ],
    ids=["nested", "cv", "ensemble"],
)
def test_the_result_is_that_of_threads(session: RaySession, options: dict[str, Any]) -> None:
    groups = np.repeat(np.arange(40), 2)
    data = make_data([40, 30, 10], distance=2.0, groups=groups)
    config = FitConfig(cv=3, **options)
    expected = fit_heads(data, config)
    found = fit_heads(data, config.model_copy(update={"cluster": "ray"}))
    assert content(found) == content(expected)
    X = data.X["net"]
    assert np.array_equal(found.pipeline.predict(X), expected.pipeline.predict(X))


def test_what_cannot_be_fitted_is_said_alike(session: RaySession) -> None:
    data = make_data([32, 20, 8], distance=20.0)
    grid = {"logreg": {"C": [10.0], "max_iter": [2]}}
    config = FitConfig(cv=4, sampler=["adasyn"], param_grid=grid)
    expected = content(fit_heads(data, config))
    found = content(fit_heads(data, config.model_copy(update={"cluster": "ray"})))
    assert found == expected
    logreg = {c["sampler"]: c for c in found["candidates"] if c["head"] == "logreg"}
    assert logreg["adasyn"]["status"] == "refused"
    assert "fits stopped at the iteration limit" in "".join(logreg["none"]["notes"])


def test_one_flag_serves_both_stages(
    session: RaySession, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for i in range(24):
        path = tmp_path / "images" / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 128 + i % 2 * 128, (20, 20, 3), np.uint8)).save(path)
    flags = ["--backbone", "timm:test_resnet", "--no-pretrained", "--size", "32", "--cv", "3"]
    flags += ["--engine", "torch", "--precision", "fp32", "--device", "cpu", "--views", "2"]
    results = []
    for name, where in (("local", []), ("spread", ["--cluster", "ray"])):
        places = ["--cache", str(tmp_path / name), "--runs", str(tmp_path), "--name", f"run-{name}"]
        with pytest.raises(SystemExit, match="0"):
            main(["fit", str(tmp_path / "images"), *flags, *places, *where])
        results.append(json.loads((tmp_path / f"run-{name}" / "results.json").read_text()))
    said = capfd.readouterr().err
    assert "1 worker(s)" in said
    assert "tasks on the cluster" in said
    assert results[0]["estimate"] == results[1]["estimate"]
    viewed = [[c["fold_scores"] for c in r["candidates"] if c["views"]] for r in results]
    assert viewed[0] == viewed[1] != []
    config = load_config(str(tmp_path / "run-spread" / "config.yaml"))
    assert (config.extract.cluster, config.fit.cluster) == ("ray", "ray")


def die() -> FitData:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def test_a_killed_worker_ends_the_search_with_a_word(
    session: RaySession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RaySession, "share", lambda self, value: die)
    with pytest.raises(ClusterError, match="A Ray worker failed"):
        fit_heads(make_data([9, 9]), FitConfig(cv=3, cluster="ray"))
