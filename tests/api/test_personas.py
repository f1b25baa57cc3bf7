"""The job of each person that featx is for, done by the public functions alone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import featx
from featx.errors import AlarmError
from tests.lab import NUMERICS, save_pixels

COLOURS = {"fern": (60, 120, 60), "moss": (120, 130, 60), "reed": (130, 90, 60)}
SPOTS = {"good": (90, 90, 90), "scratch": (130, 100, 90)}


def paint(path: Path, colour: tuple[int, ...], seed: int, noise: float = 45) -> None:
    rng = np.random.default_rng(seed)
    grain = rng.normal(0, noise, (16, 16, 3))
    save_pixels(path, np.array(colour) + grain + rng.normal(0, 12, 3))


def folder(root: Path, colours: dict[str, tuple[int, ...]], counts: list[int], seed: int) -> Path:
    """One folder of images for each class."""
    for c, ((name, colour), count) in enumerate(zip(colours.items(), counts, strict=True)):
        for i in range(count):
            paint(root / name / f"{i:02}.png", colour, seed + 100 * c + i)
    return root


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Where runs and embeddings go, and a fit that is quick."""
    root = tmp_path_factory.mktemp("runs")
    return {"runs": root / "runs", "cache": root / "cache", "overwrite": True, "report": False,
            **NUMERICS}  # fmt: skip


@pytest.fixture
def quick(options: dict[str, Any]) -> dict[str, Any]:
    return {**options, "head": "logreg", "cv": 3, "estimate": "cv"}


def test_an_ecologist_counts_species(tmp_path: Path, quick: dict[str, Any]) -> None:
    photos = folder(tmp_path / "photos", COLOURS, [14, 12, 10], 0)
    new = folder(tmp_path / "new", COLOURS, [5, 3, 2], 1000)
    (new / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    run = featx.fit(photos, name="plants", **quick)
    assert run.results.estimate.metrics["balanced_accuracy"].low > 1 / 3
    scores = featx.score(run, new, cache=quick["cache"], output=tmp_path / "scores.csv")
    counts = Counter(p for p in scores.predictions if p is not None)
    assert sum(counts.values()) == 10
    assert counts.most_common(1)[0][0] == "fern"
    assert [failure.id for failure in scores.failures] == ["broken.jpg"]
    assert (tmp_path / "scores.csv").read_text("utf-8").count("\n") == 12


def manifest(root: Path, site: str, seed: int) -> Path:
    """Images of patients, in a table; each patient has one class."""
    folder(root / site, {"well": (90, 110, 90), "ill": (130, 80, 80)}, [18, 18], seed)
    rows = [
        f"{site}/{label}/{i:02}.png,{label},{site}-{label}-{i // 3}"
        for label in ("well", "ill")
        for i in range(18)
    ]
    path = root / f"{site}.csv"
    path.write_text("\n".join(["path,label,patient", *rows, ""]), "utf-8")
    return path


def test_a_pathologist_keeps_patients_apart_and_tries_another_site(
    tmp_path: Path, quick: dict[str, Any], options: dict[str, Any]
) -> None:
    here, there = manifest(tmp_path, "here", 0), manifest(tmp_path, "there", 5000)
    first = featx.fit(here, name="first", **quick)
    second = featx.fit(here, name="second", **{**quick, "head": "ridge"})
    part = first.predictions["oof"]
    assert first.results.n_groups == 12
    patients = [id.rsplit("/", 1)[0] + str(int(id[-6:-4]) // 3) for id in part.ids]
    folds = {(p, f) for p, f in zip(patients, part.fold, strict=True)}
    assert len(folds) == 12  # no patient is in two folds
    [verdict] = featx.compare(first, second).verdicts
    assert "second" in verdict
    other = featx.evaluate(first, there, name="there", **options)
    assert other.results.n_groups == 12
    found = other.results.evaluation.against_shipped["accuracy"]
    assert found.place in {"inside", "below", "above"}
    assert other.results.evaluation.copies.images == 0


def test_a_quality_engineer_reaches_a_recall(tmp_path: Path, quick: dict[str, Any]) -> None:
    parts = folder(tmp_path / "parts", SPOTS, [36, 12], 0)
    new = folder(tmp_path / "new", SPOTS, [12, 12], 9000)
    run = featx.fit(parts, name="parts", threshold="scratch:recall=0.9", **quick)
    force = run.results.operating.in_force
    assert force.asked == "scratch:recall=0.9"
    assert 0 < force.cutoff < 1
    assert force.false_alarms.low <= force.false_alarms.value <= force.false_alarms.high
    cache = quick["cache"]
    strict = featx.score(run, new, cache=cache, threshold="scratch:cutoff=0.001")
    usual = featx.score(run, new, cache=cache)
    likeliest = featx.score(run, new, cache=cache, threshold="likeliest")
    found = [list(s.predictions).count("scratch") for s in (strict, usual, likeliest)]
    column = usual.classes.index("scratch")
    over = usual.probabilities[:, column] >= force.cutoff
    assert ((np.array(usual.predictions) == "scratch") == over).all()
    assert found[0] > found[2]


def test_an_engineer_works_in_scikit_learn(tmp_path: Path, options: dict[str, Any]) -> None:
    photos = folder(tmp_path / "photos", COLOURS, [12, 9, 9], 0)
    paths = sorted(photos.rglob("*.png"))
    y = np.array([path.parent.name for path in paths])
    groups = np.array([f"{path.parent.name}-{int(path.stem) // 2}" for path in paths])
    embedder = featx.ImageEmbedder("featx:mini-v1", **NUMERICS)
    X = embedder.fit_transform(paths)
    X[2] = X[0]  # copies of two groups, which stay together
    folds = featx.LeakFreeKFold(3, random_state=7)
    scores = cross_val_score(
        make_pipeline(embedder, StandardScaler(), LogisticRegression()),
        paths, y, groups=groups, cv=folds,
    )  # fmt: skip
    assert scores.mean() > 1 / 3
    arrays = {k: v for k, v in options.items() if k not in {"cache", *NUMERICS}}
    run = featx.fit_arrays(
        X, y, groups=groups, cv=3, seed=7, estimate="cv", name="arrays", **arrays
    )
    part = run.predictions["oof"]
    fold = dict(zip(map(int, part.ids), part.fold, strict=True))
    for _, test in folds.split(X, y, groups):
        assert len({fold[i] for i in test}) == 1
    assert sorted(set(fold.values())) == [0, 1, 2]
    assert run.model.predict(X[:3]).shape == (3,)
    assert featx.load_model(run.folder).predict_proba(X).shape == (30, 3)


def test_a_night_job_raises_an_alarm(tmp_path: Path, quick: dict[str, Any]) -> None:
    photos = folder(tmp_path / "photos", COLOURS, [14, 12, 10], 0)
    run = featx.fit(photos, name="night", **quick)
    night = folder(tmp_path / "night", {"fern": COLOURS["fern"]}, [6], 3000)
    cache, history = quick["cache"], tmp_path / "history.jsonl"
    alarms = {"cache": cache, "history": history, "fail_on": "quarantined=0.2"}
    featx.score(run, night, output=tmp_path / "1.csv", **alarms)
    for i in range(4):
        (night / f"broken-{i}.png").write_bytes(b"")
    with pytest.raises(AlarmError, match="quarantined"):
        featx.score(run, night, output=tmp_path / "2.csv", **alarms)
    assert (tmp_path / "2.csv").read_text("utf-8").count("\n") == 11
    assert history.read_text("utf-8").count("\n") == 2
