"""What a piece of work takes: time, memory, bytes read; Linux only."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MULTIPLIERS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")  # what products of matrices may use


def machine() -> dict[str, Any]:
    """What figures are measured on: the processor, its cores and its widest instructions."""
    told: dict[str, str] = {}
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            told.setdefault(key.strip(), value.strip())
    except OSError:
        pass
    flags = set(told.get("flags", "").split())
    return {
        "processor": told.get("model name") or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "instructions": [flag for flag in MULTIPLIERS if flag in flags],
    }


def io_bytes() -> tuple[int, int]:
    """Bytes this process has read: through system calls, and from the disk."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["rchar"]), int(fields["read_bytes"])


def memory_mb(field: str) -> float:
    """Memory of this process: ``VmRSS`` now, ``VmHWM`` at its peak."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith(field)) / 1024


def measured(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """What ``work`` returns, and what it took."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    read, disk = io_bytes()
    memory, started, cpu = memory_mb("VmRSS"), time.perf_counter(), time.process_time()
    result = work()
    elapsed, cpu = time.perf_counter() - started, time.process_time() - cpu
    after, disk_after = io_bytes()
    return result, {
        "elapsed_s": round(elapsed, 6),
        "cpu_s": round(cpu, 6),
        "memory_mb": round(memory_mb("VmHWM") - memory, 1),
        "read_mb": round((after - read) / 2**20, 2),
        "disk_mb": round((disk_after - disk) / 2**20, 2),
    }


def drop_cache(folder: Path) -> None:
    """Ask the system to forget the contents of all files below."""
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            handle = os.open(path, os.O_RDONLY)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(handle)


def fill_cache(folder: Path) -> None:
    """Have the system hold the contents of all files below, where it has the memory."""
    buffer = bytearray(2**20)
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb", buffering=0) as file:
                while file.readinto(buffer):
                    pass
