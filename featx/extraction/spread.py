"""A run's workers on a cluster: the manifest goes out in chunks, names of shards come back.

Seen from the extraction loop this is `Workers`, but that embeddings are in shards already, which
the loop only has to index: it is the one committer.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from featx.clusters import Cluster
from featx.config import ExtractConfig
from featx.extraction.chunks import Chunk, ChunkResult, ChunkWork
from featx.extraction.extractor import Extractor
from featx.extraction.reading import Reading
from featx.extraction.views import ViewPlan
from featx.extraction.workers import Read
from featx.store.extractor import create_folder
from featx.store.shard import rows_per_shard

CHUNK_ROWS = 2048  # at most so much is lost with a worker,
SMALLEST_CHUNK = 64  # and at least so much is worth a message
CHUNKS_EACH = 8  # for one worker, if there are so many images: all end at about the same time
_SAMPLES = 64


@dataclass(frozen=True)
class Written:
    """Shards that workers have written and nobody has indexed.

    Parameters
    ----------
    names : dict
        ``(extractor, store) -> names``.
    forward_s, commit_s : float
        Time that went into them.
    """

    names: dict[tuple[int, int], list[str]] = field(default_factory=dict)
    forward_s: float = 0.0
    commit_s: float = 0.0


class SpreadWorkers:
    """The workers of one pass over some files, on the machines of a cluster.

    Parameters
    ----------
    paths : sequence of str
        The files, on storage that all machines share.
    extractors : sequence of Extractor
        With their stores open.
    views : ViewPlan
        Of the files.
    cluster : Cluster
        Where the machines are.
    config : ExtractConfig
        Address, threads of one worker, and whether an unreadable image ends the run.
    cache : Path
        On storage that all machines share.
    decode : bool, default True
        False only reads and hashes.
    """

    def __init__(
        self,
        paths: Sequence[str],
        extractors: Sequence[Extractor],
        views: ViewPlan,
        cluster: Cluster,
        config: ExtractConfig,
        *,
        cache: Path,
        decode: bool = True,
    ) -> None:
        self._paths = paths
        self._views = views
        self._stopped = False
        self._claimed: set[bytes] = set()
        self._viewed: set[bytes] = set()
        self._finished: list[ChunkResult] = []  # their shards have not been handed on
        with ExitStack() as stack:
            # One image that this machine sees, if there is any among the first.
            seen = [path for path in paths[:_SAMPLES] if Path(path).exists()][:1]
            if decode:
                seen += [stack.enter_context(_witness(e, cache)) for e in extractors]
            session = stack.enter_context(cluster.connect(config.address))
            work = ChunkWork(
                extractors=[
                    e.unbuilt(paths[:: max(1, len(paths) // _SAMPLES)]) for e in extractors
                ],
                cache=cache.absolute(),
                threads=config.workers,
                decode=decode,
                fail=config.on_error == "fail",
                seen=seen,
            )
            device = extractors[0].specs[0].document["numerics"]["device"]
            self._pool = stack.enter_context(session.pool(work, gpus=device == "cuda"))
            self._rows = _chunk_rows(len(paths), self._pool.size, extractors, views.n_views)
            self._open = stack.pop_all()

    def stop(self) -> None:
        """Begin no other chunk."""
        self._stopped = True

    def __iter__(self) -> Iterator[Read | Written]:
        for results in self._pool.results(self._chunks()):
            self._finished += results
            for result in results:
                for index, reading in result.readings:
                    self._count_once(reading)
                    yield Read(index, reading)
            yield self._written()
        self._open.close()

    def abandon(self) -> Iterator[Written]:
        """What is computed and was not handed on; the rest is left. The cluster is let go."""
        try:
            self._finished += self._pool.arrived()
            yield self._written()
        finally:
            self._open.close()

    def _chunks(self) -> Iterator[Chunk]:
        for start in range(0, len(self._paths), self._rows):
            if self._stopped:
                return
            stop = start + self._rows
            yield Chunk(start, self._paths[start:stop], self._views.part(start, stop))

    def _count_once(self, reading: Reading) -> None:
        """Of equal files in several chunks one counts as computed, as in a run on one machine."""
        if reading.sha256 is None or reading.reason is not None:
            return
        if reading.sha256 in self._claimed:
            reading.twin, reading.missing = True, False
        elif reading.missing:
            self._claimed.add(reading.sha256)
        if reading.sha256 in self._viewed:
            reading.views = 0
        elif reading.views:
            self._viewed.add(reading.sha256)

    def _written(self) -> Written:
        results, self._finished = self._finished, []
        names: dict[tuple[int, int], list[str]] = {}
        for result in results:
            for key, name in result.shards.items():
                names.setdefault(key, []).append(name)
        return Written(names, sum(r.forward_s for r in results), sum(r.commit_s for r in results))


def _chunk_rows(n: int, n_workers: int, extractors: Sequence[Extractor], n_views: int) -> int:
    """Images in a chunk: a shard of any of the stores can hold them and their views."""
    most = min(rows_per_shard(spec.n_features) for e in extractors for spec in e.specs)
    rows = max(1, min(most, CHUNK_ROWS) // (1 + n_views))
    return min(rows, max(SMALLEST_CHUNK, -(-n // (CHUNKS_EACH * n_workers))))


@contextmanager
def _witness(extractor: Extractor, cache: Path) -> Iterator[str]:
    """A file in the extractor's folder that only machines sharing it see; gc takes what stays."""
    folder = cache.absolute() / extractor.specs[0].folder
    create_folder(folder, extractor.specs[0])
    path = folder / f".cluster.{os.getpid()}.{secrets.token_hex(4)}.tmp"
    path.touch()
    try:
        yield str(path)
    finally:
        path.unlink(missing_ok=True)
