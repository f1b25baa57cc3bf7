"""What benchmarks share: their command line, what this machine can run, and what work takes.

Memory and bytes read are told on Linux only, and are 0 elsewhere.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import importlib.metadata
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

MULTIPLIERS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")  # what products of matrices may use


def asked(
    parser: argparse.ArgumentParser, *, needs: Iterable[str] = (), folders: Iterable[str] = ()
) -> argparse.Namespace:
    """The command line, with ``--quick``, which makes up what the benchmark needs.

    Parameters
    ----------
    parser : ArgumentParser
    needs : iterable of str
        Options that name what must be there: data, images or weights. A benchmark whose data are
        not on this machine says so and ends well.
    folders : iterable of str
        Options that name a folder to work in.
    """
    parser.add_argument(
        "--quick",
        action="store_true",
        help="tiny sizes, one round, made data, nothing written: shows that the script runs here",
    )
    options = parser.parse_args()
    for name in needs:
        given = getattr(options, name)
        if given is None and options.quick:
            import stand_in

            setattr(options, name, getattr(stand_in, name)(temporary_folder()))
        elif given is None:
            parser.error(f"--{name} is needed (or --quick)")
        elif not given.exists():
            left_out(Path(sys.argv[0]).name, f"{given} is not here")
            raise SystemExit(0)
    for name in folders:
        if getattr(options, name) is None and options.quick:
            setattr(options, name, temporary_folder())
        elif getattr(options, name) is None:
            parser.error(f"--{name} is needed (or --quick)")
    return options


def temporary_folder() -> Path:
    """A folder that is gone at the end."""
    folder = tempfile.mkdtemp(prefix="featx-benchmark-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def left_out(what: str, why: str) -> None:
    """Name what this machine cannot run."""
    print(f"Left out: {what}: {why}", file=sys.stderr, flush=True)


def keep(path: Path, document: Mapping[str, Any], *, quick: bool) -> None:
    """Write the results, which those of a quick run are not."""
    if quick:
        print(f"quick: {path.name} is left as it is", file=sys.stderr)
        return
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n", "utf-8")


def runnable(
    engines: Iterable[str] = ("torch", "openvino"), precisions: Iterable[str] = ("fp32", "bf16")
) -> list[tuple[str, str]]:
    """Engines and precisions that this processor has; the others are named and left out."""
    from featx.engines import choose
    from featx.errors import FeatxError

    found = []
    for engine in engines:
        for precision in precisions:
            try:
                choose(engine, "cpu", precision)
            except FeatxError as error:
                left_out(f"{engine} {precision}", error.message)
            else:
                found.append((engine, precision))
    return found


def versions(*names: str) -> dict[str, str]:
    """Of the packages that are installed."""
    found = {}
    for name in names:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def load_average() -> float:
    """Of the last minute; 0 where the system knows none."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def cpu_of_children_s() -> float:
    """Processor time of the processes that have ended; 0 where the system does not tell."""
    with contextlib.suppress(ImportError):
        import resource

        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime
    return 0.0


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
    try:
        fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    except OSError:
        return 0, 0
    return int(fields["rchar"]), int(fields["read_bytes"])


def memory_mb(field: str) -> float:
    """Memory of this process: ``VmRSS`` now, ``VmHWM`` at its peak."""
    try:
        status = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in status if line.startswith(field)), 0.0)


def measured(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """What ``work`` returns, and what it took."""
    with contextlib.suppress(OSError):  # forbidden in some containers: the peak is of all before
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
    """Ask the system to forget the contents of all files below, where it can."""
    if not hasattr(os, "posix_fadvise"):
        return
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
