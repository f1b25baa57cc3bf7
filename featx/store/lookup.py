"""Finding rows by hash among millions, in sorted arrays instead of a dictionary."""

from __future__ import annotations

from functools import cached_property

import numpy as np


class Lookup:
    """Row numbers by SHA-256.

    The first 8 bytes of every hash are kept sorted and searched; all 32 are then compared, so
    hashes that share a prefix, by chance or by intent, are told apart.

    Parameters
    ----------
    hashes : ndarray of shape (n, 32), uint8
        Hash of every row. A hash may occur twice; the first row counts.
    base : Lookup, optional
        A lookup of the first ``len(base.hashes)`` rows, to start from instead of sorting all.
    """

    def __init__(self, hashes: np.ndarray, base: Lookup | None = None) -> None:
        self.hashes = hashes
        known = 0 if base is None else len(base.hashes)
        prefixes = _prefixes(hashes[known:])
        order = np.argsort(prefixes, kind="stable")
        self._prefixes, self._order = prefixes[order], order + known
        if base is not None:
            both = np.concatenate([base._prefixes, self._prefixes])
            merge = np.argsort(both, kind="stable")  # two sorted runs: timsort merges them
            self._prefixes = both[merge]
            self._order = np.concatenate([base._order, self._order])[merge]

    def find(self, wanted: np.ndarray) -> np.ndarray:
        """Row number of each of ``wanted`` (m, 32) uint8; shape (m,), int64, -1 where absent."""
        prefixes = _prefixes(wanted)
        order = np.argsort(prefixes, kind="stable")  # searching in order stays in the cache
        position = np.empty(len(wanted), np.int64)
        position[order] = np.searchsorted(self._prefixes, prefixes[order])
        found = np.full(len(wanted), -1, np.int64)
        pending = np.arange(len(wanted))
        # Equal prefixes lie side by side: what does not match in full looks one entry further, all
        # together, until none is left. Two rounds are rare.
        while len(pending):
            pending = pending[position[pending] < len(self._prefixes)]
            pending = pending[self._prefixes[position[pending]] == prefixes[pending]]
            rows = self._order[position[pending]]
            match = (self.hashes[rows] == wanted[pending]).all(axis=1)
            found[pending[match]] = rows[match]
            pending = pending[~match]
            position[pending] += 1
        return found

    @cached_property
    def n_distinct(self) -> int:
        """How many different hashes there are."""
        n = len(self.hashes)
        shared = np.flatnonzero(self._prefixes[1:] == self._prefixes[:-1]) + 1
        rows = self._order[shared]  # only these can repeat an earlier row
        return n - int(np.count_nonzero(self.find(self.hashes[rows]) != rows))


def first_rows(hashes: np.ndarray) -> np.ndarray:
    """Numbers of the rows whose hash did not occur before, ascending."""
    return np.flatnonzero(Lookup(hashes).find(hashes) == np.arange(len(hashes)))


def _prefixes(hashes: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(hashes[:, :8]).view(">u8").reshape(-1).astype(np.uint64)
