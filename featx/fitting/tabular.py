"""``--tabular``: other columns of the data set as features, and what to beware of in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from featx.artifact.tabular import MOST_CATEGORIES, Tabular, TabularColumn, side_by_side
from featx.config import FitConfig
from featx.console import counted
from featx.data.cells import cell_text, read_number
from featx.data.kept_columns import OWN
from featx.data.manifest import Manifest
from featx.errors import DatasetError, UsageError
from featx.extraction import Extraction
from featx.files import printable
from featx.fitting.data import Part, TabularBlock
from featx.heads import column_encoder
from featx.runs.tabular import Tabled, TabularFacts, gain_sentence
from featx.stats.metrics import fold_score
from featx.types import Float32Array, IntArray

FEW = 20  # images, below which nothing is said of a column
GIVES_AWAY = 0.9  # balanced accuracy of a column alone, of 0 for chance and 1, that is too good
OWN_SHARE = 0.5  # of values that one image or group alone has, in an identifier
NEW_SHARE = 0.5  # of test images whose value no training image has


def read_tabular(manifest: Manifest, config: FitConfig) -> Tabular | None:
    """What the columns of ``--tabular`` hold; None where none is asked for.

    A column is of numbers where every cell that is not empty is one, else of categories. What is
    known of them (categories, range) is that of the images outside the test split.

    Raises
    ------
    UsageError
        A column is what the fit goes by anyway, has too many categories, or is to hold numbers
        and does not.
    DatasetError
        It holds numbers beside other text.
    """
    kinds = config.tabular_kinds
    if not kinds:
        return None
    for name in kinds:
        if name in OWN:
            raise UsageError(
                f"--tabular {name}: {name}s say which images stay together or are tested; new "
                "images do not have those of the training images.",
                hint="Name another column.",
            )
    return Tabular(tuple(_column(manifest, name, kind) for name, kind in kinds.items()))


def _column(manifest: Manifest, name: str, kind: str | None) -> TabularColumn:
    texts = [cell_text(value) for value in manifest.column(name)]
    labels = manifest.labels
    pairs = [(t, label) for t, label in zip(texts, labels, strict=True) if t is not None]
    if all(t == label for t, label in pairs):
        raise UsageError(
            f"--tabular {name}: the column is the label itself, which new images do not have.",
            hint="Name another column.",
        )
    numbers = [None if text is None else read_number(text) for text in texts]
    filled = [i for i, text in enumerate(texts) if text is not None]
    wrong = [i for i in filled if numbers[i] is None]
    if kind == "number" or (kind is None and len(wrong) < len(filled)):
        if wrong:
            raise _mixed(manifest, name, wrong, len(filled), texts)
        return _number_column(manifest, name, numbers)
    known = {texts[i] for i in filled if manifest.rows[i].split != "test"}
    categories = sorted((t for t in known if t is not None), key=lambda t: (read_number(t) or 0, t))
    if len(categories) > MOST_CATEGORIES:
        raise UsageError(
            f"--tabular {name}: {len(categories):,} different values; a category may have "
            f"{MOST_CATEGORIES:,}.",
            hint="An identifier or a date says nothing about new images: give a number (days, "
            "months) or coarser categories.",
        )
    return TabularColumn(name=name, kind="category", categories=categories)


def _mixed(
    manifest: Manifest, name: str, wrong: Sequence[int], filled: int, texts: Sequence[str | None]
) -> DatasetError:
    first = wrong[0]
    cells = counted(len(wrong), "cell is no number", "cells are no numbers")
    return DatasetError(
        f"--tabular {name}: the column of '{printable(manifest.source)}' holds numbers, but "
        f"{printable(repr(texts[first]))} in the row of {printable(manifest.rows[first].id)} "
        f"({cells} of {filled:,}).",
        hint="Correct the cell, leave it empty where the value is not known, or take every value "
        f"as a category: --tabular {name}:category",
    )


def _number_column(manifest: Manifest, name: str, numbers: Sequence[float | None]) -> TabularColumn:
    values = np.array([v for v in numbers if v is not None])
    if len(np.unique(values)) > len(np.unique(values.astype(np.float32))):
        raise UsageError(
            f"--tabular {name}: some values differ beyond the 32 bits that numbers are used with.",
            hint="Subtract a large common offset first (days since the first image, not seconds "
            "since 1970).",
        )
    rows = zip(numbers, manifest.rows, strict=True)
    known = [v for v, row in rows if v is not None and row.split != "test"]
    low, high = (min(known), max(known)) if known else (None, None)
    return TabularColumn(name=name, kind="number", low=low, high=high)


def tabular_block(extraction: Extraction, tabular: Tabular) -> TabularBlock:
    """The columns of the images that were read, in the order of the embeddings."""
    place = {row.id: dict(row.extra) for row in extraction.manifest.rows}
    ids = [str(name) for name in extraction.ids]
    cells = {name: [place[i][name] for i in ids] for name in tabular.names}
    values = side_by_side(tabular.read(cells, len(ids)))
    return TabularBlock(tabular.names, tabular.categorical, values)


def column_facts(
    tabular: Tabular, part: Part, test: Part | None, fold: IntArray
) -> list[TabularFacts]:
    """What each column holds, and what to beware of.

    Parameters
    ----------
    tabular : Tabular
    part : Part
        The images that were searched on.
    test : Part, optional
        Images that evaluate once.
    fold : ndarray of shape (n,), int64
        Of each image of ``part``.
    """
    assert part.tabular is not None
    found = []
    for i, column in enumerate(tabular.columns):
        values = part.tabular.values[:, i]
        alone = _alone(values, column, part, fold)
        tested = None if test is None or test.tabular is None else test.tabular.values[:, i]
        found.append(
            TabularFacts(
                name=column.name,
                kind=column.kind,
                categories=column.categories,
                low=column.low,
                high=column.high,
                distinct=len(np.unique(values[~np.isnan(values)])),
                empty=int(np.isnan(values).sum()),
                alone=alone,
                warnings=list(_warnings(column, values, part, tested, alone)),
            )
        )
    return found


def tabled_notes(tabled: Tabled | None) -> list[str]:
    """What to know of other columns, in sentences."""
    if tabled is None:
        return []
    notes = [warning for column in tabled.columns for warning in column.warnings]
    for column in tabled.columns:
        if column.empty:
            has = "cell is" if column.empty == 1 else "cells are"
            notes.append(f"Column {printable(column.name)}: {column.empty:,} {has} empty, imputed.")
    return notes + ([] if tabled.gain is None else [gain_sentence(tabled.gain, tabled.used)])


def _alone(values: Float32Array, column: TabularColumn, part: Part, fold: IntArray) -> float | None:
    """Balanced accuracy of a small tree on this column alone, out of fold; None for few images."""
    from sklearn.tree import DecisionTreeClassifier

    if len(values) < FEW:
        return None
    encoder = column_encoder([column.kind == "category"])
    n_classes = len(part.classes)
    proba = np.zeros((len(values), n_classes))
    for each in np.unique(fold):
        tested = fold == each
        encoder.fit(values[~tested, None])
        X, rest = encoder.transform(values[~tested, None]), encoder.transform(values[tested, None])
        tree = DecisionTreeClassifier(
            max_leaf_nodes=4 * n_classes, class_weight="balanced", random_state=0
        ).fit(X, part.y[~tested])
        proba[np.ix_(tested, tree.classes_)] = tree.predict_proba(rest)
    return float(fold_score("balanced_accuracy", part.y, proba))


def _warnings(
    column: TabularColumn,
    values: Float32Array,
    part: Part,
    tested: Float32Array | None,
    alone: float | None,
) -> Iterator[str]:
    name = printable(column.name)
    known = values[~np.isnan(values)]
    distinct, counts = np.unique(known, return_counts=True)
    if len(distinct) < 2:
        yield f"Column {name} has one value only: it says nothing."
        return
    chance = 1 / len(part.classes)
    if alone is not None and alone >= chance + GIVES_AWAY * (1 - chance):
        yield (
            f"Column {name} alone predicts the class (balanced accuracy {alone:.3f}): check that "
            "it is known before the class is, and was not derived from it."
        )
    if len(known) >= FEW:
        yield from _identifying(column, known, counts, values, part)
    if tested is not None and len(tested):
        yield from _new_values(column, known, tested)


def _identifying(
    column: TabularColumn,
    known: Float32Array,
    counts: IntArray,
    values: Float32Array,
    part: Part,
) -> Iterator[str]:
    """Columns that name an image, its row, or its group."""
    name, n = printable(column.name), len(known)
    if column.kind == "category" and (counts == 1).sum() > OWN_SHARE * n:
        yield (
            f"Column {name} is nearly an identifier: {int((counts == 1).sum()):,} of {n:,} "
            "images have a value that no other has, and values of new images will be unknown."
        )
        return
    whole = column.kind == "number" and bool((known == np.round(known)).all())
    if whole and len(counts) == n and np.ptp(known) < 1.1 * n:
        yield (
            f"Column {name} looks like a row number: {n:,} whole numbers from {known.min():g} to "
            f"{known.max():g}, each once."
        )
    if column.kind == "category" and part.groups is not None and part.grouped:
        groups = part.groups[~np.isnan(values)]
        n_groups = len(np.unique(groups))
        pairs = len(np.unique(np.stack([groups, known.astype(np.int64)]), axis=1).T)
        if pairs == len(counts) and len(counts) >= OWN_SHARE * n_groups:
            yield (
                f"Column {name} follows the groups: each of its {len(counts):,} values lies in one "
                f"group of {n_groups:,}. Values of new groups will be unknown to the model."
            )


def _new_values(column: TabularColumn, known: Float32Array, tested: Float32Array) -> Iterator[str]:
    """A column that follows the split."""
    cells = tested[~np.isnan(tested)]
    if column.kind == "category":
        new, what = ~np.isin(cells, known), "a value that no training image has"
    else:
        new = (cells < known.min()) | (cells > known.max())
        what = "a value outside the range of the training images"
    if len(cells) and new.mean() >= NEW_SHARE:
        yield (
            f"Column {printable(column.name)} follows the split: {int(new.sum()):,} of "
            f"{counted(len(cells), 'test image')} have {what}."
        )
