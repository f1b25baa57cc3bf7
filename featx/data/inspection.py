"""What there is to know of a data set before anything is learned from it."""

from __future__ import annotations

import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featx.data.advice import advise
from featx.data.copies import DARK, alike_sentence, copy_codes, equal_sets
from featx.data.examine import ImageFacts, examine_images
from featx.data.manifest import Manifest, Row
from featx.data.valuerange import narrow_range
from featx.errors import DatasetError, QuarantinedError
from featx.files import printable

__all__ = ["Broken", "Duplicates", "Groups", "Inspection", "Spread", "inspect_manifest"]

_SPLIT_ORDER = ("train", "val", "test")


@dataclass(frozen=True)
class Spread:
    """Smallest, median and largest of some values."""

    min: int
    median: float
    max: int

    @classmethod
    def of(cls, values: Iterable[int]) -> Spread:
        """Summarise at least one value."""
        ordered = sorted(values)
        return cls(ordered[0], statistics.median(ordered), ordered[-1])


@dataclass(frozen=True)
class Broken:
    """An image that every stage will quarantine, and why."""

    id: str
    reason: str


@dataclass(frozen=True)
class Duplicates:
    """Images with equal files, or equal pixels in files that differ; see `featx.data.copies`.

    Parameters
    ----------
    sha256 : str
        Of the content of the first, in hexadecimal.
    ids : list of str
        Two or more, in the manifest's order.
    across_classes, across_splits : bool
        Whether they carry different labels, or lie in different splits. If neither, they lie
        within one class (or have no labels).
    equal_files : bool
        All files are equal byte for byte.
    """

    sha256: str
    ids: list[str]
    across_classes: bool
    across_splits: bool
    equal_files: bool

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Groups:
    """How images are grouped.

    Parameters
    ----------
    n_groups : int
    n_images : Spread
        Images in a group.
    straddling : dict
        Groups with images in more than one split -> split -> images.
    """

    n_groups: int
    n_images: Spread
    straddling: dict[str, dict[str, int]]


@dataclass(frozen=True)
class Inspection:
    """Everything `inspect_manifest` found.

    Parameters
    ----------
    source, root : str
        As in the manifest.
    n_images : int
        Rows, broken ones included.
    classes : dict
        Label -> split -> images; split is ``"all"`` where the data set has none.
    n_unlabelled : int
        Rows without a label.
    imbalance_ratio : float, optional
        Images of the largest class for each image of the smallest; None without classes.
    splits : dict
        Split -> images.
    groups : Groups, optional
    width_px, height_px, size_bytes : Spread, optional
        Upright sizes and file sizes of the images that decode; None if none does.
    formats, modes : dict
        Pillow's name, by content -> images.
    broken : list of Broken
    duplicates : list of Duplicates
        Sets of copies that decode; those across splits first, then across classes.
    ignored : dict
        Reason -> files passed over.
    unread : list of str
        Ids of those that may hold images.
    narrow : str, optional
        A sentence where 16-bit files use a small part of their range only.
    elapsed_s : float
    advice : list of str
        One sentence for each thing that would make a result wrong or impossible.
    alike : str, optional
        What to say where all images, or most of them, come out alike.
    """

    source: str
    root: str
    n_images: int
    classes: dict[str, dict[str, int]]
    n_unlabelled: int
    imbalance_ratio: float | None
    splits: dict[str, int]
    groups: Groups | None
    width_px: Spread | None
    height_px: Spread | None
    size_bytes: Spread | None
    formats: dict[str, int]
    modes: dict[str, int]
    broken: list[Broken]
    duplicates: list[Duplicates]
    ignored: dict[str, int]
    elapsed_s: float
    unread: list[str] = field(default_factory=list)
    narrow: str | None = None
    advice: list[str] = field(default_factory=list)
    alike: str | None = None

    def document(self) -> dict[str, Any]:
        """The inspection as a JSON document."""
        return {"schema_version": 1, **asdict(self), "passed_over": self.ignored}

    def require_any(self) -> None:
        """Raise `DatasetError` if every image is broken."""
        if len(self.broken) == self.n_images:
            first = self.broken[0]
            raise DatasetError(
                f"None of {self.n_images:,} images can be read, the first "
                f"'{printable(first.id)}': {first.reason}."
            )

    def require_all(self) -> None:
        """Raise `QuarantinedError` if any image is broken, or of a kind that is not read."""
        said = []
        if self.broken:
            said.append(
                f"{len(self.broken)} of {self.n_images} images cannot be decoded, for instance "
                f"'{printable(self.broken[0].id)}': {self.broken[0].reason}."
            )
        if self.unread:
            said.append(
                f"{len(self.unread):,} {'file' if len(self.unread) == 1 else 'files'} of kinds "
                f"that may hold images and are not read, for instance "
                f"'{printable(self.unread[0])}'."
            )
        if said:
            raise QuarantinedError(
                " ".join(said),
                hint="Repair or remove them, or go on without --strict: they will be quarantined.",
            )


