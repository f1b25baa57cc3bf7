"""What a cluster must do for featx: run one function on many machines, and joblib's tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

Prepare = Callable[[int], Callable[[Any], Any]]
"""Called once in each worker with the number of threads it may use; gives the worker's function.

It travels to the workers, so it must be picklable and small; so must items and results.
"""


class Pool(Protocol):
    """Workers on the machines of a cluster, each of which has prepared itself once."""

    @property
    def size(self) -> int:
        """How many workers there are to be."""

    def results(self, items: Iterable[Any]) -> Iterator[list[Any]]:
        """Results as they arrive, some at a time, in no set order.

        Items are begun in order. One whose worker is lost is begun again by another worker.

        Raises
        ------
        ClusterError
            Workers cannot be started, or the same item loses its worker again and again.
        FeatxError
            What a worker raised.
        """

    def arrived(self) -> list[Any]:
        """Results that are there and were not taken yet; never waits, never raises."""


class Session(Protocol):
    """A connection to a cluster."""

    def pool(self, prepare: Prepare, *, gpus: bool) -> AbstractContextManager[Pool]:
        """One worker for each machine, or with ``gpus`` one for each GPU; ended with the context.

        Raises
        ------
        ClusterError
            No machine has what is asked for.
        """

    def share(self, value: Any) -> Callable[[], Any]:
        """Lay ``value`` where all machines can read it; gives a small function that reads it."""

    def joblib(self, jobs: int | None) -> AbstractContextManager[Any]:
        """A `joblib.Parallel` that runs so many tasks at a time on the cluster; None for all CPUs.

        Raises
        ------
        ClusterError
            A worker is lost.
        """


class Cluster(Protocol):
    """A kind of cluster."""

    def connect(self, address: str | None) -> AbstractContextManager[Session]:
        """Join the cluster at ``address``; None is the cluster's own default.

        Raises
        ------
        MissingExtraError
            Its library is not installed.
        ClusterError
            There is nothing at ``address``, or it cannot be used.
        """
