"""Images that are one picture turned, mirrored or exposed anew."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from featx import console
from featx.auditing.duplicates import SAME
from featx.auditing.registration import compare
from featx.types import IntArray

__all__ = ["TURNS", "turned_pairs"]

Grey = NDArray[np.uint8]
#: Quarter turns, then whether mirrored: the eight ways to lay a square down.
TURNS = tuple((quarters, mirrored) for mirrored in (False, True) for quarters in range(4))
COARSE = 0.95  # correlation of coarse pictures, from which they are laid over each other
FEWEST_LEVELS = 16  # grey levels of a picture that has anything to compare
MOST_IMAGES = 20_000
_SIDE, _BEST, _BLOCK = 16, 4, 1024


def turned_pairs(grey: Grey) -> IntArray:
    """Pairs of images of which one is the other turned, mirrored, darker or lighter.

    Parameters
    ----------
    grey : ndarray of shape (n, side, side), uint8

    Returns
    -------
    ndarray of shape (n_pairs, 2), int64
        None where there are more than 20,000 images, as the cost grows with their square.

    Notes
    -----
    Candidates are pairs whose coarse pictures correlate in one of eight positions, whatever their
    brightness and contrast. They are then compared as copies are. A picture
    with few grey levels is left out.
    """
    n = len(grey)
    if n < 2 or n > MOST_IMAGES:
        return np.empty((0, 2), np.int64)
    rich = np.array([len(np.unique(each)) >= FEWEST_LEVELS for each in grey])
    coarse = _coarse(grey)
    found = [np.empty((0, 2), np.int64)]
    for quarters, mirrored in console.each(TURNS, "Turning pictures"):
        turned = _turn(coarse.reshape(n, _SIDE, _SIDE), quarters, mirrored).reshape(n, -1)
        pairs = _close(coarse, turned)
        found.append(pairs[rich[pairs].all(axis=1)])
    pairs = np.unique(np.sort(np.concatenate(found), axis=1), axis=0)
    return pairs[compare(grey, pairs).difference <= SAME] if len(pairs) else pairs


def _turn(images: NDArray[np.generic], quarters: int, mirrored: bool) -> NDArray[np.generic]:
    flipped = images[:, :, ::-1] if mirrored else images
    return np.ascontiguousarray(np.rot90(flipped, quarters, axes=(1, 2)))


def _coarse(grey: Grey) -> NDArray[np.float32]:
    """The pixels of each image made small, with mean 0 and length 1."""
    n, side, _ = grey.shape
    cell = side // _SIDE
    small = grey.reshape(n, _SIDE, cell, _SIDE, cell).astype(np.float32).mean(axis=(2, 4))
    small = small.reshape(n, -1) - small.mean(axis=(1, 2))[:, None]
    return np.asarray(small / np.maximum(np.linalg.norm(small, axis=1, keepdims=True), 1e-6))


def _close(coarse: NDArray[np.float32], turned: NDArray[Any]) -> IntArray:
    """Of each image the best few others in this position."""
    n, found = len(coarse), []
    for start in range(0, n, _BLOCK):
        products = coarse[start : start + _BLOCK] @ turned.T
        rows = np.arange(len(products))
        products[rows, rows + start] = -1
        best = np.argpartition(products, -min(_BEST, n - 1), axis=1)[:, -min(_BEST, n - 1) :]
        a, b = np.nonzero(np.take_along_axis(products, best, axis=1) >= COARSE)
        found.append(np.stack([a + start, best[a, b]], axis=1))
    return np.concatenate(found).astype(np.int64)
