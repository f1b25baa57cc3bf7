"""What a fit starts from, checked once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from featx.console import counted
from featx.data.copies import EqualImages, equal_sets
from featx.data.splits import hash_codes, link_components
from featx.errors import FitError, UsageError
from featx.fitting.candidates import Setup
from featx.types import AnyArray, BoolArray, Float32Array, IntArray, UInt8Array, canonical_json


def only_one(*names: str) -> UsageError:
    """Of embeddings that nothing can lie beside."""
    return UsageError(
        f"--concat concatenates several embeddings; there is only {', '.join(names)}.",
        hint="Name several backbones: --backbone A --backbone B",
    )


@dataclass(frozen=True)
class TabularBlock:
    """Other columns of the same images, before they are encoded.

    Parameters
    ----------
    names : tuple of str
    categorical : tuple of bool
        Whether each holds codes of categories, not numbers.
    values : ndarray of shape (n, n_columns), float32
        As `featx.artifact.tabular.ColumnRead` has them; NaN where a cell is empty.
    """

    names: tuple[str, ...]
    categorical: tuple[bool, ...]
    values: Float32Array

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: BoolArray) -> TabularBlock:
        """Some rows, by a mask."""
        return replace(self, values=self.values[rows])


@dataclass
class FitData:
    """Embeddings of labelled images; row i is the same image everywhere.

    Parameters
    ----------
    X : mapping of str to ndarray of shape (n, n_features), float32
        Embeddings by backbone.
    y : ndarray of shape (n,), str
        Labels.
    ids : list of str
        Names of the images.
    hashes : ndarray of shape (n, 32), uint8
        SHA-256 of each image's bytes.
    groups : ndarray of shape (n,), str, optional
        What must not straddle folds: patient, plot, camera. An empty string is an image in a
        group of its own.
    splits : ndarray of shape (n,), str, optional
        ``train``, ``val`` or ``test``; anything else counts as ``train``.
    views : mapping of str to ndarray of shape (n, n_views, n_features), float32, optional
        Embeddings of augmented views of each image, by backbone. Those of the test split are not
        read and may be NaN.
    copies : ndarray of shape (n,), int64, optional
        Images with the same number are exact copies (`featx.data.copies.copy_codes`). Default:
        those with the same hash.
    sets : sequence of tuple of str, default ()
        Names of embeddings that compete side by side too, besides each by itself.
    contenders : sequence of tuple of str, default ()
        All that compete, where these are fewer.
    given : bool, default False
        Whether these are rows of numbers that were given, and no embeddings of images.
    columns : mapping of str to ndarray of shape (n,), object
        Other columns that were asked for: text, or None where an image has no value.
    apart : ndarray of shape (n,), bool, optional
        Images that chose among embeddings, as a race does: trained on, and never evaluated on.
    tabular : TabularBlock, optional
        Columns to fit on beside the embeddings.
    """

    X: Mapping[str, Float32Array]
    y: NDArray[np.str_]
    ids: list[str]
    hashes: UInt8Array
    groups: NDArray[np.str_] | None = None
    splits: NDArray[np.str_] | None = None
    views: Mapping[str, Float32Array] = field(default_factory=dict)
    copies: IntArray | None = None
    sets: Sequence[tuple[str, ...]] = ()
    contenders: Sequence[tuple[str, ...]] = ()
    given: bool = False
    columns: Mapping[str, NDArray[np.object_]] = field(default_factory=dict)
    apart: BoolArray | None = None
    tabular: TabularBlock | None = None

    @cached_property
    def copy_codes(self) -> IntArray:
        """A number for each image that exact copies share."""
        return hash_codes(self.hashes) if self.copies is None else self.copies

    @cached_property
    def equal(self) -> list[EqualImages]:
        """The sets of exact copies."""
        splits = [None] * len(self.y) if self.splits is None else self.splits.tolist()
        return equal_sets(self.copy_codes, self.hashes, np.asarray(self.y).tolist(), splits)

    def beside(self, sets: Sequence[tuple[str, ...]]) -> FitData:
        """The same with one more embedding for each set of names: theirs side by side."""
        return replace(self, sets=(*self.sets, *sets))

    def joined(self) -> FitData:
        """The same with one more embedding: all of them side by side.

        Raises
        ------
        UsageError
            There is only one.
        """
        if len(self.X) < 2:
            raise only_one(*self.X)
        return self.beside([tuple(self.X)])

    def check(self) -> None:
        """Refuse what cannot be fitted.

        Raises
        ------
        FitError
            No images, arrays of different length, or embeddings that are not finite.
        """
        n = len(self.y)
        if n == 0 or not self.X:
            raise FitError(
                f"Nothing to fit: {counted(n, 'labelled image')}, "
                f"{counted(len(self.X), 'backbone')}."
            )
        lengths = {f"X[{name!r}]": len(X) for name, X in self.X.items()}
        lengths |= {"ids": len(self.ids), "hashes": len(self.hashes)}
        for name in ("groups", "copies", "splits", "tabular"):
            if (array := getattr(self, name)) is not None:
                lengths[name] = len(array)
        wrong = {name: length for name, length in lengths.items() if length != n}
        if wrong:
            raise FitError(f"y has {n} rows, but {wrong}: every array needs one row an image.")
        for name, X in self.X.items():
            if X.ndim != 2:
                raise FitError(f"X[{name!r}] has shape {X.shape}, not (n_images, n_features).")
            bad = np.flatnonzero(~np.isfinite(X).all(axis=1))
            if len(bad):
                raise FitError(
                    f"{len(bad)} of {n} embeddings of {name} hold NaN or infinity, the first "
                    f"that of {self.ids[bad[0]]!r}.",
                    hint="Extract them again with --precision fp32.",
                )
        self._check_views()

    def _check_views(self) -> None:
        """Every backbone has as many views of every image as the others, or none has any."""
        if self.views and self.views.keys() != self.X.keys():
            raise FitError(f"views are of {sorted(self.views)}, but X is of {sorted(self.X)}.")
        counts = {V.shape[1] if V.ndim == 3 else 0 for V in self.views.values()}
        for name, V in self.views.items():
            n, n_features = self.X[name].shape
            if len(counts) > 1 or V.shape != (n, *counts, n_features):
                raise FitError(
                    f"views[{name!r}] has shape {V.shape}, not (n_images, n_views, n_features) "
                    f"with {n} images, {n_features} features and as many views as the others."
                )


@dataclass(frozen=True)
class Part:
    """Some rows of a `FitData`, with labels as numbers.

    Parameters
    ----------
    X : mapping of str to ndarray of shape (n, n_features), float32
    y : ndarray of shape (n,), int64
        Indices into ``classes``.
    classes : list of str
        Sorted; the same for every part of one fit.
    groups : ndarray of shape (n,), int64, optional
    copies : ndarray of shape (n,), int64
        Images with the same number are exact copies.
    ids, hashes, views, sets, contenders, given, columns, apart, tabular
        As in `FitData`.
    """

    X: Mapping[str, Float32Array]
    y: IntArray
    classes: list[str]
    ids: list[str]
    hashes: UInt8Array
    copies: IntArray
    groups: IntArray | None
    views: Mapping[str, Float32Array] = field(default_factory=dict)
    sets: Sequence[tuple[str, ...]] = ()
    contenders: Sequence[tuple[str, ...]] = ()
    given: bool = False
    columns: Mapping[str, NDArray[np.object_]] = field(default_factory=dict)
    apart: BoolArray | None = None
    tabular: TabularBlock | None = None

    def __len__(self) -> int:
        return len(self.y)

    @cached_property
    def components(self) -> IntArray:
        """What must stay together: groups and exact copies."""
        if self.groups is None:
            return self.alone
        return link_components(self.groups, self.copies)

    @cached_property
    def alone(self) -> IntArray:
        """What must stay together when groups are ignored: exact copies."""
        return link_components(self.copies)

    @property
    def n_units(self) -> int:
        """How many components there are."""
        return int(self.components.max()) + 1

    @property
    def n_groups(self) -> int | None:
        """How many groups there are; None where images have none."""
        return None if self.groups is None else len(np.unique(self.groups))

    @property
    def class_counts(self) -> dict[str, int]:
        """Images of each class."""
        counts = np.bincount(self.y, minlength=len(self.classes))
        return dict(zip(self.classes, counts.tolist(), strict=True))

    @property
    def grouped(self) -> bool:
        """Whether groups keep more together than exact copies alone would."""
        return not np.array_equal(self.components, self.alone)

    def take(self, rows: BoolArray) -> Part:
        """Some rows, by a mask."""
        return replace(
            self,
            X={name: X[rows] for name, X in self.X.items()},
            y=self.y[rows],
            ids=[self.ids[i] for i in np.flatnonzero(rows)],
            hashes=self.hashes[rows],
            copies=self.copies[rows],
            groups=None if self.groups is None else self.groups[rows],
            views={name: V[rows] for name, V in self.views.items()},
            columns={name: values[rows] for name, values in self.columns.items()},
            apart=None if self.apart is None else self.apart[rows],
            tabular=None if self.tabular is None else self.tabular.take(rows),
        )

    @cached_property
    def digest(self) -> str:
        """SHA-256 of embeddings, views, labels, classes and what must stay together."""
        digest = hashlib.sha256(canonical_json(self.classes))
        arrays: dict[str, AnyArray] = {"y": self.y, "components": self.components}
        arrays |= {f"X {k}": X for k, X in self.X.items()}
        arrays |= {f"views {k}": V for k, V in self.views.items()}
        if self.tabular is not None:
            digest.update(canonical_json([self.tabular.names, self.tabular.categorical]))
            arrays["tabular"] = self.tabular.values
        for name, array in sorted(arrays.items()):
            digest.update(canonical_json([name, list(array.shape), str(array.dtype)]))
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    @property
    def n_views(self) -> int:
        """Augmented views of each image."""
        return max((V.shape[1] for V in self.views.values()), default=0)

    @property
    def competing(self) -> list[tuple[str, ...]]:
        """What a search may choose among: each embedding by itself, then those side by side."""
        return list(self.contenders) or [*((name,) for name in self.X), *self.sets]

    def widths(self, backbones: tuple[str, ...]) -> list[int]:
        """Features of each embedding."""
        return [self.X[name].shape[1] for name in backbones]

    def embeddings(self, backbones: tuple[str, ...]) -> Float32Array:
        """Embeddings of one backbone, or of several side by side."""
        return _side_by_side([self.X[name] for name in backbones])

    def inputs(self, setup: Setup, rows: BoolArray | slice = slice(None)) -> Float32Array:
        """What a candidate predicts from: embeddings and, behind them, the other columns."""
        blocks = [self.X[name][rows] for name in setup.backbones]
        if setup.tabular:
            assert self.tabular is not None
            blocks.append(self.tabular.values[rows])
        return _side_by_side(blocks)

    def examples(self, setup: Setup, rows: BoolArray) -> tuple[Float32Array, IntArray, IntArray]:
        """What a candidate trains on: some images by a mask, and after them the views of each.

        Their classes and their components come with them.
        """
        X, y, components = self.inputs(setup, rows), self.y[rows], self.components[rows]
        if not setup.views:
            return X, y, components
        V = _side_by_side([self.views[name][rows, : setup.views] for name in setup.backbones])
        V = V.reshape(-1, V.shape[-1])
        if setup.tabular:  # a view has the columns of its image
            V = _side_by_side([V, np.repeat(X[:, V.shape[1] :], setup.views, axis=0)])
        y, components = (np.append(a, np.repeat(a, setup.views)) for a in (y, components))
        return np.concatenate([X, V]), y, components

    @property
    def unit(self) -> str:
        """What one component is called in sentences."""
        if self.groups is not None:
            return "groups"
        return "images" if self.n_units == len(self) else "distinct images"


def _side_by_side(arrays: Sequence[Float32Array]) -> Float32Array:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=-1)
