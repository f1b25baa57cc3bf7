"""The extractors whose embeddings, side by side, a model was fitted on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from featx.registry import PluginOrigin, plugin_origin
from featx.types import BackboneRequest, ExtractorSpec


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
    plugin : PluginOrigin, optional
        The package that the model's file names for its source of backbones.
    """

    document: dict[str, Any]
    request: dict[str, Any]
    weights: Path | None = None
    plugin: PluginOrigin | None = None

    @property
    def spec(self) -> ExtractorSpec:
        """What new images must be embedded with."""
        return ExtractorSpec(self.document)

    @property
    def backbone_request(self) -> BackboneRequest:
        """What to ask for to build it."""
        request = BackboneRequest.from_document(self.request)
        return request if self.weights is None else replace(request, weights=str(self.weights))

    @property
    def needed(self) -> PluginOrigin | None:
        """The package that brings its source of backbones; None for featx's own."""
        source = str(self.request.get("name")).partition(":")[0]
        return self.plugin or plugin_origin("featx.backbones", source)
