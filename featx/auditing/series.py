"""Which images are next to each other in a series, by their names: slices, frames, bursts."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath

import numpy as np

from featx.types import IntArray

_NUMBER = re.compile(r"\d+")
_AS_FAR = 2  # times the usual step between numbers that neighbours may lie apart
_USUAL = 1 / 3  # share of all steps that the usual one has: other numbers just name images
_SMALL, _OFTEN = 10, 3  # a step is at most so large, or occurs so often
_PLACES = 2  # images on that neighbours may lie
_SHORT = 64  # images of a series whose ends are compared as strictly as neighbours

Key = tuple[str | None, str, str]


@dataclass(frozen=True)
class Series:
    """Images whose names differ in one number only.

    Parameters
    ----------
    codes : ndarray of shape (n,), int64
        Images of one series of at most 64 have the same number; a longer one may count the images
        of a class.
    neighbours : ndarray of shape (n_pairs, 2), int64
        Pairs that are a step or two apart, each once, the smaller row first.
    """

    codes: IntArray
    neighbours: IntArray


def named_series(ids: Sequence[str], groups: Sequence[str | None]) -> Series:
    """Images whose names differ in one number only, and which of them are next to each other.

    Both are of one group and, unless the rest of the name has a number too (``pat7_slice012``), in
    one folder. The last number that several names share the rest of is the one that counts.

    Parameters
    ----------
    ids : sequence of str
        Paths, with ``/`` between folders.
    groups : sequence of str or None
    """
    choices = [_readings(id, group) for id, group in zip(ids, groups, strict=True)]
    shared = Counter(key for readings in choices for key, _ in readings)
    series: dict[Key, list[tuple[int, int]]] = defaultdict(list)
    for row, readings in enumerate(choices):
        for key, number in readings:
            if shared[key] > 1:
                series[key].append((number, row))
                break
    codes = np.arange(len(ids), dtype=np.int64)
    pairs: list[tuple[int, int]] = []
    for members in series.values():
        if found := _neighbours(sorted(members)):
            pairs += found
            if len(members) <= _SHORT:
                codes[[row for _, row in members]] = members[0][1]
    return Series(codes, np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2))


def _readings(id: str, group: str | None) -> list[tuple[Key, int]]:
    """What the name is without each of its numbers, and that number; the last one first."""
    path = PurePosixPath(id)
    stem, folder = path.stem, str(path.parent)
    found = []
    for match in reversed(list(_NUMBER.finditer(stem))):
        rest = f"{stem[: match.start()]}\0{stem[match.end() :]}"
        # classes are folders: a numbered patient may have slices in several
        where = "" if group is not None or _NUMBER.search(rest) else folder
        found.append(((group, where, rest), int(match[0])))
    return found


def _neighbours(members: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Pairs of rows a step or two apart in a series sorted by number."""
    steps = Counter(b - a for (a, _), (b, _) in pairwise(members) if b > a)
    usual = min(steps, key=lambda step: (-steps[step], step), default=0)
    often = steps[usual]
    if often < _USUAL * steps.total() or not (usual <= _SMALL or often >= _OFTEN):
        return []
    return [
        (min(a, b), max(a, b))
        for place in range(1, _PLACES + 1)
        for (low, a), (high, b) in zip(members, members[place:], strict=False)
        if 0 < high - low <= _AS_FAR * usual
    ]
