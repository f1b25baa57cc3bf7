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
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from featx.store import EmbeddingStore
from featx.store.index import Index, ShardEntry, parse_index
from featx.types import ExtractorSpec

RESULTS = Path(__file__).parent / "results" / "store.json"
ASKED = 100_000
ONE_BY_ONE = 2_000
LARGE_INDEX = 32_000


def main() -> None:
    """Make, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rows", type=lambda text: int(text.replace("_", "")), default=10_000_000)
    parser.add_argument("--features", type=int, default=32)
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder else")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        print(json.dumps(STEPS[options.step](options.folder)))
        return
    folder = Path(tempfile.mkdtemp(prefix="featx-store-", dir=options.folder))
    try:
        document = measure(folder, options.rows, options.features, options.rounds)
    finally:
        shutil.rmtree(folder)
    RESULTS.parent.mkdir(exist_ok=True)
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    kept[f"{options.rows}x{options.features}"] = document  # one run of each shape is kept
    RESULTS.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n")
    print_table(document)


def measure(folder: Path, rows: int, n_features: int, rounds: int) -> dict[str, Any]:
    """Everything, as JSON."""
    (folder / "shape.json").write_text(json.dumps([rows, n_features]))
    made = run("make", folder)
    repeated = [name for name in STEPS if name not in {"make", "add", "open_rebuilding"}]
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in repeated}
    for _ in range(rounds):  # in turn, so that a busy moment meets product and plain alike
        for name in repeated:
            found[name].append(run(name, folder))
    steps = {name: median_of(results) for name, results in found.items()}
    steps["open_rebuilding"] = run("open_rebuilding", folder)
    steps["add"] = run("add", folder)
    return {
        "rows": rows,
        "n_features": n_features,
        "asked": ASKED,
        "rounds": rounds,
        "cores": len(os.sched_getaffinity(0)),
        "processor": platform.processor() or platform.machine(),
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
    command = [sys.executable, __file__, "--step", step, "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
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
        "open_time": (steps["plain_open"]["elapsed_s"], steps["open"]["elapsed_s"]),
        "open_memory": (steps["plain_open"]["memory_mb"], steps["open"]["memory_mb"]),
        "gather_random_time": (
            steps["plain_gather"]["elapsed_s"],
            steps["gather"]["elapsed_s"],
        ),
        "read_all_first": (steps["plain_all"]["first_s"], steps["gather_all"]["first_s"]),
        "read_all_again": (steps["plain_all"]["again_s"], steps["gather_all"]["again_s"]),
    }
    return {name: round(plain / ours, 3) for name, (plain, ours) in pairs.items()}


# --- measuring ----------------------------------------------------------------------------------


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


def shape(folder: Path) -> tuple[int, int]:
    """Rows and features."""
    rows, n_features = json.loads((folder / "shape.json").read_text())
    return rows, n_features


def open_store(folder: Path) -> EmbeddingStore:
    """The store under test."""
    spec = ExtractorSpec({"backbone": "synthetic:rows", "n_features": shape(folder)[1]})
    return EmbeddingStore.open(folder / "cache", spec)


def wanted(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Numbers and hashes of the rows to ask for: at random, without repeats."""
    return np.load(folder / "numbers.npy"), np.load(folder / "wanted.npy")


def first_hashes(folder: Path, rows: int) -> np.ndarray:
    """Hashes of the first rows."""
    with (folder / "hashes.npy").open("rb") as file:
        np.lib.format.read_magic(file)
        np.lib.format.read_array_header_1_0(file)
        return np.fromfile(file, np.uint8, rows * 32).reshape(rows, 32)


def fill_cache(folder: Path) -> None:
    """Have the system hold the contents of all files below, where it has the memory."""
    buffer = bytearray(2**20)
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb", buffering=0) as file:
                while file.readinto(buffer):
                    pass


