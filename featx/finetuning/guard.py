"""The guard: whether a fine-tune ended below the frozen model, judged on images that both predict.

A score of a few hundred images moves by points from luck alone, and a fall within that luck says
nothing. So a fine-tune has to be better in what ``--monitor`` watched, which is what it was chosen
by, and its score must not have fallen by more than luck explains. Where the last epoch is kept,
nothing was chosen by either: then it is below where both its score and its loss are worse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from featx.margins import margin_probabilities
from featx.stats.bootstrap import training_stretch
from featx.stats.comparison import PairedTest, paired_bootstrap
from featx.stats.intervals import resampled_scores
from featx.stats.losses import log_losses
from featx.stats.metrics import fold_score, metric_name
from featx.types import FloatArray, IntArray

LOSS = "neg_log_loss"
SPREAD = 0.5  # of the logarithm of temperatures, before any image is seen
MOST = 3.0  # that logarithm at most, either way
TIE = 1e-12  # scores that differ by less are equal: rounding alone differs so


@dataclass(frozen=True)
class PairedChange:
    """What fine-tuning did to predictions of the same images.

    Parameters
    ----------
    images : str
        Which, in words.
    loss, score : tuple of float
        Mean log loss, and the score, of the frozen and of the fine-tuned model.
    loss_test, score_test : PairedTest or None
        Of fine-tuned less frozen, by a paired bootstrap over images (groups and exact copies are
        drawn together); None of a single one.
    """

    images: str
    loss: tuple[float, float]
    score: tuple[float, float]
    loss_test: PairedTest | None
    score_test: PairedTest | None

    def below(self, monitor: str) -> str | None:
        """How the fine-tuned model is below the frozen one, if it is.

        Parameters
        ----------
        monitor : {"last", "score", "loss"}
            What has to be better, of equal scores the loss; with ``last`` either of the two.
        """
        rise, fall = self.loss[1] - self.loss[0], self.score[0] - self.score[1]
        if monitor == "loss" and not rise < 0:
            went = "rose from" if rise > 0 else "did not fall:"
            return f"the loss of the {self.images} {went} {_change(self.loss)}"
        if monitor == "score" and not (-fall, -rise) > (0, 0):
            return f"the score of the {self.images} went from {_change(self.score)}"
        if monitor == "last" and not (fall < 0 or rise < 0):
            return (
                f"the score of the {self.images} went from {_change(self.score)}, and their loss "
                f"from {_change(self.loss)}"
            )
        if self.score_test is not None and self.score_test.high < 0:
            return (
                f"the score of the {self.images} fell from {_change(self.score)}, more than "
                "chance explains (95 % interval of the difference: "
                f"{_interval(self.score_test)})"
            )
        return None

    def remark(self) -> str | None:
        """A fall of the score that may be luck, or a rise of the loss beside a better score."""
        if self.score[1] < self.score[0]:
            assert self.score_test is None or self.score_test.high >= 0
            shown = "" if self.score_test is None else f" (95 %: {_interval(self.score_test)})"
            return (
                f"The score of the {self.images} went from {_change(self.score)}, which may be "
                f"chance{shown}, while their loss went from {_change(self.loss)}."
            )
        if self.loss[1] > self.loss[0]:
            return (
                f"The loss of the {self.images} rose from {_change(self.loss)}, while their "
                f"score went from {_change(self.score)}: the probabilities are less reliable."
            )
        return None

    def document(self) -> dict[str, Any]:
        """JSON."""
        return {
            name: {"frozen": _plain(values[0]), "finetuned": _plain(values[1]), **_test(test)}
            for name, values, test in (
                ("loss", self.loss, self.loss_test),
                ("score", self.score, self.score_test),
            )
        }


def compare_models(
    images: str,
    y: IntArray,
    components: IntArray,
    frozen: FloatArray,
    finetuned: FloatArray,
    *,
    scoring: str,
    seed: int,
    n_folds: int | None = None,
) -> PairedChange:
    """Compare predictions of two models of the same images, none of which they were trained on.

    Parameters
    ----------
    images : str
        Which images, in words.
    y : ndarray of shape (n,), int64
    components : ndarray of shape (n,), int64
        What is drawn together: groups and exact copies.
    frozen, finetuned : ndarray of shape (n, n_classes)
        Probabilities.
    scoring : str
        A name of ``FitConfig.scoring``.
    seed : int
        Of the bootstrap.
    n_folds : int, optional
        Of images that were predicted out of fold: intervals are wider, see
        `featx.stats.bootstrap.training_stretch`.
    """
    units = np.unique(components, return_inverse=True)[1].astype(np.int64)
    n_units = int(units.max()) + 1
    values: dict[str, tuple[float, float]] = {}
    tests: dict[str, PairedTest | None] = {}
    for name in (LOSS, scoring):
        pair = [fold_score(name, y, p) for p in (frozen, finetuned)]
        if abs(pair[1] - pair[0]) < TIE:  # means in another order
            pair[1] = pair[0]
        values[name] = pair[0], pair[1]
        if n_units < 2:
            tests[name] = None
            continue
        samples = [resampled_scores(name, y, p, units, seed=seed) for p in (frozen, finetuned)]
        tests[name] = paired_bootstrap(
            pair[1] - pair[0],
            samples[1] - samples[0],
            n_units,
            stretch=training_stretch(n_folds),
        )
    loss = -values[LOSS][0], -values[LOSS][1]
    return PairedChange(images, loss, values[scoring], _negative(tests[LOSS]), tests[scoring])


def calibrated(probabilities: FloatArray, y: IntArray) -> tuple[FloatArray, float]:
    """Probabilities at the temperature that suits the labels, and that temperature.

    It is sought around 1, so that a handful of images that are all right do not make a model
    certain: its logarithm is normal around 0 before any image is seen.
    """
    from scipy.optimize import minimize_scalar

    logs = np.log(np.clip(probabilities, np.finfo(np.float64).tiny, None))

    def cost(log_t: float) -> float:
        losses = log_losses(y, margin_probabilities(logs, np.exp(log_t)))
        return float(losses.sum() + (log_t / SPREAD) ** 2 / 2)

    found = minimize_scalar(cost, bounds=(-MOST, MOST), method="bounded")
    temperature = float(np.exp(found.x))
    return margin_probabilities(logs, temperature), temperature


def _negative(test: PairedTest | None) -> PairedTest | None:
    return None if test is None else PairedTest(-test.mean, -test.high, -test.low, test.p)


def no_better_epoch(
    history: Sequence[Mapping[str, Any]], monitor: str, scoring: str, *, stopped: str = ""
) -> str:
    """Why epoch 0, the warm start, is the best one of a training, with what was not watched too.

    Parameters
    ----------
    history : sequence of mapping
        See `featx.finetuning.task.Trained`.
    monitor : {"last", "score", "loss"}
        What had to be better; ``last`` says as much of the score.
    scoring : str
        A name of ``FitConfig.scoring``.
    stopped : str
        Why training ended.
    """
    if len(history) < 2:
        return f"training ended before its first epoch was complete ({stopped})"
    loss, score = "validation loss", f"validation {metric_name(scoring)}"
    watched_here = ", which was watched,"
    loss += watched_here if monitor == "loss" else ""
    score += "" if monitor == "loss" else watched_here
    losses = [row["validation_loss"] for row in history]
    scores = [np.nan if row["validation_score"] is None else row["validation_score"]
              for row in history]  # fmt: skip
    loss_words = _best_of(loss, losses, np.argmin, "falls", "lowest")
    if np.isnan(scores).all():
        score_words = (f"the {score} is not defined", False)
    else:
        score_words = _best_of(score, scores, _argmax, "rises", "highest")
    watched, other = (loss_words, score_words) if monitor == "loss" else (score_words, loss_words)
    return f"{watched[0]}, {'although' if other[1] else 'and'} {other[0]}"


def _argmax(values: Sequence[float]) -> Any:
    return np.nanargmax(values)


def _best_of(
    name: str,
    values: Sequence[float],
    best_of: Callable[[Sequence[float]], Any],
    verb: str,
    most: str,
) -> tuple[str, bool]:
    """Whether a curve gets better than where it begins, in words, and as a truth value."""
    n = len(values) - 1
    best = 1 + int(best_of(values[1:])) if not np.isnan(values[1:]).all() else 1
    better = int(best_of([values[0], values[best]])) == 1
    if better:
        return f"the {name} {verb} from {_change((values[0], values[best]))} (epoch {best})", True
    epochs = "the only epoch" if n == 1 else f"any of {n} epochs"
    shown = f" at the start, {most} later ".join(_shown((values[0], values[best])))
    verb = {"falls": "does not fall", "rises": "does not rise"}[verb]
    return f"the {name} {verb} in {epochs} ({shown})", False


def _change(values: tuple[float, float]) -> str:
    return " to ".join(_shown(values))


def _shown(values: tuple[float, float]) -> tuple[str, str]:
    """Both, with as many digits as it takes to see that they differ."""
    first, second = values
    digits = 4
    while first != second and digits < 12 and f"{first:.{digits}f}" == f"{second:.{digits}f}":
        digits += 1
    if digits == 12:
        return f"{first:.17g}", f"{second:.17g}"
    return f"{first:.{digits}f}", f"{second:.{digits}f}"


def _interval(test: PairedTest) -> str:
    return f"[{test.low:+.4f}, {test.high:+.4f}]"


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _test(test: PairedTest | None) -> dict[str, Any]:
    if test is None:
        return {}
    values = {"difference": test.mean, "low": test.low, "high": test.high, "p": test.p}
    return {name: _plain(value) for name, value in values.items()}
