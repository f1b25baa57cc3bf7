"""Finding rows that are asked for in the order in which they were stored.

A data set is usually read as it was extracted. Its hashes then stand in the shards as they are
asked for, and comparing them is many times faster than searching for each one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

_PROBE = 16  # hashes that must stand in a row before a shard's own are read
_STEP = 1024  # how far to go on after a probe failed; hashes compared at once
_PATIENCE = 4  # failed probes in a row after which order is no longer expected


def find_in_order(
    wanted: np.ndarray,
    find: Callable[[np.ndarray], np.ndarray],
    block_at: Callable[[int], np.ndarray],
) -> np.ndarray:
    """Row numbers of those hashes that follow one another in a shard.

    Parameters
    ----------
    wanted : ndarray of shape (m, 32), uint8
    find : callable
        Row number of each of some hashes, -1 where absent.
    block_at : callable
        Hashes of a row and of those that follow it in its shard, (n, 32) uint8.

    Returns
    -------
    ndarray of shape (m,), int64
        -1 where this did not find out.
    """
    wanted = np.ascontiguousarray(wanted)
    found = np.full(len(wanted), -1, np.int64)
    at, failed = 0, 0
    while at + _PROBE <= len(wanted) and failed < _PATIENCE:
        rows = find(wanted[at : at + _PROBE])
        if rows[0] < 0 or (np.diff(rows) != 1).any():
            at, failed = at + _STEP, failed + 1
            continue
        n = _n_equal(wanted[at:], block_at(int(rows[0])))
        found[at : at + n] = np.arange(rows[0], rows[0] + n)
        at, failed = at + n, 0
    return found


def _n_equal(one: np.ndarray, other: np.ndarray) -> int:
    """How many leading hashes are the same."""
    n = min(len(one), len(other))
    for at in range(0, n, _STEP):
        differ = one[at : min(at + _STEP, n)] != other[at : min(at + _STEP, n)]
        if differ.any():
            return at + int(differ.any(axis=1).argmax())
    return n
