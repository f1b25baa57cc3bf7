"""Ensembles as candidates: chosen grid points that vote, or whose answers are stacked.

Nothing is fitted for them but their shares: each voice's calibration and, when stacked, what weighs
the voices. Those come from predictions for images that the members were not fitted on. Whatever is
to know nothing of a fold has shares from predictions by members fitted without that fold as well,
which are the fits with two folds held out that the nested search makes anyway.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from featx.config import FitConfig
from featx.errors import ConfigError, FitError
from featx.fitting.calibrate import fit_calibration
from featx.fitting.candidates import Ensemble, Setup, Trial
from featx.fitting.data import join_backbones, split_backbones
from featx.fitting.training import Outputs, one_blas_thread
from featx.heads import HEADS
from featx.model.calibration import Calibration
from featx.model.document import MAX_HEADS
from featx.model.ensemble import LEAST, mean_of, stack_features
from featx.stats.metrics import fold_score

if TYPE_CHECKING:
    from featx.fitting.search import FoldSearch

__all__ = [
    "Shares",
    "fit_shares",
    "fold_shares",
    "plan_ensembles",
    "score_ensembles",
    "ship_shares",
]

Float = NDArray[np.float64]
Said = Callable[[Trial], Outputs]
Test = tuple[tuple[int, ...], int]

FEWEST_FOLDS = 3
PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3)  # C of a stack, the strongest penalty first
UNCHOSEN = 0.01  # where no fold can be left out


def plan_ensembles(
    best: Mapping[Setup, Trial],
    mean_score: Callable[[Trial], float],
    config: FitConfig,
    order: Sequence[str] = (),
) -> list[Ensemble]:
    """What ``--seeds`` and ``--ensemble`` ask for, of the chosen grid points.

    Parameters
    ----------
    best : mapping of Setup to Trial
        The grid point chosen for each setup.
    mean_score : callable
        Of a trial, by what chose it.
    config : FitConfig
        ``ensemble``, ``members`` and ``seeds`` are read.
    order : sequence of str, optional
        Embeddings in the order of a model's columns; else as they are met in ``best``.

    Returns
    -------
    list of Ensemble
        The best voice of each comes first. Empty where fewer than two could take part.

    Raises
    ------
    ConfigError
        An ensemble would have more heads than a model may hold.
    """
    singles = [t for t in best.values() if not isinstance(t, Ensemble)]
    voices = {trial: _copies(trial, config.seeds) for trial in singles}
    found = [_of_copies(voice) for voice in voices.values() if len(voice) > 1]
    means = {trial: np.nan_to_num(mean_score(trial), nan=-np.inf) for trial in singles}
    ranked = sorted(singles, key=lambda trial: -means[trial])[: config.members]
    members = sum(len(voices[trial]) for trial in ranked)
    if config.ensemble and members > MAX_HEADS:
        raise ConfigError(
            f"An ensemble of {len(ranked)} candidates would have {members} heads; at most "
            f"{MAX_HEADS} are allowed.",
            hint="Give a smaller --members or --seeds.",
        )
    if len(ranked) > 1:
        order = order or [name for setup in best for name in split_backbones(setup.backbone)]
        for method in dict.fromkeys(config.ensemble):
            found.append(_of_voices(method, tuple(voices[t] for t in ranked), order))
    return found


def _copies(trial: Trial, n_seeds: int) -> tuple[Trial, ...]:
    """The trial with as many seeds as make a difference to it."""
    seeded = trial.setup.sampler != "none" or HEADS.get(trial.setup.head).seeded
    return tuple(replace(trial, copy=k) for k in range(n_seeds if seeded else 1))


def _of_copies(voice: tuple[Trial, ...]) -> Ensemble:
    setup = replace(voice[0].setup, head=f"{voice[0].setup.head} x{len(voice)}")
    params = (*voice[0].params, ("seeds", len(voice)))
    return Ensemble(setup, params, voices=tuple((trial,) for trial in voice))


def _of_voices(
    method: str, voices: tuple[tuple[Trial, ...], ...], order: Sequence[str]
) -> Ensemble:
    used = {name for v in voices for name in split_backbones(v[0].setup.backbone)}
    backbone = join_backbones([name for name in dict.fromkeys(order) if name in used])
    names = tuple(_name(voice) for voice in voices)
    return Ensemble(Setup(backbone, method, "none", "none"), (("members", names),), voices=voices)


def _name(voice: tuple[Trial, ...]) -> str:
    """A member in a few words."""
    params = ", ".join(f"{k}={v}" for k, v in voice[0].params)
    seeds = f" x{len(voice)}" if len(voice) > 1 else ""
    return f"{voice[0].setup}{seeds}" + (f" ({params})" if params else "")


@dataclass(frozen=True)
class Shares:
    """What turns the outputs of an ensemble's members into its own.

    Parameters
    ----------
    calibrations : list of Calibration or None
        One a voice.
    stack : LogisticRegression or None
        Fitted on `featx.model.ensemble.stack_features` and class indices; None averages.
    """

    calibrations: list[Calibration | None]
    stack: Any | None

    def combine(self, ensemble: Ensemble, said: Said, n_classes: int) -> Outputs:
        """What the ensemble says where its members say ``said``."""
        each = _voiced(ensemble, self.calibrations, said)
        if self.stack is None:
            return Outputs(mean_of(each), margins=False)
        scores = np.zeros((len(each[0]), n_classes))
        scores[:, self.stack.classes_] = self.stack.predict_proba(stack_features(each))
        return Outputs(scores, margins=False)


def _voiced(
    ensemble: Ensemble, calibrations: Sequence[Calibration | None], said: Said
) -> list[Float]:
    """Probabilities of each voice."""
    return [
        mean_of([said(trial).probabilities(calibration) for trial in voice])
        for voice, calibration in zip(ensemble.voices, calibrations, strict=True)
    ]


def fit_shares(
    ensemble: Ensemble, said: Sequence[Said], y: Sequence[NDArray[np.int64]], calibrate: str
) -> Shares:
    """Shares from what the members say of folds that they were not fitted on.

    Parameters
    ----------
    ensemble : Ensemble
    said : sequence of callable
        For each fold, the outputs of a member.
    y : sequence of ndarray of int64
        True classes of each fold.
    calibrate : str
        As for `featx.fitting.calibrate.fit_calibration`.
    """
    calibrations = [_calibration(voice, said, y, calibrate) for voice in ensemble.voices]
    if ensemble.setup.head != "stack":
        return Shares(calibrations, None)
    features = [stack_features(_voiced(ensemble, calibrations, fold)) for fold in said]
    with one_blas_thread():
        return Shares(calibrations, _fit_stack(features, y, _penalty(features, y)))


def _penalty(features: Sequence[Float], y: Sequence[NDArray[np.int64]]) -> float:
    """The best ``C`` where each fold is judged by what the others give."""
    others = [np.concatenate([*y[:k], *y[k + 1 :], y[k][:0]]) for k in range(len(y))]
    if any(len(np.unique(labels)) < 2 for labels in others):
        return UNCHOSEN
    losses = [_left_out_loss(features, y, C) for C in PENALTIES]
    return PENALTIES[int(np.argmin(losses))]


def _fit_stack(features: Sequence[Float], y: Sequence[NDArray[np.int64]], C: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=C, max_iter=1000).fit(np.concatenate(features), np.concatenate(y))


def _left_out_loss(features: Sequence[Float], y: Sequence[NDArray[np.int64]], C: float) -> float:
    """Log loss of each fold's images by a stack that is fitted to the other folds."""
    losses = []
    for k in range(len(y)):
        others = [i for i in range(len(y)) if i != k]
        stack = _fit_stack([features[i] for i in others], [y[i] for i in others], C)
        known = np.isin(y[k], stack.classes_)
        column = np.searchsorted(stack.classes_, y[k][known])
        p = stack.predict_proba(features[k][known])[np.arange(len(column)), column]
        losses.append(-np.log(np.maximum(p, LEAST)))
    return float(np.concatenate(losses).mean())


