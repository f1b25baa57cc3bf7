"""Images, as paths or in memory, under a model: what `Model.predict_images` finds by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from featx.adapters._inputs import images_manifest
from featx.adapters._kept import kept_extractors
from featx.artifact import Model
from featx.config import ExtractConfig, ScoreConfig
from featx.config.options import sections
from featx.data.cells import cell_text
from featx.data.kept_columns import keep_columns
from featx.data.manifest import Manifest
from featx.errors import UsageError
from featx.extraction.given import needed_columns
from featx.extraction.rebuilding import rebuild_extractors
from featx.scoring.folder import predict_rows
from featx.scoring.scores import Scores


def predict_images(
    model: Model, images: Any, options: Mapping[str, Any], tabular: Any = None
) -> Scores:
    """See `featx.artifact.Model.predict_images`."""
    [config] = sections(options, ExtractConfig)
    manifest = _with_columns(images_manifest(images), model, tabular)
    requests = [(e.spec.fingerprint, e.request, str(e.weights)) for e in model.extractors]
    key = json.dumps(["model", requests, config.model_dump(exclude={"cache"})], sort_keys=True)
    kept = kept_extractors(key, lambda: rebuild_extractors(model, config, manifest.paths))
    return predict_rows(model, kept.run(manifest, config, remember=False), ScoreConfig())


def _with_columns(manifest: Manifest, model: Model, tabular: Any) -> Manifest:
    """The images with the other columns that the model takes; EXIF fields from the files."""
    keep = needed_columns(model)
    if tabular is None and not keep.of_table:
        return keep_columns(manifest, keep)
    if model.tabular is None:
        raise UsageError("This model takes no other columns: leave tabular out.")
    model.tabular.read(tabular, len(manifest))  # refuses what is missing
    values = {name: [cell_text(v) for v in tabular[name]] for name in keep.names}
    rows = (
        replace(row, extra=tuple((name, values[name][i]) for name in values))
        for i, row in enumerate(manifest.rows)
    )
    return replace(manifest, rows=tuple(rows))


PLUGIN = predict_images
