"""The two models that a fine-tune ends with: the frozen one and the fine-tuned one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from featx.artifact import Model, ModelExtractor
from featx.artifact.novelty import Novelty
from featx.artifact.operating import OperatingCurves
from featx.artifact.trust import NoveltyLimit, OperatingSample, Trust
from featx.config import FitConfig, RunConfig
from featx.extraction import Extraction, Extractor, run_extractors
from featx.finetuning.folds import FinetuneContext, widen
from featx.finetuning.outcome import Outcome
from featx.fitting.data import Part
from featx.fitting.drift import fit_drift
from featx.fitting.gathering import fitted_model, seen_images
from featx.fitting.groups import fit_group_answers
from featx.fitting.held import HeldOut
from featx.fitting.sets import fit_sets
from featx.fitting.training import pipeline_outputs
from featx.fitting.trust import usual_rates
from featx.stats.novelty import alarm_limit, fit_spread
from featx.types import BackboneRequest, BoolArray, Float32Array, FloatArray

WEIGHTS = "backbone.safetensors"


@dataclass(frozen=True)
class Answer:
    """A model with the embeddings that it rests on.

    Parameters
    ----------
    kind : {"frozen", "finetuned"}
    model : Model
    extraction : Extraction
    notes : list of str
    not_tuned : str, optional
        Why the fine-tuned model is not the answer.
    """

    kind: str
    model: Model
    extraction: Extraction
    notes: list[str] = field(default_factory=list)
    not_tuned: str | None = None

    def predict(self, ids: Sequence[str], classes: list[str]) -> FloatArray:
        """Probabilities of some images, shape (n, n_classes), as `featx.score` gives them."""
        X = _gather(self.extraction, ids)
        proba = pipeline_outputs(self.model.pipeline, X).probabilities()
        return widen(proba, self.model.classes, classes)


def _gather(extraction: Extraction, ids: Sequence[str]) -> Float32Array:
    """Embeddings of some images by name."""
    rows = {name: i for i, name in enumerate(extraction.manifest.ids)}
    return extraction.store.gather(extraction.hashes[[rows[name] for name in ids]])


def frozen_answer(config: RunConfig, extraction: Extraction, outcome: Outcome) -> Answer:
    """The head on the frozen embeddings of all training images."""
    return Answer("frozen", fitted_model(config, [extraction], outcome.frozen), extraction)


def tuned_answer(
    config: RunConfig,
    extraction: Extraction,
    context: FinetuneContext,
    outcome: Outcome,
    oof: HeldOut | None,
) -> Answer:
    """The fine-tuned backbone, as one among all others, and its head.

    Every image is embedded by it, into a store of its own; what it says of the images that judge
    comes from there, as it will in `featx.score`.

    Parameters
    ----------
    config : RunConfig
    extraction : Extraction
        Of the frozen backbone.
    context : FinetuneContext
    outcome : Outcome
        Trained on all images of the context.
    oof : HeldOut, optional
        What fine-tuned networks say out of fold; without it the validation part says how far to
        trust the answers.
    """
    from featx.finetuning import save_backbone

    path = context.folder / WEIGHTS
    save_backbone(outcome.shipped.classifier, path)
    asked = BackboneRequest.from_document(extraction.request)
    request = replace(asked, weights=str(path.absolute()), pretrained=True)
    paths = extraction.manifest.paths
    extractor = Extractor.from_request(request, config.extract, paths)
    [tuned] = run_extractors(extraction.manifest, [extractor], config.extract, allow_memory=True)
    pipeline = outcome.shipped.classifier.head_weights().put_into(outcome.warm.pipeline)
    unseen, (proba, first) = outcome.validation, context.held_out(outcome)
    if oof is None:
        fold = np.full(len(proba), -1)
        oof = HeldOut("validation", context.part.take(unseen), fold, proba)
    X, seed = _gather(tuned, context.part.ids), context.seed
    scaled, theirs = pipeline[:1].transform(X), None
    if first is not None:
        theirs = outcome.warm.pipeline[:1].transform(first)
    trust, novelty = _tuned_trust(oof, context.part, scaled, unseen, seed=seed, first=theirs)
    sample, drift = fit_drift(X, context.part, oof, seed=seed, unseen=unseen, first=first)
    frozen = fitted_model(config, [extraction], outcome.base)
    model = replace(
        frozen,
        head=pipeline,
        extractors=[own_extractor(tuned, request, path)],
        temperature=None,
        trust=trust.model_copy(update={"drift": sample}),
        novelty=novelty,
        drift=drift,
        seen=seen_images([tuned], context.part.hashes),  # validation images chose the epoch
        provenance={**frozen.provenance, "finetuned": outcome.record.document},
    )
    return Answer("finetuned", with_curves(model, oof), tuned)


def _tuned_trust(
    held: HeldOut,
    part: Part,
    X: Float32Array,
    validation: BoolArray,
    *,
    seed: int,
    first: Float32Array | None = None,
) -> tuple[Trust, Novelty]:
    """Prediction sets and the out-of-distribution score, with the defaults of `featx.fit`.

    Parameters
    ----------
    held : HeldOut
        Predictions of images that the predicting network was not trained on: out of fold, or those
        of the validation part.
    part : Part
        All images that were trained or validated on.
    X : ndarray of shape (n, n_features), float32
        Their fine-tuned embeddings, standardised by the head's scaler.
    validation : ndarray of shape (n,), bool
        The validation part, which says how far away ordinary images lie.
    seed : int
    first : ndarray of shape (n, n_features), float32, optional
        Where ``X`` is of a network that was trained on the validation part too: the same of the
        network that was not. How far away the part lies there says how far away ordinary images
        lie from the other network's.

    Returns
    -------
    Trust, Novelty
    """
    config = FitConfig(seed=seed)
    sets = fit_sets(held.part.y, held.proba, config)
    there = X if first is None else first
    novelty = Novelty(*fit_spread(there[~validation], part.y[~validation], seed=seed))
    scores = novelty.scores(there[validation])
    if first is not None:
        novelty = Novelty(*fit_spread(X, part.y, seed=seed))
    limit = alarm_limit(scores, config.ood_rate)
    return Trust(
        sets=sets,
        novelty=NoveltyLimit(rate=config.ood_rate, limit=limit),
        usual=usual_rates(held, sets, scores > limit, config),
        groups=fit_group_answers(held, config),
    ), novelty


def with_curves(model: Model, held: HeldOut) -> Model:
    """The model with what its cutoffs are chosen by: predictions for images not trained on."""
    sample = OperatingSample(
        images=len(held.part),
        predicted="validation" if held.split == "validation" else "out of fold",
    )
    trust = (model.trust or Trust()).model_copy(update={"operating": sample})
    return replace(model, trust=trust, operating=OperatingCurves.of(held.part.y, held.proba))


def own_extractor(extraction: Extraction, request: BackboneRequest, path: Path) -> ModelExtractor:
    """An extractor whose weights are part of the model."""
    document: dict[str, Any] = dict(extraction.spec.document)
    return ModelExtractor(document, {**request.document(), "weights": None}, path)
