"""What `featx.count` returns: images of each class in a folder, with intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from featx.console import counted, first_few
from featx.files import printable
from featx.formats._frame import to_frame
from featx.scoring.new_classes import new_classes_sentence
from featx.stats.counting import count_intervals
from featx.types import IntArray

COLUMNS = ("by", "value", "class", "images", "predicted", "audited", "count", "low", "high",
           "share", "share_low", "share_high", "labelled")  # fmt: skip
FIRST_COLUMNS = COLUMNS[:-1]  # those of earlier versions
ALL = "all images"
MOST_NAMED = 8


@dataclass(frozen=True)
class ClassCount:
    """Images of one class.

    Parameters
    ----------
    name : str
    predicted : int
        That the model predicts, errors and all.
    count, low, high : int
        The corrected number and its 95 % interval.
    audited : int
        That a person has found among the audited images.
    labelled : int
        That were labelled before: by a file of labels, or as training images.
    """

    name: str
    predicted: int
    count: int
    low: int
    high: int
    audited: int = 0
    labelled: int = 0


@dataclass(frozen=True)
class CountedPart:
    """The images of a folder, or those with one value of a column.

    Parameters
    ----------
    by, value : str
        Empty for the whole folder.
    images : int
        That could be read: what the counts add up to.
    classes : tuple of ClassCount
    """

    by: str
    value: str
    images: int
    classes: tuple[ClassCount, ...]

    def share(self, count: int) -> float:
        """Of the images."""
        return count / self.images


def part_of(
    by: str,
    value: str,
    names: Sequence[str],
    predicted: IntArray,
    draws: IntArray,
    counts: IntArray,
    audited: IntArray,
    labelled: IntArray,
) -> CountedPart:
    """One part from draws of its counts, shape (n_draws, n_classes), and the counts themselves."""
    n = int(predicted.sum())
    low, high = count_intervals(draws, n)
    low, high = np.minimum(low, counts), np.maximum(high, counts)
    columns = (a.tolist() for a in (predicted, counts, low, high, audited, labelled))
    classes = [ClassCount(name, *map(int, row)) for name, *row in zip(names, *columns, strict=True)]
    return CountedPart(by, value, n, tuple(classes))


@dataclass(frozen=True)
class Counts:
    """How many images of each class there are.

    Parameters
    ----------
    source : str
        Where the images are, as it was asked for.
    classes : list of str
    method : str
        How the counts were corrected, in words.
    parts : tuple of CountedPart
        The whole folder first, then every value of each column that was asked for.
    unread : int
        Files that could not be read, and are in no count.
    unsafe : tuple of str
        Why the correction may not hold for these images; sentences. Empty where nothing was found,
        or where the counts rest on audited images.
    checks : dict
        JSON of what was tested for that.
    audited : int
        Labelled images that the counts rest on.
    unlabelled : int
        Rows of the audit without a label.
    labelled : int
        Images that were labelled before, and count as labelled.
    new_classes : dict of str to int
        Labels that are no class of the model, and how many images have each.
    audit : str or None
        File of the audit that was drawn, and of how many images.
    drawn : int
    output, page : str or None
        Files that were written.
    """

    source: str
    classes: list[str]
    method: str
    parts: tuple[CountedPart, ...]
    unread: int
    unsafe: tuple[str, ...]
    checks: dict[str, Any]
    audited: int = 0
    unlabelled: int = 0
    labelled: int = 0
    new_classes: dict[str, int] = field(default_factory=dict)
    audit: str | None = None
    drawn: int = 0
    output: str | None = None
    page: str | None = None

    def __repr__(self) -> str:
        named = [f"{printable(c.name)} {c.count:,} [{c.low:,}, {c.high:,}]" for c in self.ordered]
        return f"Counts of {self.whole.images:,} images: {first_few(named, MOST_NAMED)}"

    @property
    def whole(self) -> CountedPart:
        """All images."""
        return self.parts[0]

    @property
    def ordered(self) -> list[ClassCount]:
        """Classes of the whole folder, the most frequent first."""
        return sorted(self.whole.classes, key=lambda c: (-c.count, c.name))

    def rows(self) -> Iterator[list[Any]]:
        """One list for each class of each part, in the columns of the file."""
        for part in self.parts:
            for c in part.classes:
                counts = (c.count, c.low, c.high)
                yield [part.by, part.value, c.name, part.images, c.predicted, c.audited, *counts,
                       *map(part.share, counts), c.labelled]  # fmt: skip

    def to_pandas(self) -> Any:
        """A ``pandas.DataFrame`` of `rows`; needs the extra ``pandas``."""
        return to_frame(list(COLUMNS), self.rows())

    def sentences(self) -> list[str]:
        """What was counted, how, and whether it can be trusted."""
        named = [f"{printable(c.name)!r} {c.count:,} [{c.low:,}, {c.high:,}]" for c in self.ordered]
        found = [
            f"{counted(self.whole.images, 'image')} counted: {first_few(named, MOST_NAMED)} "
            "(95 % intervals).",
            f"{self.method}.",
        ]
        if self.labelled:
            of = counted(self.whole.images, "image")
            are = "is" if self.labelled == 1 else "are"
            found.append(
                f"{self.labelled:,} of {of} {are} labelled already and counted as labelled."
            )
        if self.new_classes:
            found.append(new_classes_sentence(self.new_classes))
            if not self.audited:
                found.append(
                    "The model cannot find them among the other images, where they are counted as "
                    "its own classes: an audit (--audit 200) estimates how many there are."
                )
        if self.unread:
            one = self.unread == 1
            found.append(
                f"{counted(self.unread, 'file')} could not be read and {'is' if one else 'are'} in "
                "no count."
            )
        if self.unlabelled:
            found.append(
                f"{counted(self.unlabelled, 'row')} of the audit without a label: the others are "
                "used as if they had been left out at random."
            )
        return [*found, *self.warnings()]

    def warnings(self) -> list[str]:
        """Why the correction may not hold, and what to do."""
        if not self.unsafe:
            return []
        return [
            *self.unsafe,
            "The correction assumes that images of a class look as they did in training, which may "
            "not hold here. Label a sample: --audit 200, then --audited audit.csv. Counts from an "
            "audit of that size rest on its labels.",
        ]

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "schema_version": 1,
            "source": printable(self.source),
            "method": self.method,
            "images": self.whole.images,
            "unread": self.unread,
            "audited": self.audited,
            "unlabelled": self.unlabelled,
            "labelled": self.labelled,
            "new_classes": {printable(name): n for name, n in self.new_classes.items()},
            "counts": [
                {
                    "by": printable(part.by) or None,
                    "value": printable(part.value) if part.by else None,
                    "images": part.images,
                    "classes": {
                        printable(c.name): {
                            "predicted": c.predicted,
                            "count": c.count,
                            "low": c.low,
                            "high": c.high,
                            "share": part.share(c.count),
                            "audited": c.audited,
                            "labelled": c.labelled,
                        }
                        for c in part.classes
                    },
                }
                for part in self.parts
            ],
            "unsafe": list(self.unsafe),
            "checks": self.checks,
            "audit": self.audit,
            "drawn": self.drawn,
            "output": self.output,
            "page": self.page,
        }
