"""Whether new images are like the training images: known answers, false alarms, groups, files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from featx.artifact import Model, load_model, save_model
from featx.artifact.drift import Drift, locate
from featx.artifact.trust import DriftSample, Trust
from featx.errors import ModelError
from featx.fitting.data import Part
from featx.fitting.drift import fit_drift
from featx.fitting.held import HeldOut
from featx.stats import drift as tests
from featx.stats.drift import fit_axes, mix_shift, place_shift


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tests, "N_PERMUTATIONS", 99)


def sides(n_old: int, n_new: int) -> np.ndarray:
    return np.arange(n_old + n_new) >= n_old


@pytest.mark.usefixtures("few")
def test_distances_are_those_of_scipy() -> None:
    from scipy.stats import ks_2samp

    rng = np.random.default_rng(0)
    places = np.column_stack([rng.normal(size=70), rng.integers(0, 4, 70)])  # the second has ties
    new = sides(40, 30)
    shift = place_shift(places, new, np.arange(70), seed=0)
    for k in range(2):
        expected = ks_2samp(places[~new, k], places[new, k]).statistic
        assert shift.parts[k] == pytest.approx(expected)
    assert shift.statistic == shift.parts.max()


@pytest.mark.usefixtures("few")
def test_chi_square_is_that_of_scipy() -> None:
    from scipy.stats import chi2_contingency

    codes, new = np.random.default_rng(0).integers(0, 3, 90), sides(50, 40)
    table = [np.bincount(codes[side], minlength=3) for side in (~new, new)]
    shift = mix_shift(codes, new, np.arange(90), 5, seed=0)  # two classes occur nowhere
    assert shift.statistic == pytest.approx(chi2_contingency(table, correction=False).statistic)
    assert shift.parts[:3] == pytest.approx(table[1] / 40 - table[0] / 50)


@pytest.mark.usefixtures("few")
def test_alike_images_rarely_raise_an_alarm_and_others_do() -> None:
    rng = np.random.default_rng(0)
    new, alone = sides(60, 40), np.arange(100)
    alarms = [
        (
            place_shift(rng.normal(size=(100, 5)), new, alone, seed=0).p <= 0.05,
            mix_shift(rng.integers(0, 4, 100), new, alone, 4, seed=0).p <= 0.05,
        )
        for _ in range(150)
    ]
    # of 150 at 5 %, more than 15 are seen once in 250
    assert np.sum(alarms, axis=0).max() <= 15
    moved = rng.normal(size=(100, 5))
    moved[new, 3] += 1.5
    shift = place_shift(moved, new, alone, seed=0)
    assert shift.p == 0.01
    assert shift.parts.argmax() == 3
    assert mix_shift(np.where(new, 1, rng.integers(0, 2, 100)), new, alone, 2, seed=0).p == 0.01


@pytest.mark.usefixtures("few")
def test_images_of_one_group_are_not_taken_for_independent_ones() -> None:
    rng = np.random.default_rng(0)
    groups, new = np.repeat(np.arange(20), 10), sides(100, 100)
    alarms = np.zeros(2)
    for _ in range(60):
        places = rng.normal(size=(20, 1))[groups] + 0.1 * rng.normal(size=(200, 1))
        alarms += [
            place_shift(places, new, blocks, seed=0).p <= 0.05
            for blocks in (groups, np.arange(200))
        ]
    assert alarms[0] <= 8  # at 5 %, more are seen once in 200
    assert alarms[1] >= 30


def test_places_are_along_axes_and_off_them() -> None:
    X = np.array([[3.0, 4.0, 0.0], [0.0, 0.0, 12.0]], np.float32)
    found = locate(X, np.zeros(3), np.ones(3), np.array([[0.6, 0.8, 0.0]]))
    assert found == pytest.approx(np.array([[5.0, 0.0], [0.0, 12 / 3**0.5]]))
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(400, 30)) * np.linspace(1, 3, 30)).astype(np.float32)
    X[:, 7] = 2.0  # what never varies must not divide by zero
    axes = fit_axes(X, seed=0)
    assert axes.directions.shape == (29, 30)
    assert axes.directions @ axes.directions.T == pytest.approx(np.eye(29), abs=1e-5)
    assert axes.scale[7] == 1
    assert np.array_equal(axes.directions, fit_axes(X, seed=0).directions)


def part(n: int, groups: np.ndarray | None = None) -> Part:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 6)).astype(np.float32)
    y = np.arange(n) % 3
    names = [str(i) for i in range(n)]
    return Part({"b": X}, y, ["a", "b", "c"], names, np.zeros((n, 32), np.uint8), np.arange(n),
                groups)  # fmt: skip


def held(of: Part) -> HeldOut:
    p = np.random.default_rng(1).dirichlet(np.ones(3), len(of))
    return HeldOut("oof", of, np.arange(len(of)) % 5, p)


def test_the_sample_is_not_what_the_axes_came_from() -> None:
    groups = np.repeat(np.arange(40), 5)
    of = part(200, groups)
    X = of.X["b"]
    sample, drift = fit_drift(X, of, held(of), seed=0)
    assert sample is not None
    assert drift is not None
    assert sample.grouped
    places = drift.locate(X)
    rows = [int(np.flatnonzero((places == own).all(axis=1))[0]) for own in drift.places]
    assert len(rows) == len(set(rows)) == sample.images
    assert set(np.bincount(groups[rows], minlength=40)) == {0, 5}  # no group is torn apart
    others = np.setdiff1d(np.arange(200), rows)
    assert drift.centre == pytest.approx(X[others].mean(axis=0), abs=1e-6)
    assert drift.predicted.tolist() == held(of).y_pred[rows].tolist()
    assert len(np.unique(drift.blocks)) == len(np.unique(groups[rows]))


def test_of_a_trained_backbone_only_what_it_has_not_seen_is_the_sample() -> None:
    of = part(120)
    unseen = np.arange(120) >= 90
    of_these = held(of.take(unseen))
    sample, drift = fit_drift(of.X["b"], of, of_these, seed=0, unseen=unseen)
    assert sample == DriftSample(images=30, grouped=False)
    assert drift is not None
    assert np.array_equal(drift.places, drift.locate(of.X["b"][unseen]))
    assert drift.predicted.tolist() == of_these.y_pred.tolist()
    few = np.arange(120) >= 110
    assert fit_drift(of.X["b"], of, held(of.take(few)), seed=0, unseen=few) == (None, None)
    tiny = part(30)
    assert fit_drift(tiny.X["b"], tiny, held(tiny), seed=0) == (None, None)


@pytest.fixture
def drifting(fitted: Model) -> Model:
    n, width = 30, fitted.n_features
    rng = np.random.default_rng(0)
    drift = Drift(
        centre=np.zeros(width, np.float32),
        scale=np.ones(width, np.float32),
        directions=np.eye(width, dtype=np.float32)[:2],
        places=rng.normal(size=(n, 3)).astype(np.float32),
        blocks=np.arange(n),
        predicted=np.arange(n) % 3,
        probabilities=np.full(n, 0.5, np.float32),
    )
    return replace(fitted, drift=drift, trust=Trust(drift=DriftSample(images=n, grouped=False)))


@pytest.mark.parametrize("name", ["m", "m.featx"])
def test_it_travels_with_the_model(drifting: Model, tmp_path: Path, name: str) -> None:
    save_model(drifting, tmp_path / name)
    again = load_model(tmp_path / name)
    assert again.trust == drifting.trust
    assert again.drift is not None
    assert drifting.drift is not None
    X = np.random.default_rng(0).normal(size=(4, drifting.n_features))
    assert np.array_equal(again.drift.locate(X), drifting.drift.locate(X))
    for one in (replace(drifting, drift=None), replace(drifting, trust=None)):
        with pytest.raises(ModelError, match=r"trust\.drift or its arrays, but not both"):
            save_model(one, tmp_path / "no")


PER_IMAGE = ("places", "blocks", "predicted", "probabilities")
CHANGES: dict[str, Any] = {
    "another type": lambda a: {**a, "blocks": a["blocks"].astype(np.int32)},
    "no class": lambda a: {**a, "predicted": a["predicted"] + 3},
    "below zero": lambda a: {**a, "predicted": a["predicted"] - 1},
    "not finite": lambda a: {**a, "places": a["places"] * np.float32(np.nan)},
    "scale 0": lambda a: {**a, "scale": a["scale"] * 0},
    "width": lambda a: {**a, "centre": a["centre"][:-1]},
    "axes": lambda a: {**a, "directions": a["directions"][:1]},
    "nothing": lambda a: {**a, **{k: a[k][:0] for k in PER_IMAGE}},
    "missing": lambda a: {k: v for k, v in a.items() if k != "blocks"},
}


@pytest.mark.parametrize("change", CHANGES)
def test_malformed_arrays_are_refused(drifting: Model, change: str) -> None:
    assert drifting.drift is not None
    arrays = CHANGES[change](load(drifting.drift.encode()))
    with pytest.raises(ModelError, match="drift test is malformed"):
        Drift.decode(save(arrays), n_features=drifting.n_features, n_classes=3, source="m")


@pytest.mark.parametrize("moved", [0.0, 0.8])
def test_axes_between_classes_hold_from_one_network_to_the_next(moved: float) -> None:
    """Two networks: embeddings turned, their classes farther apart; one saw 200 images of 300."""
    rng = np.random.default_rng(3)
    alarms = 0
    for seed in range(30):
        turns = [np.linalg.qr(rng.normal(size=(20, 20)))[0] for _ in range(2)]
        centres = 2 * rng.normal(size=(3, 20))

        def images(n: int) -> tuple[np.ndarray, np.ndarray]:
            y = np.arange(n) % 3
            return centres[y] + rng.normal(size=(n, 20)), y  # noqa: B023

        seen, y = images(300)
        apart = seen + 0.7 * centres[y]
        X, first = (seen @ turns[0]).astype(np.float32), (apart @ turns[1]).astype(np.float32)
        of = part(300)
        of = replace(of, X={"b": X}, y=y)
        _, drift = fit_drift(X, of, held(of), seed=0, unseen=np.arange(300) >= 200, first=first)
        assert drift is not None
        assert drift.places.shape == (100, 3)  # two axes between three classes, and off them
        assert drift.directions @ drift.directions.T == pytest.approx(np.eye(2), abs=1e-5)
        new = images(150)[0] + moved * (centres[0] - centres[1]) / 2
        places = np.concatenate([drift.places, drift.locate((new @ turns[0]).astype(np.float32))])
        shift = place_shift(places, np.arange(250) >= 100, np.arange(250), seed=seed)
        alarms += shift.p <= 0.05
    assert alarms >= 28 if moved else alarms <= 6
