"""Deciding for another class than the likeliest: by a cutoff, or by what mistakes cost."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from featx.arrays import Array, namespace
from featx.artifact.entry import ModelEntry


class Cutoff(ModelEntry):
    """One class wherever its probability reaches a cutoff, else the likeliest of the others.

    Parameters
    ----------
    column : int
        The class, by its place among the model's classes.
    cutoff : float
    """

    by: Literal["cutoff"] = "cutoff"
    column: Annotated[int, Field(ge=0)]
    cutoff: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]

    def fits(self, n_classes: int) -> bool:
        """Whether it is for a model of so many classes."""
        return self.column < n_classes

    def decide(self, probabilities: Array) -> Array:
        """Class indices, shape (n,), of probabilities of shape (n, n_classes)."""
        xp = namespace(probabilities)
        own = xp.arange(probabilities.shape[1]) == self.column
        others = xp.where(own, -1.0, probabilities)
        reached = probabilities[:, self.column] >= self.cutoff
        return xp.where(reached, self.column, others.argmax(axis=1))


class Costs(ModelEntry):
    """The class whose mistakes are expected to cost least.

    Parameters
    ----------
    costs : list of list of float
        Row: true class; column: class decided for; any unit.
    """

    by: Literal["costs"] = "costs"
    costs: list[list[Annotated[float, Field(allow_inf_nan=False)]]]

    def fits(self, n_classes: int) -> bool:
        """Whether it is for a model of so many classes."""
        return [len(row) for row in self.costs] == [n_classes] * n_classes

    def decide(self, probabilities: Array) -> Array:
        """Class indices, shape (n,); see `Cutoff.decide`."""
        xp = namespace(probabilities)
        return (probabilities @ xp.asarray(self.costs, dtype=xp.float64)).argmin(axis=1)


Decision = Annotated[Cutoff | Costs, Field(discriminator="by")]
