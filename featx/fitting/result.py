"""What a fit gives back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from featx.console import counted
from featx.fitting.candidates import Setup, Trial
from featx.fitting.held import HeldOut
from featx.fitting.search import FoldSearch
from featx.fitting.selection import CandidateComparison, contrast, without_sampler
from featx.fitting.trust import FittedTrust
from featx.runs import Predictions, PredictionTable
from featx.runs.estimates import Estimate, NearCopies
from featx.runs.operating import OperatingPoints
from featx.runs.predictions import text_column
from featx.runs.results import SCHEMA_VERSION
from featx.runs.search import Candidate
from featx.runs.tabular import Tabled


def prediction_table(classes: list[str], held: Mapping[str, HeldOut]) -> PredictionTable:
    """What ``predictions.csv`` holds, by the name of the split."""
    return PredictionTable(
        classes,
        {
            split: Predictions(
                ids=text_column(one.part.ids),
                fold=one.fold,
                y=one.part.y,
                y_pred=one.y_pred,
                proba=one.proba,
                unit=one.part.components,
                content=text_column([sha[:8].tobytes().hex() for sha in one.part.hashes]),
                repeat=np.zeros(len(one.part), np.int64),
                columns=one.part.columns,
            )
            for split, one in held.items()
        },
    )


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
    estimate : Estimate
        The number to report; see `featx.stats.intervals.describe_predictions`.
    estimates : dict of Estimate
        The same for other ways to evaluate, by name, for comparison.
    near_copies : NearCopies
        How many of the images that the number is from are nearly in training.
    learning_curve : dict or None
        JSON of `featx.fitting.curve.learning_curve`, where it was asked for.
    held : list of HeldOut
        Predictions for held-out images, by split.
    pipeline : sklearn.pipeline.Pipeline or featx.artifact.ensemble.EnsembleHead
        Fitted ``scaler``, ``pca`` where there is one, and ``head``; takes embeddings, gives
        labels. Has no sampler.
    trust : FittedTrust
        Calibration, prediction sets and the out-of-distribution score.
    operating : OperatingPoints
        What cutoffs of each class find and cost.
    tabular : Tabled or None
        Other columns that were fitted on.
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
    estimate: Estimate
    estimates: dict[str, Estimate]
    near_copies: NearCopies
    learning_curve: dict[str, Any] | None
    held: list[HeldOut]
    pipeline: Any
    trust: FittedTrust
    operating: OperatingPoints
    tabular: Tabled | None
    settings: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    elapsed_s: float = 0.0

    @property
    def temperature(self) -> float | None:
        """For `featx.margins.margin_probabilities`; None when the head has probabilities."""
        return self.trust.temperature

    @property
    def predictions(self) -> PredictionTable:
        """Predictions for held-out images, ready for a table."""
        return prediction_table(self.classes, {one.split: one for one in self.held})

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
            "estimate": self.estimate.document(),
            "estimates": {name: each.document() for name, each in self.estimates.items()},
            "near_copies": self.near_copies.document(),
            "learning_curve": self.learning_curve,
            "temperature": self.temperature,
            "trust": self.trust.document,
            "operating": self.operating.document(),
            **({} if self.tabular is None else {"tabular": self.tabular.document()}),
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
        return _row(setup, status=status, notes=[why])
    notes = []
    if search.unconverged[setup]:
        notes.append(
            f"{counted(search.unconverged[setup], 'fit')} stopped at the iteration limit before "
            "converging; their scores count as they are."
        )
    scores = search.fold_scores(best[setup])
    tests = without_sampler(search, best, setup)
    tests["against_no_views"] = contrast(search, best, setup, replace(setup, views=0))
    if setup.tabular:
        tests["against_no_columns"] = contrast(search, best, setup, replace(setup, tabular=()))
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
    return _row(
        setup,
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


def _row(setup: Setup, **values: Any) -> Candidate:
    """A candidate with every field in it, those without a value too."""
    unused = {"kind"} if setup.tabular else {"kind", "tabular"}
    fields = Candidate(**setup.document()).model_dump(exclude=unused)
    return Candidate.model_validate({**fields, **values})


def _number(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)
