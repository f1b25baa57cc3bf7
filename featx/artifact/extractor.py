"""The extractors whose embeddings, side by side, a model was fitted on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from featx.types import BackboneRequest, ExtractorSpec

__all__ = ["ModelExtractor"]


@dataclass(frozen=True)
class ModelExtractor:
    """One extractor, with what to ask for to build it again.

    Parameters
    ----------
    document : dict
        Document of the `featx.types.ExtractorSpec`.
    request : dict
        Document of the `featx.types.BackboneRequest` that builds that extractor.
    weights : Path, optional
        File of weights that belong to the model and are saved with it: those of a fine-tuned
        backbone. It wins over the weights that ``request`` names.
    """

    document: dict[str, Any]
    request: dict[str, Any]
    weights: Path | None = None

    @property
    def spec(self) -> ExtractorSpec:
        """What new images must be embedded with."""
        return ExtractorSpec(self.document)

    @property
    def backbone_request(self) -> BackboneRequest:
        """What to ask for to build it."""
        request = BackboneRequest.from_document(self.request)
        return request if self.weights is None else replace(request, weights=str(self.weights))
