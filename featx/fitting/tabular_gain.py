"""What other columns gain: the best row with them against the best without, out of fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from featx import console
from featx.config import FitConfig
from featx.errors import FitError
from featx.fitting.candidates import EnsembleTrial, Trial
from featx.fitting.ensemble_search import run_trials
from featx.fitting.estimate import held_out
from featx.fitting.exploring import Explorer, Kind
from featx.fitting.held import EvaluationSet, HeldOut
from featx.fitting.refit import Refits
from featx.fitting.search import FoldSearch
from featx.fitting.selection import choose
from featx.runs.search import Difference
from featx.runs.tabular import TabularGain
from featx.stats.bootstrap import training_stretch
from featx.stats.comparison import paired_bootstrap
from featx.stats.intervals import resampled_scores
from featx.stats.metrics import fold_score

Pair = tuple[HeldOut, HeldOut]  # predictions with the columns, and without
KINDS: tuple[Kind, Kind] = (lambda setup: bool(setup.tabular), lambda setup: not setup.tabular)


@console.stage("Comparing with and without the columns")
def tabular_gain(
    search: FoldSearch,
    explorer: Explorer,
    trials: Sequence[Trial],
    config: FitConfig,
    *,
    test: EvaluationSet | None,
    refits: Refits,
) -> TabularGain | None:
    """The gain with its interval; None where one of the two cannot be fitted or compared.

    Without images that evaluate once, each of the two is selected anew in every outer fold among
    the rows of its kind, as the estimate of the whole search is. Ensembles take no part.

    Parameters
    ----------
    search : FoldSearch
    explorer : Explorer
        Which ran the search, and the nested ones where the estimate made them.
    trials : sequence of Trial
        Those that could be fitted.
    config : FitConfig
    test : EvaluationSet, optional
    refits : Refits
    """
    plain = [t for t in trials if not isinstance(t, EnsembleTrial)]
    sides = [[t for t in plain if kind(t.setup)] for kind in KINDS]
    if not all(sides):
        return None
    best = [choose(side, search.fold_scores, config.select) for side in sides]
    try:
        nested = explorer.nested_choices(config.select, KINDS)
        if test is not None:
            one, other = (test.held(refits.outputs(t, test.part).probabilities()) for t in best)
            pair, on = (one, other), test.method
        elif nested is not None:
            outer, choices = nested
            pair, on = _of_folds(outer, choices), "nested"
        else:
            pair, on = _of_folds(search, [[t] * search.data.n_folds for t in best]), "cv"
    except FitError:  # one of the two cannot be fitted to some training part
        return None
    return _gain(pair, on, best, config)


def _of_folds(search: FoldSearch, choices: Sequence[Sequence[Trial]]) -> Pair:
    run_trials(search, list(dict.fromkeys(t for c in choices for t in c)), label="Columns")
    one, other = (held_out(search, each, "nested") for each in choices)
    return one, other


def _gain(pair: Pair, on: str, best: Sequence[Trial], config: FitConfig) -> TabularGain | None:
    part, n_folds = pair[0].part, pair[0].n_folds
    units, n_units = part.components, part.n_units
    values = [fold_score(config.scoring, part.y, h.proba) for h in pair]
    if n_units < 2 or np.isnan(values).any():
        return None
    samples = [
        resampled_scores(config.scoring, part.y, h.proba, units, seed=config.seed) for h in pair
    ]
    stretch = training_stretch(n_folds)
    difference = paired_bootstrap(
        values[0] - values[1], samples[0] - samples[1], n_units, stretch=stretch
    )
    method = f"paired bootstrap over {n_units:,} {part.unit}"
    if n_folds is not None:
        method += f", {stretch:.2f} times as wide for {n_folds} training sets"
    return TabularGain(
        scoring=config.scoring,
        estimated_on=on,
        method=method,
        n_images=len(part),
        with_columns=values[0],
        without_columns=values[1],
        difference=Difference(**asdict(difference)),
        chosen_with=str(best[0].setup),
        chosen_without=str(best[1].setup),
    )
