"""Ensembles as candidates: chosen grid points that vote, or whose outputs are stacked.

Nothing is fitted for them but their shares: each member's calibration and, when stacked, what
weighs the members. Those come from predictions for images that the members were not fitted on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from featx.artifact.calibration import Calibration
from featx.artifact.document import MAX_HEADS
from featx.artifact.ensemble import LEAST, mean_of, stack_features
from featx.config import FitConfig
from featx.errors import ConfigError
from featx.fitting.calibrate import fit_calibration
from featx.fitting.candidates import EnsembleTrial, Setup, Trial
from featx.fitting.training import Outputs, one_blas_thread
from featx.heads import HEADS
from featx.types import FloatArray, IntArray

TrialOutputs = Callable[[Trial], Outputs]  # of every trial, for the same images

PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3)  # C of a stack, the strongest penalty first
UNCHOSEN = 0.01  # where no fold can be left out


def plan_ensembles(
    best: Mapping[Setup, Trial],
    mean_score: Callable[[Trial], float],
    config: FitConfig,
    order: Sequence[str] = (),
) -> list[EnsembleTrial]:
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
    list of EnsembleTrial
        The best member of each comes first. Empty where fewer than two could take part.

    Raises
    ------
    ConfigError
        An ensemble would have more heads than a model may hold.
    """
    singles = [t for t in best.values() if not isinstance(t, EnsembleTrial)]
    copies = {trial: _copies(trial, config.seeds) for trial in singles}
    found = [_of_copies(member) for member in copies.values() if len(member) > 1]
    means = {trial: np.nan_to_num(mean_score(trial), nan=-np.inf) for trial in singles}
    ranked = sorted(singles, key=lambda trial: -means[trial])[: config.members]
    n_heads = sum(len(copies[trial]) for trial in ranked)
    if config.ensemble and n_heads > MAX_HEADS:
        raise ConfigError(
            f"An ensemble of {len(ranked)} candidates would have {n_heads} heads; at most "
            f"{MAX_HEADS} are allowed.",
            hint="Give a smaller --members or --seeds.",
        )
    if len(ranked) > 1:
        order = order or [name for setup in best for name in setup.backbones]
        for method in dict.fromkeys(config.ensemble):
            found.append(_of_members(method, tuple(copies[t] for t in ranked), order))
    return found


def _copies(trial: Trial, n_seeds: int) -> tuple[Trial, ...]:
    """The trial with as many seeds as make a difference to it."""
    seeded = trial.setup.sampler != "none" or HEADS.get(trial.setup.head).seeded
    return tuple(replace(trial, copy=k) for k in range(n_seeds if seeded else 1))


def _of_copies(member: tuple[Trial, ...]) -> EnsembleTrial:
    setup = replace(member[0].setup, head=f"{member[0].setup.head} x{len(member)}")
    params = (*member[0].params, ("seeds", len(member)))
    return EnsembleTrial(setup, params, members=tuple((trial,) for trial in member))


def _of_members(
    method: str, members: tuple[tuple[Trial, ...], ...], order: Sequence[str]
) -> EnsembleTrial:
    used = {name for member in members for name in member[0].setup.backbones}
    backbones = tuple(name for name in dict.fromkeys(order) if name in used)
    names = tuple(_name(member) for member in members)
    columns = next((m[0].setup.tabular for m in members if m[0].setup.tabular), ())
    setup = Setup(backbones, method, "none", "none", tabular=columns)
    return EnsembleTrial(setup, (("members", names),), members=members)


def _name(member: tuple[Trial, ...]) -> str:
    """A member in a few words."""
    params = ", ".join(f"{k}={v}" for k, v in member[0].params)
    seeds = f" x{len(member)}" if len(member) > 1 else ""
    return f"{member[0].setup}{seeds}" + (f" ({params})" if params else "")


