"""Operating points: recomputed by brute force from the predictions that they are of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fit_lab import make_data
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from featx.artifact.operating import OperatingCurves
from featx.artifact.threshold import read_threshold
from featx.config import FitConfig
from featx.errors import FeatxError, ModelError
from featx.fitting import fit_heads
from featx.fitting.result import FitResult
from featx.stats.operating import Resamples, describe_calls, rates_of
from featx.stats.thresholds import Levels, known_within

TARGETS = {"recall": "recall", "precision": "precision", "false-alarms": "false_alarms"}


@pytest.fixture(scope="module")
def nested() -> FitResult:
    """Thirty of a class among 200, two candidates, a threshold."""
    config = FitConfig(cv=3, head=["logreg", "ridge"], threshold="c0:recall=0.9")
    return fit_heads(make_data([30, 170], distance=1.5), config)


def brute(own: np.ndarray, p: np.ndarray, metric: str, target: float) -> float:
    """The cutoff among the class's own probabilities, by trying each."""
    rated = []
    for cutoff in np.unique(p[own]):
        called = p >= cutoff
        hits = (called & own).sum()
        value = {
            "recall": hits / own.sum(),
            "precision": hits / called.sum(),
            "false-alarms": (called & ~own).sum() / len(own),
        }[metric]
        rated.append((cutoff, value))
    if metric == "recall":
        return float(max(c for c, v in rated if v >= target - 1e-12))
    if metric == "precision":
        best = max(v for _, v in rated)
        return float(min(c for c, v in rated if v >= min(target, best) - 1e-12))
    good = [c for c, v in rated if v <= target + 1e-12]
    return float(min(good) if good else max(c for c, _ in rated))


@given(st.integers(0, 10_000), st.sampled_from([*TARGETS]), st.floats(0.01, 1))
@settings(max_examples=60)
def test_cutoffs_are_those_of_trying_each(seed: int, metric: str, target: float) -> None:
    rng = np.random.default_rng(seed)
    own, p = rng.random(50) < 0.3, rng.integers(0, 20, 50) / 19
    own[0] = True
    assert Levels.of(own, p).choose(metric, target) == brute(own, p, metric, target)


@given(st.integers(0, 10_000), st.floats(0, 1))
@settings(max_examples=30)
def test_what_a_cutoff_decides_is_known_without_the_images(seed: int, cutoff: float) -> None:
    rng = np.random.default_rng(seed)
    own, p = rng.random(40) < 0.4, rng.integers(0, 20, 40) / 19
    levels = Levels.of(own, p)
    hits, alarms = levels.at(cutoff)
    assert hits == (own & (p >= cutoff)).sum()
    assert alarms >= (~own & (p >= cutoff)).sum()
    for own_cutoff in levels.cutoffs:  # of those that are chosen it is exact
        assert levels.at(own_cutoff) == tuple(
            int((side & (p >= own_cutoff)).sum()) for side in (own, ~own)
        )


def folds_called(held: Any, column: int, metric: str, target: float) -> np.ndarray:
    """Decisions of each fold by the cutoff that the other folds give."""
    own, p = held.part.y == column, held.proba[:, column]
    called = np.zeros(len(own), bool)
    for fold in np.unique(held.fold):
        rows = held.fold == fold
        called[rows] = p[rows] >= brute(own[~rows], p[~rows], metric, target)
    return called


def test_the_table_is_that_of_the_predictions(nested: FitResult) -> None:
    out_of_fold, held = nested.held
    operating = nested.operating
    assert (operating.positive, operating.estimated_on) == ("c0", "nested")
    for column, name in enumerate(nested.classes):
        points = operating.classes[name]
        own, n = held.part.y == column, len(held.part)
        assert (points.images, points.others) == (own.sum(), n - own.sum())
        for point in points.points:
            if point.asked == "likeliest":
                called = held.proba.argmax(axis=1) == column
                assert point.cutoff is None
            else:
                target = float(point.asked.partition("=")[2])
                called = folds_called(held, column, "recall", target)
                chosen_on = out_of_fold.part.y == column, out_of_fold.proba[:, column]
                assert point.cutoff == brute(*chosen_on, "recall", target)
            assert point.recall.value == pytest.approx(called[own].mean())
            assert point.false_alarms.value == pytest.approx(1000 * (called & ~own).sum() / n)
            assert point.specificity.value == pytest.approx((~called[~own]).mean())
            if called.any():
                assert point.precision.value == pytest.approx(own[called].mean())
            if not called.all():
                assert point.npv.value == pytest.approx((~own[~called]).mean())
            for row in (point.recall, point.false_alarms):
                assert row.low <= row.value <= row.high


