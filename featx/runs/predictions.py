"""``predictions.csv``: what a run predicts for images that it was not fitted on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from featx.formats._frame import to_frame
from featx.formats.csv import parse_rows
from featx.types import FloatArray, IntArray

Text = NDArray[np.object_]

PLAIN = ("id", "split", "fold", "y_true", "y_pred")  # in every version; the others came later
BY = "by_"  # before the names of columns of the data set
TOLERANCE = 1e-3  # of the sum of an image's probabilities


@dataclass(frozen=True)
class Predictions:
    """Predictions for images that the predicting classifier was not fitted on.

    Parameters
    ----------
    ids : ndarray of shape (n,), object
        Names of the images.
    fold : ndarray of shape (n,), int64
        -1 where one classifier predicts all.
    y, y_pred : ndarray of shape (n,), int64
        Indices into the run's classes.
    proba : ndarray of shape (n, n_classes)
    unit : ndarray of shape (n,), int64, optional
        Images with the same number stay together (groups, exact copies) in folds and resamples;
        None in runs of older versions.
    content : ndarray of shape (n,), object, optional
        The first 16 hexadecimal digits of the SHA-256 of each image's bytes; None in runs of
        older versions.
    repeat : ndarray of shape (n,), int64
        Which of several predictions of the image; 0 where there is one.
    columns : mapping of str to ndarray of shape (n,), object
        Columns of the data set that were asked for, None where an image has no value.
    """

    ids: Text
    fold: IntArray
    y: IntArray
    y_pred: IntArray
    proba: FloatArray
    unit: IntArray | None
    content: Text | None
    repeat: IntArray
    columns: Mapping[str, Text] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        right = int((self.y == self.y_pred).sum())
        return f"Predictions of {len(self):,} images, {right:,} right"

    @property
    def keys(self) -> list[tuple[int, str]]:
        """What tells one prediction from every other one."""
        return list(zip(self.repeat.tolist(), self.ids.tolist(), strict=True))

    def take(self, rows: IntArray | NDArray[np.bool_]) -> Predictions:
        """Some rows, in the order given."""
        taken: dict[str, Any] = {
            name: None if column is None else column[rows]
            for name, column in self._arrays().items()
        }
        kept = {name: column[rows] for name, column in self.columns.items()}
        return Predictions(**taken, columns=kept)

    def _arrays(self) -> dict[str, Any]:
        """Every array that all predictions have."""
        return {name: value for name, value in vars(self).items() if name != "columns"}

    @staticmethod
    def repeated(parts: Sequence[Predictions]) -> Predictions:
        """Several predictions of the same images, numbered from 0, one after the other."""
        numbers = [np.full(len(part), i) for i, part in enumerate(parts)]
        columns: dict[str, Any] = {
            name: None if column is None else np.concatenate([vars(p)[name] for p in parts])
            for name, column in parts[0]._arrays().items()
        }
        kept = {k: np.concatenate([p.columns[k] for p in parts]) for k in parts[0].columns}
        return Predictions(**{**columns, "repeat": np.concatenate(numbers)}, columns=kept)


@dataclass(frozen=True)
class PredictionTable(Mapping[str, Predictions]):
    """All predictions of a run by their split.

    Splits are ``oof`` (the chosen candidate, trained on the other folds), ``nested`` (what a
    search on the other folds chose), ``repeated-1`` and so on, ``test`` and ``holdout``; of a
    fine-tune, ``frozen`` or ``finetuned`` is the model that does not ship. Columns of the file are
    ``id``, ``split``, ``fold`` (empty where one classifier predicts all), ``y_true``, ``y_pred``,
    ``unit``, ``content``, ``by_<column>`` for each column that was asked for, and ``p_<class>``,
    the probability of each class.

    Parameters
    ----------
    classes : list of str
        Of the run, in its order.
    splits : mapping of str to Predictions
    """

    classes: list[str]
    splits: Mapping[str, Predictions]

    def __getitem__(self, split: str) -> Predictions:
        return self.splits[split]

    def __iter__(self) -> Iterator[str]:
        return iter(self.splits)

    def __len__(self) -> int:
        return len(self.splits)

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(part):,} {split}" for split, part in self.splits.items())
        return f"PredictionTable of {len(self.classes):,} classes, images by split: {counts}"

    def to_pandas(self) -> Any:
        """A ``pandas.DataFrame`` with the columns of the file; needs the extra ``pandas``."""
        return to_frame(self.columns, self.rows())

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        kept = (f"{BY}{name}" for name in self.kept)
        return [*PLAIN, "unit", "content", *kept, *(f"p_{name}" for name in self.classes)]

    @property
    def kept(self) -> list[str]:
        """Columns of the data set that are in the table."""
        return list(dict.fromkeys(name for part in self.values() for name in part.columns))

    def rows(self) -> Iterator[list[Any]]:
        """One list of plain values for each prediction."""
        kept = self.kept
        for split, part in self.splits.items():
            for i, name in enumerate(part.ids):
                yield [
                    name,
                    split,
                    int(part.fold[i]) if part.fold[i] >= 0 else None,
                    self.classes[part.y[i]],
                    self.classes[part.y_pred[i]],
                    None if part.unit is None else int(part.unit[i]),
                    None if part.content is None else part.content[i],
                    *(part.columns[name][i] if name in part.columns else None for name in kept),
                    *part.proba[i].tolist(),
                ]

    @classmethod
    def parse(cls, data: bytes, classes: Sequence[str]) -> Self:
        """The table from the bytes of its file.

        Raises
        ------
        ValueError
            It is not such a table: a column is missing, a label is none of the classes, a
            probability is none, or an image is predicted twice in a split.
        """
        header, rows = parse_rows(data)
        for name in (*PLAIN, *(f"p_{c}" for c in classes)):
            if header.count(name) != 1:
                raise ValueError(f"it has no single column {name!r}")
        columns = dict(zip(header, zip(*rows, strict=True), strict=True)) if rows else {}
        return cls(list(classes), _splits(columns, list(classes)) if rows else {})


def _splits(columns: dict[str, tuple[str, ...]], classes: list[str]) -> dict[str, Predictions]:
    ids = text_column(columns["id"])
    code = {name: i for i, name in enumerate(classes)}
    everything = Predictions(
        ids=ids,
        fold=_numbers(columns["fold"], "fold"),
        y=_codes(columns["y_true"], code, "y_true"),
        y_pred=_codes(columns["y_pred"], code, "y_pred"),
        proba=_probabilities([columns[f"p_{c}"] for c in classes]),
        unit=_numbers(columns["unit"], "unit") if "unit" in columns else None,
        content=text_column(columns["content"]) if "content" in columns else None,
        repeat=np.zeros(len(ids), np.int64),
        columns=_kept(columns, {f"p_{c}" for c in classes}),
    )
    split = text_column(columns["split"])
    found = {str(name): everything.take(split == name) for name in dict.fromkeys(split.tolist())}
    for name, part in found.items():
        if len(set(part.ids.tolist())) < len(part):
            raise ValueError(f"an image is predicted twice in {name!r}")
    return found


def _kept(columns: dict[str, tuple[str, ...]], own: set[str]) -> dict[str, Text]:
    """Columns of the data set, by their names there."""
    return {
        name.removeprefix(BY): text_column([value or None for value in values])
        for name, values in columns.items()
        if name.startswith(BY) and name not in own
    }


def text_column(values: Sequence[str | None]) -> Text:
    """A column of text, which NumPy would otherwise cut or pad."""
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def _codes(values: Sequence[str], code: dict[str, int], column: str) -> IntArray:
    try:
        return np.array([code[value] for value in values], dtype=np.int64)
    except KeyError as error:
        raise ValueError(
            f"{column} holds {error.args[0]!r}, which is not a class of the run"
        ) from None


def _numbers(values: Sequence[str], column: str) -> IntArray:
    """Whole numbers from 0; -1 where a cell is empty."""
    try:
        numbers = np.array([int(value) if value else -1 for value in values], dtype=np.int64)
    except (ValueError, OverflowError):
        numbers = np.array([-2])
    if (numbers < -1).any():
        raise ValueError(f"{column} holds values other than whole numbers from 0")
    return numbers


def _probabilities(columns: Sequence[Sequence[str]]) -> FloatArray:
    try:
        table = np.array(columns, dtype=object).astype(np.float64).T
    except ValueError:
        raise ValueError("a probability is not a number") from None
    sums = table.sum(axis=1)
    if not (np.isfinite(table).all() and (table >= 0).all() and (abs(sums - 1) < TOLERANCE).all()):
        raise ValueError("the probabilities of an image do not add up to 1")
    return np.ascontiguousarray(table)
