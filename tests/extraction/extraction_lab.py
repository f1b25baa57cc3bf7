"""What the tests of extraction share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from featx.config import ExtractConfig
from featx.data.manifest import Manifest
from featx.data.reader import read_manifest
from featx.extraction import Extraction, Extractor, run_extractors


def extract_embeddings(
    manifest: Manifest, config: ExtractConfig, **options: Any
) -> list[Extraction]:
    """The embeddings of every backbone that ``config`` names, checked on the images."""
    extractors = [Extractor.from_request(r, config, manifest.paths) for r in config.requests()]
    return run_extractors(manifest, extractors, config, **options)


def extract(images: Path, config: ExtractConfig, **options: Any) -> Extraction:
    """The embeddings of a folder by the one backbone that ``config`` names."""
    [found] = extract_embeddings(read_manifest(str(images)), config, **options)
    return found
