"""The search's fits on the machines of a cluster, through joblib.

Embeddings are laid out once for all machines; a task is one row of the results table on one
training part, and what comes back are scores and, where they are kept, outputs.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, fields
from typing import Any

from featx import console
from featx.clusters import Session, find_cluster
from featx.config import FitConfig
from featx.fitting.candidates import Setup, Trial
from featx.fitting.data import Part
from featx.fitting.search import Batch, FoldSearch, Held
from featx.fitting.training import Outputs

__all__ = ["SpreadSearch", "spread_search"]


@contextmanager
def spread_search(config: FitConfig) -> Iterator[SpreadSearch | None]:
    """What fits for a `FoldSearch` while this lasts; None where this machine alone does.

    Raises
    ------
    ClusterError, MissingExtraError, UsageError
        See `featx.clusters`.
    """
    cluster = find_cluster(config.cluster, config.address)
    if cluster is None:
        yield None
        return
    with cluster.connect(config.address) as session, session.joblib(config.jobs) as parallel:
        yield SpreadSearch(session, parallel)


@dataclass(frozen=True)
class _Found:
    """What one task adds to the search that asked for it."""

    batches: list[tuple[Batch, Held]]
    scores: dict[tuple[Trial, Held, int], float]
    kept: dict[tuple[Trial, Held, int], Outputs]
    refused: dict[Setup, str]
    stopped: set[tuple[Trial, Held]]
    elapsed_s: dict[Setup, float]
    warned: list[warnings.WarningMessage]

    def file(self, search: FoldSearch) -> None:
        """Add it; what was warned about is warned about again."""
        search.scores.update(self.scores)
        search.kept.update(self.kept)
        search.refused.update(self.refused)
        search.stopped.update(self.stopped)
        for batch, held in self.batches:
            search.record(batch, held)
        for setup, elapsed_s in self.elapsed_s.items():
            search.elapsed_s[setup] += elapsed_s
        for w in self.warned:
            warnings.warn_explicit(w.message, w.category, w.filename, w.lineno)


@dataclass(frozen=True)
class _Task:
    """One setup on one training part: all that a machine needs but the embeddings."""

    part: Callable[[], Part]
    settings: dict[str, Any]
    batches: list[tuple[Batch, Held]]
    keep: bool

    def __call__(self) -> _Found:
        search = FoldSearch(part=self.part(), jobs=1, **self.settings)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            search.fit(self.batches, keep=self.keep, label="")
        return _Found(
            self.batches,
            search.scores,
            search.kept,
            search.refused,
            search.stopped,
            dict(search.elapsed_s),
            caught,
        )


def _settings(search: FoldSearch) -> dict[str, Any]:
    """What a search was made with, apart from the embeddings and who does the work."""
    given = {f.name for f in fields(search) if f.default_factory is MISSING}
    return {k: getattr(search, k) for k in given - {"part", "jobs", "elsewhere", "journal"}}


class SpreadSearch:
    """Fits on a cluster what a `FoldSearch` asks for; see `FoldSearch.elsewhere`.

    Parameters
    ----------
    session : Session
        The cluster.
    parallel : joblib.Parallel
        What runs tasks there.
    """

    def __init__(self, session: Session, parallel: Any) -> None:
        self._session = session
        self._parallel = parallel
        self._shared: list[tuple[Part, Callable[[], Part]]] = []

    def __call__(
        self,
        search: FoldSearch,
        batches: Sequence[tuple[Batch, Held]],
        *,
        keep: bool,
        label: str,
    ) -> None:
        """Fit every batch of trials and file what is found."""
        from joblib import delayed

        part, settings = self._share(search.part), _settings(search)
        units: dict[tuple[Setup, Held], list[tuple[Batch, Held]]] = {}
        for batch, held in batches:
            units.setdefault((batch[0].setup, held), []).append((batch, held))
        tasks = [_Task(part, settings, unit, keep) for unit in units.values()]
        if tasks:
            console.log(f"{label}: {console.counted(len(tasks), 'task')} on the cluster.")
        for found in self._parallel(delayed(task)() for task in tasks):
            found.file(search)

    def _share(self, part: Part) -> Callable[[], Any]:
        """Lay out the images of one part, once."""
        for known, read in self._shared:
            if known is part:
                return read
        read = self._session.share(part)
        self._shared.append((part, read))
        return read
