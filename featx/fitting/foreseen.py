"""What the configuration, labels, groups and splits rule out, before the first image is read.

Reading the images can only take some away (unreadable ones) or join some (copies), so what is
refused here would be refused afterwards too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from featx.config import FitConfig
from featx.console import counted
from featx.data.splits import count_classes, possible_folds
from featx.engines import choose
from featx.errors import FitError
from featx.files import printable
from featx.fitting.candidates import plan_grids
from featx.fitting.strategies import STRATEGIES
from featx.samplers import SAMPLERS
from featx.stats.sites import MIN_SITES
from featx.types import SITES, IntArray

Strings = Sequence[str | None]


def check_config(config: FitConfig) -> None:
    """Refuse what no data set makes right.

    Raises
    ------
    ConfigError, UnknownNameError
        A head, sampler, way to search or parameter does not exist, or a value is not taken.
    MissingExtraError
        The way to search needs a package that is not installed.
    UsageError
        The device of the search is not on this machine.
    """
    for sampler in config.sampler:
        SAMPLERS.get(sampler)
    if (check := STRATEGIES.get(config.search).check) is not None:
        check()
    plan_grids(config)
    choose("torch", config.search_device, "fp32")


def check_labels(
    labels: Sequence[str],
    groups: Strings | None,
    splits: Strings | None,
    *,
    estimate: str,
) -> list[str]:
    """Refuse images that allow no honest classifier, whatever they show.

    Parameters
    ----------
    labels : sequence of str
        One an image.
    groups, splits : sequence of str or None, optional
        As in `featx.fitting.FitData`; None of an image is none.
    estimate : str
        ``FitConfig.estimate``, or ``FinetuneConfig.estimate`` where it is ``cv``.

    Returns
    -------
    list of str
        The classes to train on, sorted.

    Raises
    ------
    FitError
        One class only, classes of the test split that are not trained on, no test split where one
        is asked for, too few groups to leave out, or too few images or groups for folds.
    """
    y = np.asarray(labels)
    in_test = np.array([s == "test" for s in splits or [None] * len(y)], bool)
    classes, codes = np.unique(y[~in_test], return_inverse=True)
    names = [str(c) for c in classes]
    reads_test = estimate in {"auto", "test", "holdout"}
    check_training_classes(names, codes, y[in_test] if reads_test else y[:0])
    if estimate == "test" and not in_test.any():
        raise missing_test_split("nested")
    if estimate == SITES:
        check_sites(None if groups is None else np.asarray(groups, object)[~in_test])
    components = np.arange(len(codes))
    if groups is not None:
        own = group_codes(["" if g is None else g for g in groups])[~in_test]
        components = np.unique(own, return_inverse=True)[1]
    possible = possible_folds(codes, components, names)
    if estimate == "repeated" and possible < 3:
        raise FitError(
            f"Nested cross-validation needs 3 folds; these images and groups allow {possible}.",
            hint="Use --estimate cv, which is too high on average, or give a test split.",
        )
    return names


def check_sites(groups: Sequence[str | None] | None) -> None:
    """Refuse to leave out groups one at a time where there are fewer than three, or gaps."""
    hint = (
        "Name the column of groups with --group-column, or use --estimate nested, which keeps "
        "groups together and needs no more than folds."
    )
    named = [] if groups is None else [g for g in groups if g]
    if groups is not None and 0 < len(named) < len(groups):
        without = counted(len(groups) - len(named), "image", "has/have")
        raise FitError(f"--estimate {SITES} leaves out every group, and {without} none.", hint=hint)
    found = sorted(set(named))
    if len(found) < MIN_SITES:
        raise FitError(
            f"--estimate {SITES} needs at least {MIN_SITES} groups; there are {len(found)}"
            + (f": {printable(', '.join(found))}." if found else "."),
            hint=hint,
        )


def check_training_classes(names: Sequence[str], y: IntArray, tested: NDArray[np.str_]) -> None:
    """Refuse fewer than two classes to train on, and test images of any other class.

    Parameters
    ----------
    names : sequence of str
        Classes with training images.
    y : ndarray of shape (n,), int64
        Class of each training image, an index into ``names``.
    tested : ndarray of str
        Labels of the test split; empty where it is not read.
    """
    if len(names) < 2:
        raise FitError(
            "A classifier needs images of at least two classes to train on; got "
            f"{counted(len(y), 'image')}: {count_classes(y, names) or 'none'}.",
            hint="Add a second class, or check the label column with `featx inspect`.",
        )
    unseen = sorted({str(label) for label in tested} - set(names))
    if unseen:
        raise FitError(
            f"The test split holds {'a class' if len(unseen) == 1 else 'classes'} without any "
            f"training image: {', '.join(unseen)}.",
            hint="Move some of those images to the training split, or take them out of the test "
            "split.",
        )


def missing_test_split(instead: str) -> FitError:
    """Of a test split that is asked for and not there."""
    return FitError(
        "estimate is 'test', but no image is in a test split.",
        hint=f"Use --estimate holdout or {instead}, or name the split column.",
    )


def group_codes(groups: Sequence[str]) -> IntArray:
    """Number of each image's group; an empty name is a group of its own."""
    own = np.array([g or f"\0{i}" for i, g in enumerate(groups)])
    return np.unique(own, return_inverse=True)[1].astype(np.int64)
