"""L-BFGS on a convex function of which only gradients are known."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np

Array = Any  # NumPy's, in the precision wanted

MEMORY = 15  # pairs kept


def descend(g: Array) -> Generator[Array, Array, None]:
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
            # where a line through both slopes is 0, kept off the ends so that they always close in
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
