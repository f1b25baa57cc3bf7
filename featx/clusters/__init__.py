"""Where work goes that one machine is too small for: one file per kind of cluster.

A cluster's file has a ``PLUGIN``, a `Cluster`. Scheduling, placing and restarting are the
cluster's own. Importing this package imports no cluster's library.
"""

from __future__ import annotations

from pathlib import Path

from featx.clusters._base import Cluster, Pool, Session
from featx.errors import UsageError
from featx.registry import Registry

__all__ = ["CLUSTERS", "Cluster", "Pool", "Session", "find_cluster"]

CLUSTERS = Registry("featx.clusters", str(Path(__file__).parent), "cluster")


def find_cluster(name: str | None, address: str | None) -> Cluster | None:
    """The cluster that a configuration names; None where this machine alone computes.

    Raises
    ------
    UnknownNameError
        There is no such cluster.
    UsageError
        There is an address, but no cluster is named.
    """
    if name is not None:
        found: Cluster = CLUSTERS.get(name)
        return found
    if address is not None:
        raise UsageError(
            f"--address {address!r} is the address of a cluster, but --cluster is missing.",
            hint="Add --cluster ray.",
        )
    return None
