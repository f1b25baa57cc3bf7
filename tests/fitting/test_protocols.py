"""Linear-probe protocols of papers."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from featx.config import FitConfig, parse_config
from featx.config.protocols import PROTOCOLS
from featx.errors import ConfigError
from featx.fitting import FitData, fit_heads
from featx.heads import HEADS, Training


def made(n=120, n_features=12, n_classes=3, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % n_classes
    X = rng.normal(size=(n, n_features)) + 1.5 * np.eye(n_classes, n_features)[y] + 3.0
    return X.astype(np.float32), y


def data_of(splits, **options):
    X, y = made(len(splits), **options)
    hashes = np.zeros((len(y), 32), np.uint8)
    hashes[:, 0] = np.arange(len(y))
    names = [f"image {i}" for i in range(len(y))]
    return FitData(
        {"b": X}, np.array([f"class {c}" for c in y]), names, hashes, splits=np.array(splits)
    )


def config_of(**given):
    return parse_config(FitConfig, given, source="arguments")


def test_grids_are_those_that_were_published():
    for name in ("dinov2", "dinov3"):
        grid = config_of(protocol=name).param_grid["logreg"]
        np.testing.assert_allclose(grid["C"], 10 ** np.linspace(-6, 5, 45))
        assert (grid["tol"], grid["max_iter"]) == ([1e-12], [1000])
    clip = config_of(protocol="clip").param_grid["logreg"]
    np.testing.assert_allclose(clip["C"], np.logspace(-6, 6, 96))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_resolved_configuration_is_read_again(protocol):
    config = config_of(protocol=protocol)
    assert config_of(**config.model_dump()) == config
    assert config.scoring == "accuracy"
    assert config_of(protocol=protocol, scoring="balanced_accuracy").scoring == "balanced_accuracy"


@pytest.mark.parametrize(
    ("given", "flag"),
    [
        ({"head": ["ridge"]}, "--head"),
        ({"param_grid": {"logreg": {"C": [1.0]}}}, "--param-grid"),
        ({"pca": [3]}, "--pca"),
        ({"sampler": ["smote"]}, "--sampler"),
        ({"budget": "5m"}, "--budget"),
        ({"concat": True}, "--concat"),
    ],
)
def test_what_contradicts_a_protocol_is_refused(given, flag):
    with pytest.raises(ConfigError, match=f"dinov3 contradicts {flag}"):
        config_of(protocol="dinov3", **given)


@pytest.mark.filterwarnings("ignore:The line search", "ignore:Line Search")
@pytest.mark.parametrize("n_features", [12, 200])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_predictions_are_scikit_learns_for_every_c(n_features, n_classes):
    X, y = made(160, n_features, n_classes)
    train, others = slice(0, 100), X[100:]
    grid = [LogisticRegression(C=C, tol=1e-12, max_iter=1000) for C in PROTOCOLS["dinov3"]["C"]]
    scored = HEADS.get("logreg").score_grid(Training(X[train], y[train]), grid, [others])
    for classifier, ours in list(zip(grid, scored, strict=True))[::4]:
        # the same optimum by a solver that reaches it within 1,000 iterations for every C
        alone = LogisticRegression(C=classifier.C, tol=1e-12, max_iter=1000, solver="newton-cg")
        theirs = alone.fit(X[train].astype(np.float64), y[train]).predict_proba(others)
        two = np.sort(theirs, axis=1)
        clear = two[:, -1] - two[:, -2] > 1e-6
        assert clear.mean() > 0.9
        np.testing.assert_array_equal(
            ours.outputs[0].argmax(axis=1)[clear], theirs.argmax(axis=1)[clear]
        )


def by_hand(data, grid):
    """C chosen on the validation split; predictions of the test split after the refit."""
    X, y, splits = data.X["b"].astype(np.float64), data.y, data.splits
    train, val, test = (splits == name for name in ("train", "val", "test"))

    def fitted(C, rows):
        return LogisticRegression(C=C, tol=1e-12, max_iter=1000).fit(X[rows], y[rows])

    right = [fitted(C, train).score(X[val], y[val]) for C in grid]
    C = grid[int(np.argmax(right))]
    return C, fitted(C, train | val).predict(X[test])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_c_is_chosen_on_the_validation_split_and_all_but_test_is_fitted_on():
    data = data_of(["train"] * 90 + ["val"] * 45 + ["test"] * 45)
    result = fit_heads(data, config_of(protocol="dinov3"))
    C, expected = by_hand(data, PROTOCOLS["dinov3"]["C"])
    assert result.chosen.params["C"] == pytest.approx(C)
    assert result.estimate.method == "test"
    predicted = np.array(result.classes)[result.held[-1].proba.argmax(axis=1)]
    np.testing.assert_array_equal(predicted, expected)
    assert any("on the validation split (45 images" in note for note in result.notes)
    assert not any("joined to the training split" in note for note in result.notes)
    assert result.settings["protocol"] == "dinov3"
    scaler = result.pipeline.named_steps["scaler"]
    assert (scaler.with_mean, scaler.with_std) == (False, False)


def test_test_images_choose_nothing():
    data = data_of(["train"] * 90 + ["val"] * 45 + ["test"] * 45)
    chosen = fit_heads(data, config_of(protocol="vtab")).chosen.params
    data.X["b"][data.splits == "test"] += 100.0
    assert fit_heads(data, config_of(protocol="vtab")).chosen.params == chosen


def test_without_a_test_split_the_estimate_is_nested():
    data = data_of(["train"] * 60 + ["val"] * 30)
    result = fit_heads(data, config_of(protocol="vtab", cv=3))
    assert result.estimate.method == "nested"
    assert len(result.chosen.grid) == 45
