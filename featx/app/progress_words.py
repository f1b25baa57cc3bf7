"""How far a labelling is, as its page shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from featx.console import counted

if TYPE_CHECKING:
    from featx.labelling import CurvePoint, LabellingProgress

NAMES = {"chosen": "as chosen", "random": "as many drawn at random"}


def progress_document(progress: LabellingProgress) -> dict[str, Any]:
    """The estimate, the curve, the classes found and when to stop; numbers and sentences."""
    n_found = sum(n > 0 for n in progress.classes.values())
    return {
        "estimate": _estimate(progress), "found": f"{counted(n_found, 'class')} found.",
        "stop": _gain(progress) if progress.stop else "",
        "sentence": "" if progress.stop else _gain(progress), "curve": _curve(progress.curve),
    }  # fmt: skip


def _estimate(progress: LabellingProgress) -> dict[str, str]:
    estimate = progress.estimate
    if estimate is None:
        words = (
            "An estimate of the accuracy follows once enough images that were drawn at random are "
            f"labelled in two classes; {progress.n_random:,} are."
        )
        return {"value": "", "metric": "", "interval": "", "words": words}
    return {
        "value": f"{100 * estimate.value:.0f} %", "metric": "of all images predicted right",
        "interval": f"95 % interval {100 * estimate.low:.0f} to {100 * estimate.high:.0f} %",
        "words": f"Estimated from {counted(estimate.n, 'image')} drawn at random: those that were "
        "chosen are harder than the folder, and only train.",
    }  # fmt: skip


def _gain(progress: LabellingProgress) -> str:
    """What more labels are worth; empty where that is not known."""
    if progress.gain is None:
        return ""
    expected, low, high = (100 * share for share in progress.gain)
    if progress.stop:
        return f"You can stop: the next 100 labels add at most {max(high, 0):.1f} points."
    return (
        f"The next 100 labels are expected to add {expected:.1f} points (95 % interval {low:.1f} "
        f"to {high:.1f})."
    )


def _curve(points: Sequence[CurvePoint]) -> dict[str, Any]:
    series, ends = [], []
    for kind, name in NAMES.items():
        found = [p for p in points if p.kind == kind]
        if found:
            last = found[-1]
            ends.append(f"{name}: {100 * last.value:.0f} % after {last.n_labelled:,} labels")
            dots = [{"n": p.n_labelled, "value": p.value, "low": p.low, "high": p.high}
                    for p in found]  # fmt: skip
            series.append({"kind": kind, "name": name, "points": dots})
    title = "Share predicted right, by labels"
    return {"title": title, "series": series, "words": "; ".join([title, *ends])}
