"""L2-penalised logistic regression along a path of penalties, exactly and together.

The objective is scikit-learn's: the weighted mean of the log loss plus ``penalty / 2`` times the
squared coefficients, intercepts free. Four things make a path cheaper than its points:

- neighbouring penalties are solved together, one matrix product serving all of them in every
  iteration, and start from the solution for stronger ones;
- L-BFGS runs along the principal axes of the features, each scaled by how curved the loss is along
  it: the penalty looks the same in every rotation, so one rotation serves the whole path, and
  there the Hessian is nearly diagonal (compare Böhning, "Multinomial logistic regression
  algorithm", AISM 1992, who bounds it by the features' second moments);
- a round of L-BFGS computes in float32 the *change* since a point where everything is known in
  float64, which is where it is decided whether a problem is solved;
- rows that are mixtures of others, as SMOTE's are, cost no product of their own.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featx.heads._place import HOST, Place

__all__ = ["Axes", "Problems", "solve_path"]

Array = Any  # of NumPy, or a tensor of torch

TOGETHER = 6  # penalties solved at once: wider products against a closer start
NUMBERS = 1 << 24  # scores held for them: 128 MiB
ROUNDS = 20
ITERATIONS = 35  # of L-BFGS in a round, before the curvature is taken again
MEMORY = 15  # pairs that L-BFGS keeps
# Of the curvature along an axis: a half would be right if none curved together. Chosen by counting
# gradients on photographs of clothing at 1e-6 (a twelfth fewer); cells and plankton need no more.
POWER = 0.43
BLOCK = 16  # columns that products of matrices are made for
SAFE = 60.0  # largest score whose exponential float32 holds, and sums of it
CHUNK = 1024  # rows turned into float64 at a time
SPIKE = 2.5  # times its mean size, at least, is the largest entry of a gradient
WIDEST = 4096  # features whose principal axes are worth finding


@dataclass(frozen=True)
class Problems:
    """Logistic regressions that differ in their penalty.

    Coefficients, their gradients and penalties are NumPy's, float64; what has a number for every
    row lies where the products are computed.

    Parameters
    ----------
    X : array of shape (m, n_features + 1), float32
        The last column is 1.
    truth : array of shape (n, 1, n_outputs), float32
        1 where an output is of the row's class. A linear function is fitted for each output: one
        a class, or one for two classes (the first has score 0).
    weights : array of shape (n,), float64
        Sum to 1.
    penalties : ndarray of shape (n_problems,), float64
        Above 0, descending.
    mixture, transposed : sparse matrix of shape (n, m) and its transpose, float32, optional
        The rows to fit are ``mixture @ X``; without it they are ``X``.
    place : Place
        Of the arrays.
    """

    X: Array
    truth: Array
    weights: Array
    penalties: NDArray[np.float64]
    mixture: Any = None
    transposed: Any = None
    place: Place = HOST

    @classmethod
    def pose(
        cls,
        X: Array,
        y: NDArray[Any],
        weights: NDArray[np.float64],
        penalties: NDArray[np.float64],
        mixture: Any = None,
        place: Place = HOST,
    ) -> Problems:
        """Problems for class indices ``y``, all but ``X`` from NumPy and scipy."""
        n_classes = int(y.max()) + 1
        outputs = np.array([1]) if n_classes == 2 else np.arange(n_classes)
        return cls(
            X,
            place.put((y[:, None] == outputs).astype(np.float32)[:, None]),
            place.put(weights),
            penalties,
            place.put_sparse(mixture),
            place.put_sparse(None if mixture is None else mixture.T),
            place,
        )

    @property
    def n_outputs(self) -> int:
        """Linear functions to fit."""
        return int(self.truth.shape[2])

    def take(self, problems: Array | slice) -> Problems:
        """Some of the problems."""
        return replace(self, penalties=self.penalties[problems])

    def cast(self, values: Array, dtype: Any) -> Array:
        """An array of this place in the precision wanted, the same where it has it."""
        return self.place.xp.asarray(values, dtype=dtype)

    def chunks(self, dtype: Any) -> Iterator[tuple[slice, Array]]:
        """Parts of ``X`` in the precision wanted."""
        for start in range(0, len(self.X), CHUNK):
            rows = slice(start, start + CHUNK)
            yield rows, self.cast(self.X[rows], dtype)

    def scores(self, W: NDArray[Any]) -> Array:
        """Scores of shape (n, n_problems, n_outputs) from coefficients, features first."""
        flat = self.place.put(_padded(W.reshape(len(W), -1)))
        Z = self.place.xp.concatenate([X @ flat for _, X in self.chunks(flat.dtype)])
        Z = Z[:, : W[0].size]
        Z = Z if self.mixture is None else self._mixed(self.mixture, Z)
        return Z.reshape(len(Z), *W.shape[1:])

    def residuals(self, Z: Array) -> Array:
        """Gradient of each row's log loss in its scores."""
        xp = self.place.xp
        if self.n_outputs == 1:
            Z = xp.concatenate([xp.zeros_like(Z), Z], axis=2)
        # reductions over few classes cost more than the exponentials: both are spared here
        if xp.amax(abs(Z)) > SAFE:
            Z = Z - xp.amax(Z, axis=2, keepdims=True)
        P = xp.exp(Z)
        P /= (P.reshape(-1, P.shape[2]) @ xp.ones_like(P[0, 0])).reshape(*P.shape[:2], 1)
        return P[:, :, -self.n_outputs :] - self.truth

    def pull(self, R: Array, power: int = 1) -> NDArray[Any]:
        """Rows' weighted residuals times their features, to a power, summed; features first."""
        flat = (R * self.cast(self.weights, R.dtype)[:, None, None]).reshape(len(R), -1)
        flat = flat if self.transposed is None else self._mixed(self.transposed, flat)
        flat = _padded(flat) if self.place is HOST else flat
        parts = ((rows, X if power == 1 else X**power) for rows, X in self.chunks(R.dtype))
        G = self.place.get(sum(flat[rows].T @ X for rows, X in parts))
        return G[: R[0].shape[0] * self.n_outputs].T.reshape(-1, *R.shape[1:])

    def _mixed(self, mixture: Any, values: Array) -> Array:
        if self.place is HOST:
            return mixture @ np.ascontiguousarray(values)
        return mixture.to(values.dtype) @ values  # torch multiplies equal types only

    def penalty_gradient(self, W: Array) -> Array:
        """Gradient of the penalty; intercepts, the last row, are free."""
        G = W * self.penalties.astype(W.dtype)[:, None]
        G[-1] = 0.0
        return G


