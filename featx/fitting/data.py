"""What a fit starts from, checked once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featx.console import counted
from featx.data.copies import (
    DARK,
    EqualImages,
    alike_sentence,
    copies_sentence,
    embeddings_alike,
    equal_sets,
)
from featx.data.splits import hash_codes, hold_out, link_components
from featx.errors import FitError, UsageError
from featx.files import printable
from featx.fitting.foreseen import check_training_classes, group_codes
from featx.types import canonical_json

__all__ = [
    "FitData",
    "Part",
    "hold_out_part",
    "join_backbones",
    "only_one",
    "split_backbones",
    "split_data",
]

JOINT = " + "


def join_backbones(names: Sequence[str]) -> str:
    """Name of embeddings side by side."""
    return JOINT.join(names)


def split_backbones(name: str) -> list[str]:
    """Names of the embeddings that lie side by side under ``name``."""
    return name.split(JOINT)


def only_one(*names: str) -> UsageError:
    """Of embeddings that nothing can lie beside."""
    return UsageError(
        f"--concat puts several embeddings side by side; there is only {', '.join(names)}.",
        hint="Name several backbones: --backbone A --backbone B",
    )


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
    """

    X: Mapping[str, NDArray[np.float32]]
    y: NDArray[np.str_]
    ids: list[str]
    hashes: NDArray[np.uint8]
    groups: NDArray[np.str_] | None = None
    splits: NDArray[np.str_] | None = None
    views: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    copies: NDArray[np.int64] | None = None

    @cached_property
    def copy_codes(self) -> NDArray[np.int64]:
        """A number for each image that exact copies share."""
        return hash_codes(self.hashes) if self.copies is None else self.copies

    @cached_property
    def equal(self) -> list[EqualImages]:
        """The sets of exact copies."""
        splits = [None] * len(self.y) if self.splits is None else self.splits.tolist()
        return equal_sets(self.copy_codes, self.hashes, np.asarray(self.y).tolist(), splits)

    def beside(self, sets: Sequence[Sequence[str]]) -> FitData:
        """The same with one more embedding for each set of names: theirs side by side."""
        X, views = dict(self.X), dict(self.views)
        for names in sets:
            both = join_backbones(names)
            X[both] = np.concatenate([self.X[name] for name in names], axis=1)
            if views:
                views[both] = np.concatenate([self.views[name] for name in names], axis=2)
        return replace(self, X=X, views=views)

    def joined(self) -> FitData:
        """The same with one more embedding: all of them side by side, under their joined names.

        Raises
        ------
        UsageError
            There is only one.
        """
        if len(self.X) < 2:
            raise only_one(*self.X)
        return self.beside([list(self.X)])

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
        lengths |= {} if self.groups is None else {"groups": len(self.groups)}
        lengths |= {} if self.copies is None else {"copies": len(self.copies)}
        lengths |= {} if self.splits is None else {"splits": len(self.splits)}
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
    ids : list of str
    hashes : ndarray of shape (n, 32), uint8
        SHA-256 of each image's bytes.
    copies : ndarray of shape (n,), int64
        Images with the same number are exact copies.
    groups : ndarray of shape (n,), int64, optional
    views : mapping of str to ndarray of shape (n, n_views, n_features), float32
        Augmented views of each image by backbone; empty where there are none.
    """

    X: Mapping[str, NDArray[np.float32]]
    y: NDArray[np.int64]
    classes: list[str]
    ids: list[str]
    hashes: NDArray[np.uint8]
    copies: NDArray[np.int64]
    groups: NDArray[np.int64] | None
    views: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.y)

    @cached_property
    def components(self) -> NDArray[np.int64]:
        """What must stay together: groups and exact copies."""
        if self.groups is None:
            return self.alone
        return link_components(self.groups, self.copies)

    @cached_property
    def alone(self) -> NDArray[np.int64]:
        """What must stay together when groups are ignored: exact copies."""
        return link_components(self.copies)

    @property
    def grouped(self) -> bool:
        """Whether groups keep more together than exact copies alone would."""
        return not np.array_equal(self.components, self.alone)

    def take(self, rows: NDArray[np.bool_]) -> Part:
        """Some rows, by a mask."""
        return Part(
            X={name: X[rows] for name, X in self.X.items()},
            y=self.y[rows],
            classes=self.classes,
            ids=[self.ids[i] for i in np.flatnonzero(rows)],
            hashes=self.hashes[rows],
            copies=self.copies[rows],
            groups=None if self.groups is None else self.groups[rows],
            views={name: V[rows] for name, V in self.views.items()},
        )

    @cached_property
    def digest(self) -> str:
        """SHA-256 of embeddings, views, labels, classes and what must stay together."""
        digest = hashlib.sha256(canonical_json(self.classes))
        arrays: dict[str, NDArray[Any]] = {"y": self.y, "components": self.components}
        arrays |= {f"X {k}": X for k, X in self.X.items()}
        arrays |= {f"views {k}": V for k, V in self.views.items()}
        for name, array in sorted(arrays.items()):
            digest.update(canonical_json([name, list(array.shape), str(array.dtype)]))
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    @property
    def n_views(self) -> int:
        """Augmented views of each image."""
        return max((V.shape[1] for V in self.views.values()), default=0)

    def embeddings(self, backbone: str) -> NDArray[np.float32]:
        """Embeddings of one name, or of several joined ones side by side."""
        if backbone in self.X:
            return self.X[backbone]
        return np.hstack([self.X[name] for name in split_backbones(backbone)])

    def widths(self, backbone: str) -> list[int]:
        """How many features each of the embeddings that lie side by side under a name has."""
        names = [name for name in split_backbones(backbone) if name in self.X]
        whole = self.X[backbone].shape[1]
        widths = [self.X[name].shape[1] for name in names]
        return widths if sum(widths) == whole else [whole]

    def examples(
        self, backbone: str, rows: NDArray[np.bool_], *, n_views: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """What to train on: some images by a mask, and after them the views of each."""
        X, y = self.X[backbone][rows], self.y[rows]
        if not n_views:
            return X, y
        V = self.views[backbone][rows, :n_views]
        return np.concatenate([X, V.reshape(-1, X.shape[1])]), np.append(y, np.repeat(y, n_views))

    def example_components(self, rows: NDArray[np.bool_], *, n_views: int) -> NDArray[np.int64]:
        """The component of each of the `examples` of some images."""
        components = self.components[rows]
        return np.append(components, np.repeat(components, n_views))

    @property
    def unit(self) -> str:
        """What one component is called in sentences."""
        if self.groups is not None:
            return "groups"
        n_components = int(self.components.max()) + 1
        return "images" if n_components == len(self) else "distinct images"


def split_data(data: FitData, *, use_test: bool) -> tuple[Part, Part | None, list[str]]:
    """Split into images to search on and, where there is one, the test split.

    Training and validation images are searched on together, by cross-validation. Images of the
    training part that the test split holds too (exact copies) are left out of training: the test
    split stays as it was given.

    Parameters
    ----------
    data : FitData
    use_test : bool
        False leaves the test split unread even where there is one.

    Returns
    -------
    training : Part
    test : Part or None
    notes : list of str

    Raises
    ------
    FitError
        Fewer than two classes to train on, test images of a class without training images, or
        training images that all come out alike.
    """
    data.check()
    n = len(data.y)
    splits = np.full(n, "train") if data.splits is None else np.asarray(data.splits)
    in_test = splits == "test"
    copies = data.copy_codes
    copied = ~in_test & np.isin(copies, copies[in_test])
    kept = ~in_test & ~copied
    notes = _split_notes(data, splits) + _copy_notes(data, in_test, copied)

    classes, y = np.unique(np.asarray(data.y)[kept], return_inverse=True)
    names = [str(c) for c in classes]
    notes += _alike_notes(data, copies, kept)
    reads_test = use_test and in_test.any()
    check_training_classes(names, y, np.asarray(data.y)[in_test & reads_test])
    groups = None if data.groups is None else group_codes(np.asarray(data.groups).tolist())

    def part(rows: NDArray[np.bool_], views: Mapping[str, NDArray[np.float32]]) -> Part:
        return Part(
            X={name: X[rows] for name, X in data.X.items()},
            y=np.searchsorted(classes, np.asarray(data.y)[rows]),
            classes=names,
            ids=[data.ids[i] for i in np.flatnonzero(rows)],
            hashes=data.hashes[rows],
            copies=copies[rows],
            groups=None if groups is None else groups[rows],
            views={name: V[rows] for name, V in views.items()},
        )

    training = part(kept, data.views)
    _check_finite_views(training)
    if not reads_test:
        return training, None, notes
    notes += _untested_notes(sorted(set(names) - set(np.asarray(data.y)[in_test].tolist())))
    if groups is not None:
        shared = np.intersect1d(groups[kept], groups[in_test])
        if len(shared):
            notes.append(
                f"{counted(len(shared), 'group', 'lies/lie')} in both the training and the test "
                "split, as given: "
                "the test number does not hold for new groups."
            )
    return training, part(in_test, {}), notes


def _check_finite_views(part: Part) -> None:
    for name, V in part.views.items():
        bad = np.flatnonzero(~np.isfinite(V).all(axis=(1, 2)))
        if len(bad):
            raise FitError(
                f"Views of {len(bad)} of {len(part)} training images under {name} hold NaN or "
                f"infinity, the first those of {part.ids[bad[0]]!r}.",
                hint="Extract them again with --precision fp32.",
            )


def hold_out_part(part: Part, *, share: float, seed: int) -> tuple[Part, Part, list[str]]:
    """Split off a share of the images, with groups, exact copies and class shares kept.

    Raises
    ------
    FitError
        See `featx.data.splits.hold_out`.
    """
    held, notes = hold_out(part.y, part.components, part.classes, share=share, seed=seed)
    return part.take(~held), part.take(held), notes


def _split_notes(data: FitData, splits: NDArray[np.str_]) -> list[str]:
    """How the given splits were read."""
    notes = []
    if (splits == "val").any():
        notes.append(
            f"The validation split ({counted(int((splits == 'val').sum()), 'image')}) was "
            "joined to the training split: the search cross-validates on both."
        )
    unknown = ~np.isin(splits, ["train", "val", "test"])
    if unknown.any():
        notes.append(
            f"{counted(int(unknown.sum()), 'image')} without a split "
            f"{'was' if unknown.sum() == 1 else 'were'} trained on."
        )
    return notes


def _untested_notes(classes: list[str]) -> list[str]:
    """Which classes the estimate says nothing about."""
    if not classes:
        return []
    named = ", ".join(printable(name) for name in classes[:5])
    more = f" and {len(classes) - 5} more" if len(classes) > 5 else ""
    return [
        f"The test split holds no image of {counted(len(classes), 'class')} "
        f"({named}{more}): the estimate does not show how well "
        f"{'it is' if len(classes) == 1 else 'they are'} recognised, and the balanced accuracy "
        "is over the other classes."
    ]


def _copy_notes(data: FitData, in_test: NDArray[np.bool_], copied: NDArray[np.bool_]) -> list[str]:
    """Which images are exact copies, and what becomes of them."""
    if not data.equal:
        return []
    notes = [f"{copies_sentence(data.equal)}. No two folds hold images of one set."]
    if copied.any():
        test_files = hash_codes(data.hashes)
        same = int((copied & np.isin(test_files, test_files[in_test])).sum())
        n, first = int(copied.sum()), data.ids[int(np.flatnonzero(copied)[0])]
        are = "1 training image is an exact copy" if n == 1 else f"{n} training images are copies"
        notes.append(
            f"{are} of test images ({same} in equal files, {n - same} of equal pixels; the first: "
            f"{printable(first)}); {'it was' if n == 1 else 'they were'} left out of training, "
            "the test split is as given."
        )
    clash = [found.rows for found in data.equal if found.across_classes]
    if clash:
        a = clash[0][0]
        b = next(i for i in clash[0] if data.y[i] != data.y[a])
        one = len(clash) == 1
        notes.append(
            f"{'1 image appears' if one else f'{len(clash)} images appear'} as exact copies under "
            f"different labels, for instance {printable(data.ids[a])} ({printable(data.y[a])}) and "
            f"{printable(data.ids[b])} ({printable(data.y[b])}): at most one label "
            f"{'can' if one else 'of each can'} be right."
        )
    return notes


def _alike_notes(data: FitData, copies: NDArray[np.int64], kept: NDArray[np.bool_]) -> list[str]:
    """Refuse training images that are all one picture, or one to a backbone; say if most are.

    Raises
    ------
    FitError
    """
    hint = f"Look at them with featx inspect. {DARK}"
    n = int(kept.sum())
    said = alike_sentence(copies[kept], "training images")
    if n > 1 and len(np.unique(copies[kept])) == 1:
        raise FitError(f"{said or f'All {n} training images are copies of one.'} Nothing can be "
                       "learned from them.", hint=hint)  # fmt: skip
    for name, X in data.X.items():
        if n > 1 and embeddings_alike(X[kept]):
            raise FitError(
                f"All {n:,} training images give the same embedding under {name}: they come out "
                "alike to it, and nothing can be learned from them.",
                hint=hint,
            )
    return [] if said is None else [f"{said} {DARK}"]
