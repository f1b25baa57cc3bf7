"""Which predictions of several runs may be set beside each other, and why others may not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from featx.comparing.evaluations import alike
from featx.console import counted
from featx.data.splits import link_components
from featx.errors import ComparisonError
from featx.files import printable
from featx.runs import LEVELS, Predictions, Run
from featx.types import IntArray

MOST_NAMED = 5


@dataclass(frozen=True)
class Paired:
    """Predictions of several runs for the same images, row by row.

    Parameters
    ----------
    level : str
        How they were judged; a key of `featx.runs.LEVELS`.
    classes : list of str
    predictions : list of Predictions
        One for each run, the baseline first; row i is the same image everywhere, and ``ids``,
        ``repeat``, ``fold`` and ``y`` are the same.
    units : ndarray of shape (n,), int64
        What is drawn together, numbered from 0: images that any of the runs keeps together.
    unit : str
        What a unit is called: ``images``, ``distinct images``, ``groups``.
    notes : list of str
    """

    level: str
    classes: list[str]
    predictions: list[Predictions]
    units: IntArray
    unit: str
    notes: list[str]

    @property
    def first(self) -> Predictions:
        """The baseline's."""
        return self.predictions[0]

    @property
    def n_units(self) -> int:
        """Number of units."""
        return int(self.units.max()) + 1

    @property
    def n_images(self) -> int:
        """Number of images, each of which may have several predictions."""
        return len(set(self.first.ids.tolist()))

    @property
    def n_repeats(self) -> int:
        """Predictions of each image."""
        return int(self.first.repeat.max()) + 1

    @property
    def n_folds(self) -> int | None:
        """Folds of each partition; None where one classifier judged all images."""
        return int(self.first.fold.max()) + 1 or None

    @property
    def independent(self) -> bool:
        """Whether every prediction stands for itself, as McNemar's test has it."""
        return self.n_units == len(self.first)


def pair_runs(runs: Sequence[Run]) -> Paired:
    """Pair by image and, where images judge in folds, by fold.

    Parameters
    ----------
    runs : sequence of Run
        At least two, the baseline first.

    Raises
    ------
    ComparisonError
        The runs have other classes, were judged in no common way, or of each common way: on other
        images, files, labels or folds, or by folds of which one leaks. The message is that of the
        way that says most of new images.
    """
    runs, notes_before = alike(runs)
    first, *others = runs
    for run in others:
        _check_classes(first, run)
    common = [level for level in LEVELS if all(level in run.levels for run in runs)]
    if not common:
        raise _nothing_in_common(runs)
    refusals: list[ComparisonError] = []
    for level in common:
        try:
            predictions = [_aligned(first, run, level) for run in runs]
        except ComparisonError as error:
            refusals.append(error)
            continue
        units, unit, notes = _units(runs, predictions)
        notes = notes_before + notes
        notes += [f"Not compared on {LEVELS[common[0]]}: {e.message}" for e in refusals[:1]]
        notes += _level_notes(runs, level) + _training_notes(runs, level)
        return Paired(level, first.classes, predictions, units, unit, notes)
    raise refusals[0]


def _check_classes(first: Run, run: Run) -> None:
    if run.classes == first.classes:
        return
    sides = [
        f"only in {one.named}: {_named(sorted(set(one.classes) - set(other.classes)))}"
        for one, other in ((first, run), (run, first))
        if set(one.classes) - set(other.classes)
    ]
    raise ComparisonError(
        f"{run.named} has other classes than {first.named}"
        + (f": {'; '.join(sides)}." if sides else ", or in another order."),
        hint="Compare runs on the same data set.",
    )


def _nothing_in_common(runs: Sequence[Run]) -> ComparisonError:
    ways = "; ".join(
        f"{run.named} on {' and '.join(LEVELS[level] for level in run.levels) or 'nothing'}"
        for run in runs
    )
    return ComparisonError(
        f"The runs were not judged in the same way: {ways}.",
        hint="Fit them with the same --estimate.",
    )