@dataclass(frozen=True)
class Shares:
    """What turns the outputs of an ensemble's members into its own."""

    calibrations: list[Calibration | None]  # one a member
    # fitted on `featx.artifact.ensemble.stack_features` and class indices; None averages
    stack: Any | None

    def combine(self, ensemble: EnsembleTrial, outputs: TrialOutputs, n_classes: int) -> Outputs:
        """Outputs of the ensemble, from those of its trials."""
        each = _member_probabilities(ensemble, self.calibrations, outputs)
        if self.stack is None:
            return Outputs(mean_of(each), margins=False)
        scores = np.zeros((len(each[0]), n_classes))
        scores[:, self.stack.classes_] = self.stack.predict_proba(stack_features(each))
        return Outputs(scores, margins=False)


def _member_probabilities(
    ensemble: EnsembleTrial, calibrations: Sequence[Calibration | None], outputs: TrialOutputs
) -> list[FloatArray]:
    return [
        mean_of([outputs(trial).probabilities(calibration) for trial in member])
        for member, calibration in zip(ensemble.members, calibrations, strict=True)
    ]


def fit_shares(
    ensemble: EnsembleTrial, folds: Sequence[TrialOutputs], y: Sequence[IntArray], calibrate: str
) -> Shares:
    """Shares from outputs for folds that the members were not fitted on.

    Parameters
    ----------
    ensemble : EnsembleTrial
    folds : sequence of callable
        For each fold, the outputs of a trial.
    y : sequence of ndarray of int64
        True classes of each fold.
    calibrate : str
        As for `featx.fitting.calibrate.fit_calibration`.
    """
    calibrations = [_calibration(member, folds, y, calibrate) for member in ensemble.members]
    if ensemble.setup.head != "stack":
        return Shares(calibrations, None)
    features = [
        stack_features(_member_probabilities(ensemble, calibrations, outputs)) for outputs in folds
    ]
    with one_blas_thread():
        return Shares(calibrations, _fit_stack(features, y, _penalty(features, y)))


def _calibration(
    member: tuple[Trial, ...],
    folds: Sequence[TrialOutputs],
    y: Sequence[IntArray],
    calibrate: str,
) -> Calibration | None:
    """One calibration for all copies of a member, from their outputs together."""
    together = []
    for outputs in folds:
        each = [outputs(trial) for trial in member]
        together.append(Outputs(np.concatenate([o.scores for o in each]), each[0].margins))
    return fit_calibration(calibrate, together, [np.tile(labels, len(member)) for labels in y])


def _penalty(features: Sequence[FloatArray], y: Sequence[IntArray]) -> float:
    """The best ``C`` where each fold is evaluated by a stack of the others."""
    others = [np.concatenate([*y[:k], *y[k + 1 :], y[k][:0]]) for k in range(len(y))]
    if any(len(np.unique(labels)) < 2 for labels in others):
        return UNCHOSEN
    losses = [_left_out_loss(features, y, C) for C in PENALTIES]
    return PENALTIES[int(np.argmin(losses))]


def _left_out_loss(features: Sequence[FloatArray], y: Sequence[IntArray], C: float) -> float:
    """Log loss of each fold's images by a stack that is fitted to the other folds."""
    losses = []
    for k in range(len(y)):
        others = [i for i in range(len(y)) if i != k]
        stack = _fit_stack([features[i] for i in others], [y[i] for i in others], C)
        # a class in this fold alone has no probability, which would decide between all penalties
        known = np.isin(y[k], stack.classes_)
        column = np.searchsorted(stack.classes_, y[k][known])
        p = stack.predict_proba(features[k][known])[np.arange(len(column)), column]
        losses.append(-np.log(np.maximum(p, LEAST)))
    return float(np.concatenate(losses).mean())


def _fit_stack(features: Sequence[FloatArray], y: Sequence[IntArray], C: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=C, max_iter=1000).fit(np.concatenate(features), np.concatenate(y))
