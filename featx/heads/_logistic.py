"""L2-penalised logistic regression along a path of penalties, exactly and together.

The objective is scikit-learn's: the weighted mean of the log loss plus ``penalty / 2`` times the
squared coefficients, intercepts free. Five things make a path cheaper than its points:

- neighbouring penalties are solved together, one matrix product serving all of them in every
  iteration, and start from the solution for stronger ones;
- L-BFGS runs along the principal axes of the features, each scaled by how curved the loss is along
  it: the penalty looks the same in every rotation, so one rotation serves the whole path, and
  there the Hessian is nearly diagonal (compare Böhning, "Multinomial logistic regression
  algorithm", AISM 1992, who bounds it by the features' second moments);
- where it is furthest from diagonal, along the first axes, it is computed whole
  (`featx.heads._scaling`);
- a round of L-BFGS computes in float32 the *change* since a point where everything is known in
  float64, which is where it is decided whether a problem is solved;
- rows that are mixtures of others, as SMOTE's are, cost no product of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from featx.arrays import Array
from featx.heads._device import HOST, Device
from featx.heads._lbfgs import descend
from featx.heads._problems import Problems
from featx.heads._scaling import Scaling
from featx.types import AnyArray, BoolArray

TOGETHER = 6  # penalties solved at once: wider products against a closer start
NUMBERS = 1 << 24  # scores held for them: 128 MiB
ROUNDS = 20
ITERATIONS = 24  # of L-BFGS in a round, before the curvature is taken again
LONG = 400  # the same for exact problems: with weak penalties gradients grow before they shrink
FIRST_ITERATIONS = 8  # from coefficients of 0, around which the curvature changes most
SPIKE = 2.5  # times its mean size, at least, is the largest entry of a gradient
WIDEST = 4096  # features whose principal axes are worth finding


class Axes:
    """Coordinates along the features' principal axes; the intercept's stays.

    Of more than `WIDEST` features the coordinates are the features themselves.

    Parameters
    ----------
    X : array of shape (m, n_features + 1), float32
        The last column is 1.
    device : Device
        Of ``X``.
    """

    def __init__(self, X: Array, device: Device = HOST) -> None:
        self.matrix: Array | None = None
        self.device = device
        features = X[:, :-1]
        self.X = X
        if features.shape[1] <= WIDEST:
            xp = device.xp
            self.matrix = xp.linalg.eigh(features.T @ features)[1]
            self.X = xp.concatenate([features @ self.matrix, X[:, -1:]], axis=1)

    def turn(self, G: Array) -> Array:
        """Gradients in these coordinates."""
        return G if self.matrix is None else self._product(self.matrix.T, G)

    def turn_back(self, steps: Array) -> Array:
        """Steps in the features' own coordinates."""
        return steps if self.matrix is None else self._product(self.matrix, steps)

    def below(self, G: Array, size: Array, tol: float) -> Array:
        """Whether no entry of a gradient exceeds ``tol`` in the features' own coordinates.

        Entries are looked at when their mean size says that the largest may be so small.
        """
        near = size <= tol * np.sqrt(G.shape[0] * G.shape[2]) / SPIKE
        if near.any():
            near[near] = np.abs(self.turn_back(G[:, near])).max(axis=(0, 2)) <= tol
        return near

    def _product(self, matrix: Array, values: AnyArray) -> AnyArray:
        flat = self.device.put(values.astype(np.float32)[:-1].reshape(len(matrix), -1))
        turned = self.device.get(matrix @ flat).reshape(-1, *values.shape[1:])
        return np.concatenate([turned, values[-1:]])


