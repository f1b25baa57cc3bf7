"""What a model's figures do not say, in plain sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from featx.console import counted
from featx.files import printable

FEW_TRAINED, FEW_JUDGED, FEW_IN_ALL = 30, 10, 200
MOST_NAMED = 8
UNEQUAL = 10  # times as many images of one class as of another


def limits(results: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    """Sentences of plain text, for a reader who was not there.

    Parameters
    ----------
    results, document : mapping
        ``results.json`` and ``model.json``.
    """
    estimate, counts = results["estimate"], results["class_counts"]
    rare = sorted((n, name) for name, n in counts.items() if n < FEW_TRAINED)
    if rare:
        named = [f"{printable(name)} ({n})" for n, name in rare]
        these = "this class" if len(rare) == 1 else "these classes"
        yield f"It has seen few images of {_some(named)}: it may not know {these}."
    support = {name: row["support"] for name, row in estimate["per_class"].items()}
    few = [printable(name) for name, n in support.items() if n < FEW_JUDGED]
    if few:
        yield (
            f"Fewer than {FEW_JUDGED} images judge it on {_some(few)}: "
            f"{'its' if len(few) == 1 else 'their'} figures say little."
        )
    if estimate["n_images"] < FEW_IN_ALL:
        judge = counted(estimate["n_images"], "image", "judges/judge")
        yield f"Only {judge} it: mind the intervals."
    largest, smallest = max(counts.values()), min(counts.values())
    if largest >= UNEQUAL * max(smallest, 1):
        yield (
            f"The classes are unequal ({counted(largest, 'image')} of the largest, "
            f"{smallest:,} of the "
            "smallest): accuracy mostly speaks of the large ones, and probabilities lean on "
            "these shares, which may be others elsewhere."
        )
    yield (
        "All figures are of images from the same source as those it was made from. For another "
        "camera, place or time, judge it again there."
    )
    if not results["n_groups"]:
        yield (
            "No groups were named: where several images show the same subject, its figures are "
            "better on average than on new subjects."
        )
    yield (
        "An image of anything else gets one of these classes too"
        + (
            "; the out-of-distribution score flags some of these, not all."
            if (document.get("trust") or {}).get("novelty")
            else "."
        )
    )
    yield (
        "Unknown to featx, and so not said here: the licences of images and weights, whom or what "
        "the images show, and whether a use is right."
    )


def _some(names: list[str]) -> str:
    """The first few names."""
    if len(names) <= MOST_NAMED:
        return ", ".join(names)
    return f"{', '.join(names[:MOST_NAMED])} and {counted(len(names) - MOST_NAMED, 'more class')}"
