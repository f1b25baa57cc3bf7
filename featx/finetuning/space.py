"""What hyperparameters of a training may be, and which to try next, through optuna."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from featx.config import FinetuneConfig
from featx.errors import MissingExtraError
from featx.finetuning.task import epoch_rank

#: Values of hyperparameters, by their names in `FinetuneConfig`.
Point = dict[str, Any]

_RATES = 30.0  # the learning rate asked for is divided and multiplied by up to this
_DECAYS = 1e-4, 0.3
_FIRST = 4  # points drawn at random before a model of the results draws them
_WHOLE = 3  # trials trained to their end before one is pruned
_ATTEMPTS = 60  # to find a point that was not tried
_MODELLED = 10  # of them; the others are drawn at random


@dataclass(frozen=True)
class TuningTrial:
    """One training of a search, finished.

    Parameters
    ----------
    number : int
        From 1.
    values : dict
        Fields of `FinetuneConfig` that were searched.
    history : list of dict
        See `Trained`.
    best_epoch : int
    stopped : str
        As in `Trained`, or ``pruned`` or ``budget``.
    elapsed_s : float
    """

    number: int
    values: Point
    history: list[dict[str, Any]]
    best_epoch: int
    stopped: str
    elapsed_s: float

    def document(self) -> dict[str, Any]:
        """JSON of what was tried and how it ended."""
        best = self.history[self.best_epoch]
        return {
            "number": self.number,
            **self.values,
            "trained_epochs": len(self.history) - 1,
            "best_epoch": self.best_epoch,
            "stopped": self.stopped,
            "validation_loss": best["validation_loss"],
            "validation_score": best["validation_score"],
            "elapsed_s": round(self.elapsed_s, 3),
        }


def asked_point(config: FinetuneConfig) -> Point:
    """What is asked for: the first trial."""
    return {name: getattr(config, name) for name in config.tune}


def find_space(config: FinetuneConfig, n_stages: int) -> dict[str, Any]:
    """Distributions of what ``config.tune`` names, around what is asked for.

    Parameters
    ----------
    config : FinetuneConfig
    n_stages : int
        Of the backbone.
    """
    distributions = _optuna().distributions
    depths = [*(f"last-{n}" for n in (1, 2) if n < n_stages), "all", "gradual"]
    if config.lora is None:
        depths.insert(0, "head")
    if config.unfreeze not in depths:
        depths.append(config.unfreeze)
    rate, decay = float(config.learning_rate or 0), config.weight_decay
    layers = 1.0 if config.layer_decay is None else config.layer_decay
    low, high = _DECAYS
    real, choice = distributions.FloatDistribution, distributions.CategoricalDistribution
    everything = {
        "learning_rate": real(rate / _RATES, min(rate * _RATES, 100.0), log=True),
        "weight_decay": real(min(low, decay or low), max(high, decay), log=True),
        "unfreeze": choice(depths),
        "layer_decay": real(min(0.5, layers), 1.0),
        "augment": choice(get_args(FinetuneConfig.model_fields["augment"].annotation)),
        "epochs": distributions.IntDistribution(-(-config.epochs // 4), config.epochs),
    }
    return {name: everything[name] for name in config.tune}


class Study:
    """Which point to try next, and which trial to prune; it remembers nothing.

    Bergstra et al., "Algorithms for hyper-parameter optimization", NeurIPS 2011; pruned is what
    after an epoch is worse than the median of the trials before: Golovin et al., "Google Vizier",
    KDD 2017.

    Parameters
    ----------
    space : dict
        From `find_space`.
    monitor : {"last", "score", "loss"}
    seed : int
    """

    def __init__(self, space: dict[str, Any], monitor: str, seed: int) -> None:
        self.space, self.monitor, self.seed = space, monitor, seed
        self._optuna = _optuna()

    def ask(self, finished: Sequence[TuningTrial]) -> Point | None:
        """A point that was not tried; None where it finds none."""
        tried = [trial.values for trial in finished]
        for attempt in range(_ATTEMPTS):
            seed = np.random.default_rng([self.seed, len(finished), attempt]).integers(2**31)
            first = _FIRST if attempt < _MODELLED else _ATTEMPTS + len(finished)
            point = self._study(finished, int(seed), first).ask(self.space).params
            if point not in tried:
                return dict(point)
        return None

    def hopeless(
        self, finished: Sequence[TuningTrial], values: Point, history: Sequence[dict[str, Any]]
    ) -> bool:
        """Whether a trial is worse than half of those before it were after as many epochs."""
        study = self._study(finished, self.seed)
        study.enqueue_trial(self._within(values))
        trial = study.ask(self.space)
        for epoch, value in self._values(history).items():
            trial.report(value, epoch)
        return bool(trial.should_prune())

    def _study(self, finished: Sequence[TuningTrial], seed: int, first: int = _FIRST) -> Any:
        """A study that knows the finished trials; of so many it draws at random."""
        optuna = self._optuna
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(
            sampler=optuna.samplers.TPESampler(
                seed=seed, multivariate=True, n_startup_trials=first
            ),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_WHOLE, n_warmup_steps=1),
        )
        optuna.logging.set_verbosity(verbosity)
        for trial in finished:
            study.add_trial(self._known(trial))
        return study

    def _known(self, trial: TuningTrial) -> Any:
        """A finished trial as optuna sees it; failed where it diverged before an epoch's end."""
        states, values = self._optuna.trial.TrialState, self._values(trial.history)
        pruned = trial.stopped == "pruned"
        state = states.FAIL if not values else states.PRUNED if pruned else states.COMPLETE
        return self._optuna.trial.create_trial(
            state=state,
            value=self._kept(values) if state == states.COMPLETE else None,
            params=self._within(trial.values),
            distributions=self.space,
            intermediate_values=values,
        )

    def _kept(self, values: dict[int, float]) -> float:
        """Of the epoch that is kept."""
        return values[max(values)] if self.monitor == "last" else min(values.values())

    def _values(self, history: Sequence[dict[str, Any]]) -> dict[int, float]:
        """What is minimised, after each epoch of training."""
        ranks = {row["epoch"]: epoch_rank(row, self.monitor)[0] for row in history[1:]}
        return {epoch: rank for epoch, rank in ranks.items() if math.isfinite(rank)}

    def _within(self, values: Point) -> Point:
        """The nearest point of the space: a weight decay of 0 has no logarithm."""
        return {
            name: max(value, self.space[name].low) if name == "weight_decay" else value
            for name, value in values.items()
        }


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise MissingExtraError("A search (--trials, --budget)", "optuna") from None
    return optuna
