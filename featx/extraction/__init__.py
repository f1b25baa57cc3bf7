"""Images to cached embeddings: read, hash, decode, forward and commit, overlapped."""

from featx.extraction.extractor import Extractor
from featx.extraction.pipeline import run_extractors
from featx.extraction.result import (
    Extraction,
    copies_of,
    joined_embeddings,
    require_all,
    require_any,
)

__all__ = [
    "Extraction",
    "Extractor",
    "copies_of",
    "joined_embeddings",
    "require_all",
    "require_any",
    "run_extractors",
]
