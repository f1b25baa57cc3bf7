"""What there is to know of a data set before anything is learned from it."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from featx.data.advice import advise
from featx.data.colour import Values
from featx.data.copies import DARK, alike_sentence, copy_codes, equal_sets
from featx.data.decode import decode
from featx.data.findings import Broken, Duplicates, Extent, Groups, Inspection
from featx.data.hashing import content_hash, pixel_hash, read_bytes
from featx.data.manifest import Manifest, Row
from featx.data.pool import map_files
from featx.data.valuerange import narrow_range
from featx.errors import DecodeError
from featx.types import IntArray, UInt8Array

_SPLIT_ORDER = ("train", "val", "test")
PLAIN_LEVELS = 2  # of 255


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What one file is.

    Parameters
    ----------
    reason : str, optional
        Why it cannot be read or decoded; then nothing else is known.
    sha256 : bytes, optional
        Of the content.
    size_bytes : int, optional
    width_px, height_px : int, optional
        Upright, after EXIF orientation.
    format, mode : str, optional
        Pillow's names, by content.
    values : Values, optional
        Smallest and largest value of an image with more than 8 bits.
    pixel_hash : bytes, optional
        Of the decoded image.
    plain : bool
        All pixels are of one colour, or within `PLAIN_LEVELS` of it.
    """

    reason: str | None = None
    sha256: bytes | None = None
    size_bytes: int | None = None
    width_px: int | None = None
    height_px: int | None = None
    format: str | None = None
    mode: str | None = None
    values: Values | None = None
    pixel_hash: bytes | None = None
    plain: bool = False


def _examine(path: str) -> ImageFacts:
    """Examine one file; a broken one is a fact like any other."""
    try:
        data = read_bytes(path)
        decoded = decode(data)
    except DecodeError as error:
        return ImageFacts(reason=error.message)
    extrema: Any = decoded.image.getextrema()
    return ImageFacts(
        None,
        content_hash(data),
        len(data),
        *decoded.size_px,
        decoded.format,
        decoded.mode,
        decoded.values,
        pixel_hash(decoded.image),
        all(high - low <= PLAIN_LEVELS for low, high in extrema),
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
    facts = map_files(_examine, manifest.paths, label="Inspecting", workers=workers)
    whole = [fact for fact in facts if fact.reason is None]
    contents = _as_rows(fact.sha256 or b"" for fact in whole)
    pixels = _as_rows(fact.pixel_hash or b"" for fact in whole)
    copies = copy_codes(contents, pixels) if whole else np.empty(0, np.int64)
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
        duplicates=_duplicates(manifest, facts, copies, contents),
        alike=_alike(whole, copies),
        ignored=dict(manifest.ignored),
        corrections=manifest.corrections,
        unread=[passed.id for passed in manifest.unread],
        elapsed_s=time.perf_counter() - started,
        narrow=narrow_range(fact.values for fact in whole),
    )
    return replace(found, advice=list(advise(manifest, found)))


def _split(row: Row) -> str:
    return row.split or "all"


def _in_order(counts: Mapping[str, int]) -> dict[str, int]:
    """Splits in their usual order."""
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
        n_images=Extent.of(splits.total() for splits in groups.values()),
        straddling={
            group: _in_order(splits) for group, splits in groups.items() if len(splits) > 1
        },
    )


def _spread(values: Iterable[int | None]) -> Extent | None:
    known = [value for value in values if value is not None]
    return Extent.of(known) if known else None


def _most_common(names: Iterable[str | None]) -> dict[str, int]:
    return dict(Counter(name for name in names if name is not None).most_common())


def _as_rows(digests: Iterable[bytes]) -> UInt8Array:
    rows = list(digests)
    return np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), -1 if rows else 0)


def _alike(whole: Sequence[ImageFacts], copies: IntArray) -> str | None:
    """What to say where all images, or most of them, come out alike or of one colour."""
    sentence, n = alike_sentence(copies), len(whole)
    plain = sum(fact.plain for fact in whole)
    if sentence is None and 2 * plain > max(n, 3):
        which = f"All {n:,}" if plain == n else f"{plain:,} of {n:,}"
        sentence = f"{which} images decode to a single colour each: look at some of them."
    if sentence is None:
        return None
    deep = any((fact.mode or "").startswith(("I", "F")) for fact in whole)
    return f"{sentence} {DARK}" if deep else sentence


def _duplicates(
    manifest: Manifest, facts: Sequence[ImageFacts], copies: IntArray, contents: UInt8Array
) -> list[Duplicates]:
    rows = [row for row, fact in zip(manifest.rows, facts, strict=True) if fact.reason is None]
    if not rows:
        return []
    labels, splits = [row.label for row in rows], [row.split for row in rows]
    return [
        Duplicates(
            contents[found.rows[0]].tobytes().hex(),
            [rows[i].id for i in found.rows],
            found.across_classes,
            found.across_splits,
            found.equal_files,
        )
        for found in equal_sets(copies, contents, labels, splits)
    ]
