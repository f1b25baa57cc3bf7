"""What a careful colleague would point out after looking at an inspection."""

from __future__ import annotations

from collections.abc import Iterator

from featx.data.findings import Inspection
from featx.data.manifest import Manifest
from featx.data.name_groups import OWNERS, name_suggestions
from featx.data.remarks import remarks
from featx.files import printable

FEW_IMAGES = 5  # fewer than the default number of folds


def advise(manifest: Manifest, found: Inspection) -> Iterator[str]:
    """Yield one sentence for each thing that would make a result wrong or impossible."""
    if found.alike is not None:
        yield found.alike
    yield from (odd := list(remarks(manifest)))
    if len(manifest.classes) == 1 and not any("has subfolders" in each for each in odd):
        yield f"There is one class only, '{printable(manifest.classes[0])}': fit needs two."
    yield from _small_classes(found)
    yield from _unlearnable_classes(found)
    yield from _leaks(found)
    yield from _named_groups(manifest)
    if found.narrow:
        yield found.narrow


def _small_classes(found: Inspection) -> Iterator[str]:
    for label, splits in found.classes.items():
        if (count := sum(splits.values())) < FEW_IMAGES:
            yield (
                f"Class '{printable(label)}' has too few images for {FEW_IMAGES} folds ({count}): "
                "collect more, merge it, or leave it out."
            )


def _unlearnable_classes(found: Inspection) -> Iterator[str]:
    if "train" not in found.splits:
        return
    for label, splits in found.classes.items():
        if "train" not in splits:
            yield f"Class '{printable(label)}' has no image in train: the model cannot learn it."


def _leaks(found: Inspection) -> Iterator[str]:
    too_good = "An estimate on the test split will be too good."
    if found.groups is not None and found.groups.straddling:
        yield f"Groups in more than one split: {len(found.groups.straddling)}. {too_good}"
    across_splits = sum(duplicate.across_splits for duplicate in found.duplicates)
    if across_splits:
        yield (
            f"Sets of exact copies in more than one split: {across_splits}. {too_good} (featx fit "
            "leaves copies of test images out of training.)"
        )
    across_classes = sum(duplicate.across_classes for duplicate in found.duplicates)
    if across_classes:
        yield (
            f"Sets of exact copies with different labels: {across_classes}. At most one label of "
            "each can be right."
        )


def _named_groups(manifest: Manifest) -> Iterator[str]:
    """What names and folders suggest; whether the images bear it out needs embeddings."""
    if manifest.grouped or len({label for label in manifest.labels if label}) < 2:
        return
    found = [
        each
        for each in name_suggestions(manifest.ids, manifest.labels)
        if each.trouble is None and (each.word in OWNERS or each.family == "folders")
    ]
    if found:
        best = min(found, key=lambda each: each.n_groups)
        yield (
            f"The names look like {best.n_groups:,} groups by {printable(best.wording)}. featx "
            "audit looks whether the images bear it out, and writes groups.csv."
        )
