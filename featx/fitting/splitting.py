"""Which images are trained on and which are tested, and what is noteworthy about that."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from featx.console import counted
from featx.data.copies import DARK, alike_sentence, copies_sentence, embeddings_alike
from featx.data.splits import hash_codes, hold_out
from featx.errors import FitError
from featx.files import printable
from featx.fitting.data import FitData, Part
from featx.fitting.foreseen import check_training_classes, group_codes, missing_test_split
from featx.fitting.held import EvaluationSet, check_left_over
from featx.types import BoolArray, IntArray

CROSS_VALIDATED = "the search cross-validates on both"


def separate(
    data: FitData,
    method: str,
    *,
    holdout: float,
    seed: int,
    joined: str = CROSS_VALIDATED,
    instead: str = "nested",
) -> tuple[Part, EvaluationSet | None, list[str]]:
    """Images to train on, and those that evaluate once, where ``method`` asks for some.

    Parameters
    ----------
    data : FitData
    method : str
        How to estimate. ``auto`` reads a test split where there is one, ``test`` needs it;
        ``holdout`` reads it too and without one holds a share out. Others leave it unread.
    holdout : float
        That share.
    seed : int
    joined : str
        As for `split_data`.
    instead : str
        The other method to name where there is no test split.

    Returns
    -------
    training : Part
    evaluation : EvaluationSet or None
    notes : list of str

    Raises
    ------
    FitError
        See `split_data` and `featx.data.splits.hold_out`; or there is no test split.
    """
    reads_test = method in {"auto", "test", "holdout"}
    part, test, notes = split_data(data, use_test=reads_test, joined=joined)
    if test is not None:
        return part, EvaluationSet("test", test), notes
    if method == "test":
        raise missing_test_split(instead)
    if method != "holdout":
        return part, None, notes
    held, more = hold_out(part.y, part.components, part.classes, share=holdout, seed=seed)
    if part.apart is not None:  # what chose the embedding is trained on instead
        held &= ~part.apart
        check_left_over(part.y[held], part.classes)
    return part.take(~held), EvaluationSet("holdout", part.take(held)), notes + more


def split_data(
    data: FitData, *, use_test: bool, joined: str = CROSS_VALIDATED
) -> tuple[Part, Part | None, list[str]]:
    """Split into images to search on and, where there is one, the test split.

    Training and validation images are searched on together, by cross-validation. Images of the
    training part that the test split holds too (exact copies) are left out of training: the test
    split stays as it was given.

    Parameters
    ----------
    data : FitData
    use_test : bool
        False leaves the test split unread even where there is one.
    joined : str
        What becomes of a validation split that was joined to the training split, in words.

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
    notes = _split_notes(data, splits, joined) + _copy_notes(data, in_test, copied)
    classes, y = np.unique(np.asarray(data.y)[kept], return_inverse=True)
    names = [str(c) for c in classes]
    notes += _alike_notes(data, copies, kept)
    reads_test = use_test and in_test.any()
    check_training_classes(names, y, np.asarray(data.y)[in_test & reads_test])
    groups = None if data.groups is None else group_codes(np.asarray(data.groups).tolist())
    same = ("X", "ids", "hashes", "views", "given", "columns", "apart", "tabular")
    part = Part(
        **{name: getattr(data, name) for name in same},
        y=np.searchsorted(classes, np.asarray(data.y)),
        classes=names,
        copies=copies,
        groups=groups,
        sets=tuple(data.sets),
        contenders=tuple(data.contenders),
    )
    training = part.take(kept)
    _check_finite_views(training)
    if not reads_test:
        return training, None, notes
    notes += _untested_notes(sorted(set(names) - set(np.asarray(data.y)[in_test].tolist())))
    notes += _shared_group_notes(groups, kept, in_test)
    return training, replace(part, views={}).take(in_test), notes


def _check_finite_views(part: Part) -> None:
    for name, V in part.views.items():
        bad = np.flatnonzero(~np.isfinite(V).all(axis=(1, 2)))
        if len(bad):
            raise FitError(
                f"Views of {len(bad)} of {len(part)} training images under {name} hold NaN or "
                f"infinity, the first those of {part.ids[bad[0]]!r}.",
                hint="Extract them again with --precision fp32.",
            )


def joined_note(n: int, joined: str = CROSS_VALIDATED) -> str:
    """What becomes of the ``n`` images of a validation split."""
    return (
        f"The validation split ({counted(n, 'image')}) was joined to the training split: {joined}."
    )


def _split_notes(data: FitData, splits: NDArray[np.str_], joined: str) -> list[str]:
    """How the given splits were read."""
    n = int((splits == "val").sum())
    notes = [joined_note(n, joined)] if n else []
    unknown = ~np.isin(splits, ["train", "val", "test"])
    if unknown.any():
        notes.append(
            f"{counted(int(unknown.sum()), 'image')} without a split "
            f"{'was' if unknown.sum() == 1 else 'were'} used for training."
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


def _shared_group_notes(groups: IntArray | None, kept: BoolArray, in_test: BoolArray) -> list[str]:
    """Which groups are tested as well as trained on."""
    if groups is None or not len(shared := np.intersect1d(groups[kept], groups[in_test])):
        return []
    return [
        f"{counted(len(shared), 'group', 'lies/lie')} in both the training and the given test "
        "split: the test estimate does not hold for new groups."
    ]


def _copy_notes(data: FitData, in_test: BoolArray, copied: BoolArray) -> list[str]:
    """Which images are exact copies, and what becomes of them."""
    if not data.equal:
        return []
    said = copies_sentence(data.equal, rows=data.given)
    what = "rows" if data.given else "images"
    notes = [f"{said}. The {what} of one set are always in the same fold."]
    if copied.any():
        test_files = hash_codes(data.hashes)
        same = int((copied & np.isin(test_files, test_files[in_test])).sum())
        n, first = int(copied.sum()), data.ids[int(np.flatnonzero(copied)[0])]
        are = "1 training image is an exact copy" if n == 1 else f"{n} training images are copies"
        notes.append(
            f"{are} of test images ({same} in equal files, {n - same} of equal pixels; the "
            f"first: {printable(first)}); {'it was' if n == 1 else 'they were'} left out of "
            "training; the test split is unchanged."
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


def _alike_notes(data: FitData, copies: IntArray, kept: BoolArray) -> list[str]:
    """Refuse training images that are all one picture, or one to a backbone; note it if most are.

    Raises
    ------
    FitError
    """
    hint = None if data.given else f"Look at them with featx inspect. {DARK}"
    n = int(kept.sum())
    sentence = alike_sentence(copies[kept], "training images")
    if data.given and n > 1 and embeddings_alike(next(iter(data.X.values()))[kept]):
        raise FitError(
            f"All {n:,} rows to train on are equal. Nothing can be learned from them.",
            hint="Numbers are used as 32-bit floats: subtract a large common offset first.",
        )
    if n > 1 and len(np.unique(copies[kept])) == 1:
        found = sentence or f"All {n} training images are copies of one."
        raise FitError(f"{found} Nothing can be learned from them.", hint=hint)
    for name, X in data.X.items():
        if n > 1 and embeddings_alike(X[kept]):
            raise FitError(
                f"All {n:,} training images give the same embedding under {name}: the backbone "
                "does not distinguish them, and nothing can be learned from them.",
                hint=hint,
            )
    return [] if sentence is None or data.given else [f"{sentence} {DARK}"]
