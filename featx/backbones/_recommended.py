"""Backbones by purpose: a short table that people may start from, kept as data.

``recommended.json`` is its one place. What can be measured in it (width, size, parameters, images
a second) is written by ``benchmarks/recommended.py``, never by hand.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parent / "recommended.json"


@dataclass(frozen=True)
class Published:
    """A figure that others published for these weights.

    Parameters
    ----------
    metric : str
        What was measured, on which data.
    percent : float
        Its value.
    source : str
        Who says so.
    url : str
        Where.
    at : str
        Size of the images; may be empty.
    """

    metric: str
    percent: float
    source: str
    url: str
    at: str = ""


@dataclass(frozen=True)
class Recommendation:
    """One row of ``featx backbones --recommended``.

    Parameters
    ----------
    purpose : str
        What it is recommended for.
    name : str
        What ``--backbone`` takes.
    license : str
        Licence of the weights, as their publisher names it.
    n_features : int
        Width of the pre-logits.
    size_px : tuple of int
        Height and width of the input.
    n_parameters : int
        Parameters of the whole network.
    images_per_s : float or None
        Measured on `measured_on`; None when it was not measured.
    published : Published or None
        None where no figure with a source was found.
    note : str
        What else to know; may be empty.
    """

    purpose: str
    name: str
    license: str
    n_features: int
    size_px: tuple[int, int]
    n_parameters: int
    images_per_s: float | None
    published: Published | None
    note: str

    def document(self) -> dict[str, Any]:
        """The row as JSON."""
        return {**asdict(self), "size_px": list(self.size_px)}


def recommended(part: str | None = None) -> list[Recommendation]:
    """Backbones that are recommended, by purpose.

    Parameters
    ----------
    part : str, optional
        Part of a purpose or of a name; None for all rows.
    """
    wanted = (part or "").lower()
    rows = [_row(row) for row in _read()["rows"]]
    return [row for row in rows if wanted in row.purpose.lower() or wanted in row.name.lower()]


def measured_on() -> str:
    """The processor, engine and precision of `Recommendation.images_per_s`."""
    measured_on: str = _read()["measured_on"]
    return measured_on


def _read() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(TABLE.read_text("utf-8"))
    return table


def _row(row: dict[str, Any]) -> Recommendation:
    height, width = row["size_px"]
    published = row["published"] and Published(**row["published"])
    return Recommendation(**{**row, "size_px": (height, width), "published": published})
