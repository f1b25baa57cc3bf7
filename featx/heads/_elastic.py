"""Logistic regression with an elastic-net penalty along a path, to saga's optimum and sooner.

The objective is scikit-learn's: the weighted mean of the log loss, plus ``l2 / 2`` times the
squared coefficients, plus ``l1`` times their absolute values; intercepts free. saga passes over
the rows one by one; here one matrix product serves them all, over the features that matter:

- a problem starts from the solution for a stronger penalty, and only features that are in use or
  that the gradient asks for take part, a few more in every round (a working set, as in Johnson and
  Guestrin, "Blitz", ICML 2015);
- a round is accelerated proximal gradient (Beck and Teboulle, "FISTA", SIAM J. Imaging Sciences
  2009) that starts anew when it overshoots (O'Donoghue and Candès, "Adaptive restart", 2015);
- as in `featx.heads._logistic`, a round computes in float32 the change since a point where
  everything is known in float64, which is where it is decided whether a problem is solved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from featx.heads._problems import Problems
from featx.types import AnyArray

ROUNDS = 60
ITERATIONS = 250  # of a round
FIRST_FEATURES = 50  # that a working set takes in at least
POWER_STEPS = 12  # towards the largest curvature
CAUTION = 1.1  # times the curvature that was found


def solve_elastic_path(
    problems: Problems, penalties: Sequence[tuple[float, float]], tol: float
) -> Iterator[tuple[AnyArray, bool]]:
    """Minimise with each penalty, starting from the solution with the one before.

    Parameters
    ----------
    problems : Problems
        The data; its own penalties are not used.
    penalties : sequence of (float, float)
        ``(l1, l2)``, not negative, strongest first.
    tol : float
        Largest absolute entry of the smallest subgradient at a solution.

    Yields
    ------
    W : ndarray of shape (n_outputs, n_features + 1), float64
        Coefficients, the intercept last.
    solved : bool
        Whether ``tol`` was reached.
    """
    data = replace(problems, penalties=np.zeros(1))
    W = np.zeros((data.X.shape[1], 1, data.n_outputs))
    for l1, l2 in penalties:
        W, solved = _solve(data, W, l1, l2, tol)
        yield W[:, 0].T, solved


def _solve(data: Problems, W: AnyArray, l1: float, l2: float, tol: float) -> tuple[AnyArray, bool]:
    """Coefficients from a start, and whether ``tol`` was reached."""
    for _ in range(ROUNDS):
        Z = data.scores(W)
        G = data.pull(data.residuals(Z)) + _spare(W, l2)
        excess = _violation(W, G, l1).max(axis=(1, 2))
        if excess.max() <= tol:
            return W, True
        rows = _working_set(W, excess, tol)
        part = replace(data, X=np.ascontiguousarray(data.X[:, rows]))
        W = W.copy()
        W[rows] = _accelerate(part, W[rows], Z, G[rows], l1, l2, tol)
    return W, False


def _spare(W: AnyArray, penalty: float) -> AnyArray:
    """``penalty`` times the coefficients; intercepts, the last row, are free."""
    shrunk = penalty * W
    shrunk[-1] = 0.0
    return shrunk


def _violation(W: AnyArray, G: AnyArray, l1: float) -> AnyArray:
    """Absolute entries of the smallest subgradient, where ``G`` is the smooth part's gradient."""
    excess = np.where(W == 0, np.maximum(np.abs(G) - l1, 0.0), np.abs(G + l1 * np.sign(W)))
    excess[-1] = np.abs(G[-1])
    return excess


def _working_set(W: AnyArray, excess: AnyArray, tol: float) -> AnyArray:
    """Features in use, those whose gradient exceeds the penalty most, and the intercept."""
    used = (W[:-1] != 0).any(axis=(1, 2))
    wanted = np.flatnonzero(~used & (excess[:-1] > tol))
    most = max(FIRST_FEATURES, 2 * int(used.sum()))
    wanted = wanted[np.argsort(-excess[wanted], kind="stable")[:most]]
    return np.concatenate([np.union1d(np.flatnonzero(used), wanted), [len(W) - 1]]).astype(np.intp)


def _accelerate(
    part: Problems, start: AnyArray, Z: AnyArray, G0: AnyArray, l1: float, l2: float, tol: float
) -> AnyArray:
    """One round from ``start``: the scores there are ``Z``, the smooth part's gradient ``G0``."""
    Z = Z.astype(np.float32)
    R = part.residuals(Z)
    curvature = CAUTION * _largest_curvature(part, R, l2)
    W, V, momentum = start, start, 1.0
    before: tuple[AnyArray, AnyArray] | None = None
    for _ in range(ITERATIONS):
        D = V - start
        moved = part.residuals(Z + part.scores(D.astype(np.float32))) - R
        G = G0 + part.pull(moved) + _spare(D, l2)
        if _violation(V, G, l1).max() <= tol / 2:
            return V
        curvature = max(curvature, _seen_curvature(before, (V, G)))
        before = V, G
        after = _shrink(V - G / curvature, l1 / curvature)
        overshot = np.vdot(V - after, after - W) > 0
        longer = 1.0 if overshot else (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        V = after if overshot else after + (momentum - 1) / longer * (after - W)
        V[(after == 0) & (W == 0)] = 0.0
        W, momentum = after, longer
    return W


def _shrink(W: AnyArray, threshold: float) -> AnyArray:
    """The proximal step of the absolute values: towards 0 by ``threshold``, intercepts free."""
    shrunk = np.sign(W) * np.maximum(np.abs(W) - threshold, 0.0)
    shrunk[-1] = W[-1]
    return np.asarray(shrunk)


def _seen_curvature(
    before: tuple[AnyArray, AnyArray] | None, now: tuple[AnyArray, AnyArray]
) -> float:
    """How much the gradient changed from one point to the next, over their distance."""
    if before is None:
        return 0.0
    step, change = now[0] - before[0], now[1] - before[1]
    size = float(np.vdot(step, step))
    return float(np.vdot(step, change)) / size if size > 0 else 0.0


def _largest_curvature(part: Problems, R: AnyArray, l2: float) -> float:
    """The Hessian's largest eigenvalue where the residuals are ``R``, by the power method."""
    P = R + part.truth
    generator = np.random.default_rng(0)
    V = generator.normal(size=(part.X.shape[1], 1, part.n_outputs)).astype(np.float32)
    largest = 0.0
    for _ in range(POWER_STEPS):
        V /= np.linalg.norm(V)
        S = part.scores(V)
        bent = P * (1 - P) * S if part.n_outputs == 1 else P * (S - (P * S).sum(2, keepdims=True))
        V = part.pull(bent)
        largest = float(np.linalg.norm(V))
        if largest == 0:
            break
    return largest + l2 + float(np.finfo(np.float32).eps)
