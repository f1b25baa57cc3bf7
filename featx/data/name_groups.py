"""Groups that file names and folders suggest, before any image is opened."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from featx.data.manifest import SPLITS
from featx.data.name_parts import (
    folders_of,
    moment_in,
    name_fields,
    numbers_behind_words,
    part_at,
    runs_of,
    stem_of,
)
from featx.types import IntArray

Values = list[str | None]
COVERED = 0.6  # share of the images whose names have the part
JOINED = 0.3  # share of the images that share their group with another
ONE = 0.8  # share of the images in one group, from which it is as good as all of them
MOST_FIELDS = 8
_FIELD = re.compile(r"[^\W_]+")
#: Words whose numbers say whose image it is.
_OWNERS = (
    "patient pat pt subject subj sub case person donor individual animal mouse rat specimen "
    "sample slide scan volume series study session ses biopsy plate well plant tree plot field "
    "site loc location station cam camera trap video vid clip seq sequence movie track flight "
    "run batch lot burst event scene parent"
)
OWNERS = frozenset(_OWNERS.split())
#: Words whose numbers say which part of something larger an image is.
_PARTS = (
    "x y z row col column tile patch crop cell slice frame aug augmented copy rot flip part "
    "piece ch channel idx index"
)
PARTS = frozenset(_PARTS.split())
SECONDS = (2, 10, 60, 600, 3600)  # between images of one burst, visit, session


@dataclass(frozen=True)
class Suggestion:
    """One way to put images into groups.

    Parameters
    ----------
    rule : str
        Unique: what it takes from where.
    wording : str
        The same in words, as the end of a sentence: "groups by ...".
    codes : ndarray of shape (n,), int64
        The number of the group; images without one are alone.
    family : str
        names, folders, moments, sequences or pictures.
    group_from : str, optional
        The same as ``--group-from`` takes it.
    trouble : str, optional
        Why it is not proposed.
    word : str, optional
        What one group is called in the names: patient, slide.
    explicit : bool
        Whether the names say it themselves: a patient's number, or the places of tiles behind it.
    """

    rule: str
    wording: str
    codes: IntArray
    family: str
    group_from: str | None = None
    trouble: str | None = None
    word: str | None = None
    explicit: bool = False

    @property
    def sizes(self) -> IntArray:
        """Images of each group of two and more, the largest first."""
        counts = np.bincount(self.codes)
        return np.sort(counts[counts > 1])[::-1]

    @property
    def n_groups(self) -> int:
        """Groups, those of one image included."""
        return int(self.codes.max()) + 1 if len(self.codes) else 0


def name_suggestions(ids: Sequence[str], labels: Sequence[str | None]) -> list[Suggestion]:
    """What fields, numbers, beginnings of names and folders suggest, with what speaks against it.

    Parameters
    ----------
    ids : sequence of str
        Paths relative to the data set.
    labels : sequence of str or None

    Returns
    -------
    list of Suggestion
        Each partition once, by its simplest rule.
    """
    classes = {label.lower() for label in labels if label}
    fields = [_without_class(name_fields(id), classes) for id in ids]
    found: list[Suggestion] = []
    seen: set[bytes] = set()
    parents = number_groups([_parent(id) for id in ids])
    for rule, wording, take, values, word in _columns(ids, fields, classes):
        if sum(v is not None for v in values) < COVERED * len(ids):
            continue
        if rule.startswith("folder") and {str(v).lower() for v in values if v} <= SPLITS.keys():
            continue
        codes = number_groups(values)
        key = codes.tobytes()
        if key in seen:
            continue
        seen.add(key)
        family = "folders" if rule.startswith("folder") else "names"
        trouble = trouble_of(codes, labels) or _counts(rule, word, values, ids, labels)
        explicit = word in OWNERS or bool((codes == parents).all())
        found.append(Suggestion(rule, wording, codes, family, take, trouble, word, explicit))
    return found


def _parent(id: str) -> str | None:
    """What stands before the first word whose number is a place in something larger."""
    for word, value, end in numbers_behind_words(id):
        if word in PARTS:
            before = stem_of(id)[: end - len(value)].rstrip("-_. ")
            return before[: -len(word)].rstrip("-_. ") or None
    return None


def _without_class(fields: list[str], classes: set[str]) -> list[str]:
    """Fields of a name but those that only repeat a class."""
    return [field for field in fields if field.lower() not in classes]


def _columns(
    ids: Sequence[str], fields: Sequence[list[str]], classes: set[str]
) -> Iterator[tuple[str, str, str | None, Values, str | None]]:
    """Rule, words, ``--group-from``, value of each image, and what one is called."""
    behind = [_behind_words(id) for id in ids]
    counts = Counter(key for each in behind for key in each)
    for key, n in counts.most_common():
        if n >= COVERED * len(ids) and key not in classes:
            values: Values = [each[key][0] if key in each else None for each in behind]
            yield f"number {key}", f"the number behind '{key}' in their names", None, values, key
            begin: Values = [
                stem_of(id)[: each[key][1]] if key in each else None
                for id, each in zip(ids, behind, strict=True)
            ]
            wording = f"the beginning of their names up to the number behind '{key}'"
            yield f"to {key}", wording, None, begin, key
    whole = [name_fields(id) for id in ids]
    longest = min(MOST_FIELDS, max(map(len, whole), default=0))
    for i in (*range(longest), *range(-1, -longest - 1, -1)):
        values = [part_at(each, i) for each in whole]
        yield f"name:{i}", f"field {i} of their names", f"name:{i}", values, None
    for i in range(1, min(MOST_FIELDS, max(map(len, fields), default=0))):
        begin = ["_".join(each[: i + 1]) if len(each) > i else None for each in fields]
        yield f"first {i + 1}", f"the first {i + 1} fields of their names", None, begin, None
        left = ["_".join(each[:-i]) if len(each) > i else None for each in fields]
        ended = "the last field" if i == 1 else f"the last {i} fields"
        yield f"without {i}", f"their names without {ended}", None, left, None
    yield from _by_runs(ids)
    folders = [folders_of(id) for id in ids]
    for i in range(max(map(len, folders), default=0)):
        values = [part_at(each, i) for each in folders]
        yield f"folder:{i}", f"the folder {i} of their paths", f"folder:{i}", values, None
        if i:
            paths: Values = [
                "/".join(_without_class(each[: i + 1], classes)) if len(each) > i else None
                for each in folders
            ]
            yield f"folders to {i}", f"the folders up to folder {i}", None, paths, None


def _by_runs(ids: Sequence[str]) -> Iterator[tuple[str, str, str | None, Values, str | None]]:
    """Runs of letters or digits, which no separator need divide: ``AB001``, ``0012a``."""
    runs = [runs_of(id) for id in ids]
    for i in range(min(MOST_FIELDS, max(map(len, runs), default=0))):
        first = [each[i][0] if len(each) > i else "" for each in runs]
        alone: Values = [run if run.isalpha() else None for run in first]
        yield f"run {i}", f"run {i} of letters or digits in their names", None, alone, None
        ends = [each[i][1] if len(each) > i else None for each in runs]
        begin: Values = [
            None if end is None else stem_of(id)[:end] for id, end in zip(ids, ends, strict=True)
        ]
        wording = f"the beginning of their names up to run {i} of letters or digits"
        yield f"to run {i}", wording, None, begin, None


def _behind_words(id: str) -> dict[str, tuple[str, int]]:
    found: dict[str, tuple[str, int]] = {}
    for key, value, end in numbers_behind_words(id):
        found.setdefault(key, (value, end))
    return found


def number_groups(values: Sequence[str | None]) -> IntArray:
    """Numbers from 0 in order of first appearance; images without a value are alone."""
    numbers: dict[str, int] = {}
    names = (f"i{i}" if value is None else f"g{value}" for i, value in enumerate(values))
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)


def trouble_of(
    codes: IntArray, labels: Sequence[str | None], *, joined: float = JOINED
) -> str | None:
    """Why a partition is no grouping to keep together; None where nothing speaks against it.

    ``joined`` is the share of the images that must share their group with another.
    """
    counts = np.bincount(codes)
    n = len(codes)
    if counts.max(initial=0) >= ONE * n:
        return "it puts every image, or nearly, into one group"
    if (counts[codes] > 1).mean() < joined:
        return "it gives each image, or nearly, a group of its own"
    if len({label for label in labels if label}) > 1:
        return _against_class(codes, labels)
    return None


def _against_class(codes: IntArray, labels: Sequence[str | None]) -> str | None:
    """Whether groups are the classes, or number the images of each class."""
    y = number_groups(labels)
    n_classes = int(y.max()) + 1
    pairs, counts = np.unique(np.stack([codes, y]), axis=1, return_counts=True)
    of_group, of_class = np.zeros(codes.max() + 1), np.zeros(n_classes)
    np.maximum.at(of_group, pairs[0], counts)
    np.maximum.at(of_class, pairs[1], counts)
    pure, whole = of_group.sum() / len(y), of_class.sum() / len(y)
    if pure >= 0.95 and whole >= 0.8:
        return "it follows the class"
    if counts[counts > 1].sum() < 0.1 * len(y):
        return "it numbers the images of each class"
    return None


def _counts(
    rule: str, word: str | None, values: Values, ids: Sequence[str], labels: Sequence[str | None]
) -> str | None:
    """Whether numbers count the parts of something larger: tiles, frames, cells of one image."""
    if not rule.startswith(("number ", "name:")):
        return None
    known = [(value, i) for i, value in enumerate(values) if value is not None]
    if not all(value.isdigit() for value, _ in known):
        return None
    around = [_around(ids[i], rule, word) for _, i in known]
    before = [each for each, _ in around]
    sizes = Counter(before)
    shared = sum(n for n in sizes.values() if n > 1) >= JOINED * len(known)
    if not (shared and len(sizes) > 1):
        return None
    last = [not any(c.isdigit() for c in behind) for _, behind in around]
    once = len({(b, value) for b, (value, _) in zip(before, known, strict=True)}) >= 0.9 * len(
        known
    )
    if word in PARTS or (np.mean(last) > 0.9 and once) or _from_one_on(value for value, _ in known):
        return "it counts the parts of each group"
    return None


def _around(id: str, rule: str, word: str | None) -> tuple[str, str]:
    """The name before and behind what a rule takes from it."""
    stem = stem_of(id)
    if word is not None:
        value, end = _behind_words(id)[word]
        return stem[: end - len(value)], stem[end:]
    field = list(_FIELD.finditer(stem))[int(rule.removeprefix("name:"))]
    return stem[: field.start()], stem[field.end() :]


def _from_one_on(values: Iterator[str]) -> bool:
    """Counters that start anew: the higher a number, the fewer images have it."""
    counts = Counter(int(value) for value in values)
    numbers = sorted(counts)
    if len(numbers) < 5 or numbers[0] > 2 or numbers[-1] > 4 * len(numbers):
        return False
    ranks = np.argsort(np.argsort([counts[n] for n in numbers], kind="stable"))
    return bool(np.corrcoef(np.arange(len(numbers)), ranks)[0, 1] < -0.7)


def gap_suggestions(
    at: Sequence[float | None],
    beside: Sequence[str],
    labels: Sequence[str | None],
    *,
    wording: str,
) -> list[Suggestion]:
    """Images in runs: each follows the one before it within some seconds, on one camera.

    Parameters
    ----------
    at : sequence of float or None
        Moment of each image.
    beside : sequence of str
        What a run lies within.
    labels : sequence of str or None
    wording : str
        Has ``{gap}`` for the gap.
    """
    if sum(each is not None for each in at) < COVERED * len(at):
        return []
    lanes: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for i, (moment, lane) in enumerate(zip(at, beside, strict=True)):
        if moment is not None:
            lanes[lane].append((moment, i))
    found, seen = [], set[bytes]()
    for gap in SECONDS:
        values: Values = [None] * len(at)
        for lane, images in lanes.items():
            images.sort()
            number, before = 0, None
            for moment, i in images:
                number += before is not None and moment - before > gap
                values[i], before = f"{lane}/{number}", moment
        codes = number_groups(values)
        if codes.tobytes() in seen:
            continue
        seen.add(codes.tobytes())
        trouble = trouble_of(codes, labels)
        text = wording.format(gap=gap)
        found.append(Suggestion(f"moments {gap}", text, codes, "moments", None, trouble))
    return found


def moments_in_names(ids: Sequence[str]) -> list[float | None]:
    """The moment that each file's name gives."""
    return [moment_in(stem_of(id)) for id in ids]
