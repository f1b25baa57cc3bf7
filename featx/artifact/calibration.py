"""Calibrations as `model.json` holds them: plain numbers that NumPy applies."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from featx.arrays import Array, cast, interpolate, namespace
from featx.artifact.entry import ModelEntry
from featx.margins import log_odds, margin_probabilities

Finite = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Temperature(ModelEntry):
    """Softmax of margins, or of log-probabilities, divided by one number."""

    method: Literal["temperature"] = "temperature"
    temperature: Positive

    def apply(self, scores: Array, *, margins: bool) -> Array:
        """Probabilities, shape (n, n_classes); see `Calibration`."""
        if not margins:
            with np.errstate(divide="ignore"):
                scores = namespace(scores).log(scores)
        return margin_probabilities(scores, self.temperature)


class Sigmoid(ModelEntry):
    """A logistic function for each class against the rest, the results divided by their sum."""

    method: Literal["sigmoid"] = "sigmoid"
    slopes: list[Finite]
    offsets: list[Finite]

    def apply(self, scores: Array, *, margins: bool) -> Array:
        """Probabilities, shape (n, n_classes); see `Calibration`."""
        odds = log_odds(scores, margins=margins)
        xp = namespace(odds)
        slopes, offsets = (xp.asarray(v, dtype=xp.float64) for v in (self.slopes, self.offsets))
        with np.errstate(over="ignore"):  # exp of a large number: the probability is then 0
            own = 1 / (1 + xp.exp(-(slopes * odds + offsets)))
        return _shares(own, possible=xp.isfinite(odds))


class Isotonic(ModelEntry):
    """A rising piecewise linear function for each class against the rest, divided by their sum."""

    method: Literal["isotonic"] = "isotonic"
    scores: list[list[Finite]]
    probabilities: list[list[Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]]]

    @model_validator(mode="after")
    def _are_functions(self) -> Isotonic:
        for x, y in zip(self.scores, self.probabilities, strict=True):
            if not x or len(x) != len(y) or sorted(x) != x or sorted(y) != y:
                raise ValueError("scores and probabilities must rise together")
        return self

    def apply(self, scores: Array, *, margins: bool) -> Array:
        """Probabilities, shape (n, n_classes); see `Calibration`."""
        odds = log_odds(scores, margins=margins)
        functions = enumerate(zip(self.scores, self.probabilities, strict=True))
        own = [interpolate(odds[:, i], x, y) for i, (x, y) in functions]
        xp = namespace(odds)
        return _shares(xp.stack(own, axis=1), possible=xp.isfinite(odds))


#: Each has ``apply(scores, margins=...)``: ``scores`` of shape (n, n_classes) are the head's
#: probabilities, or its margins where it has none; -inf marks a class that it does not know.
Calibration = Annotated[Temperature | Sigmoid | Isotonic, Field(discriminator="method")]


def _shares(own: Array, *, possible: Array) -> Array:
    """Each class's own probability over the sum; a class that cannot be has none."""
    xp = namespace(own)
    possible = cast(possible, "float64")
    own = xp.where(possible > 0, own, 0.0)
    total = own.sum(axis=1, keepdims=True)
    even = possible / xp.clip(possible.sum(axis=1, keepdims=True), 1, None)
    return xp.where(total > 0, own / xp.where(total > 0, total, 1.0), even)