def solve_path(
    problems: Problems, axes: Axes, tol: float, share: float = 0.0
) -> Iterator[Array | None]:
    """Minimise every problem.

    Parameters
    ----------
    problems : Problems
    axes : Axes
        Of ``problems.X``.
    tol : float
        Largest absolute entry of the gradient at a solution, as scikit-learn's ``tol``.
    share : float, default 0.0
        Above 0, go on to this share of the penalty's own gradient where it is smaller, as far as
        float32 leads: weak penalties of separable classes have small gradients far from the end.

    Yields
    ------
    ndarray of shape (n_outputs, n_features + 1), float64, or None
        Coefficients, the intercept last, in the order of the penalties; None where ``tol`` was
        not reached.
    """
    n_rows, n_outputs = len(problems.truth), problems.n_outputs
    size = int(np.clip(NUMBERS // (n_rows * n_outputs), 1, TOGETHER))
    W = np.zeros((problems.X.shape[1], 1, n_outputs))
    Z = problems.device.put(np.zeros((n_rows, 1, n_outputs)))
    for first in range(0, len(problems.penalties), size):
        together = problems.take(slice(first, first + size))
        wanted = share * together.penalties[-1] * np.abs(W[:-1]).max()
        W, Z, solved = _solve(together, axes, W[:, -1:], Z[:, -1:], min(tol, wanted or tol))
        if share:
            G = together.pull(together.residuals(Z)) + together.penalty_gradient(W)
            solved |= np.abs(G).max(axis=(0, 2)) <= tol
        yield from (W[:, i].T if done else None for i, done in enumerate(solved))


def _solve(
    problems: Problems, axes: Axes, start: Array, Z: Array, tol: float
) -> tuple[Array, Array, Array]:
    """Coefficients of all problems from one start and its scores.

    Their scores come with them, and where ``tol`` was reached.
    """
    n_problems, concatenate = len(problems.penalties), problems.device.xp.concatenate
    W = np.repeat(start, n_problems, axis=1)
    R = problems.residuals(Z)
    G = problems.pull(R) + problems.penalty_gradient(W)
    Z, R = concatenate([Z] * n_problems, axis=1), concatenate([R] * n_problems, axis=1)
    left, solved = np.arange(n_problems), np.zeros(n_problems, bool)
    for _ in range(ROUNDS):
        far = np.abs(G).max(axis=(0, 2)) > tol
        solved[left[~far]] = True
        if not far.any():
            break
        left, still = left[far], np.flatnonzero(far).tolist()
        part, at = problems.take(left), left.tolist()
        steps = _improve(part, axes, Z[:, at], R[:, still], G[:, far], tol)
        W[:, left] += steps
        left = left[steps.any(axis=(0, 2))]  # float32 takes the others no further
        if not len(left):
            break
        part, at = problems.take(left), left.tolist()
        Z[:, at] = part.scores(W[:, left])
        R = part.residuals(Z[:, at])
        G = part.pull(R) + part.penalty_gradient(W[:, left])
    return W, Z, solved


def _improve(problems: Problems, axes: Axes, Z: Array, R: Array, G: Array, tol: float) -> Array:
    """A step for each problem from where ``Z``, ``R`` and ``G`` were taken."""
    turned = replace(problems, X=axes.X)
    G = axes.turn(G).astype(np.float32)
    if not problems.exact:
        Z, R = (problems.cast(values, problems.truth.dtype) for values in (Z, R))
    steps, going = np.zeros_like(G), np.arange(len(problems.penalties))
    most = LONG if problems.exact else ITERATIONS
    for iterations in (most,) if Z.any() else (FIRST_ITERATIONS, most):
        at = going.tolist()
        steps[:, going], far = _walk(
            turned.take(going),
            axes,
            Z[:, at],
            R[:, at],
            G[:, going],
            steps[:, going],
            tol,
            iterations,
        )
        going = going[far]
        if not len(going):
            break
    return axes.turn_back(steps)


def _walk(
    problems: Problems,
    axes: Axes,
    Z: Array,
    R: Array,
    G0: Array,
    steps: Array,
    tol: float,
    iterations: int,
) -> tuple[Array, BoolArray]:
    """L-BFGS in coordinates made for where ``steps`` lead: better steps, and which need more.

    All steps are from where ``Z``, ``R`` and ``G0`` were taken, and along the axes.
    """
    moved, G, base = R, G0, steps
    if steps.any():
        moved = problems.residuals(Z + problems.scores(steps))
        G = (
            G0
            + problems.penalty_gradient(steps)
            + problems.pull(problems.cast(moved - R, problems.X.dtype))
        )
    begun = bool(Z.any() or steps.any())
    scaling = Scaling(problems, moved, whole=begun and axes.matrix is not None)
    going = np.arange(len(problems.penalties))
    walks = [descend(scaling.slope(i, G[:, i])) for i in going]
    trials = [next(walk) for walk in walks]
    steps, least = base.copy(), np.linalg.norm(G, axis=(0, 2))
    part, part_Z, part_R = problems, Z, R
    for _ in range(iterations):
        D = np.stack([base[:, i] + scaling.step(i, trials[i]) for i in going], axis=1)
        moved = part.residuals(part_Z + part.scores(D))
        G = (
            G0[:, going]
            + part.penalty_gradient(D)
            + part.pull(part.cast(moved - part_R, part.X.dtype))
        )
        size = np.linalg.norm(G, axis=(0, 2))
        far = ~axes.below(G, size, tol / 2)
        better = (size < least[going]) | ~far
        steps[:, going[better]], least[going[better]] = D[:, better], size[better]
        for j in np.flatnonzero(far):
            i = going[j]
            trials[i] = walks[i].send(scaling.slope(i, G[:, j]))
        if not far.all():  # what is done takes no more part in the products
            going = going[far]
            part, part_Z, part_R = problems.take(going), Z[:, going.tolist()], R[:, going.tolist()]
        if not len(going):
            break
    return steps, np.isin(np.arange(len(problems.penalties)), going)
