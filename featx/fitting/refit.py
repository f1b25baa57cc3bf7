"""Candidates fitted on all images of a search, as they are compared on others and shipped."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np

from featx import console
from featx.artifact.ensemble import EnsembleHead, Member
from featx.fitting.candidates import EnsembleTrial, Trial
from featx.fitting.data import Part
from featx.fitting.ensemble_search import ship_shares
from featx.fitting.search import FoldSearch
from featx.fitting.training import (
    Outputs,
    fit_head,
    one_blas_thread,
    pipeline_outputs,
    prepare,
    project,
)
from featx.interrupts import workers


class Refits:
    """Pipelines of trials, each fitted once.

    Parameters
    ----------
    search : FoldSearch
        Its images are fitted on; of an ensemble's members it holds out-of-fold outputs.
    """

    def __init__(self, search: FoldSearch) -> None:
        self._search = search
        self._begun: dict[Trial, Future[Any]] = {}
        self._lock = threading.Lock()

    @console.stage("Refitting")
    def __call__(self, trial: Trial) -> Any:
        """The trial as a pipeline, or an `EnsembleHead` of them.

        Raises
        ------
        RefusedError
            It cannot be fitted to these images.
        """
        with workers(1) as pool:
            return self._begin(trial, pool).result()

    def outputs(self, trial: Trial, part: Part) -> Outputs:
        """What the trial gives for images that it was not fitted on."""
        return pipeline_outputs(self(trial), part.inputs(trial.setup))

    @contextmanager
    def begun(self, trial: Trial) -> Iterator[None]:
        """Fit ``trial`` meanwhile; what goes wrong is raised where it is asked for."""
        with workers(1) as pool:
            self._begin(trial, pool)
            yield

    def _begin(self, trial: Trial, pool: ThreadPoolExecutor) -> Future[Any]:
        """What the fit of ``trial`` comes to, which begins in ``pool`` unless it has begun.

        The main thread is to hear of Ctrl-C meanwhile.
        """
        with self._lock:  # two threads may ask for the same member
            if trial not in self._begun:
                fit = self._ensemble if isinstance(trial, EnsembleTrial) else self._pipeline
                self._begun[trial] = pool.submit(fit, trial)
            return self._begun[trial]

    def _pipeline(self, trial: Trial) -> Any:
        """Without the sampler: a fitted one carries training rows and predicts nothing."""
        from sklearn.pipeline import Pipeline

        part, settings = self._search.part, self._search.settings
        with one_blas_thread():
            projected = project(part, np.ones(len(part), bool), trial, seed=settings.seed)
            prepared = prepare(projected, trial, seed=settings.seed, device=settings.device)
            labels = np.array(part.classes)[prepared.y]
            head = fit_head(trial, prepared, labels, seed=settings.seed)
        return Pipeline([*prepared.steps, ("head", head)])

    def _ensemble(self, ensemble: Trial) -> EnsembleHead:
        from sklearn.pipeline import Pipeline

        assert isinstance(ensemble, EnsembleTrial)
        part, backbones = self._search.part, ensemble.setup.backbones
        shares = ship_shares(self._search, ensemble)
        classes, stack = np.array(part.classes), None
        if shares.stack is not None:
            shares.stack.classes_ = classes[shares.stack.classes_]
            stack = Pipeline([("head", shares.stack)])
        widths = part.widths(backbones)
        members = [
            Member(
                [self(trial) for trial in member],
                _columns(member[0].setup.backbones, backbones, widths),
                calibration,
                len(member[0].setup.tabular),
            )
            for member, calibration in zip(ensemble.members, shares.calibrations, strict=True)
        ]
        width = sum(widths) + len(ensemble.setup.tabular)
        return EnsembleHead(classes, width, members, stack)


def _columns(
    used: tuple[str, ...], all_: tuple[str, ...], widths: Sequence[int]
) -> tuple[int, int]:
    """Where the embeddings that a member uses lie among those of its ensemble."""
    first = all_.index(used[0])
    start = sum(widths[:first])
    return start, start + sum(widths[first : first + len(used)])
