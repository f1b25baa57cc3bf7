"""The validation split that a linear-probe protocol chooses its penalty on."""

from __future__ import annotations

import numpy as np

from featx.config import FitConfig
from featx.console import counted
from featx.data.splits import Folds
from featx.fitting.candidates import plan_grids, plan_setups
from featx.fitting.data import FitData, Part
from featx.fitting.held import EvaluationSet
from featx.fitting.partition import Partition
from featx.fitting.plan import make_plan
from featx.fitting.search import FoldSearch
from featx.fitting.selection import choose
from featx.fitting.splitting import joined_note
from featx.types import BoolArray


def choose_on_validation(
    searched: FoldSearch,
    data: FitData,
    test: EvaluationSet | None,
    config: FitConfig,
    notes: list[str],
) -> FitConfig:
    """The configuration with the penalty that predicts the validation split best.

    Training images that are copies of validation images, or in a group of theirs, are left out of
    this choice. Without a protocol, or without a validation and a test split, the configuration
    stays as it is.

    Parameters
    ----------
    searched : FoldSearch
        On training and validation images.
    data : FitData
        Whose ``splits`` say which is which.
    test : EvaluationSet or None
        What evaluates the result; nested searches would need a choice of their own.
    config : FitConfig
    notes : list of str
        What was chosen is added, in place of the note that the two splits were joined.

    Returns
    -------
    FitConfig
    """
    part = searched.part
    if config.protocol is None or test is None or len(part.competing) > 1:
        return config
    held = _validation(part, data)
    if not held.any():
        return config
    rows = held | ~np.isin(part.components, part.components[held])
    partition = Partition(part.take(rows), Folds((~held[rows]).astype(np.int64), 1))
    partition.check([(0,)])
    search = FoldSearch(searched.settings, partition, searched.executor)
    plan = make_plan(plan_setups(part.competing, config, n_views=part.n_views)[0][:1], config)
    trials = plan.grid(plan.setups[0])
    search.score({(0,): trials}, keep=False, label="Validation")
    usable = [t for t in trials if t.setup not in search.found.refused]
    if not usable:
        return config
    best = choose(usable, search.fold_scores, config.select)
    n = len(plan_grids(config)["logreg"])
    params = dict(best.params)
    grid = {"logreg": {name: [value] for name, value in params.items()}}
    joined = joined_note(int((np.asarray(data.splits) == "val").sum()))
    notes[:] = [note for note in notes if note != joined]
    notes.append(
        f"C = {params['C']:.3g} was chosen among {n} values on the validation split "
        f"({counted(int(held.sum()), 'image')}, {config.scoring.replace('_', ' ')} "
        f"{search.mean_score(best):.3f}); the classifier was then fitted on training and "
        "validation images."
    )
    return config.model_copy(update={"param_grid": grid})


def _validation(part: Part, data: FitData) -> BoolArray:
    """Which images are of the validation split, as a mask."""
    if data.splits is None:
        return np.zeros(len(part), bool)
    names = {i for i, split in zip(data.ids, data.splits, strict=True) if split == "val"}
    return np.array([name in names for name in part.ids], dtype=bool)