def test_the_threshold_in_force_is_a_row_of_the_table(nested: FitResult) -> None:
    in_force = nested.operating.in_force
    assert in_force is not None
    [row] = [p for p in nested.operating.classes["c0"].points if p.asked == "recall=0.9"]
    for name in ("cutoff", "recall", "precision", "false_alarms", "specificity", "npv"):
        assert in_force[name] == row[name]
    assert nested.trust.trust.decision.cutoff == row.cutoff
    assert nested.document()["trust"]["decision"] == in_force.document()
    assert nested.estimate.per_class["c0"].recall == row.recall
    assert nested.estimate.per_class["c0"].precision == row.precision
    assert in_force.warning == "30 c0 images: a recall of 90 % is known to within 17 points"


def test_a_test_split_chooses_nothing() -> None:
    splits = (["train"] * 60 + ["test"] * 60) * 2
    data = make_data([120, 120], distance=1.2, splits=splits)
    result = fit_heads(data, FitConfig(cv=3, threshold="c1:precision=0.9"))
    out_of_fold, held = result.held
    assert (held.split, result.operating.estimated_on) == ("test", "test")
    own, p = out_of_fold.part.y == 1, out_of_fold.proba[:, 1]
    in_force = result.operating.in_force
    assert in_force is not None
    assert in_force.cutoff == brute(own, p, "precision", 0.9)
    called = held.proba[:, 1] >= in_force.cutoff
    assert in_force.precision.value == pytest.approx((held.part.y == 1)[called].mean())
    assert result.operating.classes["c1"].images == 60


def test_repeats_are_pooled_and_each_partition_has_cutoffs_of_its_own() -> None:
    config = FitConfig(cv=3, estimate="repeated", repeats=2, threshold="c0:recall=0.8")
    result = fit_heads(make_data([20, 60], distance=1.5), config)
    _, *held = result.held
    called = np.concatenate([folds_called(h, 0, "recall", 0.8) for h in held])
    y = np.tile(held[0].part.y, 2)
    in_force = result.operating.in_force
    assert in_force is not None
    assert in_force.recall.value == pytest.approx(called[y == 0].mean())
    assert result.operating.classes["c0"].images == 20


def test_many_classes_have_points_too_and_groups_widen_intervals() -> None:
    groups = [f"g{i % 12}" for i in range(90)]
    data = make_data([10, 30, 50], distance=2, groups=groups)
    alone = make_data([10, 30, 50], distance=2)
    grouped, plain = (fit_heads(d, FitConfig(cv=3, estimate="cv")) for d in (data, alone))
    assert grouped.operating.positive is None
    assert [*grouped.operating.classes] == ["c0", "c1", "c2"]
    assert grouped.operating.in_force is None
    assert plain.operating.estimated_on == "cv"


@given(st.integers(0, 10_000), st.floats(0.001, 0.9))
@settings(max_examples=30)
def test_predictive_values_at_a_prevalence_follow_bayes(seed: int, prevalence: float) -> None:
    rng = np.random.default_rng(seed)
    own, called = rng.random(60) < 0.4, rng.random(60) < 0.5
    own[:2], called[[0, 2, 59]], own[59] = True, True, False
    called[1] = False
    resamples = Resamples(np.arange(60), seed=0, n_columns=5)
    [row] = describe_calls(resamples, own, [called], n_folds=None, prevalence=prevalence)
    sensitivity, specificity = called[own].mean(), (~called[~own]).mean()
    right = sensitivity * prevalence
    wrong = (1 - specificity) * (1 - prevalence)
    assert row["precision"]["value"] == pytest.approx(right / (right + wrong))
    assert row["false_alarms"]["value"] == pytest.approx(1000 * wrong)
    missed, passed = prevalence - right, 1 - prevalence - wrong
    assert row["npv"]["value"] == pytest.approx(passed / (passed + missed))
    counts = [int(x.sum()) for x in (called & own, called & ~own, own, ~own)]
    for name, value in rates_of(*counts, prevalence).items():
        assert value == pytest.approx(row[name]["value"])
    own_share = own.mean()
    [same] = describe_calls(resamples, own, [called], n_folds=None, prevalence=own_share)
    [plain] = describe_calls(resamples, own, [called], n_folds=None)
    assert same["precision"]["value"] == pytest.approx(plain["precision"]["value"])
    assert same["false_alarms"]["value"] == pytest.approx(plain["false_alarms"]["value"])


