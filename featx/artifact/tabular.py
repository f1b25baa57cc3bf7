"""The other columns that a model takes beside the embedding: their names, kinds and categories."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from pydantic import Field

from featx.artifact.entry import ModelEntry
from featx.console import counted, first_few
from featx.data.cells import cell_text, read_number
from featx.errors import UsageError
from featx.files import printable
from featx.types import Float32Array

MOST_CATEGORIES = 1000
MOST_NAMED = 5
UNKNOWN = -1.0  # the code of a category that the training images do not have


class TabularColumn(ModelEntry):
    """One column: a number, or a category.

    ``categories`` are those of the training images, in the order of their codes; ``low`` and
    ``high`` the smallest and largest number among them, None where none was known.
    """

    name: str = Field(min_length=1)
    kind: Literal["number", "category"]
    categories: list[str] = Field(default_factory=list, max_length=MOST_CATEGORIES)
    low: float | None = Field(None, allow_inf_nan=False)
    high: float | None = Field(None, allow_inf_nan=False)

    def __str__(self) -> str:
        if self.kind == "number":
            return f"{printable(self.name)} (a number)"
        named = first_few([printable(c) for c in self.categories], MOST_NAMED)
        return f"{printable(self.name)} (one of {named})"

    def read(self, cells: Sequence[Any]) -> ColumnRead:
        """Cells as numbers or codes; what cannot be used counts as empty."""
        found = ColumnRead(self, np.full(len(cells), np.nan, np.float32))
        codes = {name: code for code, name in enumerate(self.categories)}
        for i, cell in enumerate(cells):
            text = cell_text(cell)
            if text is None:
                found.empty += 1
            elif self.kind == "category":
                found.values[i] = codes.get(text, UNKNOWN)
                found.unknown[text] += text not in codes
            elif (value := read_number(text)) is None:
                found.unknown[text] += 1
            else:
                found.values[i] = value
                found.outside += not self._usual(value)
        found.unknown = +found.unknown
        return found

    def _usual(self, value: float) -> bool:
        return self.low is None or self.high is None or self.low <= value <= self.high


@dataclass
class ColumnRead:
    """The cells of one column for some images.

    Parameters
    ----------
    column : TabularColumn
    values : ndarray of shape (n,), float32
        Numbers, or codes of categories with -1 for one that the model does not know; NaN where
        there is nothing to use.
    empty : int
        Cells that are empty.
    unknown : Counter of str
        Categories that the training images do not have, or texts that are no numbers, with how
        many cells hold each.
    outside : int
        Numbers below or above all those of the training images.
    """

    column: TabularColumn
    values: Float32Array
    empty: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    outside: int = 0

    def document(self) -> dict[str, Any]:
        """The counts as JSON."""
        return {
            "kind": self.column.kind,
            "empty": self.empty,
            "unknown": {printable(k): n for k, n in self.unknown.most_common()},
            "outside": self.outside,
        }

    def sentences(self) -> list[str]:
        """What a reader should know of the cells; nothing where all could be used."""
        name, n, said = printable(self.column.name), len(self.values), []
        if self.empty:
            said.append(
                f"Column {name}: {counted(self.empty, 'cell')} of {n:,} "
                f"{'is' if self.empty == 1 else 'are'} empty and imputed."
            )
        if total := sum(self.unknown.values()):
            named = first_few([repr(printable(k)) for k, _ in self.unknown.most_common()], 3)
            cells = f"{counted(total, 'cell')} of {n:,} {'holds' if total == 1 else 'hold'}"
            if self.column.kind == "category":
                what = f"{cells} a category that the training images do not have ({named})"
                said.append(f"Column {name}: {what}; the model ignores it there.")
            else:
                said.append(f"Column {name}: {cells} no number ({named}) and count as empty.")
        if self.outside:
            low, high = self.column.low, self.column.high
            said.append(
                f"Column {name}: {counted(self.outside, 'value')} of {n:,} "
                f"{'lies' if self.outside == 1 else 'lie'} outside the range of the training "
                f"images ({low:g} to {high:g})."
            )
        return said


@dataclass(frozen=True)
class Tabular:
    """The columns that a model takes, in the order that its head is given them.

    Parameters
    ----------
    columns : tuple of TabularColumn
        At least one.
    """

    columns: tuple[TabularColumn, ...]

    def __len__(self) -> int:
        return len(self.columns)

    def __str__(self) -> str:
        return ", ".join(str(column) for column in self.columns)

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each column."""
        return tuple(column.name for column in self.columns)

    @property
    def categorical(self) -> tuple[bool, ...]:
        """Whether each holds categories."""
        return tuple(column.kind == "category" for column in self.columns)

    def read(self, cells: Any, n: int) -> list[ColumnRead]:
        """The columns of ``n`` images.

        Parameters
        ----------
        cells : mapping of str to sequence of length n, or frame
            Values by the name of the column: text, numbers, None or NaN where one is not known.
        n : int

        Raises
        ------
        UsageError
            A column is not there, or does not have one value an image.
        """
        known = () if cells is None else getattr(cells, "columns", cells)
        missing = [column for column in self.columns if column.name not in known]
        if missing:
            raise UsageError(
                "The model also takes "
                f"{counted(len(self), 'column')} of the data: {self}. Missing: "
                f"{', '.join(printable(column.name) for column in missing)}.",
                hint="In Python: tabular={name: values}, one value an image; None where one is "
                "not known.",
            )
        found = []
        for column in self.columns:
            values = list(cells[column.name])
            if len(values) != n:
                raise UsageError(
                    f"Column {printable(column.name)!r} has {counted(len(values), 'value')} for "
                    f"{counted(n, 'image')}.",
                    hint="Give one value an image; None where one is not known.",
                )
            found.append(column.read(values))
        return found

    def codes(self, cells: Any, n: int) -> Float32Array:
        """What `side_by_side` gives of ``cells``, which may be that already."""
        coded = isinstance(cells, np.ndarray) and cells.ndim == 2
        return cells if coded else side_by_side(self.read(cells, n))


def side_by_side(read: Sequence[ColumnRead]) -> Float32Array:
    """The columns side by side, shape (n, n_columns)."""
    return np.stack([each.values for each in read], axis=1)
