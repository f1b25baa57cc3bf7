"""What is odd about a data set before any image is opened; every command that reads it warns."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath

from featx.console import counted
from featx.data.likeness import distinct, missing_words, similar
from featx.data.manifest import Manifest
from featx.files import printable

MOST_SHOWN = 5
MANY_CLASSES = 20
LONELY_SHARE = 0.8  # of the classes have one image: they are hardly classes
#: Folders inside classes that image viewers and web sites fill with small copies.
_THUMBNAILS = frozenset({"thumbnails", "thumbnail", "thumbs", "_thumbs", "thumb"})


def remarks(manifest: Manifest) -> Iterator[str]:
    """Yield one sentence for each thing that a person would want to know before going on."""
    yield from manifest.remarks
    counts = Counter(label for label in manifest.labels if label is not None)
    if not counts:
        return
    yield from _beside(manifest)
    yield from _one_folder(manifest, counts)
    yield from _similar(counts)
    yield from _missing(manifest, counts)
    yield from _lonely(manifest, counts)
    yield from _thumbnails(manifest)


def _is_folder(manifest: Manifest) -> bool:
    return os.path.isdir(manifest.source)  # noqa: PTH112 - a name that may hold anything


def _beside(manifest: Manifest) -> Iterator[str]:
    without = [row.id for row in manifest.rows if row.label is None and row.split is None]
    if without and _is_folder(manifest):
        images = counted(len(without), "image", "is/are")
        have = "has" if len(without) == 1 else "have"
        first = printable(without[0])
        yield f"{images} not in a class folder and {have} no label, for instance '{first}'."


def _one_folder(manifest: Manifest, counts: Counter[str]) -> Iterator[str]:
    """A folder around the class folders, as unpacking an archive often leaves."""
    if len(counts) > 1 or not _is_folder(manifest):
        return
    divided = any(manifest.splits)
    parts = [PurePosixPath(id).parts[divided:-1] for id in manifest.ids]
    inner: list[str] = []
    while len(tops := {p[len(inner)] for p in parts if len(p) > len(inner)}) == 1:
        inner += tops
    if not inner or not tops:
        return
    if divided:
        yield (
            f"All images of each split lie in one folder, '{printable('/'.join(inner))}', that "
            "has subfolders: if those are the classes, move them up into the splits."
        )
        return
    where = printable("/".join([manifest.source.rstrip("/"), *inner]))
    yield f"All images are in one folder that has subfolders: did you mean {where}?"


def _similar(counts: Counter[str]) -> Iterator[str]:
    """Labels that a person would read as one."""
    alike = similar(counts)
    for how, names in alike[:MOST_SHOWN]:
        shown = zip(distinct(names[:MOST_SHOWN]), names, strict=False)
        listed = ", ".join(f"{text} ({counted(counts[name], 'image')})" for text, name in shown)
        more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
        yield f"Classes that differ only {how}: {listed}{more}."
    if len(alike) > MOST_SHOWN:
        more = f"{len(alike) - MOST_SHOWN:,} more sets of classes"
        yield f"{more} differ only in how they are written."


def _missing(manifest: Manifest, counts: Counter[str]) -> Iterator[str]:
    for what, found in (
        ("class", counts),
        ("group", Counter(group for group in manifest.groups if group is not None)),
    ):
        words = missing_words(found)
        if words:
            shown = ", ".join(
                f"'{printable(w)}' ({counted(found[w], 'image')})" for w in words[:MOST_SHOWN]
            )
            yield (
                f"Read as the name of a {what}, though it may stand for a missing value: "
                f"{shown}. If it is missing, leave the cell empty or the folder out."
            )


def _lonely(manifest: Manifest, counts: Counter[str]) -> Iterator[str]:
    """A class for each image: the folder above or below was meant, or another column."""
    alone = sum(n == 1 for n in counts.values())
    if len(counts) < MANY_CLASSES or alone < LONELY_SHARE * len(counts):
        return
    if _is_folder(manifest):
        above = printable(os.path.dirname(os.path.abspath(manifest.source)))  # noqa: PTH100, PTH120
        advice = f"did you mean the folder above, {above}, or one below?"
    else:
        advice = "is another column the label?"
    yield f"{alone:,} of {len(counts):,} classes have one image: {advice}"


def _thumbnails(manifest: Manifest) -> Iterator[str]:
    folders = Counter(
        "/".join(parts[: at + 1])
        for parts in (PurePosixPath(id).parts[:-1] for id in manifest.ids)
        for at in range(len(parts))
        if parts[at].lower() in (_THUMBNAILS if at else ("thumbnail", "thumbnails"))
    )
    for folder, n in folders.most_common(1):
        yield (
            f"Folder '{printable(folder)}' holds {counted(n, 'image')}, which are read like all "
            "others; if they are thumbnails of other images, they are copies of them."
        )
