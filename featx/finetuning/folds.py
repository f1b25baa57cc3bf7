"""One fine-tune on some of the images: its validation part, its warm start, and its guard."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from featx import console
from featx.artifact.calibration import Temperature
from featx.config import FinetuneConfig, FitConfig
from featx.console import counted
from featx.data.splits import hold_out
from featx.durations import read_seconds, say_seconds
from featx.errors import FitError
from featx.finetuning.guard import PairedChange, calibrated, compare_models
from featx.finetuning.outcome import Outcome
from featx.fitting import FitData, FitResult, fit_heads
from featx.fitting.budget import Budget
from featx.fitting.data import Part
from featx.fitting.training import pipeline_outputs
from featx.types import BoolArray, Float32Array, FloatArray, IntArray

if TYPE_CHECKING:
    from featx.backbones import Backbone
    from featx.finetuning import ImageBank, Searched, Task, Trained
    from featx.finetuning.refitting import Refitted


_LARGER = (0.2, 0.25, 0.3, 0.4, 0.5)


@dataclass(frozen=True)
class FinetuneContext:
    """What every fine-tune of a run shares.

    Parameters
    ----------
    part : Part
        All images that may be trained on, with the frozen embeddings of one backbone.
    backbone : Backbone
    bank : ImageBank
        Of the images of ``part``, in its order: no other image can be read.
    config : FinetuneConfig
        With seed, folds and scoring.
    device, precision : str
        What predicts, and trains where ``devices`` does not name several.
    upright : bool
    folder : Path
        Of checkpoints.
    budget : Budget, optional
        With a part for each search.
    devices : tuple of str
        That train together, a process each.
    """

    part: Part
    backbone: Backbone
    bank: ImageBank
    config: FinetuneConfig
    device: str
    precision: str
    upright: bool
    folder: Path
    budget: Budget | None = None
    devices: tuple[str, ...] = ()

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return int(self.config.seed or 0)

    @property
    def scoring(self) -> str:
        """The score of the run."""
        return str(self.config.scoring)

    @property
    def X(self) -> Float32Array:
        """Frozen embeddings."""
        [X] = self.part.X.values()
        return X

    def foresee(self, n_images: Sequence[int]) -> None:
        """Say what is tried and about how long it will take, from a measured step.

        Parameters
        ----------
        n_images : sequence of int
            Of each training.

        Raises
        ------
        UsageError
            The network has not the stages or the attention that are asked for.
        """
        from featx.finetuning import describe_recipe, time_images
        from featx.finetuning.refitting import refit_epochs
        from featx.finetuning.searching import TRIALS

        config, trainings = self.config, counted(len(n_images), "training")
        train_s, predict_s = time_images(
            self.backbone.network,
            self.backbone.preprocess,
            self.X.shape[1],
            config,
            self.device,
            self.precision,
        )
        share = config.validation
        train_s /= max(1, len(self.devices) if self.device != "cpu" else 1)
        seconds = config.epochs * sum(n_images) * (train_s * (1 - share) + predict_s * share)
        at_most = "about"
        if config.trials or config.budget:
            seconds, at_most = seconds * (config.trials or TRIALS), "at most about"
        if config.budget:
            seconds = min(seconds, read_seconds(config.budget))
        if config.refit:
            seconds += refit_epochs(config.epochs) * sum(n_images) * train_s
            trainings += " and their refits" if n_images[1:] else " and its refit"
        console.log(
            f"Plan: {describe_recipe(config)}, in {trainings}: "
            f"{at_most} {say_seconds(seconds)} on this machine."
        )

    def finetune(self, rows: BoolArray, name: str, *, refit: bool = True) -> Outcome:
        """Fine-tune on some images of the part.

        Parameters
        ----------
        rows : ndarray of shape (n,), bool
        name : str
        refit : bool, default True
            Whether the network may be trained further, on the validation images too.

        Raises
        ------
        FitError
            Too few images for a head or for a validation part.
        """
        validation = self._validation(rows)
        training = rows & ~validation
        frozen, warm = self._fit(rows), self._fit(training, calibrate="temperature")
        task = self._task(name, warm, training, validation)
        trained, searched = self._train(task)
        change, temperature = self._change(warm, trained, validation)
        outcome = Outcome(
            name,
            frozen,
            warm,
            trained,
            validation,
            change,
            self.config.monitor,
            self.scoring,
            searched,
        )
        if not (refit and self.config.refit) or outcome.fell is not None:
            return outcome
        return replace(outcome, refitted=self._refit(outcome, rows, temperature))

    def _refit(self, outcome: Outcome, rows: BoolArray, temperature: float) -> Refitted | None:
        """The network trained further, on all of its images."""
        from featx.finetuning.refitting import refit

        searched, nobody = outcome.searched, np.zeros_like(rows)
        config = self.config
        if searched is not None:
            config = config.model_copy(update=searched.chosen.values)
        task = self._task(f"refit of {outcome.name}", outcome.warm, rows, nobody)
        return refit(task, config, outcome.trained, temperature)

    def _task(self, name: str, warm: FitResult, training: BoolArray, validation: BoolArray) -> Task:
        """The frozen backbone, to be trained, with the head that was fitted on it."""
        from featx.finetuning import HeadWeights, Task

        calibration = warm.trust.trust.calibration
        # A head that is too sure is cooled; none is made surer, which a few images would ask for.
        sure = calibration.temperature if isinstance(calibration, Temperature) else 1.0
        known = np.searchsorted(self.part.classes, warm.classes)
        local = np.full(len(self.part.classes), -1)
        local[known] = np.arange(len(known))
        return Task(
            name=name,
            backbone=copy.deepcopy(self.backbone.network),
            head=HeadWeights.of(warm.pipeline).cooled(max(1.0, sure)),
            bank=self.bank,
            y=local[self.part.y],
            training=np.flatnonzero(training),
            validation=np.flatnonzero(validation),
            folder=self.folder / name.replace(" ", "-"),
            device=self.device,
            precision=self.precision,
            scoring=self.scoring,
            seed=self.seed,
            upright=self.upright,
            curves=self._curves(name),
            devices=self.devices,
        )

    def _change(
        self, warm: FitResult, trained: Trained, validation: BoolArray
    ) -> tuple[PairedChange | None, float]:
        """The kept epoch against the frozen model, on the validation images; its temperature.

        Each is calibrated on them by a temperature: a sure head must not lose for being sure.
        """
        from featx.finetuning import predict

        if trained.best_epoch == 0:
            return None, 1.0
        part = self.part.take(validation)
        proba = pipeline_outputs(warm.pipeline, self.X[validation]).probabilities()
        rows = np.flatnonzero(validation)
        classes = self.part.classes
        y = np.searchsorted(np.searchsorted(classes, warm.classes), part.y)
        proba = calibrated(proba, y)[0]
        tuned = predict(trained.classifier, self.bank, rows, self.precision)
        tuned, temperature = calibrated(tuned, y)
        trained.classifier.cool(temperature)  # as what ships is
        change = compare_models(
            "validation images",
            part.y,
            part.components,
            widen(proba, warm.classes, classes),
            widen(tuned, warm.classes, classes),
            scoring=self.scoring,
            seed=self.seed,
        )
        return change, temperature

    def _curves(self, name: str) -> Path | None:
        """Where TensorBoard finds the curves of one training."""
        config = self.config
        if config.tensorboard is None:
            return None
        return Path(config.tensorboard) / str(config.name) / name.replace(" ", "-")

    def _train(self, task: Task) -> tuple[Trained, Searched | None]:
        """As asked or, where a search is asked for, as the validation images prefer."""
        from featx.finetuning import search, train

        if self.config.trials is None and self.budget is None:
            return train(task, self.config), None
        if self.budget is not None:
            self.budget.next_part()
        searched = search(task, self.config, self.budget)
        return searched.trained, searched

    def predict(self, outcome: Outcome, rows: BoolArray) -> tuple[FloatArray, FloatArray]:
        """Probabilities of images by the frozen and by the fine-tuned model."""
        from featx.finetuning import predict

        proba = pipeline_outputs(outcome.frozen.pipeline, self.X[rows]).probabilities()
        tuned = predict(outcome.shipped.classifier, self.bank, np.flatnonzero(rows), self.precision)
        classes = self.part.classes
        return widen(proba, outcome.frozen.classes, classes), widen(
            tuned, outcome.base.classes, classes
        )

    def held_out(self, outcome: Outcome) -> tuple[FloatArray, Float32Array | None]:
        """What the network that validation images validated says of them, which ships or not.

        Returns
        -------
        ndarray of shape (n_validation, n_classes)
            Probabilities.
        ndarray of shape (n, n_features), float32, or None
            Its embeddings of all images of the part; None where it is the one that ships.
        """
        from featx.finetuning import embed, predict

        first = outcome.trained.classifier
        proba = predict(first, self.bank, np.flatnonzero(outcome.validation), self.precision)
        proba = widen(proba, outcome.warm.classes, self.part.classes)
        if outcome.refitted is None:
            return proba, None
        return proba, embed(first, self.bank, np.arange(len(self.part)), self.precision)

    def _validation(self, rows: BoolArray) -> BoolArray:
        """A share of the images, stratified, that no group straddles and no class is lost to."""
        part = self.part.take(rows)
        components = np.unique(part.components, return_inverse=True)[1]
        held = self._hold_out(part, components)
        lost = np.setdiff1d(part.y, part.y[~held])
        held &= ~np.isin(components, components[np.isin(part.y, lost)])
        mask = np.zeros(len(rows), bool)
        mask[np.flatnonzero(rows)[held]] = True
        return mask

    def _hold_out(self, part: Part, components: IntArray) -> BoolArray:
        """The share asked for or, of few images, the smallest larger one that holds two classes."""
        asked = self.config.validation
        shares = [asked, *(share for share in _LARGER if share > asked)]
        for share in shares:
            try:
                return hold_out(part.y, components, part.classes, share=share, seed=self.seed)[0]
            except FitError as error:
                refused = error
        raise FitError(
            refused.message, hint="Fine-tuning needs a validation part: add images or groups."
        )

    def _fit(
        self, rows: BoolArray, calibrate: Literal["none", "temperature"] = "none"
    ) -> FitResult:
        """The head on frozen embeddings, its parameters chosen on these images alone."""
        part = self.part.take(rows)
        names = np.array(part.classes)
        groups = None if part.groups is None else part.groups.astype(str)
        data = FitData(part.X, names[part.y], part.ids, part.hashes, groups, copies=part.copies)
        config = FitConfig(
            head=[self.config.head],
            class_weight=self.config.class_weight,
            cv=int(self.config.folds or 5),
            scoring=self.config.scoring or "balanced_accuracy",
            seed=self.seed,
            jobs=self.config.jobs,
            estimate="cv",
            calibrate=calibrate,
        )
        return fit_heads(data, config)


def widen(proba: FloatArray, known: list[str], classes: list[str]) -> FloatArray:
    """Probabilities with a column for every class, also those that were not trained on."""
    wide = np.zeros((len(proba), len(classes)))
    wide[:, np.searchsorted(classes, known)] = proba
    return wide
