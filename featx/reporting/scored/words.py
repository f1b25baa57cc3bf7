"""What was asked and found of new images, in plain sentences."""

from __future__ import annotations

import numpy as np

from featx.artifact.ensemble import EnsembleHead
from featx.artifact.trust import Trust
from featx.console import counted
from featx.numbers import interval, percent
from featx.reporting.scored.contents import ScoredFolder
from featx.reporting.summaries.thresholds import threshold_sentence
from featx.scoring.drift import LEVEL, Drifted

N_NAMED = 3  # classes


def sentences(scored: ScoredFolder) -> list[str]:
    """Asked, found, how sure, how far away, and whether images have changed."""
    if not len(scored.read):
        return [_asked(scored)]
    drift = " ".join(drift_sentences(scored))
    unusual = [check.warning() for check in scored.scores.checks if check.far]
    return [
        _asked(scored), _found(scored), *_decided(scored), _sure(scored), *_away(scored), *unusual,
        drift,
    ]  # fmt: skip


def _asked(scored: ScoredFolder) -> str:
    model, metrics = scored.model, scored.model.metrics.get("metrics", {})
    kind = "ensemble" if isinstance(model.head, EnsembleHead) else "classifier's"
    head = (model.provenance.get("chosen") or {}).get("head", kind)
    backbones = " and ".join(spec.backbone for spec in model.specs)
    expected = ""
    if "accuracy" in metrics:
        expected = (
            f" On images like those it was fitted on, its accuracy is "
            f"{interval(metrics['accuracy'])}."
        )
    return (
        f"Asked: which of {counted(len(scored.classes), 'class')} is in each of "
        f"{counted(len(scored.scores.ids), 'file')} of {scored.source}? By a "
        f"{head} head on embeddings of {backbones}."
        f"{expected}"
    )


def _found(scored: ScoredFolder) -> str:
    counts, n = scored.counts, len(scored.read)
    order = np.argsort(-counts, kind="stable")[:N_NAMED]
    named = ", ".join(f"{scored.classes[c]!r} {percent(counts[c] / n)}" for c in order if counts[c])
    unread = f"; {counted(len(scored.scores.failures), 'file')} could not be read"
    none = int((counts == 0).sum())
    missing = f"; {none:,} of {counted(len(counts), 'class')} never" if none else ""
    return f"Found most often: {named}{missing}{unread if scored.scores.failures else ''}."


def _decided(scored: ScoredFolder) -> list[str]:
    threshold = scored.scores.threshold
    return [] if threshold is None else [f"{threshold_sentence(threshold)}."]


def _sure(scored: ScoredFolder) -> str:
    n, sure = len(scored.read), scored.sure[scored.read]
    least = np.floor(100 * np.median(sure)) / 100
    text = f"Half of the predictions have a probability of at least {least:.2f}"
    if scored.scores.abstained is None:
        return text + "; this model never abstains."
    if any(check.name == "abstained" and check.far for check in scored.scores.checks):
        return text + "."  # the warning has it
    abstained = int(scored.scores.abstained.sum())
    return (
        f"{text}; the model abstains from {abstained:,} of {n:,} ({percent(abstained / n)}), whose "
        "prediction is not to be relied on."
    )


def _away(scored: ScoredFolder) -> list[str]:
    novelty = (scored.model.trust or Trust()).novelty
    if scored.scores.ood is None or novelty is None:
        return []
    if any(check.name == "ood" and check.far for check in scored.scores.checks):
        return []  # the warning has it
    far, n = int(scored.scores.ood.sum()), len(scored.read)
    return [
        f"{far:,} of {n:,} ({percent(far / n)}) {'lies' if far == 1 else 'lie'} farther "
        "from the training images than "
        f"{100 * (1 - novelty.rate):g} % of held-out training images do: out of distribution."
    ]


def drift_sentences(scored: ScoredFolder) -> list[str]:
    """Whether the images are other ones than the model was fitted on."""
    drift = scored.drift
    if drift is None:
        return [f"Drift: not tested. {scored.no_drift}"]
    if not drift.moved:
        return [
            f"Drift: none is found. {_place(drift)}",
            _mix(scored, drift),
            "A small change, or one that this backbone does not see, can be missed.",
        ]
    both = drift.p_place <= LEVEL and drift.p_mix <= LEVEL
    return [
        f"Drift: {_place(drift)}",
        _mix(scored, drift),
        "The model's accuracy was estimated on images like the training images, and need not hold "
        "here: label some of these and check.",
        *(["Other shares of classes alone would move the embeddings too."] if both else []),
    ]


def _place(drift: Drifted) -> str:
    distance, usual = drift.place.statistic, drift.place.usual
    if drift.p_place <= LEVEL:
        return (
            "these images look different from the training images: along one axis of the "
            f"embeddings their distributions are {distance:.2f} apart, where images alike stay "
            f"below {usual:.2f} (p = {drift.p_place:.3g})."
        )
    return (
        f"These images lie among the embeddings like the training images: at most {distance:.2f} "
        f"apart along any axis, and images alike stay below {usual:.2f} (p = {drift.p_place:.3g})."
    )


def _mix(scored: ScoredFolder, drift: Drifted) -> str:
    if drift.p_mix > LEVEL:
        return f"Predicted classes have like shares (p = {drift.p_mix:.3g})."
    c = int(np.abs(drift.mix.parts).argmax())
    old = float(drift.old_shares[c])
    return (
        f"Predicted classes have other shares (p = {drift.p_mix:.3g}): "
        f"{scored.classes[c]!r} is predicted for {percent(old + drift.mix.parts[c])}, "
        f"where it was for {percent(old)} of the training images."
    )


def rests_on(drift: Drifted) -> str:
    """What the tests compare, and what they take for granted."""
    n, old = len(drift.rows), len(drift.old_places)
    of = (
        counted(n, "image")
        if n == drift.n_read
        else f"{n:,} of {drift.n_read:,} images, at random,"
    )
    text = (
        f"Tested: {of} against {old:,} training images, by their places on "
        f"{drift.old_places.shape[1] - 1} principal axes and their distance from all of them. "
        "The axes come from other training images, predicted classes from classifiers that had "
        "not seen the image. The largest Kolmogorov-Smirnov distance of the axes, and the "
        "chi-square of the predicted classes, against those of 999 permutations; p is doubled, "
        "as there are two tests."
    )
    if drift.new_grouped:
        return text + " Whole groups are permuted."
    if drift.old_grouped:
        return (
            text + " Training images came in groups, which are permuted whole; of the new images "
            "no group is known. Where several are of one patient, plot or camera, the test is too "
            "ready to find drift: a manifest with a column group says which are."
        )
    return (
        text + " The new images are taken to be independent: where several are of one patient, "
        "plot or camera, the test is too ready to find drift."
    )
