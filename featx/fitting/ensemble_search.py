"""Ensembles scored on the folds of a search, each fold by shares that know nothing of it.

Whatever is to know nothing of a fold has shares from predictions by members fitted without that
fold as well, which are the fits with two folds left out that the nested search makes anyway.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from featx.errors import FitError
from featx.fitting.candidates import EnsembleTrial, Trial
from featx.fitting.ensemble import Shares, fit_shares
from featx.fitting.partition import FoldSet, Test
from featx.fitting.search import FoldSearch
from featx.stats.metrics import fold_score

FEWEST_FOLDS = 3


def run_trials(search: FoldSearch, trials: Sequence[Trial], *, label: str) -> None:
    """Outputs and scores of trials and ensembles on each fold; what is known is not refitted."""
    ensembles = [t for t in trials if isinstance(t, EnsembleTrial)]
    score_ensembles(search, ensembles, search.data.tests, label=label)
    plain = [t for t in trials if not isinstance(t, EnsembleTrial)]
    search.run(plain, search.data.single, label=label)


def score_ensembles(
    search: FoldSearch, ensembles: Sequence[EnsembleTrial], tests: Sequence[Test], *, label: str
) -> None:
    """Outputs and scores of ensembles, each with shares that know nothing of the fold tested.

    Members are fitted with each fold, and with every two, left out, where they were not yet. An
    ensemble that cannot be made is refused.

    Parameters
    ----------
    search : FoldSearch
    ensembles : sequence of EnsembleTrial
    tests : sequence of (tuple of int, int)
        Folds to leave out, and which of them is tested. Of two, the other one is the outer fold of
        a nested search and takes no part either.
    label : str
        Of the progress bar.
    """
    for ensemble in ensembles:
        started = time.perf_counter()
        if _fit_members(search, ensemble, label):
            for left_out, tested in tests:
                if (ensemble, left_out, tested) not in search.found.outputs:
                    _score(search, ensemble, left_out, tested)
        search.found.elapsed_s[ensemble.setup] += time.perf_counter() - started


def ship_shares(search: FoldSearch, ensemble: EnsembleTrial) -> Shares:
    """Shares from every fold, for members that are fitted on all images."""
    return _shares(search, ensemble, search.data.tests)


def fold_shares(
    search: FoldSearch, ensemble: EnsembleTrial, outer: int, left_out: Sequence[int] = ()
) -> Shares:
    """Shares that know nothing of ``outer``, from the other folds but those left out too."""
    key = ensemble, outer, tuple(left_out)
    if key not in search.shares:
        # a member fitted without both folds has seen neither the outer one nor the one it predicts
        tests = [test for test in search.data.tests_without(outer) if test[1] not in left_out]
        search.shares[key] = _shares(search, ensemble, tests)
    return search.shares[key]


def _fit_members(search: FoldSearch, ensemble: EnsembleTrial, label: str) -> bool:
    """Fit what an ensemble rests on; whether that was possible."""
    setup, data, refused = ensemble.setup, search.data, search.found.refused
    if data.n_folds < FEWEST_FOLDS:
        refused[setup] = (
            f"{setup} needs {FEWEST_FOLDS} folds, because its calibration and weights must not "
            f"come from the fold they are evaluated on; there are {data.n_folds}."
        )
        return False
    before = dict(refused)
    try:
        data.check(data.pairs)
        search.run(ensemble.trials, [*data.single, *data.pairs], label=label)
    except FitError as error:
        refused[setup] = error.message
        return False
    faults = [refused[t.setup] for t in ensemble.trials if t.setup in refused]
    if faults:
        # a member that fails with two folds left out is still a candidate by itself
        refused.clear()
        refused.update({**before, setup: f"A member cannot be fitted: {faults[0]}"})
    return not faults


def _score(search: FoldSearch, ensemble: EnsembleTrial, left_out: FoldSet, tested: int) -> None:
    """One test: shares from all folds but those left out, by members fitted without ``outer``."""
    outer = next((fold for fold in left_out if fold != tested), tested)
    shares = fold_shares(search, ensemble, outer, [k for k in left_out if k != outer])
    found, key = search.found, (ensemble, left_out, tested)
    found.outputs[key] = shares.combine(
        ensemble,
        lambda trial: found.outputs[trial, left_out, tested],
        len(search.part.classes),
    )
    y = search.data.y(tested)
    found.scores[key] = fold_score(search.settings.scoring, y, found.outputs[key].scores)


def _shares(search: FoldSearch, ensemble: EnsembleTrial, tests: Sequence[Test]) -> Shares:
    outputs = search.found.outputs
    return fit_shares(
        ensemble,
        [lambda trial, test=test: outputs[trial, *test] for test in tests],  # type: ignore[misc]
        [search.data.y(tested) for _, tested in tests],
        search.settings.calibrate,
    )
