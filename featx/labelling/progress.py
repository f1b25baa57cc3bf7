"""How far a labelling is, in numbers and in one plain sentence after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from featx.console import counted
from featx.labelling.judging import AHEAD, CurvePoint, Judgement, RandomEstimate


@dataclass(frozen=True)
class LabellingProgress:
    """How far a labelling is.

    Parameters
    ----------
    n_images, n_labelled, n_random, n_skipped, n_unsure, n_excluded : int
        ``n_random`` are labelled images of the random part.
    classes : dict of str to int
        Labelled images of each class, in the order in which classes were named.
    estimate : RandomEstimate, optional
        None while there is too little to judge by.
    curve : list of CurvePoint
    gain : tuple of float, optional
        What the next 100 labels add to the estimate: expected, low, high.
    stop : bool
        Whether even the high end of ``gain`` is less than asked.
    sentence : str
        All of this in plain words.
    """

    n_images: int
    n_labelled: int
    n_random: int
    n_skipped: int
    n_unsure: int
    n_excluded: int
    classes: dict[str, int]
    estimate: RandomEstimate | None
    curve: list[CurvePoint]
    gain: tuple[float, float, float] | None
    stop: bool
    sentence: str


def summarise(
    actions: Mapping[str, int],
    classes: dict[str, int],
    judgement: Judgement,
    *,
    n_images: int,
    n_random: int,
    enough: float,
) -> LabellingProgress:
    """Put together what is known.

    Parameters
    ----------
    actions : mapping of str to int
        Images by the decision that stands.
    classes, judgement, n_images, n_random
        See `LabellingProgress`.
    enough : float
        The gain from the next 100 labels below which to stop.
    """
    gain = judgement.gain
    stop = gain is not None and gain[2] < enough
    n = actions.get("label", 0)
    found = sum(count > 0 for count in classes.values())
    sentences = [f"{n:,} of {n_images:,} images labelled, {counted(found, 'class')} found."]
    if judgement.estimate is not None:
        sentences.append(_estimated(judgement.estimate))
    if gain is not None and stop:
        sentences.append(
            f"The next {AHEAD} labels add less than {_points(enough)} (at most "
            f"{_points(gain[2])}): you can stop."
        )
    elif gain is not None:
        sentences.append(
            f"The next {AHEAD} labels are expected to add {_points(gain[0])} (95 % interval "
            f"{100 * gain[1]:.1f} to {100 * gain[2]:.1f})."
        )
    return LabellingProgress(
        n_images=n_images,
        n_labelled=n,
        n_random=n_random,
        n_skipped=actions.get("skip", 0),
        n_unsure=actions.get("unsure", 0),
        n_excluded=actions.get("exclude", 0),
        classes=classes,
        estimate=judgement.estimate,
        curve=judgement.curve,
        gain=gain,
        stop=stop,
        sentence=" ".join(sentences),
    )


def _estimated(estimate: RandomEstimate) -> str:
    return (
        f"The head predicts about {100 * estimate.value:.0f} % of the images right (95 % interval "
        f"{100 * estimate.low:.0f} to {100 * estimate.high:.0f} %, from "
        f"{counted(estimate.n, 'randomly drawn label')})."
    )


def _points(share: float) -> str:
    return f"{100 * share:.1f} points"
