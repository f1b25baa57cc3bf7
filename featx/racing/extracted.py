"""Embeddings for a race, from images or the cache: one forward pass gives every layer."""

from __future__ import annotations

import time
from dataclasses import replace

from featx.config import ExtractConfig
from featx.data.manifest import Manifest
from featx.extraction import Extractor, run_extractors
from featx.kept import kept_key, read_kept, write_kept
from featx.racing.streams import Forwarded, Stream
from featx.runs.raced import RACED_POOLINGS
from featx.store import cache_folder
from featx.types import AUTO_LAYER, IntArray

FEWEST_TIMED = 32  # images that a speed is kept of


class Images:
    """The images of a data set, embedded as they are asked for.

    Parameters
    ----------
    manifest : Manifest
        Whose rows may be drawn.
    config : ExtractConfig
        With its range resolved; backbone, size, resize, layer and pooling are the streams'.
    """

    def __init__(self, manifest: Manifest, config: ExtractConfig) -> None:
        self.manifest = manifest
        self.config = config
        self._extractors: dict[Stream, Extractor] = {}

    def clock(self) -> float:
        """See `featx.racing.streams.EmbeddingSource`."""
        return time.perf_counter()

    def embed(self, stream: Stream, rows: IntArray) -> Forwarded:
        """See `featx.racing.streams.EmbeddingSource`; what is computed goes into the cache."""
        extractor = self._extractor(stream)
        manifest = replace(self.manifest, rows=tuple(self.manifest.rows[i] for i in rows))
        started, before = time.perf_counter(), extractor.setup_s
        found = run_extractors(manifest, [extractor], self.config, allow_memory=True, opened=True)
        seconds = time.perf_counter() - started - (extractor.setup_s - before)
        computed = found[0].report.computed
        return Forwarded(
            X={e.name.removeprefix(f"{stream.backbone}/"): e.X for e in found},
            ok=found[0].ok,
            hashes=found[0].hashes,
            computed=computed,
            seconds=seconds if computed else 0.0,
            image_s=_speed(extractor, seconds, computed),
        )

    def setup_s(self, stream: Stream) -> float:
        """What loading its network has taken."""
        return self._extractor(stream).setup_s

    def forget(self, stream: Stream) -> None:
        """See `featx.racing.streams.EmbeddingSource`; what is in the cache stays."""
        self._extractors.pop(stream, None)

    def _extractor(self, stream: Stream) -> Extractor:
        if stream not in self._extractors:
            config = stream.extract(self.config, layer=[AUTO_LAYER], pooling=list(RACED_POOLINGS))
            paths = self.manifest.paths
            extractor = Extractor.from_request(config.requests()[0], config, paths)
            extractor.open_stores(cache_folder(config.cache), allow_memory=True)
            self._extractors[stream] = extractor
        return self._extractors[stream]


def _speed(extractor: Extractor, seconds: float, computed: int) -> float | None:
    """Seconds an image: measured now, or else what an earlier race on this machine measured."""
    key = f"speeds/{kept_key({'fingerprint': extractor.specs[0].fingerprint})}"
    if computed:
        measured = seconds / computed
        if computed >= FEWEST_TIMED:
            write_kept(key, {"image_s": measured})
        return measured
    known = (read_kept(key) or {}).get("image_s")
    return float(known) if isinstance(known, float | int) and known > 0 else None
