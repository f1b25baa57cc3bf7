"""``audit.csv``: images of a folder that a person labels, and what is read back of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from featx.data.cells import cell
from featx.data.table import read_table
from featx.errors import DatasetError, nearest
from featx.files import printable
from featx.formats.csv import unescape
from featx.ours import FileKind, is_table
from featx.stats.audits import Design
from featx.types import FloatArray, IntArray

COLUMNS = ("path", "label", "predicted", "probability", "stratum", "stratum_images",
           "inclusion_probability", "drawn", "seed")  # fmt: skip
AUDIT = FileKind("an audit", is_table(COLUMNS))
NEEDED = ("path", "label", "drawn", "seed", "inclusion_probability")
MOST_CLASSES = 3  # of a stratum, by name


@dataclass(frozen=True)
class Audited:
    """A file of an audit, as a person has filled it in.

    Parameters
    ----------
    source : str
    paths : list of str
    labels : list of str
        Empty for none.
    inclusion : list of float
    size, seed : int
        How many images were drawn, and by which seed.
    """

    source: str
    paths: list[str]
    labels: list[str]
    inclusion: list[float]
    size: int
    seed: int

    def named(self, classes: Sequence[str]) -> list[str]:
        """The label of each row, as classes are called; empty for none."""
        return [label if label in classes else unescape(label) for label in self.labels]

    def matched(
        self, ids: Sequence[str], classes: Sequence[str], design: Design
    ) -> tuple[IntArray, IntArray]:
        """Rows of the folder that have a label, and their classes.

        Parameters
        ----------
        ids : sequence of str
            Of the images that could be read.
        classes : sequence of str
            Of the model, and all others that are labels.
        design : Design
            As it is drawn now.

        Raises
        ------
        DatasetError
            The file names an image that was not drawn, or names one twice.
        """
        place = {ids[i]: int(i) for i in design.rows}
        code = {name: i for i, name in enumerate(classes)}
        found: dict[int, int] = {}
        labels = self.named(classes)
        for path, label, inclusion in zip(self.paths, labels, self.inclusion, strict=True):
            path = path if path in place else unescape(path)
            row = place.get(path)
            if row is None or abs(design.inclusion[row] - inclusion) > 1e-6:
                raise self._not_drawn(path, ids, row is not None)
            if not label:
                continue
            if found.setdefault(row, code[label]) != code[label]:
                raise DatasetError(
                    f"'{printable(self.source)}' labels '{printable(path)}' twice, differently.",
                    hint="Remove one of the two rows.",
                )
        if not found:
            raise DatasetError(
                f"'{printable(self.source)}' has no label.",
                hint="Fill its column label in, with the class that each image shows.",
            )
        return np.array(list(found), np.int64), np.array(list(found.values()), np.int64)

    def _not_drawn(self, path: str, ids: Sequence[str], drawn: bool) -> DatasetError:
        shown = f"'{printable(self.source)}' names '{printable(path)}', which"
        if not drawn and path not in set(ids):
            guess = nearest(path, ids, cutoff=0.8)
            near = f" Did you mean '{printable(guess)}'?" if guess else ""
            return DatasetError(
                f"{shown} is no image of this folder that can be read.{near}",
                hint="Give the folder that the audit was drawn from.",
            )
        return DatasetError(
            f"{shown} the audit of this folder and model does not draw so.",
            hint="Images or model have changed since, or rows were added, or other images were "
            "labelled already: draw it again with --audit, or give the model, images and "
            "--labelled that it was drawn with.",
        )


def audit_rows(
    design: Design,
    ids: Sequence[str],
    classes: Sequence[str],
    y_pred: IntArray,
    sure: FloatArray,
    seed: int,
) -> Iterator[list[Any]]:
    """One list for each image that was drawn, in the columns of the file."""
    names = [_stratum(cells, classes) for cells in design.cells]
    inclusion = design.inclusion
    for i in design.rows.tolist():
        h = design.strata[i]
        yield [ids[i], None, classes[y_pred[i]], float(sure[i]), names[h], int(design.sizes[h]),
               float(inclusion[i]), len(design.rows), seed]  # fmt: skip


def _stratum(cells: IntArray, classes: Sequence[str]) -> str:
    """Such as ``cat, doubtful``."""
    named = [classes[c // 2] for c in cells]
    shown = " or ".join(named[:MOST_CLASSES])
    if len(named) > MOST_CLASSES:
        shown = f"{len(named)} classes"
    return f"{shown}, {'doubtful' if cells[0] % 2 else 'sure'}"


def _text(value: Any, column: str) -> str:
    """A cell as text; numbers that are no names too."""
    if isinstance(value, float) and not (value.is_integer() or math.isnan(value)):
        return repr(value)
    return (cell(value, column, words=False) or "").strip()


def read_audit(source: str) -> Audited:
    """Read a file of an audit.

    Raises
    ------
    DatasetError
        It cannot be read, lacks a column, or its rows are of several audits.
    """
    table = read_table(source)
    shown = f"'{printable(source)}'"
    missing = [name for name in NEEDED if name not in table.columns]
    if missing:
        raise DatasetError(
            f"{shown} is not an audit: it has no column {missing[0]}; it has "
            f"{printable(', '.join(table.columns)) or 'none'}.",
            hint="featx count MODEL FOLDER --audit 200 writes one.",
        )
    texts = [{name: _text(record.values.get(name), name) for name in NEEDED}
             for record in table.records]  # fmt: skip
    if not texts:
        raise DatasetError(f"{shown} has no rows.")
    numbers = {(text["drawn"], text["seed"]) for text in texts}
    if len(numbers) > 1:
        raise DatasetError(f"{shown} mixes several audits.", hint="Give the rows of one.")
    try:
        ((size, seed),) = [(int(a), int(b)) for a, b in numbers]
        # Spreadsheets of some countries write decimal commas.
        inclusion = [float(text["inclusion_probability"].replace(",", ".")) for text in texts]
    except ValueError as error:
        raise DatasetError(
            f"{shown}: the columns drawn, seed and inclusion_probability must be as they were "
            f"written ({error}).",
        ) from None
    return Audited(source, [t["path"] for t in texts], [t["label"] for t in texts],
                   inclusion, size, seed)  # fmt: skip
