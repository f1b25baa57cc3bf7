"""`featx.LeakFreeKFold`: the folds of `featx.fit` as a splitter of scikit-learn."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import BaseCrossValidator

from featx.adapters._inputs import images_manifest, refuse_failures
from featx.data.copies import copy_codes
from featx.data.decode import decode_image
from featx.data.hashing import content_hash, pixel_hash, read_bytes
from featx.data.manifest import Manifest
from featx.data.pool import map_files
from featx.data.splits import Folds, hash_codes, link_components, make_folds
from featx.errors import DecodeError, FitError
from featx.fitting.foreseen import group_codes
from featx.types import Failure, IntArray


class LeakFreeKFold(BaseCrossValidator):
    """Stratified folds that keep groups and identical images together.

    For the same images, labels, groups and seed these are the folds that `featx.fit` searches on.

    Parameters
    ----------
    n_splits : int, default 5
        Number of folds. Fewer are made, with a warning, if the class with the second-most separate
        images or groups has fewer of them.
    random_state : int, default 0
        Seed; ``--seed`` of ``featx fit``.

    Notes
    -----
    Copies are found in ``X``. Of embeddings (any numeric array of two dimensions), equal rows are
    copies. Of images (what `featx.ImageEmbedder` takes), equal files and equal decoded pixels are.
    In any other ``X``, such as ``np.zeros(n)``, no copies are found; only groups stay together.

    Examples
    --------
    >>> from sklearn.model_selection import cross_val_score
    >>> cross_val_score(pipe, paths, labels, groups=patients, cv=LeakFreeKFold())  # doctest: +SKIP
    """

    def __init__(self, n_splits: int = 5, *, random_state: int = 0) -> None:
        self.n_splits = n_splits
        self.random_state = random_state

    # As scikit-learn's own group splitters: cross_val_score hands ``groups`` on without a request.
    __metadata_request__split: ClassVar = {"groups": True}

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Indices of the training and test images of each fold.

        Parameters
        ----------
        X : array of shape (n, n_features), or images
            See the notes of the class.
        y : sequence of length n
            Labels.
        groups : sequence of length n, optional
            Group of each image, kept in one fold; None or an empty text forms its own group.

        Raises
        ------
        FitError
            There is no ``y``, it has one class, or fewer than two folds can be made.
        DecodeError
            An image cannot be read.
        """
        folds = self._folds(X, y, groups)
        for note in folds.notes:
            warnings.warn(note, UserWarning, stacklevel=2)
        for i in range(folds.n_folds):
            yield np.flatnonzero(folds.fold != i), np.flatnonzero(folds.fold == i)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """How many folds `split` gives: ``n_splits``, or fewer where the labels do not allow them.

        Parameters
        ----------
        X, y, groups : as `split`, optional
        """
        return self.n_splits if y is None else self._folds(X, y, groups).n_folds

    def _folds(self, X: Any, y: Any, groups: Any) -> Folds:
        if y is None:
            raise FitError("LeakFreeKFold is stratified by class and needs y.")
        if not isinstance(self.n_splits, int) or self.n_splits < 2:
            raise FitError(f"n_splits is {self.n_splits!r}; allowed are whole numbers from 2 on.")
        classes, codes = np.unique([str(label) for label in y], return_inverse=True)
        if len(classes) < 2:
            raise FitError(f"y has {len(classes)} class; folds for a classifier need two.")
        together = [_copies(X, len(codes))]
        if groups is not None:
            names = ["" if group is None else str(group) for group in groups]
            together.append(group_codes(names))
        for what, found in zip(("X", "groups"), together, strict=False):
            if len(found) != len(codes):
                raise FitError(f"y has {len(codes)} labels, but {what} has {len(found)} rows.")
        return make_folds(
            codes.astype(np.int64),
            link_components(*reversed(together)),
            classes.tolist(),
            n_folds=self.n_splits,
            seed=self.random_state,
        )


def _copies(X: Any, n: int) -> IntArray:
    """Numbers that copies among the rows of ``X`` share."""
    if X is None:
        return np.arange(n)
    values = X.to_numpy() if hasattr(X, "to_numpy") else X
    if isinstance(values, list | tuple) and len(values) and not hasattr(values[0], "mode"):
        values = np.asarray(values) if np.ndim(values[0]) < 2 else values
    if isinstance(values, np.ndarray) and values.dtype.kind in "fiub" and values.ndim < 3:
        if values.ndim < 2:
            return np.arange(len(values))
        return hash_codes(np.ascontiguousarray(values + np.zeros(1, values.dtype)).view(np.uint8))
    return _copies_of_images(images_manifest(values))


def _copies_of_images(manifest: Manifest) -> IntArray:
    failures: list[Failure] = []

    def read(path: str) -> tuple[bytes, bytes] | str:
        try:
            data = read_bytes(path)
            return content_hash(data), pixel_hash(decode_image(data))
        except DecodeError as error:
            return error.message

    found = map_files(read, manifest.paths, label="copies")
    for row, result in zip(manifest.rows, found, strict=True):
        if isinstance(result, str):
            failures.append(Failure(row.id, row.path, None, result))
    refuse_failures(failures, manifest)
    files, pixels = zip(*(result for result in found if not isinstance(result, str)), strict=True)
    return copy_codes(
        np.frombuffer(b"".join(files), np.uint8).reshape(-1, 32),
        np.frombuffer(b"".join(pixels), np.uint8).reshape(-1, 16),
    )
