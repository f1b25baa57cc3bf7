"""Pairs of small grey images laid over each other, and where they then still differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn
from scipy.ndimage import gaussian_filter

from featx import console
from featx.auditing.looking import SIDE_PX
from featx.types import BoolArray, Float32Array, FloatArray, IntArray, UInt8Array

_PIXELS = 2**20  # of all pairs at a time
_BLUR = 1.0  # pixels, at every level
#: Sides that images are halved to, Gauss-Newton steps there, and the correlation of edges below
#: which, and the difference above which, the next level needs no look.
_LEVELS = ((16, 5, 0.7, 1.0), (32, 4, 0.9, 0.2), (64, 4, 0.0, 0.0))
_HOPELESS = 0.6  # correlation of low frequencies below which no small shift helps
_ALMOST = 0.1  # orientations whose correlation is so close to the best one's are tried too
_LARGEST_SHIFT, _LARGEST_ZOOM = 0.16, 0.28  # of the side: what a small crop can need
_BLOCKS = 8  # along each side
_RIM = 3  # pixels of the whole: blurring there depends on what was cut away
_SIGNS = (-1.0) ** np.arange(8)
_TURNS = 8  # all mirror images and quarter turns


@dataclass(frozen=True)
class EdgeComparison:
    """How alike the two images of each pair are, once one is laid over the other.

    Parameters
    ----------
    similarity : ndarray of shape (n_pairs,), float32
        Correlation of edges over the whole, in [0, 1]; 0 where an image has none. In less detail
        where the pair is no copy.
    difference : ndarray of shape (n_pairs,), float32
        Where they differ most: in the worst of 8 x 8 blocks, the energy of the difference of edges
        over that of the edges in the block and of those in a mean block. 0 for equal images; 1
        where the pair is plainly no copy.
    """

    similarity: Float32Array
    difference: Float32Array


def low_frequencies(grey: UInt8Array) -> Float32Array:
    """The 8 x 8 lowest coefficients of the cosine transform without the mean, of length 1."""
    n, side, _ = grey.shape
    halves = grey.reshape(n, side // 2, 2, side // 2, 2).astype(np.float32).mean(axis=(2, 4))
    low = dctn(halves, axes=(1, 2), norm="ortho")[:, :8, :8].copy()
    low[:, 0, 0] = 0
    return np.asarray(low / np.maximum(np.linalg.norm(low, axis=(1, 2), keepdims=True), 1e-6))


def detail(grey: UInt8Array) -> FloatArray:
    """Share of the energy of edges above 16 of 64 frequencies; 0 where there are no edges."""
    frequency = np.arange(grey.shape[1]) ** 2.0
    energy = dctn(grey.astype(np.float32), axes=(1, 2), norm="ortho") ** 2
    energy *= np.add.outer(frequency, frequency)  # the derivative of a cosine is its frequency
    coarse, whole = energy[:, :16, :16].sum(axis=(1, 2)), energy.sum(axis=(1, 2))
    return np.asarray(1 - coarse / np.maximum(whole, 1e-6) if len(grey) else whole)


def orientations(low: Float32Array) -> list[Float32Array]:
    """Low frequencies of the images in all eight orientations, the first as they are."""
    return [_turned_low(low, turn) for turn in range(_TURNS)]


def compare(grey: UInt8Array, pairs: IntArray) -> EdgeComparison:
    """Mirror, turn, scale and shift one image of each pair onto the other, and compare edges.

    Parameters
    ----------
    grey : ndarray of shape (n, side, side), uint8
    pairs : ndarray of shape (n_pairs, 2), int64

    Notes
    -----
    The orientations that low frequencies allow are tried. Scale and shift along both axes are found
    by Gauss-Newton steps from none at all, on blurred images first (Lucas and Kanade, IJCAI 1981;
    Baker and Matthews, "Lucas-Kanade 20 years on", IJCV 56, 2004). What is compared are horizontal
    and vertical differences: plain grey values of different objects on one white background
    correlate highly, their edges do not. The worst place counts because two neighbouring slices of
    a body, or two animals of a kind, agree almost everywhere; a copy agrees everywhere.
    """
    used, codes = np.unique(pairs, return_inverse=True)
    codes = codes.reshape(pairs.shape)
    images = grey[used]
    which, turns = _orientations(images, codes)
    found = np.zeros((2, len(which)), dtype=np.float32)
    warp = np.zeros((len(which), 4), dtype=np.float32)
    rows = np.arange(len(which))
    for side, steps, least, most in console.each(_LEVELS, "Aligning similar pictures"):
        found[1] = 1
        small, size = _halved(images, side), max(1, _PIXELS // side**2)
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            fixed, moving = _both(small, codes[which[part]], turns[part])
            warp[part], found[:, part] = _laid_over(fixed, moving, warp[part], steps)
        best = _best(which[rows], rows, found[0])
        found[0, np.setdiff1d(rows, best)] = 0
        rows = best[(found[0, best] >= least) & (found[1, best] <= most)]
    similarity, difference = np.zeros(len(pairs), np.float32), np.ones(len(pairs), np.float32)
    np.maximum.at(similarity, which, found[0])
    np.minimum.at(difference, which, found[1])
    return EdgeComparison(similarity, difference)


def _best(pairs: IntArray, rows: IntArray, similarity: Float32Array) -> IntArray:
    """Of the rows of each pair, that of the largest similarity."""
    order = np.lexsort((-similarity[rows], pairs))
    first = np.diff(pairs[order], prepend=-1) > 0
    return np.sort(rows[order[first]])


def _halved(images: UInt8Array, side: int) -> NDArray[Any]:
    """The images as they are, or with the means of blocks where ``side`` is smaller."""
    block = images.shape[1] // side
    if block == 1:
        return images
    return images.reshape(-1, side, block, side, block).mean(axis=(2, 4), dtype=np.float32)


def _both(
    small: NDArray[Any], codes: IntArray, turns: IntArray
) -> tuple[Float32Array, Float32Array]:
    """The images of each pair, the first of them turned, blurred and normalised."""
    blur = (0, _BLUR, _BLUR)
    fixed, moving = _turned(small[codes[:, 0]], turns), small[codes[:, 1]].astype(np.float32)
    return _normal(gaussian_filter(fixed, blur)), _normal(gaussian_filter(moving, blur))


def _laid_over(
    fixed: Float32Array, moving: Float32Array, warp: Float32Array, steps: int
) -> tuple[Float32Array, Float32Array]:
    """A better warp, and similarity and difference of the images there, shape (2, n_pairs)."""
    untouched = np.zeros_like(warp)
    for _ in range(steps):
        warp = _step(fixed, moving, warp)
    # The untouched position counts too: alignment may lose its way where there is little to see.
    one, other = (_edges(fixed, moving, place) for place in (untouched, warp))
    return warp, np.stack([np.maximum(one[0], other[0]), np.minimum(one[1], other[1])])


def _orientations(images: UInt8Array, codes: IntArray) -> tuple[IntArray, IntArray]:
    """Numbers of pairs, and the ways to turn their first image that are worth a try."""
    low = low_frequencies(images)
    first, second = low[codes[:, 0]], low[codes[:, 1]]
    agree = np.empty((len(codes), _TURNS), dtype=np.float32)
    for turn, turned in enumerate(orientations(first)):
        agree[:, turn] = (turned * second).sum(axis=(1, 2))
    best = agree.max(axis=1, keepdims=True)
    which, turns = np.nonzero((agree >= _HOPELESS) & (agree >= best - _ALMOST))
    return which.astype(np.int64), turns.astype(np.int64)


def _turned_low(low: Float32Array, turn: int) -> Float32Array:
    """What `_turned` does to an image, done to its cosine transform."""
    low = low.transpose(0, 2, 1) if turn & 4 else low
    low = low * _SIGNS.astype(np.float32) if turn & 1 else low
    return low * _SIGNS.astype(np.float32)[:, None] if turn & 2 else low


def _turned(images: NDArray[Any], turns: IntArray) -> Float32Array:
    """Each image in its orientation: transposed (4), upside down (2), mirrored (1)."""
    found = images.astype(np.float32)
    for bit, change in ((4, lambda a: a.transpose(0, 2, 1)), (1, lambda a: a[:, :, ::-1]),
                        (2, lambda a: a[:, ::-1])):  # fmt: skip
        chosen = (turns & bit) > 0
        found[chosen] = change(found[chosen])
    return found


def _normal(images: Float32Array) -> Float32Array:
    centred = images - images.mean(axis=(1, 2), keepdims=True)
    return centred / np.maximum(centred.std(axis=(1, 2), keepdims=True), 1e-3)


def _grid(side: int) -> tuple[Float32Array, Float32Array]:
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    return np.meshgrid(axis, axis, indexing="ij")


def _sample(
    images: Float32Array, warp: Float32Array, *, rim: float = 0
) -> tuple[Float32Array, BoolArray]:
    """Images at scaled and shifted places, and which of those lie inside a rim; bilinear."""
    side = images.shape[1]
    down, rows = _axis(side, warp[:, 0], warp[:, 2], rim)
    across, columns = _axis(side, warp[:, 1], warp[:, 3], rim)
    places = down @ images @ across.transpose(0, 2, 1)
    return np.asarray(places, np.float32), rows[:, :, None] & columns[:, None, :]


def _axis(
    side: int, scale: Float32Array, shift: Float32Array, rim: float
) -> tuple[Float32Array, BoolArray]:
    """Weights of the pixels along one axis, shape (n, side, side), and the places inside."""
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    place = ((1 + scale[:, None]) * axis + shift[:, None] + 1) * ((side - 1) / 2)
    inside = (place >= rim) & (place <= side - 1 - rim)
    place = np.clip(place, 0, side - 1)
    away = np.abs(place[:, :, None] - np.arange(side, dtype=np.float32))
    return np.maximum(1 - away, np.float32(0)), inside


def _step(fixed: Float32Array, moving: Float32Array, warp: Float32Array) -> Float32Array:
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


def _edges(
    fixed: Float32Array, moving: Float32Array, warp: Float32Array
) -> tuple[FloatArray, FloatArray]:
    """Correlation of edges over the whole, and their difference in the worst block."""
    n, side, _ = fixed.shape
    rim = max(1, _RIM * side // SIDE_PX)
    warped, inside = _sample(moving, warp, rim=rim)
    margin = np.zeros_like(inside)
    margin[:, rim:-rim, rim:-rim] = True
    weight = (inside & margin).astype(np.float32)
    a, b = (np.array(np.gradient(i, axis=(1, 2))) * weight for i in (fixed, warped))
    block = side // _BLOCKS

    def by_block(values: Float32Array) -> Float32Array:
        return values.reshape(n, _BLOCKS, block, _BLOCKS, block).sum(axis=(2, 4)).reshape(n, -1)

    ab, aa, bb = (by_block(product.sum(axis=0)) for product in (a * b, a * a, b * b))
    sum_aa, sum_bb = aa.sum(axis=1), bb.sum(axis=1)
    seen = sum_aa * sum_bb > 1e-6
    similarity = np.where(seen, ab.sum(axis=1) / np.sqrt(np.maximum(sum_aa * sum_bb, 1e-6)), 0)
    gain = np.sqrt(sum_aa / np.maximum(sum_bb, 1e-6))[:, None]  # contrast may differ
    energy = aa + gain**2 * bb
    usual = energy.sum(axis=1) / np.maximum(weight.sum(axis=(1, 2)), 1) * block**2
    apart = (energy - 2 * gain * ab) / np.maximum(energy + usual[:, None], 1e-6)
    return similarity, np.where(seen, apart.max(axis=1), 1)
