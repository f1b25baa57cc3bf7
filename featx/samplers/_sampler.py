"""What a sampler plug-in is, and how samplers adapt to tiny classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

N_NEIGHBORS = 5  # what SMOTE's authors and imbalanced-learn use

Counts = Mapping[int, int]


@dataclass(frozen=True)
class Sampler:
    """A way to resample the training part of a fold.

    Parameters
    ----------
    name : str
        As on the command line; the file's name with hyphens.
    summary : str
        One line for people.
    build : callable
        ``build(counts, random_state)``, with the training images of each class, returns an
        unfitted imbalanced-learn sampler that works on these counts, or None for no resampling.
    describe : callable
        ``describe(counts)`` tells how the sampler adapts to these counts, as the end of a
        sentence that its name starts, or None when it need not.
    """

    name: str
    summary: str
    build: Callable[[Counts, int], Any]
    describe: Callable[[Counts], str | None] = lambda counts: None


class Neighbourhood(NamedTuple):
    """Settings with which a neighbour-based over-sampler works on given counts.

    ``strategy`` is imbalanced-learn's ``sampling_strategy``: ``"auto"``, or
    ``{class: images wanted}`` where a class of one image has to be left as it is.
    """

    n_neighbors: int
    strategy: Literal["auto"] | dict[int, int]


def fit_neighbourhood(counts: Counts) -> Neighbourhood:
    """Clamp the neighbours to the smallest class - 1, leaving classes of one image alone.

    Parameters
    ----------
    counts : mapping of int to int
        Training images of each class.
    """
    majority = max(counts.values())
    sampled = {c: n for c, n in counts.items() if 1 < n < majority}
    k = min([N_NEIGHBORS, *(n - 1 for n in sampled.values())])
    if min(counts.values()) > 1:
        return Neighbourhood(k, "auto")
    return Neighbourhood(k, dict.fromkeys(sampled, majority))


def describe_neighbourhood(counts: Counts) -> str | None:
    """How `fit_neighbourhood` adapted, as a sentence, or None when it did not."""
    neighbourhood = fit_neighbourhood(counts)
    parts = []
    if neighbourhood.n_neighbors < N_NEIGHBORS:
        parts.append(
            f"interpolates between {neighbourhood.n_neighbors} instead of {N_NEIGHBORS} "
            "neighbours, because the smallest class has no more"
        )
    if neighbourhood.strategy != "auto":
        parts.append("leaves classes with a single training image as they are")
    return "; ".join(parts) or None
