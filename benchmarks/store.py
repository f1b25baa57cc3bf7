"""The store at size: opening, finding and reading rows of ten million, against plain arrays.

    python benchmarks/store.py [--rows 10000000] [--features 32] [--folder DIR] [--rounds 3]

Makes a store of random rows through the product's own code, and the same matrix and hashes as
plain .npy files (at 32 features both together take 4 GB of disk; at 512 features, 45 GB). Every
measurement runs in a fresh process: time, bytes read (/proc/self/io: by the process, and from the
disk after the files were dropped from the page cache) and how much the peak of its memory grows.
The plain side is what one would write without featx: hashes loaded and sorted in memory, rows from
a memory map, nothing verified. What is gathered is compared with the matrix bit for bit. The
folder is removed at the end. Writes benchmarks/results/store.json.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from measuring import asked, keep, machine, measured
from store_steps import ASKED, STEPS

from featx.store.index import Index, ShardEntry, parse_index

RESULTS = Path(__file__).parent / "results" / "store.json"
LARGE_INDEX = 32_000
KEEP_MEMORY = f"glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold={2**35}"


def main() -> None:
    """Make, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rows", type=lambda text: int(text.replace("_", "")), default=10_000_000)
    parser.add_argument("--features", type=int, default=32)
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder else")
    parser.add_argument("--rounds", type=int, default=3)
    options = asked(parser)
    if options.quick:
        options.rows, options.rounds = 5_000, 1
        globals().update(LARGE_INDEX=100)
    folder = Path(tempfile.mkdtemp(prefix="featx-store-", dir=options.folder))
    try:
        document = measure(folder, options.rows, options.features, options.rounds)
    finally:
        shutil.rmtree(folder)
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    kept[f"{options.rows}x{options.features}"] = document  # one run of each shape is kept
    keep(RESULTS, dict(sorted(kept.items())), quick=options.quick)
    print_table(document)


def measure(folder: Path, rows: int, n_features: int, rounds: int) -> dict[str, Any]:
    """Everything, as JSON."""
    (folder / "shape.json").write_text(json.dumps([rows, n_features]))
    made = run("make", folder)
    changing = ("open_rebuilding", "add", "adopt")
    repeated = [name for name in STEPS if name not in {"make", *changing}]
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in repeated}
    for _ in range(rounds):  # in turn, so that a busy moment meets product and plain alike
        for name in repeated:
            found[name].append(run(name, folder))
    steps = {name: median_of(results) for name, results in found.items()}
    steps |= {name: run(name, folder) for name in changing}
    return {
        "rows": rows,
        "n_features": n_features,
        "asked": ASKED,
        "rounds": rounds,
        **machine(),
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in ("featx", "numpy", "h5py")},
        },
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "made": made,
        "steps": steps,
        "ratios": ratios(steps),
        "large_index": large_index(),
    }


def run(step: str, folder: Path) -> dict[str, Any]:
    """One step in a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name("store_steps.py")), step, str(folder)]
    # Reading all on both sides keeps the memory it once had: new memory from a virtual machine's
    # host costs more than anything that is measured here, and not the same from time to time.
    tunables = {"GLIBC_TUNABLES": KEEP_MEMORY} if step.endswith("_all") else {}
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | tunables)
    if done.returncode:
        raise SystemExit(f"{step} failed:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def median_of(results: list[dict[str, Any]]) -> dict[str, Any]:
    """The median of each number, key by key."""
    first = results[0]
    return {
        key: median_of([r[key] for r in results])
        if isinstance(value, dict)
        else round(statistics.median(r[key] for r in results), 6)
        for key, value in first.items()
    }


def ratios(steps: dict[str, Any]) -> dict[str, float]:
    """Plain divided by featx: above 1, featx takes less."""
    pairs = {
        "open_s": ("plain_open", "open", "elapsed_s"),
        "open_memory": ("plain_open", "open", "memory_mb"),
        "gather_random_s": ("plain_gather", "gather", "elapsed_s"),
        "gather_random_memory": ("plain_gather", "gather", "memory_mb"),
        "read_all_verifying_cpu": ("plain_all", "gather_all", "verifying_cpu_s"),
        "read_all_again_cpu": ("plain_all", "gather_all", "again_cpu_s"),
        "hdf5_read_all_verifying_cpu": ("hdf5_all", "gather_all", "verifying_cpu_s"),
        "hdf5_read_all_verifying_s": ("hdf5_all", "gather_all", "verifying_s"),
    }
    return {
        name: round(steps[plain][key] / steps[ours][key], 3)
        for name, (plain, ours, key) in pairs.items()
    }


def large_index() -> dict[str, Any]:
    """Reading the index of very many shards, such as 10^9 rows of 512 features need."""
    digest = "0123456789abcdef" * 4
    shards = tuple(
        ShardEntry(f"{i:032x}-00000000.h5", 32_000, 2**26, digest, 1024, digest)
        for i in range(LARGE_INDEX)
    )
    data = Index(digest, 1, shards).dump()
    _, took = measured(lambda: parse_index(data, Path("large"), digest, 1))
    return {"shards": LARGE_INDEX, "bytes": len(data), **took}


def print_table(document: dict[str, Any]) -> None:
    """The document for people."""
    made, steps = document["made"], document["steps"]
    print(
        f"{document['rows']:,} rows of {document['n_features']} features in {made['shards']} "
        f"shards, made in {made['elapsed_s']} s; {made['bytes_per_row']} bytes a row, "
        f"{made['lookup_bytes_per_row']} of them the lookup"
    )
    for name, took in steps.items():
        print(f"{name:16}", "  ".join(f"{key} {value}" for key, value in took.items()))
    print("plain / featx   ", "  ".join(f"{k} {v}" for k, v in document["ratios"].items()))


if __name__ == "__main__":
    main()
