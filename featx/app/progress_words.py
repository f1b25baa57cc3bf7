"""How far a labelling is, as its page shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from featx.console import counted

if TYPE_CHECKING:
    from featx.labelling import CurvePoint, LabellingProgress

__all__ = ["progress_document"]

NAMES = {"chosen": "all labels", "random": "the random ones alone"}


def progress_document(progress: LabellingProgress) -> dict[str, Any]:
    """The estimate, the curve, the classes found and when to stop; numbers and sentences."""
    estimate = progress.estimate
    n = len(progress.classes)
    return {
        "estimate": None if estimate is None else {
            "metric": "accuracy", "value": f"{estimate.value:.3f}",
            "interval": f"95 % interval {estimate.low:.3f} to {estimate.high:.3f}",
            "words": _rests_on(estimate.n),
        },
        "found": f"{counted(n, 'class')} found." if n else "",
        "stop": _stop(progress),
        "sentence": progress.sentence,
        "curve": _curve(progress.curve),
    }  # fmt: skip


def _rests_on(n: int) -> str:
    return (
        f"Estimated from {counted(n, 'image')} drawn at random; images that were chosen are easier "
        "or harder than most and play no part in it."
    )


def _stop(progress: LabellingProgress) -> str:
    if progress.gain is None or not progress.stop:
        return ""
    return (
        f"You may stop: the next 100 labels are expected to add {progress.gain[0]:.3f} to the "
        f"accuracy, and at most {max(progress.gain[2], 0):.3f}."
    )


def _curve(points: Sequence[CurvePoint]) -> dict[str, Any]:
    series, ends = [], []
    for kind, name in NAMES.items():
        found = [p for p in points if p.kind == kind]
        if found:
            last = found[-1]
            ends.append(f"{name}: {last.value:.2f} after {last.n_labelled:,} labels")
            dots = [{"n": p.n_labelled, "value": p.value, "low": p.low, "high": p.high}
                    for p in found]  # fmt: skip
            series.append({"kind": kind, "name": name, "points": dots})
    title = "Accuracy by labels"
    return {"title": title, "series": series, "words": "; ".join([title, *ends])}
