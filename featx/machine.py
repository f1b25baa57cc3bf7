"""What this process may use of the machine."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_GROUPS = "/sys/fs/cgroup"
_OWN_GROUPS = "/proc/self/cgroup"


def cpu_cores(groups: str = _GROUPS, own_groups: str = _OWN_GROUPS) -> int:
    """CPU cores this process may use: those of `usable_cores`, or its quota where that is less.

    Parameters
    ----------
    groups : str
        Where control groups are mounted; a container's quota is there.
    own_groups : str
        The file that says which groups this process is in.
    """
    quotas = list(_quotas(Path(groups), Path(own_groups)))
    return max(1, min([usable_cores(), *map(math.ceil, quotas)]))


def usable_cores() -> int:
    """CPU cores this process may run on: its affinity where the system has one, else all."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(groups: Path, own_groups: Path) -> Iterator[float]:
    """Cores that each control group above this process allows."""
    try:
        lines = own_groups.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = ([*line.split(":", 2), "", ""])[:3]
        if not controllers:  # version 2, beside version 1 under unified/
            mounts, read = [groups, groups / "unified"], _quota_of_2
        elif "cpu" in controllers.split(","):
            mounts, read = [groups / controllers, groups / "cpu"], _quota_of_1
        else:
            continue
        # In a container the mount often is the container's own group, and has no such path.
        inside = PurePosixPath(path.removeprefix("/"))
        for mount in mounts:
            for group in (inside, *inside.parents):
                with contextlib.suppress(OSError, ValueError):
                    quota = read(mount / group)
                    if quota is not None:
                        yield quota


def _quota_of_2(group: Path) -> float | None:
    quota, period = (group / "cpu.max").read_text("ascii").split()
    return None if quota == "max" else _cores(quota, period)


def _quota_of_1(group: Path) -> float | None:
    quota = (group / "cpu.cfs_quota_us").read_text("ascii")
    return _cores(quota, (group / "cpu.cfs_period_us").read_text("ascii"))


def _cores(quota: str, period: str) -> float | None:
    """Cores that a share of so many microseconds in each period is; None for no limit."""
    used, whole = int(quota), int(period)
    return used / whole if used > 0 and whole > 0 else None


def memory_bytes() -> int:
    """Memory this process may still take: what is free, or less where its container has a limit.

    Where the system says neither, two gigabytes.
    """
    found = [_free_bytes(), _unlimited_bytes(), *(_left_bytes(*files) for files in _CGROUPS)]
    return min((size for size in found if size is not None), default=2 << 30)


# Limit and use of a control group, version 2 and 1, as a container sees its own.
_CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        "/sys/fs/cgroup/memory/memory.stat",
    ),
)


def _free_bytes() -> int | None:
    """Memory that is free or can be freed at once; all there is where only that is known."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return None


def _unlimited_bytes() -> int | None:
    """What ``ulimit -v`` leaves of the address space; None without a limit."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource  # not there on Windows

        most = resource.getrlimit(resource.RLIMIT_AS)[0]
        if most != resource.RLIM_INFINITY:
            pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
            return max(0, most - pages * resource.getpagesize())
    return None


def _left_bytes(limit: str, used: str, details: str) -> int | None:
    """What a control group may still take; cached files count as free. None without a limit."""
    with contextlib.suppress(OSError, ValueError):
        most, now = int(Path(limit).read_text("ascii")), int(Path(used).read_text("ascii"))
        stat = dict(line.split() for line in Path(details).read_text("ascii").splitlines())
        cached = int(stat.get("inactive_file", stat.get("total_inactive_file", 0)))
        return max(0, most - now + cached)
    return None
