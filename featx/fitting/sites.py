"""Every group as an outer fold of its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from featx.console import counted
from featx.data.splits import Folds
from featx.fitting.foreseen import check_sites
from featx.fitting.partition import Partition
from featx.fitting.search import FoldSearch
from featx.runs.predictions import text_column
from featx.types import IntArray

MANY = 30  # sites: fits of the chosen settings that take their time


def leave_out_sites(search: FoldSearch, notes: list[str]) -> FoldSearch:
    """The search on a partition whose folds are the groups; sentences are added to ``notes``.

    An exact copy of an image in another group is tested with the first of its kind, so that no
    image is trained on while its copy is tested; nor does that let a group through, since the
    model that predicts it would train on the same content anyway.

    Raises
    ------
    FitError
        Fewer than three groups, or training images of one class while one is left out.
    """
    part = search.part
    names = part.columns.get("group")
    check_sites(None if names is None else names.tolist())
    assert names is not None
    site = np.unique(names.astype(str), return_inverse=True)[1]
    fold = _with_first_copy(site, part.alone)
    kept, fold = np.unique(fold, return_inverse=True)
    moved = int((kept[fold] != site).sum())
    if moved:
        notes.append(
            f"{counted(moved, 'image', 'is an exact copy/are exact copies')} of an image in "
            "another group, and evaluated with that group."
        )
    if len(kept) > MANY:
        notes.append(
            f"The chosen settings were fitted once for each of {len(kept):,} groups; "
            "--estimate nested is faster."
        )
    tested_with = text_column(np.unique(names.astype(str))[kept][fold].tolist())
    part = replace(part, columns={**part.columns, "group": tested_with})
    partition = Partition(part, Folds(fold.astype(np.int64), len(kept)))
    partition.check(partition.single)
    return search.on(partition)


def _with_first_copy(site: IntArray, alone: IntArray) -> IntArray:
    """The site of the first image of each set of exact copies."""
    _, first, code = np.unique(alone, return_index=True, return_inverse=True)
    return np.asarray(site[first][code], dtype=np.int64)