def _calibration(
    voice: tuple[Trial, ...], said: Sequence[Said], y: Sequence[NDArray[np.int64]], calibrate: str
) -> Calibration | None:
    """One calibration for all copies of a voice, from what they say together."""
    together = []
    for fold in said:
        each = [fold(trial) for trial in voice]
        together.append(Outputs(np.concatenate([o.scores for o in each]), each[0].margins))
    return fit_calibration(calibrate, together, [np.tile(labels, len(voice)) for labels in y])


def score_ensembles(
    search: FoldSearch, ensembles: Sequence[Ensemble], tests: Sequence[Test], *, label: str
) -> None:
    """Outputs and scores of ensembles, each with shares that know nothing of the fold tested.

    Members are fitted with each fold, and with every two, held out, where they were not yet. An
    ensemble that cannot be made is refused.

    Parameters
    ----------
    search : FoldSearch
    ensembles : sequence of Ensemble
    tests : sequence of (tuple of int, int)
        Folds to hold out, and which of them is tested. Of two, the other one is the outer fold of a
        nested search and takes no part either.
    label : str
        What the progress bar says.
    """
    for ensemble in ensembles:
        started = time.perf_counter()
        if _fit_members(search, ensemble, label):
            for held, tested in tests:
                if (ensemble, held, tested) not in search.kept:
                    _score(search, ensemble, held, tested)
        search.elapsed_s[ensemble.setup] += time.perf_counter() - started


