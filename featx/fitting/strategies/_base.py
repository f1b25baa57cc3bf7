"""What a strategy is: it asks for trials to be scored, looks, and asks again.

A strategy is a generator, so that several (those of the outer folds of a nested search) can be
taken forward together and what they ask for be fitted at once, each pair of folds only once.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

from featx.fitting.candidates import Trial
from featx.fitting.plan import Plan
from featx.fitting.search import Objective


@dataclass(frozen=True)
class Ask:
    """Trials to score."""

    # Of each setup the most telling first: where time is short, the last are left out
    trials: Sequence[Trial]
    share: float = 1.0  # Of the images
    needed: bool = False  # score them even when time is up


#: Yields what to score and is sent whether there is time for more; returns every trial that it had
#: scored on all images, in the order in which the first of equally good ones is to win.
Steps = Generator[Ask, bool, list[Trial]]


@dataclass(frozen=True)
class Strategy:
    """A way to search.

    Parameters
    ----------
    name : str
        As on the command line; the file's name with hyphens.
    summary : str
        One line for people.
    search : callable
        ``search(objective, plan)`` is the generator. It depends on nothing but the plan and the
        objective's scores, so that the same strategy in an outer fold is the same search.
    alike : bool, default True
        Whether it tries about the same whatever the scores, so that outer folds share their fits.
    check : callable, optional
        Raises a `MissingExtraError` where something that it needs is not installed.
    """

    name: str
    summary: str
    search: Callable[[Objective, Plan], Steps]
    alike: bool = True
    check: Callable[[], Any] | None = None
