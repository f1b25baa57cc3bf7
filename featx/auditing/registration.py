"""Pairs of small grey images laid over each other, and how alike they then are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from featx import console
from featx.types import BoolArray, IntArray

__all__ = ["aligned_similarity"]


_PAIRS = 1024  # at a time
_BLURS, _STEPS = (1.5, 0.7), (7, 4)  # blur in pixels of images of half the side, and steps there
_HOPELESS = 0.5  # correlation of blurred images below which no small shift helps
_LARGEST_SHIFT, _LARGEST_ZOOM = 0.16, 0.28  # of the side: what a small crop can need


def aligned_similarity(grey: NDArray[np.uint8], pairs: IntArray) -> NDArray[np.float32]:
    """Correlation of edges, once one image of each pair is scaled and shifted onto the other.

    Parameters
    ----------
    grey : ndarray of shape (n, side, side), uint8
    pairs : ndarray of shape (n_pairs, 2), int64

    Returns
    -------
    ndarray of shape (n_pairs,), float32
        In [-1, 1]; 1 for copies. 0 where an image has no edges at all.

    Notes
    -----
    Scale and shift along both axes are found by Gauss-Newton steps from none at all, on blurred
    images first (Lucas and Kanade, IJCAI 1981; Baker and Matthews, "Lucas-Kanade 20 years on",
    IJCV 56, 2004). What is compared are horizontal and vertical differences: plain grey values of
    different objects on one white background correlate highly, their edges do not.
    """
    found = np.zeros(len(pairs), dtype=np.float32)
    for start in console.each(range(0, len(pairs), _PAIRS), "Aligning similar pictures"):
        part = pairs[start : start + _PAIRS]
        found[start : start + _PAIRS] = _align(grey, part)
    return found


def _align(grey: NDArray[np.uint8], pairs: IntArray) -> NDArray[np.float32]:
    used, codes = np.unique(pairs, return_inverse=True)
    codes = codes.reshape(pairs.shape)
    images = grey[used].astype(np.float32)
    n, side, _ = images.shape
    halves = images.reshape(n, side // 2, 2, side // 2, 2).mean(axis=(2, 4))
    blurred = _normal(gaussian_filter(halves, (0, 2, 2)))
    # A small shift hardly changes blurs: pairs whose blurs differ end here, which are most.
    hopeful = (blurred[codes[:, 0]] * blurred[codes[:, 1]]).mean(axis=(1, 2)) >= _HOPELESS
    codes = codes[hopeful]
    if not len(codes):
        return np.zeros(len(pairs), dtype=np.float32)
    warp = np.zeros((len(codes), 4), dtype=np.float32)
    untouched = np.zeros_like(warp)
    for blur, steps in zip(_BLURS, _STEPS, strict=True):
        smooth = _normal(gaussian_filter(halves, (0, blur, blur)))
        fixed, moving = smooth[codes[:, 0]], smooth[codes[:, 1]]
        for _ in range(steps):
            warp = _step(fixed, moving, warp)
    # The untouched position counts too: alignment may lose its way where there is little to see.
    sharp = _normal(gaussian_filter(images, (0, 1, 1)))
    fixed, moving = sharp[codes[:, 0]], sharp[codes[:, 1]]
    found = np.zeros(len(pairs), dtype=np.float32)
    found[hopeful] = np.maximum(
        *(_edge_correlation(fixed, moving, place) for place in (untouched, warp))
    )
    return found


def _normal(images: NDArray[np.float32]) -> NDArray[np.float32]:
    centred = images - images.mean(axis=(1, 2), keepdims=True)
    return centred / np.maximum(centred.std(axis=(1, 2), keepdims=True), 1e-3)


def _grid(side: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    return np.meshgrid(axis, axis, indexing="ij")


def _sample(
    images: NDArray[np.float32], warp: NDArray[np.float32]
) -> tuple[NDArray[np.float32], BoolArray]:
    """Images at scaled and shifted places, and which of those lie inside; bilinear."""
    n, side, _ = images.shape
    v, u = _grid(side)
    scale_y, scale_x, shift_y, shift_x = (warp[:, i, None, None] for i in range(4))
    half = (side - 1) / 2
    y, x = (((1 + scale_y) * v + shift_y + 1) * half), (((1 + scale_x) * u + shift_x + 1) * half)
    inside = (y >= 0) & (y <= side - 1) & (x >= 0) & (x <= side - 1)
    y, x = np.clip(y, 0, side - 1.001), np.clip(x, 0, side - 1.001)
    top, left = y.astype(np.int32), x.astype(np.int32)
    fy, fx = y - top, x - left
    flat = images.reshape(n, -1)

    def at(down: int, right: int) -> NDArray[np.float32]:
        places = ((top + down) * side + left + right).reshape(n, -1)
        return np.take_along_axis(flat, places, axis=1).reshape(n, side, side)

    above = at(0, 0) * (1 - fx) + at(0, 1) * fx
    below = at(1, 0) * (1 - fx) + at(1, 1) * fx
    return above * (1 - fy) + below * fy, inside


def _step(
    fixed: NDArray[np.float32], moving: NDArray[np.float32], warp: NDArray[np.float32]
) -> NDArray[np.float32]:
    """One Gauss-Newton step on the squared difference, gain and offset removed."""
    side = fixed.shape[1]
    v, u = _grid(side)
    warped, inside = _sample(moving, warp)
    weight = inside.astype(np.float32)
    dy, dx = np.gradient(warped, axis=(1, 2))
    half = (side - 1) / 2
    # Derivatives by zoom and shift. The last two columns take up brightness and contrast, so
    # that a recoloured copy is no worse a fit.
    parts = [dy * v * half, dx * u * half, dy * half, dx * half, warped, np.ones_like(warped)]
    J = np.stack([part * weight for part in parts], axis=-1).reshape(len(fixed), -1, 6)
    residual = ((fixed - warped) * weight).reshape(len(fixed), -1, 1)
    JT = J.transpose(0, 2, 1)
    # Damped: where an image is flat along an axis, nothing fixes the shift along it.
    H = JT @ J + 1e-2 * side * np.eye(6, dtype=np.float32)
    moved = warp + np.linalg.solve(H, JT @ residual)[:, :4, 0]
    limits = np.array([_LARGEST_ZOOM] * 2 + [_LARGEST_SHIFT] * 2, dtype=np.float32)
    return np.clip(moved, -limits, limits)


def _edge_correlation(
    fixed: NDArray[np.float32], moving: NDArray[np.float32], warp: NDArray[np.float32]
) -> NDArray[np.float32]:
    warped, inside = _sample(moving, warp)
    # Differences at the border are one-sided: they are left out.
    margin = np.zeros_like(inside)
    margin[:, 1:-1, 1:-1] = True
    weight = (inside & margin).astype(np.float32)
    a, b = (np.array(np.gradient(i, axis=(1, 2))) * weight for i in (fixed, warped))
    across = (a * b).sum(axis=(0, 2, 3))
    sizes = np.sqrt((a * a).sum(axis=(0, 2, 3)) * (b * b).sum(axis=(0, 2, 3)))
    return np.where(sizes > 1e-3, across / np.maximum(sizes, 1e-3), 0).astype(np.float32)
