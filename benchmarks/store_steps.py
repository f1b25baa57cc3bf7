"""One step of benchmarks/store.py, in a process of its own: prints what it took as JSON.

python benchmarks/store_steps.py STEP FOLDER
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from measuring import drop_cache, fill_cache, measured

from featx.store import EmbeddingStore
from featx.types import ExtractorSpec

ASKED = 100_000
ONE_BY_ONE = 2_000


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


def chunks(folder: Path, size: int) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Random rows, the same every time, a piece at a time."""
    rows, n_features = shape(folder)
    rng = np.random.default_rng(0)
    for start in range(0, rows, size):
        n = min(size, rows - start)
        hashes = rng.integers(0, 2**64, (n, 4), np.uint64).view(np.uint8)
        yield slice(start, start + n), hashes, rng.standard_normal((n, n_features), np.float32)


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
        store.add(hashes, embeddings, hashes[:, :16])
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
    """Up to 2 GB of rows in the order in which they were stored, as a fit reads them."""
    hashes = first_hashes(folder, rows_to_fit(folder))
    fill_cache(folder / "cache")
    stores = {"first": open_store(folder), "verifying": open_store(folder)}
    stores["again"] = stores["verifying"]  # which knows by then that its shards are good
    expected = np.load(folder / "X.npy", mmap_mode="r")[: len(hashes) : 97]
    return readings(
        {name: partial(store.gather, hashes) for name, store in stores.items()}, expected
    )


def plain_all(folder: Path) -> dict[str, Any]:
    """The same rows copied from a memory map."""
    matrix = np.load(folder / "X.npy", mmap_mode="r")[: rows_to_fit(folder)]
    fill_cache(folder)
    return readings(
        dict.fromkeys(("first", "verifying", "again"), partial(np.array, matrix)), matrix[::97]
    )


def hdf5_all(folder: Path) -> dict[str, Any]:
    """The same rows read from the shards with h5py, which checks HDF5's own checksums."""
    store, wanted = open_store(folder), rows_to_fit(folder)
    fill_cache(folder / "cache")

    def read() -> np.ndarray:
        out, at = np.empty((wanted, store.n_features), np.float32), 0
        for shard in store.shards:
            with h5py.File(store.folder / "shards" / shard.name) as file:
                n = min(shard.rows, wanted - at)
                file["embedding"].read_direct(out, np.s_[:n], np.s_[at : at + n])
                at += n
        return out

    expected = np.load(folder / "X.npy", mmap_mode="r")[:wanted:97]
    return readings(dict.fromkeys(("first", "verifying", "again"), read), expected)


def readings(reads: dict[str, Callable[[], np.ndarray]], expected: np.ndarray) -> dict[str, Any]:
    """The same rows read three times; the first also pays for new memory from the system."""
    document: dict[str, Any] = {}
    for name, read in reads.items():
        X, took = measured(read)
        expect(np.array_equal(X[::97], expected))
        document |= {
            f"{name}_s": took["elapsed_s"],
            f"{name}_cpu_s": took["cpu_s"],
            f"{name}_gb_per_s": round(X.nbytes / 1e9 / took["elapsed_s"], 3),
        }
        document.setdefault("memory_over_result", round(took["memory_mb"] / (X.nbytes / 2**20), 3))
        del X
    return document


def rows_to_fit(folder: Path) -> int:
    """Rows of 2 GB at most."""
    rows, n_features = shape(folder)
    return min(rows, 2 * 10**9 // (4 * n_features))


def open_rebuilding(folder: Path) -> dict[str, Any]:
    """Opening after ``derived/`` was lost."""
    derived = open_store(folder).folder / "derived"
    lookups = len(list(derived.glob("*.lookup")))  # a small store has none
    shutil.rmtree(derived, ignore_errors=True)
    took = measured(lambda: open_store(folder))[1]
    expect(len(list(derived.glob("*.lookup"))) == lookups)
    return took


def add(folder: Path) -> dict[str, Any]:
    """One more full shard."""
    store = open_store(folder)
    rng = np.random.default_rng(3)
    hashes = rng.integers(0, 256, (store.rows_per_shard, 32), np.uint8)
    embeddings = rng.standard_normal((len(hashes), store.n_features), np.float32)
    before = len(store)
    _, took = measured(lambda: store.add(hashes, embeddings, hashes[:, :16]))
    expect(len(store) == before + len(hashes))
    return {**took, "added_rows": len(hashes)}


def adopt(folder: Path) -> dict[str, Any]:
    """Four full shards written as workers do, and indexed as a committer does."""
    store = open_store(folder)
    rng = np.random.default_rng(4)
    size = store.rows_per_shard
    names, writing = [], 0.0
    for _ in range(4):
        hashes = rng.integers(0, 256, (size, 32), np.uint8)
        embeddings = rng.standard_normal((size, store.n_features), np.float32)
        started = time.perf_counter()
        names.append(store.write_shard(hashes, embeddings, hashes[:, :16]))
        writing += time.perf_counter() - started
    adopted, took = measured(lambda: store.adopt(names))
    expect(adopted == 4)
    gigabytes = 4 * 64 * 2**20 / 1e9
    return {
        **took,
        "write_gb_per_s": round(gigabytes / writing, 3),
        "adopt_gb_per_s": round(gigabytes / took["elapsed_s"], 3),
    }


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
    "hdf5_all": hdf5_all,
    "open_rebuilding": open_rebuilding,
    "add": add,
    "adopt": adopt,
}


if __name__ == "__main__":
    print(json.dumps(STEPS[sys.argv[1]](Path(sys.argv[2]))))