def inspect_manifest(manifest: Manifest, *, workers: int | None = None) -> Inspection:
    """Decode every image once and describe the data set.

    Parameters
    ----------
    manifest : Manifest
    workers : int, optional
        Threads; the CPU cores by default.
    """
    started = time.perf_counter()
    facts = examine_images(manifest.paths, workers=workers)
    whole = [fact for fact in facts if fact.reason is None]
    copies = _copy_codes(whole)
    classes = _classes(manifest)
    found = Inspection(
        source=manifest.source,
        root=manifest.root,
        n_images=len(manifest),
        classes=classes,
        n_unlabelled=manifest.labels.count(None),
        imbalance_ratio=_imbalance_ratio(classes),
        splits=_in_order(Counter(_split(row) for row in manifest.rows)),
        groups=_groups(manifest),
        width_px=_spread(fact.width_px for fact in whole),
        height_px=_spread(fact.height_px for fact in whole),
        size_bytes=_spread(fact.size_bytes for fact in whole),
        formats=_most_common(fact.format for fact in whole),
        modes=_most_common(fact.mode for fact in whole),
        broken=[
            Broken(row.id, fact.reason)
            for row, fact in zip(manifest.rows, facts, strict=True)
            if fact.reason is not None
        ],
        duplicates=_duplicates(manifest, facts, copies),
        alike=_alike(whole, copies),
        ignored=dict(manifest.ignored),
        unread=[passed.id for passed in manifest.unread],
        elapsed_s=time.perf_counter() - started,
        narrow=narrow_range(fact.values for fact in whole),
    )
    return replace(found, advice=list(advise(manifest, found)))


def _split(row: Row) -> str:
    return row.split or "all"


def _in_order(counts: Mapping[str, int]) -> dict[str, int]:
    """Splits in the order people say them."""
    known = {split: counts[split] for split in _SPLIT_ORDER if split in counts}
    return known | dict(counts)


def _classes(manifest: Manifest) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {label: Counter() for label in manifest.classes}
    for row in manifest.rows:
        if row.label is not None:
            counts[row.label][_split(row)] += 1
    return {label: _in_order(splits) for label, splits in counts.items()}


def _imbalance_ratio(classes: Mapping[str, Mapping[str, int]]) -> float | None:
    totals = [sum(splits.values()) for splits in classes.values()]
    return max(totals) / min(totals) if totals else None


def _groups(manifest: Manifest) -> Groups | None:
    groups: dict[str, Counter[str]] = defaultdict(Counter)
    for row in manifest.rows:
        if row.group is not None:
            groups[row.group][_split(row)] += 1
    if not groups:
        return None
    return Groups(
        n_groups=len(groups),
        n_images=Spread.of(splits.total() for splits in groups.values()),
        straddling={
            group: _in_order(splits) for group, splits in groups.items() if len(splits) > 1
        },
    )


def _spread(values: Iterable[int | None]) -> Spread | None:
    known = [value for value in values if value is not None]
    return Spread.of(known) if known else None


def _most_common(names: Iterable[str | None]) -> dict[str, int]:
    return dict(Counter(name for name in names if name is not None).most_common())


def _as_rows(digests: Iterable[bytes]) -> NDArray[np.uint8]:
    rows = list(digests)
    return np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), -1)


def _copy_codes(whole: Sequence[ImageFacts]) -> NDArray[np.int64]:
    """Which of the files that decode are copies of each other."""
    if not whole:
        return np.empty(0, np.int64)
    return copy_codes(_contents(whole), _as_rows(fact.pixel_hash or b"" for fact in whole))


def _alike(whole: Sequence[ImageFacts], copies: NDArray[np.int64]) -> str | None:
    """What to say where all images, or most of them, come out alike or of one colour."""
    said, n = alike_sentence(copies), len(whole)
    plain = sum(fact.plain for fact in whole)
    if said is None and 2 * plain > max(n, 3):
        which = f"All {n:,}" if plain == n else f"{plain:,} of {n:,}"
        said = f"{which} images come out in a single colour each: look at some of them."
    if said is None:
        return None
    deep = any((fact.mode or "").startswith(("I", "F")) for fact in whole)
    return f"{said} {DARK}" if deep else said


def _contents(whole: Sequence[ImageFacts]) -> NDArray[np.uint8]:
    return _as_rows(bytes.fromhex(fact.sha256 or "") for fact in whole)


def _duplicates(
    manifest: Manifest, facts: Sequence[ImageFacts], copies: NDArray[np.int64]
) -> list[Duplicates]:
    rows = [row for row, fact in zip(manifest.rows, facts, strict=True) if fact.reason is None]
    whole = [fact for fact in facts if fact.reason is None]
    if not whole:
        return []
    labels, splits = [row.label for row in rows], [row.split for row in rows]
    return [
        Duplicates(
            whole[found.rows[0]].sha256 or "",
            [rows[i].id for i in found.rows],
            found.across_classes,
            found.across_splits,
            found.equal_files,
        )
        for found in equal_sets(copies, _contents(whole), labels, splits)
    ]
