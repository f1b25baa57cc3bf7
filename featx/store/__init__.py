"""The embedding store: crash-safe, content-addressed HDF5 shards, one folder per extractor.

``docs/store.md`` describes the files. `EmbeddingStore` reads and adds rows; ``listing``,
``verification``, ``compaction`` and ``cleaning`` look after whole caches; ``export`` writes arrays
for other tools.
"""

from featx.store.listing import cache_folder, list_extractors
from featx.store.store import EmbeddingStore

__all__ = ["EmbeddingStore", "cache_folder", "list_extractors"]
