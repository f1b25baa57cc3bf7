"""The extractors whose embeddings, side by side, a model was fitted on."""

from __future__ import annotations

from dataclasses import dataclass
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
    """

    document: dict[str, Any]
    request: dict[str, Any]

    @property
    def spec(self) -> ExtractorSpec:
        """What new images must be embedded with."""
        return ExtractorSpec(self.document)

    @property
    def backbone_request(self) -> BackboneRequest:
        """What to ask for to build it."""
        return BackboneRequest.from_document(self.request)
