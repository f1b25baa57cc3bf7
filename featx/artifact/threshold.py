"""``--threshold``: from which probability a class is decided for, chosen without a new fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from featx.artifact.decision import Cutoff
from featx.artifact.model import Model
from featx.artifact.trust import Trust
from featx.errors import ConfigError, ModelError, UnknownNameError
from featx.stats.thresholds import Levels
from featx.types import FloatArray, IntArray

LIKELIEST = "likeliest"  # no threshold: the class of the largest probability
METRICS = ("recall", "precision", "false-alarms", "cutoff")
FORMS = "CLASS:recall=0.95, CLASS:precision=0.9, CLASS:false-alarms=10/1000 or CLASS:cutoff=0.05"


@dataclass(frozen=True)
class Threshold:
    """What one class is to reach.

    Parameters
    ----------
    column : int
        The class, by its place among the model's classes.
    name : str
        The class.
    metric : {"recall", "precision", "false-alarms", "cutoff"}
    target : float
        A share; of false alarms that among all images; or the cutoff itself.
    prevalence : float, optional
        Share of the class among the images that precision and false alarms are to be of. By
        default its share of the images that the cutoff is chosen on.
    """

    column: int
    name: str
    metric: str
    target: float
    prevalence: float | None = None

    @property
    def asked(self) -> str:
        """As it was asked for."""
        number = f"{self.target:.12g}"
        if self.metric == "false-alarms":
            number = f"{1000 * self.target:.12g}/1000"
        return f"{self.name}:{self.metric}={number}"

    def choose(self, levels: Levels) -> float:
        """The cutoff that reaches it; see `featx.stats.thresholds.Levels.choose`."""
        return levels.choose(self.metric, self.target, self.prevalence)

    def fit(self, y: IntArray, probabilities: FloatArray) -> Cutoff:
        """The decision, from predictions for images that the classifier was not fitted on."""
        levels = Levels.of(y == self.column, probabilities[:, self.column])
        return Cutoff(column=self.column, cutoff=self.choose(levels))


def read_threshold(text: str, classes: Sequence[str], prevalence: float | None = None) -> Threshold:
    """``CLASS:recall=0.95`` and the like.

    Raises
    ------
    ConfigError, UnknownNameError
        It is malformed, or the class does not exist.
    """
    name, _, asked = text.rpartition(":")
    metric, _, number = asked.partition("=")
    target = _number(number, per=metric == "false-alarms")
    least = 0.0 if metric in {"cutoff", "false-alarms"} else np.nextafter(0.0, 1.0)
    if metric not in METRICS or not least <= target <= 1:
        raise ConfigError(
            f"--threshold {text!r} is not of the form {FORMS}.",
            hint="The number must be above 0 and at most 1; false alarms are a count in a "
            "number of images.",
        )
    if name not in classes:
        raise UnknownNameError("class", name, classes)
    return Threshold(list(classes).index(name), name, metric, target, prevalence)


def _number(text: str, *, per: bool) -> float:
    """A number, with ``per`` also a fraction such as ``10/1000``; NaN of anything else."""
    top, slash, bottom = text.partition("/")
    try:
        return float(top) / float(bottom) if slash and per else float(text)
    except (ValueError, ZeroDivisionError):
        return float("nan")


def with_threshold(model: Model, text: str, prevalence: float | None = None) -> Model:
    """The model deciding by another threshold, or for the likeliest class; nothing is fitted.

    Parameters
    ----------
    model : Model
    text : str
        As `read_threshold` takes it, or ``"likeliest"``.
    prevalence : float, optional
        See `Threshold`.

    Returns
    -------
    Model
        The same but for ``trust.decision``. The cutoff is that of ``model.operating``: the
        out-of-fold predictions that it was saved with.

    Raises
    ------
    ConfigError, UnknownNameError
        See `read_threshold`.
    ModelError
        The model was saved by an earlier version, without those predictions.
    """
    decision = None
    if text != LIKELIEST:
        threshold = read_threshold(text, model.classes, prevalence)
        if model.operating is not None:
            cutoff = threshold.choose(model.operating.levels(threshold.column))
        elif threshold.metric == "cutoff":
            cutoff = threshold.target
        else:
            raise ModelError(
                f"This model does not hold the out-of-fold predictions that a {threshold.metric} "
                "is chosen on: an earlier featx saved it.",
                hint="Name its run, which has them, or give CLASS:cutoff=P.",
            )
        decision = Cutoff(column=threshold.column, cutoff=cutoff)
    trust = (model.trust or Trust()).model_copy(update={"decision": decision})
    return replace(model, trust=trust)
