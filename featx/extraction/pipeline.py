"""The extraction loop: threads decode ahead, this thread runs the networks, one commits.

Memory is bounded by the window of images decoded ahead and by the rows of one shard, whatever
the size of the data set. Embeddings depend neither on batch composition nor on order because the
engine runs fixed, zero-padded batches; see `featx.engines`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

import numpy as np

from featx import console
from featx.config import ExtractConfig
from featx.data.manifest import Manifest
from featx.errors import DecodeError
from featx.extraction.extractor import Extractor
from featx.extraction.reading import Reader, Reading
from featx.extraction.result import Extraction, Failure, Report
from featx.files import printable
from featx.machine import cpu_cores
from featx.store import cache_folder
from featx.types import BackboneRequest

__all__ = ["extract_embeddings", "run_extractors"]

COMMIT_ROWS = 4096  # at most so many rows in one shard,
COMMIT_BYTES = 64 << 20  # and at most so many bytes of embeddings
COMMIT_EVERY_S = 20.0  # at most this much computing is lost to kill -9


def extract_embeddings(
    manifest: Manifest,
    requests: Sequence[BackboneRequest],
    config: ExtractConfig,
    *,
    allow_memory: bool = False,
) -> list[Extraction]:
    """Make sure every image has its embedding under every backbone.

    Parameters
    ----------
    manifest : Manifest
        The images.
    requests : sequence of BackboneRequest
        The backbones; those with equal preprocessing share one decode.
    config : ExtractConfig
        Cache, engine, device and manners. Its own backbone fields are not read here.
    allow_memory : bool, default False
        Keep embeddings in memory when the cache cannot be written.

    Returns
    -------
    list of Extraction
        One for each output of each backbone, in the order asked.

    Raises
    ------
    DecodeError
        An image is unreadable and ``config.on_error`` is ``"fail"``.
    BackboneError, StoreError
        The backbone or the cache fails; everything committed so far stays.
    """
    extractors = [Extractor.from_request(request, config) for request in requests]
    return run_extractors(manifest, extractors, config, allow_memory=allow_memory)


def run_extractors(
    manifest: Manifest,
    extractors: Sequence[Extractor],
    config: ExtractConfig,
    *,
    allow_memory: bool = False,
    dry_run: bool = False,
) -> list[Extraction]:
    """Drive prepared extractors over a manifest; see `extract_embeddings`.

    ``dry_run`` reads and hashes but computes nothing: the report's ``computed`` then counts what
    would be.
    """
    started = time.perf_counter()
    if config.limit is not None:
        manifest = manifest.head(config.limit)
    cache = cache_folder(config.cache)
    for extractor in extractors:
        extractor.open_stores(cache, allow_memory=allow_memory)
    run = _Run(manifest, extractors, config, dry_run=dry_run)
    run.execute()
    report = run.report
    report.setup_s = sum(extractor.setup_s for extractor in extractors)
    report.elapsed_s = time.perf_counter() - started
    return run.extractions()


class _Run:
    """The state of one pass over a manifest."""

    def __init__(
        self,
        manifest: Manifest,
        extractors: Sequence[Extractor],
        config: ExtractConfig,
        *,
        dry_run: bool,
    ) -> None:
        self.manifest = manifest
        self.extractors = extractors
        self.config = config
        self.dry_run = dry_run
        self.report = Report(images=len(manifest))
        self.hashes = np.zeros((len(manifest), 32), np.uint8)
        self.reasons: dict[int, str] = {}
        self.reason_of_content: dict[bytes, str] = {}
        self.twins: list[int] = []
        self.batches = [_Batches(extractor, self.report) for extractor in extractors]

    def execute(self) -> None:
        """Read, compute and commit everything; on any error commit what was computed first."""
        threads = self.config.workers or cpu_cores()
        readings = self._read(threads)
        with console.progress(len(self.manifest), "extract") as bar, closing(readings):
            try:
                for i, reading in enumerate(readings):
                    self._take(i, reading)
                    bar.advance()
                for batches in self.batches:
                    batches.forward()
            finally:
                for batches in self.batches:
                    batches.close()

    def _read(self, threads: int) -> Generator[Reading, None, None]:
        """Readings in the manifest's order, at most a window of them decoded ahead."""
        reader = Reader(self.extractors, decode=not self.dry_run)
        paths = iter(self.manifest.paths)
        ahead: deque[Future[Reading]] = deque()
        window = 2 * threads + 2 * max((b.size for b in self.batches), default=1)
        pool = ThreadPoolExecutor(threads, thread_name_prefix="featx-decode")
        try:
            for path in paths:
                ahead.append(pool.submit(reader, path))
                if len(ahead) >= window:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _take(self, i: int, reading: Reading) -> None:
        """File one reading: a failure, an image to compute, or one already there."""
        report = self.report
        report.size_bytes += reading.size_bytes
        report.read_s += reading.read_s
        report.decode_s += reading.decode_s
        if reading.sha256 is not None:
            self.hashes[i] = np.frombuffer(reading.sha256, np.uint8)
        if reading.reason is not None:
            self._quarantine(i, reading)
        elif reading.twin:
            self.twins.append(i)
        elif reading.pixels:
            report.computed += 1
            if not self.dry_run:
                for k, pixels in reading.pixels.items():
                    self.batches[k].push(self.hashes[i], pixels)
        else:
            report.cached += 1

    def _quarantine(self, i: int, reading: Reading) -> None:
        assert reading.reason is not None
        if self.config.on_error == "fail":
            # Of equal files any may be decoded first; the first in the manifest is named.
            same = [k for k in self.twins if np.array_equal(self.hashes[k], self.hashes[i])]
            raise DecodeError(
                f"{printable(self.manifest.paths[min([*same, i])])}: {reading.reason}",
                hint="Mend or remove the file, or leave out --on-error fail to quarantine it.",
            )
        self.reasons[i] = reading.reason
        if reading.sha256 is not None:
            self.reason_of_content[reading.sha256] = reading.reason

    def extractions(self) -> list[Extraction]:
        """One aligned result for each output; rows without an embedding are failures."""
        failures = []
        for i, row in enumerate(self.manifest.rows):
            digest = self.hashes[i].tobytes()
            reason = self.reasons.get(i) or self.reason_of_content.get(digest)
            if reason is not None:
                self.reasons[i] = reason
                sha256 = digest.hex() if any(digest) else None
                failures.append(Failure(row.id, row.path, sha256, reason))
        ok = np.ones(len(self.manifest), bool)
        ok[list(self.reasons)] = False
        self.report.quarantined = len(failures)
        self.report.duplicates = sum(i not in self.reasons for i in self.twins)
        return [
            Extraction(
                name=name,
                spec=spec,
                request=extractor.request.document(),
                manifest=self.manifest,
                hashes=self.hashes,
                ok=ok,
                failures=failures,
                report=self.report,
                store=store,
            )
            for extractor in self.extractors
            for name, spec, store in zip(
                extractor.names, extractor.specs, extractor.stores, strict=True
            )
        ]


