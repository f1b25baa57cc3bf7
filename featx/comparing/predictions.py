"""The predictions of a run, read back from ``predictions.csv``."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featx.errors import ComparisonError
from featx.files import printable

__all__ = ["Judged", "read_predictions"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Text = NDArray[np.object_]

PLAIN = ("id", "split", "fold", "y_true", "y_pred")  # in every version; the others came later
TOLERANCE = 1e-3  # of the sum of an image's probabilities


@dataclass(frozen=True)
class Judged:
    """What a run says of images that it was not fitted on.

    Parameters
    ----------
    ids : ndarray of shape (n,), object
        Names of the images.
    repeat : ndarray of shape (n,), int64
        Which of several predictions of the image; 0 where there is one.
    fold : ndarray of shape (n,), int64
        -1 where one classifier judges all.
    y, predicted : ndarray of shape (n,), int64
        Indices into the run's classes.
    probabilities : ndarray of shape (n, n_classes)
    unit : ndarray of shape (n,), int64, optional
        Images with the same number stay together; None in runs of older versions.
    content : ndarray of shape (n,), object, optional
        Starts of the SHA-256 of the images' bytes; None in runs of older versions.
    """

    ids: Text
    repeat: Int
    fold: Int
    y: Int
    predicted: Int
    probabilities: Float
    unit: Int | None
    content: Text | None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def keys(self) -> list[tuple[int, str]]:
        """What tells one prediction from every other one."""
        return list(zip(self.repeat.tolist(), self.ids.tolist(), strict=True))

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Judged:
        """Some rows, in the order given."""
        taken: dict[str, Any] = {
            name: None if column is None else column[rows] for name, column in vars(self).items()
        }
        return Judged(**taken)

    @staticmethod
    def repeated(parts: Sequence[Judged]) -> Judged:
        """Several predictions of the same images, numbered from 0, one after the other."""
        numbers = [np.full(len(part), i) for i, part in enumerate(parts)]
        columns: dict[str, Any] = {
            name: None if column is None else np.concatenate([vars(p)[name] for p in parts])
            for name, column in vars(parts[0]).items()
        }
        return Judged(**{**columns, "repeat": np.concatenate(numbers)})


def read_predictions(data: bytes, classes: Sequence[str], *, where: str) -> dict[str, Judged]:
    """Predictions by the name of their split.

    Parameters
    ----------
    data : bytes
        CSV as `featx.fitting.Predictions` has it.
    classes : sequence of str
        Of the run, in its order.
    where : str
        Name of the file for messages.

    Raises
    ------
    ComparisonError
        It is not such a table: a column is missing, a label is none of the classes, a
        probability is none, or an image is predicted twice in a split.
    """
    text = io.StringIO(data.decode("utf-8", "surrogateescape"), newline="")
    reader = csv.reader(text, strict=True)
    header: list[str] = []
    rows = []
    try:
        header = [_plain(name) for name in next(reader, [])]
        rows = [row for row in reader if row]
    except csv.Error as error:
        raise _odd(where, f"line {reader.line_num} is not CSV ({error})") from None
    for name in (*PLAIN, *(f"p_{c}" for c in classes)):
        if header.count(name) != 1:
            raise _odd(where, f"it has no single column {name!r}")
    wrong = [i for i, row in enumerate(rows) if len(row) != len(header)]
    if wrong:
        raise _odd(where, f"row {wrong[0] + 1} has {len(rows[wrong[0]])} of {len(header)} cells")
    columns = dict(zip(header, zip(*rows, strict=True), strict=True)) if rows else {}
    return _split(columns, list(classes), where) if rows else {}


def _split(
    columns: dict[str, tuple[str, ...]], classes: list[str], where: str
) -> dict[str, Judged]:
    ids = _texts([_plain(name) for name in columns["id"]])
    code = {name: i for i, name in enumerate(classes)}
    everything = Judged(
        ids=ids,
        repeat=np.zeros(len(ids), np.int64),
        fold=_numbers(columns["fold"], "fold", where),
        y=_codes(columns["y_true"], code, "y_true", where),
        predicted=_codes(columns["y_pred"], code, "y_pred", where),
        probabilities=_probabilities([columns[f"p_{c}"] for c in classes], where),
        unit=_numbers(columns["unit"], "unit", where) if "unit" in columns else None,
        content=_texts(columns["content"]) if "content" in columns else None,
    )
    split = _texts(columns["split"])
    judged = {str(name): everything.take(split == name) for name in dict.fromkeys(split.tolist())}
    for name, part in judged.items():
        if len(set(part.ids.tolist())) < len(part):
            raise _odd(where, f"an image is predicted twice in {name!r}")
    return judged


def _plain(cell: str) -> str:
    """A cell of text as it was before `featx.formats.csv.escape`."""
    return cell[1:] if cell.startswith("'") else cell


def _texts(values: Sequence[str]) -> Text:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def _codes(values: Sequence[str], code: dict[str, int], column: str, where: str) -> Int:
    try:
        return np.array([code[_plain(value)] for value in values], dtype=np.int64)
    except KeyError as error:
        raise _odd(where, f"{column} holds {error.args[0]!r}, none of the run's classes") from None


def _numbers(values: Sequence[str], column: str, where: str) -> Int:
    """Whole numbers from 0; -1 where a cell is empty."""
    try:
        numbers = np.array([int(value) if value else -1 for value in values], dtype=np.int64)
    except (ValueError, OverflowError):
        raise _odd(where, f"{column} holds something else than whole numbers") from None
    return numbers


def _probabilities(columns: Sequence[Sequence[str]], where: str) -> Float:
    try:
        table = np.array(columns, dtype=object).astype(np.float64).T
    except ValueError:
        raise _odd(where, "a probability is not a number") from None
    sums = table.sum(axis=1)
    if not (np.isfinite(table).all() and (table >= 0).all() and (abs(sums - 1) < TOLERANCE).all()):
        raise _odd(where, "the probabilities of an image do not add up to 1")
    return np.ascontiguousarray(table)


def _odd(where: str, problem: str) -> ComparisonError:
    return ComparisonError(
        f"{printable(where)!r} is not what featx writes: {printable(problem)}.",
        hint="Fit the run again with --overwrite.",
    )