def chunks(folder: Path, size: int) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Random rows, the same every time, a piece at a time."""
    rows, n_features = shape(folder)
    rng = np.random.default_rng(0)
    for start in range(0, rows, size):
        n = min(size, rows - start)
        hashes = rng.integers(0, 2**64, (n, 4), np.uint64).view(np.uint8)
        yield slice(start, start + n), hashes, rng.standard_normal((n, n_features), np.float32)


# --- steps, each in a process of its own --------------------------------------------------------


def make(folder: Path) -> dict[str, Any]:
    """The store, and the same rows as plain files."""
    rows, n_features = shape(folder)
    store = open_store(folder)
    hashes_file = np.lib.format.open_memmap(folder / "hashes.npy", "w+", np.uint8, (rows, 32))
    matrix = np.lib.format.open_memmap(folder / "X.npy", "w+", np.float32, (rows, n_features))
    elapsed = 0.0
    for part, hashes, embeddings in chunks(folder, store.rows_per_shard):
        hashes_file[part], matrix[part] = hashes, embeddings
        started = time.perf_counter()
        store.add(hashes, embeddings)
        elapsed += time.perf_counter() - started
    numbers = np.random.default_rng(1).permutation(rows)[: min(ASKED, rows // 2)]
    np.save(folder / "numbers.npy", numbers)
    np.save(folder / "wanted.npy", hashes_file[numbers])
    files = [path for path in store.folder.rglob("*") if path.is_file()]
    lookups = [path for path in files if path.suffix == ".lookup"]
    return {
        "elapsed_s": round(elapsed, 3),
        "shards": len(store.shards),
        "bytes_per_row": round(sum(path.stat().st_size for path in files) / rows, 2),
        "shard_bytes_per_row": round(sum(s.size_bytes for s in store.shards) / rows, 2),
        "lookup_files": len(lookups),
        "lookup_bytes_per_row": round(sum(path.stat().st_size for path in lookups) / rows, 2),
        "index_json_bytes_per_shard": round(
            (store.folder / "index.json").stat().st_size / len(store.shards)
        ),
    }


def open_(folder: Path) -> dict[str, Any]:
    """Opening, with the page cache empty."""
    drop_cache(folder)
    store, took = measured(lambda: open_store(folder))
    n_rows, counting = measured(lambda: len(store))
    expect(n_rows == shape(folder)[0])
    return {**took, "len_s": counting["elapsed_s"]}


def plain_open(folder: Path) -> dict[str, Any]:
    """Loading and sorting all hashes."""
    drop_cache(folder)
    return measured(lambda: sorted_hashes(folder))[1]


def sorted_hashes(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """First 8 bytes of every hash, sorted, and whose they are."""
    prefixes = np.load(folder / "hashes.npy")[:, :8].copy().view(np.uint64).reshape(-1)
    order = np.argsort(prefixes)
    return prefixes[order], order


def contains(folder: Path) -> dict[str, Any]:
    """Asking for hashes of which half are there; and one by one, as an extraction does."""
    _, hashes = wanted(folder)
    fill_cache(folder / "cache")
    store = open_store(folder)
    strangers = np.random.default_rng(2).integers(0, 256, hashes.shape, np.uint8)
    asked = np.concatenate([hashes[::2], strangers[1::2]])
    found, took = measured(lambda: store.contains(asked))
    expect(found.tolist() == [True] * len(hashes[::2]) + [False] * len(strangers[1::2]))
    single, took_single = measured(
        lambda: [store.contains(hashes[i : i + 1])[0] for i in range(ONE_BY_ONE)]
    )
    expect(all(single))
    return {**took, "one_by_one_us": round(1e6 * took_single["elapsed_s"] / ONE_BY_ONE, 1)}


def gather(folder: Path) -> dict[str, Any]:
    """Random rows, with the files in the page cache."""
    numbers, hashes = wanted(folder)
    fill_cache(folder / "cache")
    store = open_store(folder)
    X, took = measured(lambda: store.gather(hashes))
    matrix = np.load(folder / "X.npy", mmap_mode="r")
    expect(np.array_equal(X, matrix[numbers]))
    width = 4 * shape(folder)[1]
    pages = len(np.unique(numbers * width // 4096))  # none smaller can be read from a disk
    return {
        **took,
        "asked_mb": round(X.nbytes / 2**20, 2),
        "pages_of_rows_mb": round(pages * 4096 / 2**20, 2),
    }


def gather_cold(folder: Path) -> dict[str, Any]:
    """The same with the page cache empty."""
    _, hashes = wanted(folder)
    store = open_store(folder)
    drop_cache(folder)
    return measured(lambda: store.gather(hashes))[1]


def plain_gather(folder: Path) -> dict[str, Any]:
    """Random rows from a memory map, with all hashes sorted in memory."""
    _, hashes = wanted(folder)
    fill_cache(folder)
    prefixes, order = sorted_hashes(folder)
    matrix = np.load(folder / "X.npy", mmap_mode="r")
    key = hashes[:, :8].copy().view(np.uint64).reshape(-1)
    return measured(lambda: matrix[order[np.searchsorted(prefixes, key)]])[1]


def gather_all(folder: Path) -> dict[str, Any]:
    """Up to 2 GB of rows in the order in which they were stored, as a fit reads them; twice."""
    hashes = first_hashes(folder, rows_to_fit(folder))
    fill_cache(folder / "cache")
    store = open_store(folder)
    X, first = measured(lambda: store.gather(hashes))
    del X
    X, again = measured(lambda: store.gather(hashes))
    expect(np.array_equal(X[::97], np.load(folder / "X.npy", mmap_mode="r")[: len(X) : 97]))
    return both(first, again, X.nbytes)


def plain_all(folder: Path) -> dict[str, Any]:
    """The same rows copied from a memory map; twice."""
    matrix = np.load(folder / "X.npy", mmap_mode="r")[: rows_to_fit(folder)]
    fill_cache(folder)
    X, first = measured(lambda: np.array(matrix))
    del X
    X, again = measured(lambda: np.array(matrix))
    return both(first, again, X.nbytes)


def rows_to_fit(folder: Path) -> int:
    """Rows of 2 GB at most."""
    rows, n_features = shape(folder)
    return min(rows, 2 * 10**9 // (4 * n_features))


def both(first: dict[str, float], again: dict[str, float], size: int) -> dict[str, Any]:
    """A first and a second reading of ``size`` bytes."""
    return {
        "first_s": first["elapsed_s"],
        "again_s": again["elapsed_s"],
        "first_cpu_s": first["cpu_s"],
        "again_cpu_s": again["cpu_s"],
        "first_gb_per_s": round(size / 1e9 / first["elapsed_s"], 3),
        "again_gb_per_s": round(size / 1e9 / again["elapsed_s"], 3),
        "disk_mb": first["disk_mb"] + again["disk_mb"],
        "memory_over_result": round(first["memory_mb"] / (size / 2**20), 3),
    }


def open_rebuilding(folder: Path) -> dict[str, Any]:
    """Opening after ``derived/`` was lost."""
    derived = open_store(folder).folder / "derived"
    shutil.rmtree(derived)
    took = measured(lambda: open_store(folder))[1]
    expect(len(list(derived.glob("*.lookup"))) == 1)
    return took


def add(folder: Path) -> dict[str, Any]:
    """One more full shard."""
    store = open_store(folder)
    rng = np.random.default_rng(3)
    hashes = rng.integers(0, 256, (store.rows_per_shard, 32), np.uint8)
    embeddings = rng.standard_normal((len(hashes), store.n_features), np.float32)
    before = len(store)
    _, took = measured(lambda: store.add(hashes, embeddings))
    expect(len(store) == before + len(hashes))
    return {**took, "added_rows": len(hashes)}


def expect(condition: bool) -> None:
    """Measurements of wrong answers are worth nothing."""
    if not condition:
        raise SystemExit("the store gave a wrong answer")


STEPS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "make": make,
    "open": open_,
    "plain_open": plain_open,
    "contains": contains,
    "gather": gather,
    "gather_cold": gather_cold,
    "plain_gather": plain_gather,
    "gather_all": gather_all,
    "plain_all": plain_all,
    "open_rebuilding": open_rebuilding,
    "add": add,
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
    return {"shards": LARGE_INDEX, "bytes": len(data), "elapsed_s": took["elapsed_s"]}


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
