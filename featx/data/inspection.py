"""What there is to know of a data set before anything is learned from it."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from featx.data.advice import advise
from featx.data.copies import DARK, alike_sentence, copy_codes, equal_sets
from featx.data.examine import ImageFacts, examine_images
from featx.data.findings import Broken, Duplicates, Extent, Groups, Inspection
from featx.data.manifest import Manifest, Row
from featx.data.valuerange import narrow_range
from featx.types import IntArray, UInt8Array

_SPLIT_ORDER = ("train", "val", "test")


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
    return np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), -1)


def _copy_codes(whole: Sequence[ImageFacts]) -> IntArray:
    """Which of the files that decode are copies of each other."""
    if not whole:
        return np.empty(0, np.int64)
    return copy_codes(_contents(whole), _as_rows(fact.pixel_hash or b"" for fact in whole))


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


def _contents(whole: Sequence[ImageFacts]) -> UInt8Array:
    return _as_rows(bytes.fromhex(fact.sha256 or "") for fact in whole)


def _duplicates(
    manifest: Manifest, facts: Sequence[ImageFacts], copies: IntArray
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
