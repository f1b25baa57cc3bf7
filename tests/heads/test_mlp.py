"""The multilayer perceptron: what torch trains is what NumPy computes, the same every time."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.utils.estimator_checks import check_estimator

from featx.config import FitConfig
from featx.errors import ConfigError
from featx.fitting import fit_heads
from featx.heads._mlp import PerceptronClassifier
from featx.heads._mlp_training import _Network
from featx.heads._network import NETWORK
from tests.heads.heads_lab import blobs, data, pipeline, reread

QUICK: dict[str, Any] = {"hidden_layer_sizes": 16, "epochs": 15, "batch_size": 16}


def same(one: PerceptronClassifier, two: PerceptronClassifier) -> bool:
    """Whether two networks are equal bit by bit."""
    pairs = zip([*one.coefs_, *one.intercepts_], [*two.coefs_, *two.intercepts_], strict=True)
    return all(a.tobytes() == b.tobytes() for a, b in pairs)


def named(head: PerceptronClassifier) -> dict[str, Any]:
    """Arrays and settings of a fitted network."""
    arrays, settings = NETWORK.frozen(head)
    return {**arrays, **settings}


def test_scikit_learns_checks_pass() -> None:
    random = "batches and dropout are drawn, so weights are not repetitions"
    head = PerceptronClassifier(16, epochs=60, learning_rate_init=0.02, dropout=0, random_state=0)
    expected = {
        "check_sample_weight_equivalence_on_dense_data": random,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_estimator(head, expected_failed_checks=expected, on_skip=None)


@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh"])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_numpy_computes_what_torch_trained(activation: str, batch_norm: bool) -> None:
    settings = PerceptronClassifier(activation=activation, batch_norm=batch_norm, dropout=0.3)
    network = _Network([8, 16, 12, 3], settings, 0)
    X = torch.tensor(blobs((20, 20))[0]) * 3
    for _ in range(30):  # moves the running means and variances
        network.scores(X, training=True)
    for norm in network.norms:
        torch.nn.init.uniform_(norm[0], 0.5, 2.0)
        torch.nn.init.uniform_(norm[1], -1.0, 1.0)
    with torch.no_grad():
        expected = torch.softmax(network.scores(X, training=False), 1).numpy()
    settings.coefs_, settings.intercepts_ = network.folded()
    computed = NETWORK.compute(X.numpy(), SimpleNamespace(**named(settings)))
    assert len(network.norms) == 2 * batch_norm
    np.testing.assert_allclose(computed, expected, atol=2e-6)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"batch_norm": True, "activation": "gelu"},
        {"activation": "tanh", "dropout": 0.5, "learning_rate": "constant"},
        {"hidden_layer_sizes": "32,16", "dropout": 0.0},
    ],
)
def test_it_learns_what_no_line_divides(params: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(600, 2)).astype(np.float32)
    y = (X[:, 0] > 0) ^ (X[:, 1] > 0)
    given = {"hidden_layer_sizes": 32, "learning_rate_init": 0.02, "batch_size": 32} | params
    head = PerceptronClassifier(**given, random_state=0).fit(X[:400], y[:400])
    assert head.score(X[400:], y[400:]) > 0.9


def test_the_same_network_whatever_the_threads() -> None:
    X, y = blobs((40, 30, 20), n_features=70)

    def fit(seed: int) -> PerceptronClassifier:
        head = PerceptronClassifier(64, epochs=6, batch_norm=True, random_state=seed)
        return head.fit(X, y)

    before = torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            alone = [fit(seed) for seed in range(4)]
            with ThreadPoolExecutor(4) as pool:
                together = list(pool.map(fit, range(4)))
            assert torch.get_num_threads() == threads
            with ThreadPoolExecutor(1) as pool:  # a thread that is new
                assert pool.submit(torch.get_num_threads).result() == threads
            assert all(same(a, b) for a, b in zip(alone, together, strict=True))
            assert not same(alone[0], alone[1])
            if threads == 1:
                first = alone
        assert all(same(a, b) for a, b in zip(first, alone, strict=True))
    finally:
        torch.set_num_threads(before)


def test_random_numbers_of_the_process_are_left_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    PerceptronClassifier(**QUICK, random_state=0).fit(*blobs((20, 20)))
    assert torch.equal(torch.rand(3), expected)


def test_weights_of_classes_are_weights_of_images() -> None:
    X, y = blobs((40, 10), distance=1.0)
    weights = np.where(y == 1, 4.0, 1.0)
    plain, weighted, by_class, balanced = (
        PerceptronClassifier(**QUICK, random_state=0, class_weight=c).fit(X, y, sample_weight=w)
        for c, w in ((None, None), (None, weights), ({0: 1.0, 1: 4.0}, None), ("balanced", None))
    )
    assert same(weighted, by_class)
    assert same(weighted, balanced)
    rare = [h.predict_proba(X)[:, 1].mean() for h in (plain, weighted)]
    assert rare[1] > rare[0] + 0.05


def test_it_stops_when_it_learns_nothing_more_and_keeps_the_best() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 20)).astype(np.float32), rng.integers(0, 2, 200)  # noise
    options = {"dropout": 0.0, "learning_rate_init": 0.01, "random_state": 0, "epochs": 40}
    stopped = PerceptronClassifier(patience=4, **options).fit(X, y)
    longer = PerceptronClassifier(patience=40, **options).fit(X, y)
    free = PerceptronClassifier(validation_fraction=0.0, **options).fit(X, y)
    assert stopped.n_iter_ < longer.n_iter_ == free.n_iter_ == 40
    # the best epoch is early; without any rows aside the noise is learned by heart
    assert stopped.predict_proba(X).max() < 0.95 < free.predict_proba(X).max()


@pytest.mark.parametrize("counts", [(1, 1), (2, 1, 1), [2] * 12])
def test_few_images_are_enough(counts: Any) -> None:
    X, y = blobs(counts, n_features=30, distance=9.0)
    head = PerceptronClassifier(**QUICK, batch_norm=True, random_state=0).fit(X, y)
    assert np.isfinite(head.predict_proba(X)).all()
    assert head.n_iter_ == 15


@pytest.mark.parametrize("sizes", ["", "64,", "a", "64,0", -3, (), (8, -1)])
def test_sizes_that_are_none_are_refused(sizes: Any) -> None:
    with pytest.raises(ValueError, match="hidden_layer_sizes"):
        PerceptronClassifier(sizes).fit(*blobs((4, 4)))


def test_parameters_are_checked_before_anything_is_fitted() -> None:
    for params in ({"hidden_layer_sizes": ["64;32"]}, {"activation": ["sigmoid"]}):
        with pytest.raises(ConfigError, match=f"param_grid.mlp: .*{next(iter(params))}"):
            fit_heads(data((9, 9)), FitConfig(head=["mlp"], param_grid={"mlp": params}))


def test_a_rate_that_is_too_high_is_said() -> None:
    head = PerceptronClassifier(validation_fraction=0, learning_rate_init=1e30, random_state=0)
    with pytest.raises(ValueError, match=r"learning_rate_init=1e\+30 is too high"):
        head.fit(*blobs((20, 20)))


@pytest.mark.parametrize("n_classes", [2, 3, 12])
def test_a_saved_network_says_the_same(n_classes: int) -> None:
    X, y = blobs([20] * n_classes)
    fitted = pipeline(PerceptronClassifier("16,8", epochs=5, batch_norm=True, random_state=0), X, y)
    loaded = reread(fitted)
    for dtype in (np.float32, np.float64):
        expected = fitted.predict_proba(X.astype(dtype))
        assert loaded.predict_proba(X.astype(dtype)).tobytes() == expected.tobytes()
        assert loaded.rebuild().predict_proba(X.astype(dtype)).tobytes() == expected.tobytes()
    assert loaded.predict(X).tolist() == fitted.predict(X).tolist()


def test_a_whole_fit_does_not_depend_on_jobs() -> None:
    """With a class that is missing from folds, and SMOTE."""
    options: dict[str, Any] = {
        "head": ["mlp"], "sampler": ["smote"], "cv": 3, "estimate": "cv",
        "param_grid": {"mlp": {"epochs": [6], "hidden_layer_sizes": [8, 16]}},
    }  # fmt: skip
    one, two = (
        fit_heads(data((30, 14, 1)), FitConfig(**options, jobs=jobs)) for jobs in (1, 3)
    )  # fmt: skip
    assert [c.fold_scores for c in one.candidates] == [c.fold_scores for c in two.candidates]
    assert same(one.pipeline[-1], two.pipeline[-1])
    assert all(c.status == "ok" for c in one.candidates)
    held = one.held[0]
    np.testing.assert_array_equal(held.proba[held.part.y == 2][:, 2], 0)
