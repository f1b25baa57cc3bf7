"""Coordinates of a logistic regression's path: what they are, and that they spare gradients."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.special import softmax

from featx.heads import _lbfgs, _logistic, _scaling
from featx.heads._logistic import Axes, solve_path
from featx.heads._problems import Problems
from featx.heads._scaling import Scaling

PENALTIES = np.array([1e-2, 1e-4])


def posed(n_classes, *, n=90, n_features=9, mixture=None, seed=0):
    """Problems along principal axes whose variances fall, and coefficients that are not 0."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, n_features)) @ np.diag(0.5 ** np.arange(n_features)) * 4
    rows = n if mixture is None else mixture.shape[0]
    y = np.arange(rows) % n_classes
    X = np.hstack([X, np.ones((n, 1))]).astype(np.float32)
    weights = rng.uniform(0.5, 1.5, rows)
    weights /= weights.sum()
    problems = Problems.pose(Axes(X).X, y, weights, PENALTIES, mixture)
    W = rng.normal(size=(n_features + 1, len(PENALTIES), problems.n_outputs)) * 0.3
    return problems, W


def hessian(problems, W, problem):
    """Of the loss in all coefficients, a feature's together, from its definition in float64."""
    X = problems.X.astype(np.float64)
    Z = np.einsum("nf,fk->nk", X, W[:, problem])
    full = np.hstack([np.zeros((len(Z), 1)), Z]) if Z.shape[1] == 1 else Z
    P = softmax(full, axis=1)[:, -Z.shape[1] :]
    curved = np.einsum("nk,kl->nkl", P, np.eye(P.shape[1])) - P[:, :, None] * P[:, None, :]
    H = np.einsum("n,nf,nkl,ng->fkgl", problems.weights, X, curved, X)
    H = H.reshape(W[:, problem].size, -1)
    H[np.diag_indices_from(H)] += np.repeat(
        [problems.penalties[problem]] * (len(W) - 1) + [0.0], P.shape[1]
    )
    return H


def matrix(scaling, problem, shape):
    """The change of coordinates, column by column."""
    units = np.eye(int(np.prod(shape)), dtype=np.float32).reshape(-1, *shape)
    return np.stack([scaling.step(problem, u).ravel() for u in units], axis=1).astype(np.float64)


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_along_the_first_axes_the_hessian_becomes_the_identity(n_classes):
    problems, W = posed(n_classes)
    scaling = Scaling(problems, problems.residuals(problems.scores(W)), whole=True)
    size = len(scaling._corners[0])
    assert problems.n_outputs < size < W[:, 0].size  # some axes and the intercepts
    for problem in range(len(PENALTIES)):
        S = matrix(scaling, problem, W[:, problem].shape)
        white = (S.T @ hessian(problems, W, problem) @ S)[-size:, -size:]
        if n_classes > 2:  # all intercepts together curve nothing
            flat = np.linalg.eigvalsh(white)
            assert flat[0] < 1e-3
            np.testing.assert_allclose(flat[1:], 1.0, atol=0.02)
        else:
            np.testing.assert_allclose(white, np.eye(size), atol=0.02)


@pytest.mark.parametrize("whole", [False, True])
def test_gradients_change_coordinates_as_steps_do(whole):
    problems, W = posed(3)
    scaling = Scaling(problems, problems.residuals(problems.scores(W)), whole=whole)
    rng = np.random.default_rng(1)
    for problem in range(len(PENALTIES)):
        u, G = rng.normal(size=(2, *W[:, 0].shape)).astype(np.float32)
        along = np.vdot(scaling.slope(problem, G), u)
        assert along == pytest.approx(np.vdot(G, scaling.step(problem, u)), rel=1e-4, abs=1e-4)


def test_rows_mixed_of_one_image_each_are_that_image():
    twice = sparse.csr_array(np.repeat(np.eye(90, dtype=np.float32), 2, axis=0))
    mixed, W = posed(3, mixture=twice)
    weights = twice.T @ mixed.weights
    # every image has two rows of equal probabilities, so the labels do not matter
    plain = Problems.pose(mixed.X, np.arange(90) % 3, weights, PENALTIES)
    scalings = [Scaling(p, p.residuals(p.scores(W)), whole=True) for p in (mixed, plain)]
    shape = W[:, 0].shape
    np.testing.assert_allclose(
        *(matrix(s, 0, shape)[-6:, -6:] for s in scalings), rtol=1e-4, atol=1e-3
    )


def test_a_hessian_that_rounding_spoilt_leaves_the_factors():
    assert _scaling._corner(-np.eye(6), 1e-9, 2) is None
    problems, W = posed(3)
    R = problems.residuals(problems.scores(W))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_scaling, "_corner", lambda *given: None)
        spoilt = Scaling(problems, R, whole=True)
    plain = Scaling(problems, R, whole=False)
    u = np.ones(W[:, 0].shape, np.float32)
    np.testing.assert_array_equal(spoilt.step(1, u), plain.step(1, u))


def test_a_whole_hessian_spares_gradients(monkeypatch):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(400, 60)) @ np.diag(np.geomspace(4, 0.05, 60))
    y = (X[:, :4] + rng.normal(size=(400, 4)) * 2).argmax(axis=1)
    X = np.hstack([X, np.ones((400, 1))]).astype(np.float32)
    problems = Problems.pose(X, y, np.full(400, 1 / 400), np.array([1e-2, 1e-4]))

    def count():
        gradients = []
        pull = Problems.pull
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                Problems, "pull", lambda s, R, power=1: gradients.append(1) or pull(s, R, power)
            )
            solved = list(solve_path(problems, Axes(X), 1e-6))
        assert all(W is not None for W in solved)
        return len(gradients), solved

    with_it, ours = count()
    monkeypatch.setattr(_scaling, "LARGEST", 0)
    without, plain = count()
    assert with_it < 0.8 * without
    for a, b in zip(ours, plain, strict=True):
        np.testing.assert_allclose(softmax(X @ a.T, axis=1), softmax(X @ b.T, axis=1), atol=2e-3)


def test_a_path_from_nothing_begins_with_a_short_leg(monkeypatch):
    legs = []
    walk = _logistic._walk
    monkeypatch.setattr(_logistic, "_walk", lambda *given: legs.append(given[-1]) or walk(*given))
    problems, _ = posed(3)
    list(solve_path(problems, Axes(problems.X), 1e-6))
    assert legs[:2] == [_logistic.FIRST_ITERATIONS, _logistic.ITERATIONS]
    assert set(legs[1:]) <= {_logistic.ITERATIONS}
    assert _logistic.ITERATIONS > _lbfgs.MEMORY


def test_what_float32_takes_no_further_is_given_up_at_once(monkeypatch):
    rounds = []
    improve = _logistic._improve
    monkeypatch.setattr(_logistic, "_improve", lambda *a: rounds.append(1) or improve(*a))
    problems, _ = posed(3)
    assert list(solve_path(problems, Axes(problems.X), 1e-14)) == [None, None]
    assert len(rounds) < _logistic.ROUNDS