class _Batches:
    """One extractor's images waiting for the network, and embeddings waiting for the store."""

    def __init__(self, extractor: Extractor, report: Report) -> None:
        self.extractor = extractor
        self.report = report
        self.hashes: list[np.ndarray] = []
        self.pixels: list[np.ndarray] = []
        self.done_hashes: list[np.ndarray] = []
        self.done: list[list[np.ndarray]] = []
        self.done_rows = 0
        width = sum(spec.n_features for spec in extractor.specs)
        self.commit_rows = max(1, min(COMMIT_ROWS, COMMIT_BYTES // (4 * width)))
        self.last_commit = time.perf_counter()
        self.committer = ThreadPoolExecutor(1, thread_name_prefix="featx-commit")
        self.committing: Future[None] | None = None

    @property
    def size(self) -> int:
        """Images in one batch."""
        return self.extractor.batch_size

    def push(self, digest: np.ndarray, pixels: np.ndarray) -> None:
        """Queue one image; runs the network when a batch is full."""
        self.hashes.append(digest)
        self.pixels.append(pixels)
        if len(self.pixels) >= self.size:
            self.forward()

    def forward(self) -> None:
        """Run the network over what is queued."""
        if not self.pixels:
            return
        engine = self.extractor.engine
        started = time.perf_counter()
        embeddings = engine.embed(np.stack(self.pixels))
        self.report.forward_s += time.perf_counter() - started
        self.done_hashes.append(np.stack(self.hashes))
        self.done.append([embeddings[k] for k in self.extractor.columns()])
        self.done_rows += len(self.pixels)
        self.hashes, self.pixels = [], []
        if (
            self.done_rows >= self.commit_rows
            or time.perf_counter() - self.last_commit > COMMIT_EVERY_S
        ):
            self.commit()

    def commit(self) -> None:
        """Hand the computed rows to the committing thread; waits for the one before."""
        self._wait()
        if not self.done:
            return
        hashes = np.concatenate(self.done_hashes)
        columns = [np.concatenate(parts) for parts in zip(*self.done, strict=True)]
        self.done_hashes, self.done, self.done_rows = [], [], 0
        self.committing = self.committer.submit(self._add, hashes, columns)
        self.last_commit = time.perf_counter()

    def _add(self, hashes: np.ndarray, columns: list[np.ndarray]) -> None:
        started = time.perf_counter()
        for store, embeddings in zip(self.extractor.stores, columns, strict=True):
            store.add(hashes, embeddings)
        self.report.commit_s += time.perf_counter() - started

    def _wait(self) -> None:
        if self.committing is not None:
            self.committing.result()
            self.committing = None

    def close(self) -> None:
        """Commit what was computed, also when the run is being abandoned."""
        try:
            self.commit()
            self._wait()
        finally:
            self.committer.shutdown(wait=True)
