"""Calibrations as `model.json` holds them: plain numbers that NumPy applies."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from featx.margins import log_odds, margin_probabilities

__all__ = ["Calibration", "Isotonic", "Sigmoid", "Temperature"]

Float = NDArray[np.float64]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Temperature(_Part):
    """Softmax of margins, or of log-probabilities, divided by one number."""

    method: Literal["temperature"] = "temperature"
    temperature: Positive

    def apply(self, scores: Float, *, margins: bool) -> Float:
        """Probabilities, shape (n, n_classes); see `Calibration`."""
        if not margins:
            with np.errstate(divide="ignore"):
                scores = np.log(scores)
        return margin_probabilities(scores, self.temperature)


class Sigmoid(_Part):
    """A logistic function for each class against the rest, the results divided by their sum."""

    method: Literal["sigmoid"] = "sigmoid"
    slopes: list[Finite]
    offsets: list[Finite]

    def apply(self, scores: Float, *, margins: bool) -> Float:
        """Probabilities, shape (n, n_classes); see `Calibration`."""
        odds = log_odds(scores, margins=margins)
        with np.errstate(over="ignore"):  # exp of a large number: the probability is then 0
            own = 1 / (1 + np.exp(-(np.array(self.slopes) * odds + np.array(self.offsets))))
        return _shares(own, possible=np.isfinite(odds))


class Isotonic(_Part):
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

    def apply(self, scores: Float, *, margins: bool) -> Float:
        """Probabilities, shape (n, n_classes); see `Calibration`."""
        odds = log_odds(scores, margins=margins)
        functions = zip(odds.T, self.scores, self.probabilities, strict=True)
        own = np.column_stack([np.interp(each, x, y) for each, x, y in functions])
        return _shares(own, possible=np.isfinite(odds))


#: Each has ``apply(scores, margins=...)``: ``scores`` of shape (n, n_classes) are the head's
#: probabilities, or its margins where it has none; -inf marks a class that it does not know.
Calibration = Annotated[Temperature | Sigmoid | Isotonic, Field(discriminator="method")]


def _shares(own: Float, *, possible: NDArray[Any]) -> Float:
    """Each class's own probability over the sum; a class that cannot be has none."""
    own = np.where(possible, own, 0.0)
    total = own.sum(axis=1, keepdims=True)
    even = possible / np.maximum(possible.sum(axis=1, keepdims=True), 1)
    return np.divide(own, total, out=even, where=total > 0)
