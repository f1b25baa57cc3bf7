"""What a fit gives back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from featx.console import counted
from featx.fitting.candidates import Setup, Trial
from featx.fitting.estimate import HeldOut
from featx.fitting.near_copies import NearCopies
from featx.fitting.search import FoldSearch
from featx.fitting.selection import CandidateComparison, without_sampler, without_views
from featx.fitting.trust import FittedTrust
from featx.types import Components

__all__ = ["SCHEMA_VERSION", "Candidate", "FitResult", "Predictions", "tabulate"]

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Candidate:
    """One row of the results table: a setup at the best point of its grid.

    Parameters
    ----------
    backbone, head, sampler : str
    class_weight : {"none", "balanced"}
    views : int
        Augmented views of each training image, beside the image itself.
    status : {"ok", "refused", "not reached"}
        Whether it has scores, cannot be fitted, or the budget ended before.
    pca : {"none"} or int or float
        Components kept, or their share of the variance.
    params : dict
        Best grid point; empty without scores.
    cv_mean, cv_std : float or None
        Mean and standard deviation of ``fold_scores``.
    fold_scores : list of float or None
        None where a fold has no score: a ROC area needs two classes.
    grid : list of dict
        Every point tried, as ``{"params", "cv_mean", "cv_std"}``.
    against_none : dict, optional
        Mean difference of the fold scores to the same row without resampling, as ``{"mean",
        "low", "high", "p"}`` of the corrected resampled t-test.
    against_class_weight : dict, optional
        The same to the row with class weights instead of a sampler.
    against_no_views : dict, optional
        The same of a row with views to the row that trains on the images alone.
    against_chosen : dict, optional
        Mean difference of the fold scores to the chosen row, with ``p_adjusted`` for all
        comparisons; see `featx.fitting.selection.CandidateComparison`.
    against_chosen_tested : dict, optional
        The same on the test split or what was held out.
    elapsed_s : float
        Seconds of fitting and scoring, summed over threads.
    notes : list of str
    """

    backbone: str
    head: str
    sampler: str
    class_weight: str
    views: int
    status: str
    pca: Components = "none"
    params: dict[str, Any] = field(default_factory=dict)
    cv_mean: float | None = None
    cv_std: float | None = None
    fold_scores: list[float | None] = field(default_factory=list)
    grid: list[dict[str, Any]] = field(default_factory=list)
    against_none: dict[str, float] | None = None
    against_class_weight: dict[str, float] | None = None
    against_no_views: dict[str, float] | None = None
    against_chosen: dict[str, float] | None = None
    against_chosen_tested: dict[str, float] | None = None
    elapsed_s: float = 0.0
    notes: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """The row as JSON."""
        return dict(vars(self))


@dataclass(frozen=True)
class Predictions:
    """Predictions for held-out images, ready for a table.

    Columns: ``id``, ``split`` (``oof``: by the chosen candidate, trained on the other folds;
    ``nested``: by what a search on the other folds chose; ``test``), ``fold`` (None in the test
    split), ``y_true``, ``y_pred``; ``unit``, a number that images share which stay together
    (groups, exact copies) among those of one split; ``content``, the first 16 hexadecimal digits
    of the SHA-256 of the image's bytes; and ``p_<class>``, the probability of each class. By unit
    and content `featx.compare` knows what it may pair and what to draw together.
    """

    classes: list[str]
    held: list[HeldOut]

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        of_classes = [f"p_{c}" for c in self.classes]
        return ["id", "split", "fold", "y_true", "y_pred", "unit", "content", *of_classes]

    def rows(self) -> Iterator[list[Any]]:
        """One list of plain values for each prediction."""
        for held in self.held:
            named = [self.classes[c] for c in held.y_pred]
            units = held.part.components
            for i, name in enumerate(held.part.ids):
                fold = int(held.fold[i])
                yield [
                    name,
                    held.split,
                    fold if fold >= 0 else None,
                    self.classes[held.part.y[i]],
                    named[i],
                    int(units[i]),
                    held.part.hashes[i, :8].tobytes().hex(),
                    *held.proba[i].tolist(),
                ]

    def __len__(self) -> int:
        return sum(len(held.part) for held in self.held)


@dataclass(frozen=True)
class FitResult:
    """A searched, evaluated and refitted classifier.

    Parameters
    ----------
    classes : list of str
        Sorted labels; columns of probabilities come in this order.
    candidates : list of Candidate
        Every row tried, the one without resampling before the ones with it.
    chosen : Candidate
    backbones : tuple of str
        Whose embeddings, side by side, the chosen candidate reads.
    comparison : dict
        JSON of how candidates were compared on the ``folds`` and, where there are test images,
        ``tested`` on those.
    search : dict
        JSON of what was tried.
    estimate : dict
        JSON of the number to report; see `featx.stats.intervals.describe_predictions`.
    estimates : dict of dict
        The same for other ways to evaluate, by name, for comparison.
    near_copies : NearCopies
        How many of the images that the number is from are nearly in training.
    learning_curve : dict or None
        JSON of `featx.fitting.curve.learning_curve`, where it was asked for.
    predictions : Predictions
    pipeline : sklearn.pipeline.Pipeline or featx.artifact.ensemble.EnsembleHead
        Fitted ``scaler``, ``pca`` where there is one, and ``head``; takes embeddings, gives
        labels. Has no sampler.
    trust : FittedTrust
        Calibration, prediction sets and the out-of-distribution score.
    settings : dict
        JSON: scoring, folds, seed, images and groups.
    notes : list of str
        What was adapted, refused or noteworthy, in sentences.
    elapsed_s : float
    """

    classes: list[str]
    candidates: list[Candidate]
    chosen: Candidate
    backbones: tuple[str, ...]
    comparison: dict[str, Any]
    search: dict[str, Any]
    estimate: dict[str, Any]
    estimates: dict[str, dict[str, Any]]
    near_copies: NearCopies
    learning_curve: dict[str, Any] | None
    predictions: Predictions
    pipeline: Any
    trust: FittedTrust
    settings: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    elapsed_s: float = 0.0

    @property
    def temperature(self) -> float | None:
        """For `featx.margins.margin_probabilities`; None when the head has probabilities."""
        return self.trust.temperature

    def document(self) -> dict[str, Any]:
        """The body of ``results.json``: JSON without NaN, schema versioned."""
        return {
            "schema_version": SCHEMA_VERSION,
            "classes": self.classes,
            **self.settings,
            "candidates": [c.document() for c in self.candidates],
            "chosen": self.chosen.document(),
            "comparison": self.comparison,
            "search": self.search,
            "estimate": self.estimate,
            "estimates": self.estimates,
            "near_copies": self.near_copies.document(),
            "learning_curve": self.learning_curve,
            "temperature": self.temperature,
            "trust": self.trust.document,
            "notes": self.notes,
            "elapsed_s": self.elapsed_s,
        }


def tabulate(
    search: FoldSearch,
    setups: Sequence[Setup],
    trials: Sequence[Trial],
    best: Mapping[Setup, Trial],
    *,
    on_folds: CandidateComparison,
    on_test: CandidateComparison | None,
) -> list[Candidate]:
    """One candidate for each setup, in the order of ``setups``."""
    comparisons = {"against_chosen": on_folds, "against_chosen_tested": on_test}
    return [_candidate(search, setup, trials, best, comparisons) for setup in setups]


def _candidate(
    search: FoldSearch,
    setup: Setup,
    trials: Sequence[Trial],
    best: Mapping[Setup, Trial],
    comparisons: Mapping[str, CandidateComparison | None],
) -> Candidate:
    if setup not in best:
        refusal = search.found.refused.get(setup)
        status, why = ("refused", refusal) if refusal else ("not reached", "The budget was spent.")
        return Candidate(**setup.document(), status=status, notes=[why])
    notes = []
    if search.unconverged[setup]:
        notes.append(
            f"{counted(search.unconverged[setup], 'fit')} stopped at the iteration limit before "
            "converging; their scores count as they are."
        )
    scores = search.fold_scores(best[setup])
    tests = without_sampler(search, best, setup)
    tests["against_no_views"] = without_views(search, best, setup)
    differences: dict[str, Any] = {
        name: None if test is None else asdict(test) for name, test in tests.items()
    }
    differences |= {name: c.row(setup) if c else None for name, c in comparisons.items()}
    grid = [
        {
            "params": dict(t.params),
            "cv_mean": _number(search.mean_score(t)),
            "cv_std": _number(np.nanstd(search.fold_scores(t))),
        }
        for t in trials
        if t.setup == setup
    ]
    return Candidate(
        **setup.document(),
        status="ok",
        params=dict(best[setup].params),
        cv_mean=_number(search.mean_score(best[setup])),
        cv_std=_number(np.nanstd(scores)),
        fold_scores=[_number(score) for score in scores],
        grid=grid,
        **differences,
        elapsed_s=round(search.found.elapsed_s[setup], 3),
        notes=notes,
    )


def _number(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)