def _aligned(first: Run, run: Run, level: str) -> Predictions:
    """The run's predictions in the order of the first one's, which judged the same images."""
    one, other = first.levels[level], run.levels[level]
    if run is first:
        return one
    rows = {key: i for i, key in enumerate(other.keys)}
    missing = [key[1] for key in one.keys if key not in rows]
    extra = set(rows) - set(one.keys)
    if missing or extra:
        raise _other_images(first, run, level, missing, [key[1] for key in rows if key in extra])
    other = other.take(np.array([rows[key] for key in one.keys], dtype=np.int64))
    _check_labels(first, run, one, other)
    _check_content(first, run, one, other)
    _check_folds(first, run, one, other)
    # Folds may be numbered in another order: the same partition under the first one's numbers.
    return replace(other, fold=one.fold)


def _other_images(
    first: Run, run: Run, level: str, missing: list[str], extra: list[str]
) -> ComparisonError:
    sides = [
        f"{len(ids):,} only in {one.named} (the first: {printable(ids[0])})"
        for one, ids in ((first, missing), (run, extra))
        if ids
    ]
    message = f"{run.named} was judged on other images than {first.named}: {', '.join(sides)}."
    if first.grouped != run.grouped and level == "holdout":
        knows, ignores = (first, run) if first.grouped else (run, first)
        message += (
            f" {ignores.named} leaks: it held images out without regard to the groups that "
            f"{knows.named} keeps together."
        )
    return ComparisonError(message, hint="Fit both on the same data set, splits and --seed.")


def _check_labels(first: Run, run: Run, one: Predictions, other: Predictions) -> None:
    wrong = np.flatnonzero(one.y != other.y)
    if not len(wrong):
        return
    i = int(wrong[0])
    labels = [repr(printable(first.classes[part.y[i]])) for part in (one, other)]
    raise ComparisonError(
        f"{run.named} has other labels than {first.named} for "
        f"{counted(len(wrong), 'image')}, the first {printable(one.ids[i])}: "
        f"{labels[0]} in {first.named}, {labels[1]} in {run.named}.",
        hint="Fit both with the same labels.",
    )


def _check_content(first: Run, run: Run, one: Predictions, other: Predictions) -> None:
    """Where both runs say which bytes they judged, these are the same.

    Rows of numbers that were given differ between runs on purpose: other features of the same.
    """
    given = "rows" in {first.results.dataset.hashed, run.results.dataset.hashed}
    if one.content is None or other.content is None or given:
        return
    wrong = np.flatnonzero(one.content != other.content)
    if len(wrong):
        raise ComparisonError(
            f"{run.named} was judged on other files than {first.named} under the same names: "
            f"{counted(len(wrong), 'image', 'differs/differ')}, the first "
            f"{printable(one.ids[int(wrong[0])])}.",
            hint="Fit both on the files as they are now.",
        )


def _check_folds(first: Run, run: Run, one: Predictions, other: Predictions) -> None:
    """Both are tested in the same folds; where not, whether one of them leaks."""
    if _same_partition(one, other):
        return
    for (knows, units), (tested, folds) in (
        ((first, one), (run, other)),
        ((run, other), (first, one)),
    ):
        torn = _torn(units, folds)
        if torn:
            raise ComparisonError(
                f"{tested.named} leaks: its folds tear apart "
                f"{counted(torn, 'group' if knows.grouped else 'set')}"
                f"{'' if knows.grouped else ' of exact copies'} that {knows.named} keeps "
                "together, so it was judged on images whose like it was trained on.",
                hint=f"Fit {tested.named} again with the groups of {knows.named}.",
            )
    raise ComparisonError(
        f"{run.named} was judged in other folds than {first.named}: their difference would be "
        "partly the luck of the folds.",
        hint="Fit both with the same --seed, --cv and --estimate.",
    )


def _same_partition(one: Predictions, other: Predictions) -> bool:
    for repeat in np.unique(one.repeat):
        rows = one.repeat == repeat
        pairs = np.unique(np.stack([one.fold[rows], other.fold[rows]]), axis=1).shape[1]
        if not pairs == len(np.unique(one.fold[rows])) == len(np.unique(other.fold[rows])):
            return False
    return True


