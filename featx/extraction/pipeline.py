"""The extraction loop: threads read, decode and embed, this one keeps the books, one commits.

Memory is bounded by one batch per thread and by the rows of one shard, whatever the size of the
data set. Embeddings depend neither on batch composition nor on order because the engine runs
fixed, zero-padded batches; see `featx.engines`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from featx import console
from featx.clusters import find_cluster
from featx.config import ExtractConfig
from featx.data.augment import Augmentation
from featx.data.colour import Values
from featx.data.manifest import Manifest
from featx.data.valuerange import narrow_range
from featx.errors import DecodeError
from featx.extraction.extractor import Extractor
from featx.extraction.reading import Reading
from featx.extraction.result import Extraction
from featx.extraction.spread import SpreadWorkers, Written
from featx.extraction.views import ViewPlan, plan_views
from featx.extraction.workers import Computed, Read, Workers
from featx.files import printable
from featx.machine import cpu_cores
from featx.store import cache_folder
from featx.types import FULL_RANGE, ExtractionReport, Failure

COMMIT_ROWS = 4096  # at most so many rows in one shard,
COMMIT_BYTES = 64 << 20  # and at most so many bytes of embeddings
COMMIT_EVERY_S = 20.0  # at most this much computing is lost to kill -9


def run_extractors(
    manifest: Manifest,
    extractors: Sequence[Extractor],
    config: ExtractConfig,
    *,
    allow_memory: bool = False,
    dry_run: bool = False,
    opened: bool = False,
    augmentation: Augmentation | None = None,
) -> list[Extraction]:
    """Drive prepared extractors over a manifest; see `extract_embeddings`.

    ``dry_run`` reads and hashes but computes nothing: the report's ``computed`` then counts what
    would be. ``opened`` says that the extractors' stores are open. ``augmentation`` makes views
    instead of the one that ``config`` names.
    """
    started = time.perf_counter()
    if config.limit is not None:
        manifest = manifest.head(config.limit)
    cache = cache_folder(config.cache)
    for extractor in () if opened else extractors:
        extractor.open_stores(cache, allow_memory=allow_memory and config.cluster is None)
    views = plan_views(manifest, config, augmentation)
    run = _Run(manifest, extractors, views, config, dry_run=dry_run)
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
        views: ViewPlan,
        config: ExtractConfig,
        *,
        dry_run: bool,
    ) -> None:
        self.manifest = manifest
        self.extractors = extractors
        self.views = views
        self.config = config
        self.dry_run = dry_run
        self.report = ExtractionReport(images=len(manifest))
        self.hashes = np.zeros((len(manifest), 32), np.uint8)
        self.reasons: dict[int, str] = {}
        self.reason_of_content: dict[bytes, str] = {}
        self.twins: list[int] = []
        self.values: list[Values] = []
        self.fatal: int | None = None
        self.shards = [_Shards(extractor, self.report) for extractor in extractors]

    def execute(self) -> None:
        """Read, compute and commit everything; on any error commit what was computed first."""
        workers = self._workers()
        try:
            with console.progress(len(self.manifest), "Embedding") as bar:
                self._follow(workers, bar)
        # Also Ctrl-C and a full disk: what is computed is committed before the error goes on.
        except BaseException:
            for event in workers.abandon():
                self._keep(event)
            raise
        finally:
            for shards in self.shards:
                shards.close()
        if self.fatal is not None:
            raise self._failure(self.fatal)

    def _workers(self) -> Workers | SpreadWorkers:
        """Threads of this process, or the machines of a cluster."""
        config, decode = self.config, not self.dry_run
        work = (self.manifest.paths, self.extractors, self.views)
        cluster = find_cluster(config.cluster, config.address)
        if cluster is None:
            waiting = max((e.waiting_threads for e in self.extractors), default=0)
            threads = config.workers or cpu_cores() + waiting
            return Workers(*work, threads=threads, decode=decode)
        cache = cache_folder(config.cache)
        return SpreadWorkers(*work, cluster, config, cache=cache, decode=decode)

    def _follow(self, workers: Workers | SpreadWorkers, bar: console.Progress) -> None:
        for event in workers:
            if isinstance(event, Read):
                self._take(event.index, event.reading)
                bar.advance()
                if self.fatal is not None:
                    workers.stop()
            else:
                self._keep(event)

    def _keep(self, event: Computed | Written) -> None:
        """Put embeddings on their way into the store, or index those that are there already."""
        self.report.forward_s += event.forward_s
        if isinstance(event, Computed):
            self.shards[event.extractor].push(event)
            return
        started = time.perf_counter()
        for (k, j), names in event.names.items():
            self.extractors[k].stores[j].adopt(names)
        self.report.commit_s += event.commit_s + time.perf_counter() - started

    def _take(self, i: int, reading: Reading) -> None:
        """File one reading: a failure, an image to compute, or one already there."""
        report = self.report
        report.size_bytes += reading.size_bytes
        report.read_s += reading.read_s
        report.decode_s += reading.decode_s
        if reading.sha256 is not None:
            self.hashes[i] = np.frombuffer(reading.sha256, np.uint8)
        report.views_computed += reading.views
        if reading.values is not None:
            self.values.append(reading.values)
        if reading.reason is not None:
            self._quarantine(i, reading)
        elif reading.twin:
            self.twins.append(i)
        elif reading.missing:
            report.computed += 1
        else:
            report.cached += 1

    def _quarantine(self, i: int, reading: Reading) -> None:
        assert reading.reason is not None
        self.reasons[i] = reading.reason
        if reading.sha256 is not None:
            self.reason_of_content[reading.sha256] = reading.reason
        if self.config.on_error == "fail":
            # Files are begun in order, so once all that were begun are read, the first is known.
            self.fatal = i if self.fatal is None else min(i, self.fatal)

    def _failure(self, i: int) -> DecodeError:
        """The error that ends the run: of equal files any may be decoded; the first is named."""
        same = [k for k in self.twins if np.array_equal(self.hashes[k], self.hashes[i])]
        return DecodeError(
            f"{printable(self.manifest.paths[min([*same, i])])}: {self.reasons[i]}",
            hint="Repair or remove the file, or leave out --on-error fail to quarantine it.",
        )

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
        if all(extractor.preprocess.range == FULL_RANGE for extractor in self.extractors):
            self.report.narrow = narrow_range(self.values)
        self.report.views = self.views.n_views * int((ok & self.views.wanted).sum())
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
                plan=self.views,
            )
            for extractor in self.extractors
            for name, spec, store in zip(
                extractor.names, extractor.specs, extractor.stores, strict=True
            )
        ]


class _Shards:
    """One extractor's embeddings on their way into the store."""

    def __init__(self, extractor: Extractor, report: ExtractionReport) -> None:
        self.extractor = extractor
        self.report = report
        self.done: list[Computed] = []
        self.done_rows = 0
        width = sum(spec.n_features for spec in extractor.specs)
        self.commit_rows = max(1, min(COMMIT_ROWS, COMMIT_BYTES // (4 * width)))
        self.last_commit = time.perf_counter()
        self.committer = ThreadPoolExecutor(1, thread_name_prefix="featx-commit")
        self.committing: Future[None] | None = None

    def push(self, computed: Computed) -> None:
        """Queue embeddings; commits when there are many or the last commit is long ago."""
        self.done.append(computed)
        self.done_rows += len(computed.hashes)
        if (
            self.done_rows >= self.commit_rows
            or time.perf_counter() - self.last_commit > COMMIT_EVERY_S
        ):
            self.commit()

    def commit(self) -> None:
        """Hand the computed rows to the committing thread; waits for the one before."""
        self._wait()  # one commit at a time bounds memory, and an error of the last ends the run
        if not self.done:
            return
        done, self.done, self.done_rows = self.done, [], 0
        self.committing = self.committer.submit(self._add, done)
        self.last_commit = time.perf_counter()

    def _add(self, done: Sequence[Computed]) -> None:
        started = time.perf_counter()
        hashes = np.concatenate([part.hashes for part in done])
        pixels = np.concatenate([part.pixels for part in done])
        columns = zip(*(part.columns for part in done), strict=True)
        for store, parts in zip(self.extractor.stores, columns, strict=True):
            store.add(hashes, np.concatenate(parts), pixels)
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
