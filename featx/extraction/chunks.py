"""A part of a manifest, extracted by one worker of a cluster.

The worker reads, decodes and embeds as a run on one machine does, and writes the embeddings to a
shard of its own. What it sends back is small: no pixels and no embeddings.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from featx.data.budget import share_memory
from featx.errors import ClusterError, ModelError
from featx.extraction.extractor import Extractor
from featx.extraction.reading import Reading
from featx.extraction.views import ViewPlan
from featx.extraction.workers import Computed, Workers
from featx.files import printable


@dataclass(frozen=True)
class Chunk:
    """Rows ``start`` to ``start + len(paths)`` of a manifest, and the views wanted of them."""

    start: int
    paths: Sequence[str]
    views: ViewPlan

    def __str__(self) -> str:
        first, last = printable(self.paths[0]), printable(self.paths[-1])
        return f"images {self.start} to {self.start + len(self.paths) - 1} ({first} to {last})"


@dataclass(frozen=True)
class ChunkResult:
    """What became of a chunk.

    Parameters
    ----------
    readings : list of (int, Reading)
        By row of the manifest, in no set order, without pixels.
    shards : dict
        ``(extractor, store) -> name`` of each shard written, for `EmbeddingStore.adopt`.
    forward_s, commit_s : float
        Time in the network, summed over threads, and time writing shards.
    """

    readings: list[tuple[int, Reading]]
    shards: dict[tuple[int, int], str] = field(default_factory=dict)
    forward_s: float = 0.0
    commit_s: float = 0.0


@dataclass(frozen=True)
class ChunkWork:
    """What a worker must know before its first chunk; calling it gives the worker's function.

    Parameters
    ----------
    extractors : sequence of Extractor
        From `Extractor.unbuilt`.
    cache : Path
        On storage that all machines share.
    threads : int or None
        Of one worker; None is the number of CPUs it got.
    decode : bool
        False only reads and hashes.
    fail : bool
        Whether an unreadable image ends its chunk.
    seen : sequence of str
        Files that every machine must see.
    """

    extractors: Sequence[Extractor]
    cache: Path
    threads: int | None
    decode: bool
    fail: bool
    seen: Sequence[str]

    def __call__(self, threads: int) -> Callable[[Chunk], ChunkResult]:
        """Make sure that this machine gives what was planned, before it computes anything.

        Raises
        ------
        ClusterError
            It does not see the images or the cache, or would give other embeddings.
        """
        host = socket.gethostname()
        share_memory((os.cpu_count() or 1) // threads)
        for path in self.seen:
            if not Path(path).exists():
                raise ClusterError(
                    f"The machine {host!r} of the cluster does not see {printable(path)!r}.",
                    hint="Images and cache must be on storage that every machine mounts at the "
                    "same path.",
                )
        for extractor in self.extractors:
            try:
                if self.decode:
                    extractor.plan  # noqa: B018 - finding out is the point
            except ModelError as error:
                raise ClusterError(
                    f"The machine {host!r} of the cluster would give other embeddings than the "
                    f"one that started the run. {error.message}",
                    hint="Install the same versions everywhere, or name an --engine, --device and "
                    "--precision that all machines have.",
                ) from None
            extractor.open_stores(self.cache, allow_memory=False)
        return lambda chunk: extract_chunk(
            chunk,
            self.extractors,
            threads=self.threads or threads,
            decode=self.decode,
            fail=self.fail,
        )


def extract_chunk(
    chunk: Chunk, extractors: Sequence[Extractor], *, threads: int, decode: bool, fail: bool
) -> ChunkResult:
    """Embed what the stores lack of a chunk, into shards that are not indexed yet.

    Raises
    ------
    BackboneError, StoreError
        The network or the storage fails; nothing is lost but this chunk.
    """
    for extractor in extractors:
        for store in extractor.stores:
            store.refresh()  # other chunks may hold the same contents
    workers = Workers(chunk.paths, extractors, chunk.views, threads=threads, decode=decode)
    readings: list[tuple[int, Reading]] = []
    computed: dict[int, list[Computed]] = {}
    for event in workers:
        if isinstance(event, Computed):
            computed.setdefault(event.extractor, []).append(event)
            continue
        readings.append((chunk.start + event.index, event.reading))
        if fail and event.reading.reason is not None:
            workers.stop()
    started = time.perf_counter()
    shards = {
        key: name
        for k, events in computed.items()
        for key, name in _write(k, extractors[k], events).items()
    }
    return ChunkResult(
        readings,
        shards,
        forward_s=sum(event.forward_s for events in computed.values() for event in events),
        commit_s=time.perf_counter() - started,
    )


def _write(k: int, extractor: Extractor, events: Sequence[Computed]) -> dict[tuple[int, int], str]:
    """One shard for each store; a chunk is no larger than that."""
    hashes = np.concatenate([event.hashes for event in events])
    pixels = np.concatenate([event.pixels for event in events])
    columns = zip(*(event.columns for event in events), strict=True)
    return {
        (k, j): store.write_shard(hashes, np.concatenate(column), pixels)
        for j, (store, column) in enumerate(zip(extractor.stores, columns, strict=True))
    }
