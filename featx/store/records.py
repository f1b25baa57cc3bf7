"""Rows of a lookup file: an image's hash and where its embedding is, as five 64-bit words.

Word 0 is the number that the first 8 bytes of the hash spell (so that numbers sort as hashes do),
words 1 to 3 are the other 24 bytes, word 4 is the row number.
"""

from __future__ import annotations

import numpy as np

RECORD_WORDS = 5
_HASH_WORDS = 4


def as_words(hashes: np.ndarray) -> np.ndarray:
    """Hashes (n, 32) uint8 as words 0 to 3; (n, 4) uint64."""
    words = np.ascontiguousarray(hashes).view("<u8").astype(np.uint64)
    words[:, 0] = words[:, 0].byteswap()
    return words


def make_records(hashes: np.ndarray, first_row: int) -> np.ndarray:
    """Records of consecutive rows, sorted by word 0; (n, 5) uint64."""
    records = np.empty((len(hashes), RECORD_WORDS), np.uint64)
    records[:, :_HASH_WORDS] = as_words(hashes)
    records[:, _HASH_WORDS] = np.arange(first_row, first_row + len(hashes), dtype=np.uint64)
    return records[np.argsort(records[:, 0], kind="stable")]


def as_hashes(records: np.ndarray) -> np.ndarray:
    """The hashes of records; (n, 32) uint8."""
    words = records[:, :_HASH_WORDS].astype("<u8")
    words[:, 0] = words[:, 0].byteswap()
    return words.view(np.uint8)


def distinct(records: np.ndarray) -> np.ndarray:
    """One record of each hash, of records that are sorted by word 0."""
    same = records[1:, 0] == records[:-1, 0]
    if not same.any():
        return records
    tied = np.concatenate([[False], same]) | np.concatenate([same, [False]])
    ties = records[tied]
    ties = ties[np.lexsort(ties[:, _HASH_WORDS - 1 :: -1].T)]
    again = (ties[1:, :_HASH_WORDS] == ties[:-1, :_HASH_WORDS]).all(axis=1)
    return np.concatenate([records[~tied], ties[np.concatenate([[True], ~again])]])
