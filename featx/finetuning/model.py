"""The two models that a fine-tune ends with: the frozen one and the fine-tuned one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featx.artifact import Model, ModelExtractor
from featx.artifact.operating import OperatingCurves
from featx.artifact.trust import OperatingSample, Trust
from featx.config import RunConfig
from featx.extraction import Extraction, Extractor, run_extractors
from featx.finetuning.folds import FinetuneContext, widen
from featx.finetuning.outcome import Outcome
from featx.finetuning.trust import tuned_trust
from featx.fitting.drift import fit_drift
from featx.fitting.gathering import fitted_model, seen_images
from featx.fitting.held import HeldOut
from featx.fitting.training import pipeline_outputs
from featx.types import BackboneRequest

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

    def predict(self, ids: Sequence[str], classes: list[str]) -> NDArray[np.float64]:
        """Probabilities of some images, shape (n, n_classes), as `featx.score` gives them."""
        X = _gather(self.extraction, ids)
        proba = pipeline_outputs(self.model.pipeline, X).probabilities()
        return widen(proba, self.model.classes, classes)


def _gather(extraction: Extraction, ids: Sequence[str]) -> NDArray[np.float32]:
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
    pipeline = outcome.shipped.classifier.head_weights().put_into(outcome.base.pipeline)
    unseen, (proba, first) = outcome.validation, context.held_out(outcome)
    if oof is None:
        fold = np.full(len(proba), -1)
        oof = HeldOut("validation", context.part.take(unseen), fold, proba)
    X, seed = _gather(tuned, context.part.ids), int(context.config.seed or 0)
    scaled, theirs = pipeline[:1].transform(X), None
    if first is not None:
        theirs = outcome.warm.pipeline[:1].transform(first)
    trust, novelty = tuned_trust(oof, context.part, scaled, unseen, seed=seed, first=theirs)
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
