"""Images, as paths or in memory, under a model: what `Model.predict_images` finds by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from featx.adapters._inputs import images_manifest
from featx.adapters._kept import kept_extractors
from featx.artifact import Model
from featx.config import ExtractConfig, ScoreConfig
from featx.config.options import sections
from featx.extraction.rebuilding import rebuild_extractors
from featx.scoring.folder import predict_rows
from featx.scoring.scores import Scores

__all__ = ["PLUGIN"]


def predict_images(model: Model, images: Any, options: Mapping[str, Any]) -> Scores:
    """See `featx.artifact.Model.predict_images`."""
    [config] = sections(options, ExtractConfig)
    manifest = images_manifest(images)
    requests = [(e.spec.fingerprint, e.request, str(e.weights)) for e in model.extractors]
    key = json.dumps(["model", requests, config.model_dump(exclude={"cache"})], sort_keys=True)
    kept = kept_extractors(key, lambda: rebuild_extractors(model, config, manifest.paths))
    return predict_rows(model, kept.run(manifest, config, remember=False), ScoreConfig())


PLUGIN = predict_images