@given(st.integers(1, 400), st.floats(0.01, 1))
@settings(max_examples=40)
def test_how_well_a_share_is_known_is_the_exact_interval(n: int, share: float) -> None:
    hits = int(np.floor(n * share + 1e-9))
    low = binomtest(hits, n).proportion_ci(method="exact").low
    assert known_within(n, share) == pytest.approx(share - low, abs=1e-9)


def test_curves_survive_and_are_checked() -> None:
    rng = np.random.default_rng(0)
    y, proba = rng.integers(0, 3, 9000), rng.dirichlet(np.ones(3), 9000)
    curves = OperatingCurves.of(y, proba)
    again = OperatingCurves.decode(curves.encode(), n_classes=3, source="m")
    for c in range(3):
        levels, whole = again.levels(c), Levels.of(y == c, proba[:, c])
        assert (levels.n_own, levels.n_rest) == (whole.n_own, whole.n_rest)
        assert len(levels.cutoffs) == 2000
        exact = whole.choose("recall", 0.9)
        assert levels.choose("recall", 0.9) == pytest.approx(exact, abs=2e-3)
        assert levels.at(levels.cutoffs[7]) == whole.at(levels.cutoffs[7])
    for name, change in {
        "cutoff": curves.cutoff[::-1],
        "hits": curves.hits + 10_000,
        "alarms": -curves.alarms - 1,
        "support": curves.support * 0,
        "column": curves.column + 1,
    }.items():
        broken = OperatingCurves(**{**vars(curves), name: np.ascontiguousarray(change)})
        with pytest.raises(ModelError, match="malformed"):
            OperatingCurves.decode(broken.encode(), n_classes=3, source="m")


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("a:b:recall=0.95", "a:b:recall=0.95"),
        ("a:b:false-alarms=10/1000", "a:b:false-alarms=10/1000"),
        ("a:b:false-alarms=0.01", "a:b:false-alarms=10/1000"),
        ("a:b:false-alarms=3/200", "a:b:false-alarms=15/1000"),
        ("a:b:cutoff=3.2e-06", "a:b:cutoff=3.2e-06"),
        ("a:b:cutoff=0", "a:b:cutoff=0"),
    ],
)
def test_a_threshold_is_read(text: str, asked: str) -> None:
    threshold = read_threshold(text, ["x", "a:b"])
    assert (threshold.column, threshold.asked) == (1, asked)
    assert read_threshold(asked, ["x", "a:b"]) == threshold


@pytest.mark.parametrize(
    "text",
    [
        "a:recall=95", "a:recall=0", "a:recall=", "a:recall=nan", "a:recall=9/10", "recall=0.9", "",
        "a:false-alarms=10/0", "a:false-alarms=-1/1000", "a:cutoff=1.5", "a:accuracy=0.9",
        "b:recall=1",
    ],
)  # fmt: skip
def test_what_is_no_threshold_is_refused(text: str) -> None:
    with pytest.raises(FeatxError, match=r"not of the form|Unknown class"):
        read_threshold(text, ["a", "c"])


def test_the_prevalence_of_many_classes_needs_a_threshold() -> None:
    data = make_data([12, 12, 12])
    with pytest.raises(FeatxError, match="share of one class, but there are 3"):
        fit_heads(data, FitConfig(cv=2, estimate="cv", prevalence=0.1))
    config = FitConfig(cv=2, estimate="cv", prevalence=0.1, threshold="c1:recall=0.9")
    operating = fit_heads(data, config).operating
    assert [p.prevalence for p in operating.classes.values()] == [None, 0.1, None]