def _padded(values: Array) -> Array:
    """With columns of zeros up to a full block of a matrix product, which is faster so."""
    columns = -(-values.shape[1] // BLOCK) * BLOCK
    padded = np.zeros((len(values), columns), values.dtype)
    padded[:, : values.shape[1]] = values
    return padded


class Axes:
    """Coordinates along the features' principal axes; the intercept's stays.

    Of more than `WIDEST` features the coordinates are the features themselves.

    Parameters
    ----------
    X : array of shape (m, n_features + 1), float32
        The last column is 1.
    place : Place
        Of ``X``.
    """

    def __init__(self, X: Array, place: Place = HOST) -> None:
        self.matrix: Array | None = None
        self.place = place
        features = X[:, :-1]
        self.X = X
        if features.shape[1] <= WIDEST:
            xp = place.xp
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

    def _product(self, matrix: Array, values: NDArray[Any]) -> NDArray[Any]:
        flat = self.place.put(values.astype(np.float32)[:-1].reshape(len(matrix), -1))
        turned = self.place.get(matrix @ flat).reshape(-1, *values.shape[1:])
        return np.concatenate([turned, values[-1:]])


def solve_path(problems: Problems, axes: Axes, tol: float) -> Iterator[Array | None]:
    """Minimise every problem.

    Parameters
    ----------
    problems : Problems
    axes : Axes
        Of ``problems.X``.
    tol : float
        Largest absolute entry of the gradient at a solution, as scikit-learn's ``tol``.

    Yields
    ------
    ndarray of shape (n_outputs, n_features + 1), float64, or None
        Coefficients, the intercept last, in the order of the penalties; None where ``tol`` was
        not reached.
    """
    n_rows, n_outputs = len(problems.truth), problems.n_outputs
    size = int(np.clip(NUMBERS // (n_rows * n_outputs), 1, TOGETHER))
    W = np.zeros((problems.X.shape[1], 1, n_outputs))
    Z = problems.place.put(np.zeros((n_rows, 1, n_outputs)))
    for first in range(0, len(problems.penalties), size):
        together = problems.take(slice(first, first + size))
        W, Z, solved = _solve(together, axes, W[:, -1:], Z[:, -1:], tol)
        yield from (W[:, i].T if done else None for i, done in enumerate(solved))


def _solve(
    problems: Problems, axes: Axes, start: Array, Z: Array, tol: float
) -> tuple[Array, Array, Array]:
    """Coefficients of all problems from one start and its scores.

    Their scores come with them, and where ``tol`` was reached.
    """
    n_problems = len(problems.penalties)
    W = np.repeat(start, n_problems, axis=1)
    Z = problems.place.xp.concatenate([Z] * n_problems, axis=1)
    left = np.arange(n_problems)
    for _ in range(ROUNDS):
        part = problems.take(left)
        R = part.residuals(Z[:, left.tolist()])
        G = part.pull(R) + part.penalty_gradient(W[:, left])
        far = np.abs(G).max(axis=(0, 2)) > tol
        left = left[far]
        if not len(left):
            break
        part = problems.take(left)
        at, still = left.tolist(), np.flatnonzero(far).tolist()
        W[:, left] += _improve(part, axes, Z[:, at], R[:, still], G[:, far], tol)
        Z[:, at] = part.scores(W[:, left])
    return W, Z, ~np.isin(np.arange(n_problems), left)


def _improve(problems: Problems, axes: Axes, Z: Array, R: Array, G0: Array, tol: float) -> Array:
    """One round of L-BFGS: a step for each problem from where ``Z``, ``R``, ``G0`` were taken."""
    turned = replace(problems, X=axes.X)
    scale = (_curvature(turned, R) ** -POWER).astype(np.float32)
    G0 = axes.turn(G0).astype(np.float32)
    Z = problems.cast(Z, problems.truth.dtype)
    R = problems.residuals(Z)
    going = np.arange(len(problems.penalties))
    part, part_Z, part_R = turned, Z, R
    walks = [_descend(scale[:, i] * G0[:, i]) for i in going]
    trials = [next(walk) for walk in walks]
    steps, least = np.zeros_like(G0), np.linalg.norm(G0, axis=(0, 2))
    for _ in range(ITERATIONS):
        D = np.stack([scale[:, i] * trials[i] for i in going], axis=1)
        moved = part.residuals(part_Z + part.scores(D))
        G = G0[:, going] + part.penalty_gradient(D) + part.pull(moved - part_R)
        size = np.linalg.norm(G, axis=(0, 2))
        far = ~axes.below(G, size, tol / 2)
        better = (size < least[going]) | ~far
        steps[:, going[better]], least[going[better]] = D[:, better], size[better]
        for j in np.flatnonzero(far):
            i = going[j]
            trials[i] = walks[i].send(scale[:, i] * G[:, j])
        if not far.all():
            going = going[far]
            part, part_Z, part_R = turned.take(going), Z[:, going.tolist()], R[:, going.tolist()]
        if not len(going):
            break
    return axes.turn_back(steps)


def _descend(g: Array) -> Generator[Array, Array, None]:
    """L-BFGS on a convex function, from 0: yields points and is sent the gradients there.

    The line search reads slopes only, which rounding disturbs less than values. A step ends where
    it goes up at most half as steeply as it set out downwards; one that went further is looked
    for between the two, and not so short that it goes down as steeply as that either. For the
    rest: Nocedal and Wright, "Numerical optimization", 2006, algorithm 7.4.
    """
    u = np.zeros_like(g)
    pairs = _Pairs(g)
    while True:
        d = -pairs.inverse_hessian(g)
        slope, t = float(np.vdot(g, d)), 1.0
        low, high = (0.0, slope), (np.inf, 0.0)
        while True:
            after = yield u + t * d
            end = float(np.vdot(after, d))
            if end > -0.5 * slope:
                high = t, end
            elif high[0] < np.inf and end < 0.5 * slope:
                low = t, end
            else:
                break
            share = low[1] / (low[1] - high[1])
            t = low[0] + (high[0] - low[0]) * min(max(share, 0.2), 0.8)
        pairs.add(t * d, after - g)
        u, g = u + t * d, after


class _Pairs:
    """The last steps of L-BFGS and how the gradient changed along each.

    Their inverse Hessian is that of the two-loop recursion, by products of whole matrices
    (Byrd, Nocedal and Schnabel, "Representations of quasi-Newton matrices", Mathematical
    Programming 1994, theorem 2.2). A new pair takes the place of the oldest: the triangular
    matrix of the theorem is then one with its rows and columns in another order.
    """

    def __init__(self, like: Array) -> None:
        self._steps = np.zeros((MEMORY, like.size), like.dtype)
        self._changes = np.zeros_like(self._steps)
        self._later = np.zeros((MEMORY, MEMORY))  # steps by changes no older than they are
        self._among = np.zeros((MEMORY, MEMORY))  # changes by changes
        self._added = 0

    def add(self, step: Array, change: Array) -> None:
        """Keep a pair, if the function bends upwards along it."""
        if np.vdot(step, change) <= 0.0:
            return
        row = self._added % MEMORY
        self._added += 1
        self._steps[row], self._changes[row] = step.ravel(), change.ravel()
        self._later[row] = 0.0
        self._later[:, row] = self._steps @ self._changes[row]
        self._among[row] = self._among[:, row] = self._changes @ self._changes[row]

    def inverse_hessian(self, g: Array) -> Array:
        """Times ``g``."""
        if not self._added:
            return g.copy()
        n, newest = min(self._added, MEMORY), (self._added - 1) % MEMORY
        steps, changes, flat = self._steps[:n], self._changes[:n], g.ravel()
        later, among = self._later[:n, :n], self._among[:n, :n]
        scale = later[newest, newest] / among[newest, newest]
        shares = np.linalg.solve(later, steps @ flat)
        weights = np.linalg.solve(
            later.T, later.diagonal() * shares + scale * (among @ shares - changes @ flat)
        )
        back, forth = (v.astype(g.dtype) for v in (weights, -scale * shares))
        return (g.dtype.type(scale) * flat + back @ steps + forth @ changes).reshape(g.shape)


def _curvature(turned: Problems, R: Array) -> Array:
    """The Hessian's diagonal, of the shape of the coefficients.

    The weight of a mixed row goes to the rows it mixes: this need not be exact.
    """
    P = turned.cast(abs(R), turned.truth.dtype)
    H = turned.pull(P * (1.0 - P), power=2).astype(np.float64)
    H[:-1] += turned.penalties[:, None]
    return np.maximum(H, 1e-6 * H.mean(axis=0) + np.finfo(np.float32).tiny)
