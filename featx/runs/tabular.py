"""Other columns that were fitted on, as ``results.json`` has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from featx.numbers import interval, number
from featx.record import Record
from featx.runs.search import Difference
from featx.stats.metrics import metric_name

ALPHA = 0.05  # p of a difference that is called one
ON = {
    "nested": "nested cross-validation",
    "test": "the test images",
    "holdout": "the images held out",
    "cv": "the search's own folds, which also selected both",
}


class TabularFacts(Record):
    """One column: what the training images have, and what to beware of.

    ``alone`` is the balanced accuracy of a small tree on this column alone, out of fold.
    """

    name: str
    kind: str
    categories: list[str] = Field(default_factory=list)
    low: float | None = None
    high: float | None = None
    distinct: int
    empty: int
    alone: float | None = None
    warnings: list[str] = Field(default_factory=list)


class TabularGain(Record):
    """The best row with the columns less the best without, on images that chose neither.

    ``with_columns`` and ``without_columns`` are scores of all predictions together; ``chosen_with``
    and ``chosen_without`` the two rows that the search on all images prefers. ``estimated_on`` is
    ``nested``, ``test``, ``holdout``, or ``cv``: the search's own folds, where there are no others.
    """

    scoring: str
    estimated_on: str
    method: str
    n_images: int
    with_columns: float
    without_columns: float
    difference: Difference
    chosen_with: str
    chosen_without: str


class Tabled(Record):
    """What ``--tabular`` asked for and what came of it.

    ``used`` says whether the chosen classifier reads the columns.
    """

    columns: list[TabularFacts]
    used: bool
    gain: TabularGain | None = None


def gain_sentence(gain: Mapping[str, Any], used: bool) -> str:
    """Whether the columns help, with the interval, in one sentence."""
    difference, name = gain["difference"], metric_name(gain["scoring"])
    verdict = "make no clear difference"
    if difference["p"] < ALPHA:
        verdict = "help" if difference["mean"] > 0 else "hurt"
    chosen = "reads them" if used else "reads none of them"
    return (
        f"The columns {verdict}: {name} {number(gain['with_columns'])} with them, "
        f"{number(gain['without_columns'])} without, difference "
        f"{interval(difference, signed=True)} on {ON[gain['estimated_on']]}. The "
        f"chosen classifier {chosen}."
    )
