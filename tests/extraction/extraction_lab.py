"""What the tests of extraction share."""

from __future__ import annotations

from typing import Any

from featx.config import ExtractConfig
from featx.data.manifest import Manifest
from featx.extraction import Extraction, Extractor, run_extractors


def extract_embeddings(
    manifest: Manifest, config: ExtractConfig, **options: Any
) -> list[Extraction]:
    """The embeddings of every backbone that ``config`` names, checked on the images."""
    extractors = [Extractor.from_request(r, config, manifest.paths) for r in config.requests()]
    return run_extractors(manifest, extractors, config, **options)
