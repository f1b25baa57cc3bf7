"""How good the head is, judged by labels of images that were drawn at random."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["CurvePoint", "LabellingProgress", "RandomEstimate"]


@dataclass(frozen=True)
class RandomEstimate:
    """Share of the folder's images that the head predicts right, with a 95 % interval.

    Parameters
    ----------
    value, low, high : float
    n : int
        Randomly drawn images that it rests on.
    """

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class CurvePoint:
    """The estimate after so many labels.

    Parameters
    ----------
    n_labelled : int
    kind : {"chosen", "random"}
        ``chosen`` is a head of all labels, ``random`` one of the randomly drawn labels alone.
    value, low, high : float
    """

    n_labelled: int
    kind: str
    value: float
    low: float
    high: float


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
        What the next 100 labels are expected to add to the estimate: value, low, high.
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
    estimate: RandomEstimate | None = None
    curve: list[CurvePoint] = field(default_factory=list)
    gain: tuple[float, float, float] | None = None
    stop: bool = False
    sentence: str = ""
