"""Probabilities of support vector machines are those of their calibrated margins, everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from featx.config import FitConfig
from featx.fitting import fit_heads
from featx.fitting.calibrate import fit_calibration
from featx.fitting.training import Outputs
from featx.margins import margin_columns, margin_probabilities
from featx.stats.calibration import fit_temperature
from tests.heads.heads_lab import data

KERNELS = {"svm-linear": "linear", "svm-rbf": "rbf"}


def fit(head: str, counts: tuple[int, ...], **options: Any) -> Any:
    """A cross-validated fit of one support vector machine."""
    config = {"head": [head], "cv": 4, "estimate": "cv", "param_grid": {head: {"C": [0.5]}}}
    return fit_heads(data(counts, distance=1.5), FitConfig(**config | options))


def margins_of(held: Any, head: str) -> np.ndarray:
    """Out-of-fold margins by scikit-learn alone."""
    X, y = held.part.X["net"], held.part.y
    columns = np.empty((len(y), len(np.unique(y))))
    for fold in np.unique(held.fold):
        own = held.fold == fold
        svm = make_pipeline(StandardScaler(), SVC(kernel=KERNELS[head], C=0.5, break_ties=True))
        columns[own] = margin_columns(svm.fit(X[~own], y[~own]).decision_function(X[own]))
    return columns


@pytest.mark.parametrize("head", KERNELS)
@pytest.mark.parametrize("counts", [(60, 40), (40, 40, 20)])
def test_the_temperature_of_a_fold_is_that_of_the_others(
    head: str, counts: tuple[int, ...]
) -> None:
    result = fit(head, counts)
    [held] = result.held
    y, margins = held.part.y, margins_of(held, head)
    expected = np.empty_like(margins)
    for fold in np.unique(held.fold):
        own = held.fold == fold
        temperature = fit_temperature(margins[~own], y[~own])
        expected[own] = margin_probabilities(margins[own], temperature)
    np.testing.assert_allclose(held.proba, expected, atol=1e-4)

    metrics = result.estimate["metrics"]
    assert metrics["log_loss"]["value"] == pytest.approx(log_loss(y, expected), abs=1e-3)
    plain = log_loss(y, margin_probabilities(margins, 1.0))
    assert abs(metrics["log_loss"]["value"] - plain) > 1e-3  # which it would be uncalibrated
    assert result.temperature == pytest.approx(fit_temperature(margins, y), rel=1e-2)


@pytest.mark.parametrize("head", KERNELS)
@pytest.mark.parametrize("method", ["sigmoid", "isotonic", "auto"])
def test_another_calibration_is_fitted_out_of_fold_too(head: str, method: str) -> None:
    result = fit(head, (40, 40, 20), calibrate=method)
    [held] = result.held
    y, margins = held.part.y, margins_of(held, head)
    expected = np.empty_like(margins)
    for fold in np.unique(held.fold):
        others = [f for f in np.unique(held.fold) if f != fold]
        calibration = fit_calibration(
            method,
            [Outputs(margins[held.fold == f], margins=True) for f in others],
            [y[held.fold == f] for f in others],
        )
        assert calibration is not None
        expected[held.fold == fold] = calibration.apply(margins[held.fold == fold], margins=True)
    np.testing.assert_allclose(held.proba, expected, atol=1e-3)
    value = result.estimate["metrics"]["log_loss"]["value"]
    assert value == pytest.approx(log_loss(y, held.proba), abs=1e-6)


def test_the_calibration_error_is_of_calibrated_probabilities() -> None:
    """These margins are far too sure; the calibrated ones are not."""
    result = fit("svm-linear", (150, 150))
    [held] = result.held
    error = result.estimate["calibration"]["ece"]
    value = error["value"] if isinstance(error, dict) else error
    hit = held.proba.argmax(axis=1) == held.part.y
    sure = held.proba.max(axis=1)
    order = np.argsort(sure, kind="stable")
    bins = np.array_split(order, 15)
    expected = sum(abs(hit[b].mean() - sure[b].mean()) * len(b) for b in bins) / len(hit)
    assert value == pytest.approx(expected, abs=0.01)