def _torn(units: Predictions, folds: Predictions) -> int:
    """How many units of the one lie in several folds of the other."""
    if units.unit is None:
        return 0
    cells = np.unique(np.stack([folds.repeat, units.unit, folds.fold]), axis=1)
    of_unit, n_folds = np.unique(cells[:2], axis=1, return_counts=True)
    return len(np.unique(of_unit[1, n_folds > 1]))


def _units(
    runs: Sequence[Run], predictions: Sequence[Predictions]
) -> tuple[IntArray, str, list[str]]:
    """What any of the runs keeps together, its name, and what is not known of it."""
    notes = []
    number: dict[str, int] = {}
    images = np.array([number.setdefault(i, len(number)) for i in predictions[0].ids], np.int64)
    known = [part.unit for part in predictions if part.unit is not None]
    grouped = [run for run in runs if run.grouped]
    older = [run for run, part in zip(runs, predictions, strict=True) if part.unit is None]
    if older and not known and grouped:
        raise ComparisonError(
            f"{grouped[0].named} has groups, but was written by a version of featx that did not "
            "keep which image is in which: nothing can be said of the chance in its numbers.",
            hint="Fit it again with --overwrite.",
        )
    if older:
        names = ", ".join(run.named for run in older)
        notes.append(
            f"Written by an older version of featx, which did not keep exact copies and the bytes "
            f"judged: {names}. "
            + (
                "What the other runs keep together is drawn together."
                if known
                else "Images are drawn one by one, and that the files are the same is not checked."
            )
        )
    if grouped and len(grouped) < len(runs):
        notes.append(
            f"{', '.join(run.named for run in runs if not run.grouped)} "
            f"{'was' if len(runs) - len(grouped) == 1 else 'were'} fitted without the groups of "
            f"{grouped[0].named}, but judged like it; groups are drawn together."
        )
    units = link_components(images, *known)
    alone = int(units.max()) + 1 == len(number)
    return units, "groups" if grouped else "images" if alone else "distinct images", notes


def _level_notes(runs: Sequence[Run], level: str) -> list[str]:
    if level == "oof":
        return [
            "Candidates were chosen on the folds that evaluate them: all numbers are too high on "
            "average, the more so the more a run tried."
        ]
    tuned = [run.named for run in runs if run.tuned]
    if level != "folds" or not tuned:
        return []
    return [
        "The folds also chose between the fine-tuned and the frozen backbone, so the numbers of "
        f"{', '.join(tuned)} are slightly too high on average."
    ]


def _training_notes(runs: Sequence[Run], level: str) -> list[str]:
    """Whether runs that were judged on the same images were also trained on the same."""
    if level not in {"test", "holdout"}:
        return []
    trained = [_trained(run) for run in runs]
    if None in trained:  # a fine-tune that was judged once says nothing of its training images
        if len({run.results.dataset.sha256 for run in runs}) == 1:
            return []
        return ["Whether the runs were trained on the same images is not known."]
    if len(set(trained)) == 1:
        return []
    counts = ", ".join(
        f"{run.named} on {len(images):,}"
        for run, images in zip(runs, trained, strict=True)
        if images is not None
    )
    return [f"The runs were trained on different images: {counts}."]


def _trained(run: Run) -> frozenset[tuple[str, str, str]] | None:
    """Names, contents and labels of the images that a run searched on; None where not said."""
    folds = run.levels.get("oof")
    if folds is None:
        return None
    unknown = folds.content is None or run.results.dataset.hashed == "rows"
    content = [""] * len(folds) if unknown or folds.content is None else folds.content.tolist()
    labels = [run.classes[c] for c in folds.y]
    return frozenset(zip(folds.ids.tolist(), content, labels, strict=True))


def _named(names: Sequence[str]) -> str:
    """The first few of many."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(printable(name) for name in names[:MOST_NAMED]) + more
