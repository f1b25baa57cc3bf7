"""Networks that stay loaded between calls, and what they have embedded, for this process."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from featx.config import ExtractConfig
from featx.data.manifest import Manifest
from featx.extraction import Extraction, Extractor, run_extractors

MOST_KEPT = 4  # each may hold a network
MOST_BYTES = 1 << 30  # of embeddings in memory, of each


@dataclass
class KeptExtractors:
    """Extractors with the embeddings that they computed without a cache, by content."""

    extractors: Sequence[Extractor]
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, manifest: Manifest, config: ExtractConfig, *, remember: bool) -> list[Extraction]:
        """Embed images: through the cache that ``config`` names, else in memory.

        ``remember`` keeps what is computed in memory for the next call.
        """
        with self.lock:  # an engine serves one run at a time
            if config.cache is not None:
                return run_extractors(manifest, self.extractors, config, allow_memory=True)
            for extractor in self.extractors:
                rows = sum(len(store) * 4 * store.spec.n_features for store in extractor.stores)
                if not extractor.stores or not remember or rows > MOST_BYTES:
                    extractor.open_memory()
            return run_extractors(manifest, self.extractors, config, opened=True)


_kept: OrderedDict[str, KeptExtractors] = OrderedDict()
_guard = threading.Lock()


def kept_extractors(key: str, make: Callable[[], Sequence[Extractor]]) -> KeptExtractors:
    """What was made for ``key`` before, or is made now; the least recently used is let go."""
    with _guard:
        if key not in _kept:
            _kept[key] = KeptExtractors(make())
        _kept.move_to_end(key)
        while len(_kept) > MOST_KEPT:
            _kept.popitem(last=False)
        return _kept[key]
