"""Figures of new images beside the training images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from featx.reporting.blocks import Figure, Table
from featx.reporting.ink import Ink, hue
from featx.reporting.scored.contents import ScoredFolder
from featx.scoring.drift import Drifted

BINS = np.linspace(0, 1, 21)


def confidence(scored: ScoredFolder) -> Figure:
    """How probable predictions are."""
    sure = scored.sure[scored.read]
    new = np.histogram(sure, BINS)[0] / len(sure)
    drift = scored.drift
    old = None
    if drift is not None:
        old = np.histogram(drift.old_probabilities, BINS)[0] / len(drift.old_probabilities)

    def draw(axes: Any, ink: Ink) -> None:
        axes.stairs(new, BINS, fill=True, color=ink.accent, alpha=0.55, label="these images")
        if old is not None:
            axes.stairs(old, BINS, color=hue(1), linewidth=1.6, linestyle="--",
                        label="training images, held out")  # fmt: skip
            axes.legend(loc="upper left", fontsize=8)
        axes.set_xlim(0, 1)
        axes.set_xlabel("probability of the predicted class")
        axes.set_ylabel("share of images")

    quarters = np.quantile(sure, (0.25, 0.5, 0.75))
    words = "Quartiles of the probability: {:.3f}, {:.3f} and {:.3f}.".format(*quarters)
    if old is not None:
        words += (
            " Held-out training images were predicted by classifiers of fewer images, which are a "
            "little less sure."
        )
    rows = [
        [float(low), float(high), float(n), None if old is None else float(old[k])]
        for k, (low, high, n) in enumerate(zip(BINS[:-1], BINS[1:], new, strict=True))
    ]
    columns = ("from", "to", "share", "share_of_training_images")
    return Figure("confidence", "How sure predictions are", words, draw, Table(columns, rows))


def drift_figures(drift: Drifted) -> Iterator[Figure]:
    """The axes' distances, and the axis of the largest."""
    yield _distances(drift)
    yield _apart(drift)


def _distances(drift: Drifted) -> Figure:
    parts, usual = drift.place.parts, drift.place.usual
    n = len(parts) - 1

    def draw(axes: Any, ink: Ink) -> None:
        axes.axhline(usual, color=hue(1), linestyle="--", linewidth=1.2,
                     label="95 % of permutations stay below")  # fmt: skip
        axes.vlines(range(1, n + 2), 0, parts, color=ink.line, linewidth=1)
        axes.plot(range(1, n + 1), parts[:n], "o", color=ink.accent, markersize=5,
                  label="axis")  # fmt: skip
        axes.plot([n + 1], parts[n:], "D", color=ink.accent, markersize=6,
                  label="distance from all axes")  # fmt: skip
        axes.set_ylim(0, max(float(parts.max()), usual) * 1.25)
        axes.set_xlabel("principal axis of the training images")
        axes.set_ylabel("Kolmogorov-Smirnov distance")
        axes.legend(loc="upper right", fontsize=8)

    above = int((parts > usual).sum())
    words = (
        f"How far the new images' distribution along each axis is from the training images'. "
        f"{above} of {n + 1} are farther than chance allows the farthest."
    )
    rows = [[_name(drift, k), float(d), usual] for k, d in enumerate(parts)]
    columns = ("axis", "ks_distance", "usual_largest")
    return Figure("drift_axes", "Axes", words, draw, Table(columns, rows))


def moved_most(drift: Drifted) -> tuple[int, bool]:
    """The axis of the largest distance, and whether new images lie farther up it."""
    k = int(drift.place.parts.argmax())
    return k, float(np.median(drift.new_places[:, k])) >= float(np.median(drift.old_places[:, k]))


def _name(drift: Drifted, k: int) -> str:
    return "distance from all axes" if k == drift.old_places.shape[1] - 1 else f"axis {k + 1}"


def _apart(drift: Drifted) -> Figure:
    k, _ = moved_most(drift)
    old, new = np.sort(drift.old_places[:, k]), np.sort(drift.new_places[:, k])
    shares = [np.arange(1, len(side) + 1) / len(side) for side in (old, new)]
    everywhere = np.concatenate([old, new])
    gap = np.searchsorted(new, everywhere, "right") / len(new)
    gap = np.abs(gap - np.searchsorted(old, everywhere, "right") / len(old))
    at = float(everywhere[gap.argmax()])
    ends = [float(np.searchsorted(side, at, "right") / len(side)) for side in (old, new)]

    def draw(axes: Any, ink: Ink) -> None:
        axes.step(old, shares[0], where="post", color=hue(1), linestyle="--",
                  label="training images")  # fmt: skip
        axes.step(new, shares[1], where="post", color=ink.accent, label="these images")
        axes.plot([at, at], ends, color=ink.ink, linewidth=1.2, marker="_", markersize=8)
        low, high = np.quantile(everywhere, (0.002, 0.998))
        axes.set_xlim(low, max(high, np.nextafter(low, np.inf)))
        axes.set_ylim(0, 1.01)
        axes.set_xlabel(_name(drift, k))
        axes.set_ylabel("share of images below")
        axes.legend(loc="lower right", fontsize=8)

    words = (
        f"{_name(drift, k).capitalize()}: {100 * ends[1]:.0f} % of the new images lie below the "
        f"mark, and {100 * ends[0]:.0f} % of the training images. The gap is the distance, "
        f"{drift.place.statistic:.2f}."
    )
    rows = [["training", float(x)] for x in old] + [["new", float(x)] for x in new]
    title = "The axis of the largest distance"
    return Figure("drift_largest", title, words, draw, Table(("images", "place"), rows))
