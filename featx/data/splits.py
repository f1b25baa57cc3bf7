"""Folds that neither a group nor a set of identical images straddles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from featx.console import counted, first_few
from featx.errors import FitError
from featx.types import BoolArray, FloatArray, IntArray, UInt8Array

MOST_NAMED = 8  # classes in a sentence


@dataclass(frozen=True)
class Folds:
    """A partition of images for cross-validation.

    Parameters
    ----------
    fold : ndarray of shape (n,), int64
        The fold in ``0 .. n_folds - 1`` in which each image is tested.
    n_folds : int
    notes : tuple of str
        What had to be adapted, in sentences for people.
    """

    fold: IntArray
    n_folds: int
    notes: tuple[str, ...] = ()


def hash_codes(hashes: UInt8Array) -> IntArray:
    """Number images so that those with the same content hash share a number.

    Parameters
    ----------
    hashes : ndarray of shape (n, 32), uint8
    """
    rows = np.ascontiguousarray(hashes).view(np.dtype((np.void, hashes.shape[1])))[:, 0]
    return np.asarray(np.unique(rows, return_inverse=True)[1], dtype=np.int64)


def link_components(*codes: IntArray, pairs: IntArray | None = None) -> IntArray:
    """Join images that are linked through any number of shared codes.

    Two images of one group are linked, so are two exact copies; a copy that lies in two groups
    therefore joins both groups.

    Parameters
    ----------
    *codes : ndarrays of shape (n,), int64
        One numbering for each reason to stay together, as from `hash_codes`.
    pairs : ndarray of shape (m, 2), int64, optional
        Rows that are linked for any other reason.

    Returns
    -------
    ndarray of shape (n,), int64
        Component of each image, numbered from 0 in order of first appearance.
    """
    n = len(codes[0])
    if n == 0:
        return np.empty(0, np.int64)
    shared = [code for code in codes if len(np.unique(code)) < n]
    if pairs is None and len(shared) < 2:  # nothing to follow, and scipy is slow to import
        alone = shared[0] if shared else np.arange(n)
        return np.asarray(np.unique(_first_alike(alone), return_inverse=True)[1], dtype=np.int64)
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    # Each image is linked to the first of its code: n links a code, not one for each pair.
    links = [np.stack([_first_alike(code), np.arange(n)], axis=1) for code in codes]
    ends = np.concatenate([*links, *([] if pairs is None else [pairs])]).T
    matrix = coo_array((np.ones(ends.shape[1]), tuple(ends)), shape=(n, n))
    labels = connected_components(matrix, directed=False)[1]
    return np.asarray(np.unique(_first_alike(labels), return_inverse=True)[1], dtype=np.int64)


def _first_alike(codes: IntArray) -> IntArray:
    """The first row that has the same code, of each row."""
    _, first, number = np.unique(codes, return_index=True, return_inverse=True)
    return np.asarray(first[number], dtype=np.int64)


def count_classes(y: IntArray, classes: Sequence[str]) -> str:
    """``cat 5, dog 3``: images of each class that has any, most first, for messages."""
    counts = np.bincount(y, minlength=len(classes))
    order = [i for i in np.argsort(-counts, kind="stable") if counts[i]]
    listed = [f"{classes[i]} {counts[i]}" for i in order[:12]]
    rest = len(order) - len(listed)
    return ", ".join(listed) + (f" and {counted(rest, 'more class')}" if rest else "")


def make_folds(
    y: IntArray, components: IntArray, classes: Sequence[str], *, n_folds: int, seed: int
) -> Folds:
    """Spread components over folds so that every class is spread as evenly as it can be.

    Components go largest first, in an order shuffled by the seed, each to the fold that holds
    the smallest share of its classes (of equals the smaller fold). Images that stand alone are
    thus stratified exactly: a class's counts differ by at most one between folds.

    Parameters
    ----------
    y : ndarray of shape (n,), int64
        Class of each image, an index into ``classes``.
    components : ndarray of shape (n,), int64
        From `link_components`.
    classes : sequence of str
    n_folds : int
        Folds wanted. Fewer are made where fewer than that many components hold the second most
        spread class, so that every fold can test at least two classes; a note says so.
        Rarer classes are then missing from some folds, and a note says so too.
    seed : int

    Raises
    ------
    FitError
        Fewer than two folds can be made.

    Notes
    -----
    The rule minimises the growth of ``sum(share ** 2)`` over folds and classes, which is the
    variance that scikit-learn's ``StratifiedGroupKFold`` minimises, without its loop over folds.
    """
    possible = possible_folds(y, components, classes)
    table = _table(y, components, len(classes))
    spread = (table > 0).sum(axis=0)
    notes = []
    if possible < n_folds:
        notes.append(
            f"{possible} folds instead of {n_folds}: the class with the second-most separate "
            f"images or groups has {possible} of them, and every fold must test at least two "
            "classes."
        )
        n_folds = possible
    fold_of = _assign(table, np.ones(n_folds), seed)
    notes += _rare_notes(spread, n_folds, classes, np.bincount(y, minlength=len(classes)))
    return Folds(fold_of[components], n_folds, tuple(notes))


def possible_folds(y: IntArray, components: IntArray, classes: Sequence[str]) -> int:
    """How many folds `make_folds` can make at most.

    Raises
    ------
    FitError
        Fewer than two.
    """
    spread = (_table(y, components, len(classes)) > 0).sum(axis=0)
    possible = int(np.sort(spread)[-2])
    if possible < 2:
        raise _no_folds(y, components, classes, spread)
    return possible


def _table(y: IntArray, components: IntArray, n_classes: int) -> FloatArray:
    """Images of each class in each component."""
    table = np.zeros((int(components.max()) + 1, n_classes))
    np.add.at(table, (components, y), 1.0)
    return table


def hold_out(
    y: IntArray, components: IntArray, classes: Sequence[str], *, share: float, seed: int
) -> tuple[BoolArray, list[str]]:
    """Pick a share of the images that no component straddles, class by class where it can be.

    Parameters
    ----------
    y, components, classes, seed
        See `make_folds`.
    share : float
        Of the images, in (0, 0.5].

    Returns
    -------
    held : ndarray of shape (n,), bool
    notes : list of str
        Classes of which none is held out.

    Raises
    ------
    FitError
        Fewer than two classes would be held out, or left to train on.
    """
    table = _table(y, components, len(classes))
    held = _assign(table, np.array([1 - share, share]), seed)[components] == 1
    missing = np.setdiff1d(y[~held], y[held])
    if min(len(np.unique(y[held])), len(np.unique(y[~held]))) < 2:
        raise FitError(
            f"Holding out {share:g} of {counted(len(y), 'image')} ({count_classes(y, classes)}) in "
            f"{len(table)} separate images or groups holds out "
            f"{count_classes(y[held], classes) or 'none'} and leaves "
            f"{count_classes(y[~held], classes) or 'none'}: both need two classes.",
            hint="Use --estimate nested, or another --holdout.",
        )
    notes = []
    if len(missing):
        names = first_few([classes[c] for c in missing], MOST_NAMED)
        notes.append(f"Too few separate images or groups to hold any out of: {names}.")
    return held, notes


def _assign(table: FloatArray, portions: FloatArray, seed: int) -> IntArray:
    """Fold of each component, given the images (components, classes) that each holds.

    Parameters
    ----------
    table : ndarray of shape (n_components, n_classes)
    portions : ndarray of shape (n_folds,)
        Relative sizes wanted.
    seed : int
    """
    sizes = table.sum(axis=1)
    shares = table / np.maximum(table.sum(axis=0), 1.0)
    order = np.random.default_rng(seed).permutation(len(table))
    order = order[np.argsort(-sizes[order], kind="stable")]
    held = np.zeros((len(portions), table.shape[1]))
    images = np.zeros(len(portions))
    fold_of = np.empty(len(table), dtype=np.int64)
    for component in order:
        # How full each fold would be. Rounded: equal sums in another order stay equal.
        # The sum of squared shares grows by twice this, less what is the same for every fold.
        filled = (held + shares[component]) @ shares[component]
        cost = np.round(filled / portions, 12)
        best = np.lexsort((images / portions, cost))[0]
        fold_of[component] = best
        held[best] += shares[component]
        images[best] += sizes[component]
    return fold_of


def _rare_notes(
    spread: IntArray, n_folds: int, classes: Sequence[str], counts: IntArray
) -> list[str]:
    """What classes with fewer components than folds mean for the scores."""
    notes = []
    named = [f"{c} ({counted(int(n), 'image')})" for c, n in zip(classes, counts, strict=True)]
    rare = [i for i in range(len(classes)) if 1 < spread[i] < n_folds]
    if rare:
        names = first_few([named[i] for i in rare], MOST_NAMED)
        notes.append(
            f"Fewer separate images or groups than the {n_folds} folds, so missing from some "
            f"folds' scores: {names}."
        )
    single = [i for i in range(len(classes)) if spread[i] == 1]
    if single:
        names = first_few([named[i] for i in single], MOST_NAMED)
        notes.append(
            "In a single image or group, so never trained on while tested, and always wrong in "
            f"cross-validation: {names}. Add images from other groups."
        )
    return notes


def _no_folds(
    y: IntArray, components: IntArray, classes: Sequence[str], spread: IntArray
) -> FitError:
    """Why no two folds can both hold two classes."""
    n_components = int(components.max()) + 1
    listed = ", ".join(f"{classes[i]} {spread[i]}" for i in np.argsort(-spread, kind="stable")[:12])
    return FitError(
        f"No honest cross-validation is possible: {counted(len(y), 'image')} "
        f"({count_classes(y, classes)}) form {n_components} separate images or groups, and "
        f"fewer than two classes have at least 2 of them (separate images or groups of each class: "
        f"{listed}).",
        hint="Add images, or groups that hold several classes; a test split does not need more "
        "groups, but the search does.",
    )