def ship_shares(search: FoldSearch, ensemble: Ensemble) -> Shares:
    """Shares from every fold, for members that are fitted on all images."""
    folds = range(search.folds.n_folds)
    return _shares(search, ensemble, [((k,), k) for k in folds])


def fold_shares(
    search: FoldSearch, ensemble: Ensemble, outer: int, held: Sequence[int] = ()
) -> Shares:
    """Shares that know nothing of ``outer``, from the other folds but those ``held`` out too."""
    key = ensemble, outer, tuple(held)
    if key not in search.shares:
        inner = [k for k in range(search.folds.n_folds) if k != outer and k not in held]
        tests = [((min(outer, k), max(outer, k)), k) for k in inner]
        search.shares[key] = _shares(search, ensemble, tests)
    return search.shares[key]


def _fit_members(search: FoldSearch, ensemble: Ensemble, label: str) -> bool:
    """Fit what an ensemble rests on; whether that was possible."""
    setup, members = ensemble.setup, ensemble.members
    if search.folds.n_folds < FEWEST_FOLDS:
        search.refused[setup] = (
            f"{setup} needs {FEWEST_FOLDS} folds, so that its shares know nothing of the fold that "
            f"judges them; there are {search.folds.n_folds}."
        )
        return False
    before = dict(search.refused)
    try:
        search.check(search.pairs)
        search.run(members, [*search.single, *search.pairs], keep=True, label=label)
    except FitError as error:
        search.refused[setup] = error.message
        return False
    faults = [search.refused[m.setup] for m in members if m.setup in search.refused]
    if faults:
        # a member that fails with two folds held out is still a candidate by itself
        search.refused.clear()
        search.refused.update({**before, setup: f"A member cannot be fitted: {faults[0]}"})
    return not faults


def _score(search: FoldSearch, ensemble: Ensemble, held: tuple[int, ...], tested: int) -> None:
    """One test: shares from all folds but those held out, by members fitted without ``outer``."""
    outer = next((fold for fold in held if fold != tested), tested)
    shares = fold_shares(search, ensemble, outer, [k for k in held if k != outer])
    said = _said(search, held, tested)
    outputs = shares.combine(ensemble, said, len(search.part.classes))
    y = search.part.y[search.folds.fold == tested]
    search.kept[ensemble, held, tested] = outputs
    search.scores[ensemble, held, tested] = fold_score(search.scoring, y, outputs.scores)


def _shares(search: FoldSearch, ensemble: Ensemble, tests: Sequence[Test]) -> Shares:
    return fit_shares(
        ensemble,
        [_said(search, held, tested) for held, tested in tests],
        [search.part.y[search.folds.fold == tested] for _, tested in tests],
        search.calibrate,
    )


def _said(search: FoldSearch, held: tuple[int, ...], tested: int) -> Said:
    return lambda trial: search.kept[trial, held, tested]
