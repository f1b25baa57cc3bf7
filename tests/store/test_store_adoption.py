"""Workers write shards, one committer indexes them: nothing wrong is left by any crash between."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from disk_shims import KillAt, PowerLossDisk, SimulatedKill, intercept, lay_out
from store_lab import SPEC, WIDTH, as_content, content, make_rows, shard_files

import featx.store.shard
import featx.store.store
from featx.errors import CorruptStoreError, StoreError
from featx.store import EmbeddingStore
from featx.store.cleaning import gc
from featx.store.verification import verify
from featx.types import ExtractorSpec

HASHES, EMBEDDINGS = make_rows(9)


def test_a_written_shard_counts_once_adopted(tmp_path: Path) -> None:
    worker, committer = (EmbeddingStore.open(tmp_path, SPEC) for _ in range(2))
    names = [worker.write_shard(HASHES[i : i + 3], EMBEDDINGS[i : i + 3]) for i in (0, 3, 6)]
    assert len(set(names)) == 3
    assert len(EmbeddingStore.open(tmp_path, SPEC)) == 0
    assert committer.unindexed() == sorted(names)
    assert committer.adopt(names) == 3
    assert [shard.name for shard in committer.shards] == names
    assert committer.unindexed() == []
    for store in (committer, EmbeddingStore.open(tmp_path, SPEC)):
        assert content(store) == as_content(HASHES, EMBEDDINGS)
    assert not verify(tmp_path)[0].faults


def test_adopting_again_changes_nothing(tmp_path: Path) -> None:
    store = EmbeddingStore.open(tmp_path, SPEC)
    name = store.write_shard(HASHES, EMBEDDINGS)
    assert store.adopt([name, name]) == 1
    index = (store.folder / "index.json").read_bytes()
    assert store.adopt([name]) == EmbeddingStore.open(tmp_path, SPEC).adopt([name]) == 0
    assert store.adopt([]) == 0
    assert (store.folder / "index.json").read_bytes() == index


def test_a_second_attempt_at_the_same_images_is_passed_over(tmp_path: Path) -> None:
    store = EmbeddingStore.open(tmp_path, SPEC)
    first, again = (store.write_shard(HASHES[:5], EMBEDDINGS[:5]) for _ in range(2))
    overlapping = store.write_shard(HASHES[4:], EMBEDDINGS[4:])
    assert first != again
    assert store.adopt([first, again, overlapping]) == 2
    assert store.adopt([again]) == 0
    assert len(store) == 9
    assert content(store) == as_content(HASHES, EMBEDDINGS)
    gc(tmp_path, older_than_s=-1)
    assert [p.name for p in shard_files(store.folder)] == sorted([first, overlapping])


def test_rows_given_twice_are_written_once(tmp_path: Path) -> None:
    store = EmbeddingStore.open(tmp_path, SPEC)
    rows = np.array([2, 0, 2, 1, 0])
    store.adopt([store.write_shard(HASHES[rows], EMBEDDINGS[rows])])
    assert [shard.rows for shard in store.shards] == [3]
    np.testing.assert_array_equal(store.hashes, HASHES[[2, 0, 1]])


def test_many_adopted_shards_are_merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(featx.store.store, "AUTO_COMPACT_SHARDS", 4)
    store = EmbeddingStore.open(tmp_path, SPEC)
    store.adopt([store.write_shard(HASHES[i : i + 1], EMBEDDINGS[i : i + 1]) for i in range(9)])
    assert [shard.rows for shard in store.shards] == [9]
    assert content(EmbeddingStore.open(tmp_path, SPEC)) == as_content(HASHES, EMBEDDINGS)


def test_what_no_shard_can_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(featx.store.shard, "SHARD_BYTES", 4 * (48 + 4 * WIDTH))
    store = EmbeddingStore.open(tmp_path / "cache", SPEC)
    assert store.rows_per_shard == 4
    for rows in (0, 5):
        with pytest.raises(StoreError, match=f"takes 1 to 4 rows, got {rows}"):
            store.write_shard(HASHES[:rows], EMBEDDINGS[:rows])
    with pytest.raises(StoreError, match="not finite"):
        store.write_shard(HASHES[:1], np.full((1, WIDTH), np.nan, np.float32))
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("name", ["", "../index.json", "x.h5", None, "a" * 41, "/etc/passwd"])
def test_names_that_are_no_shards(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match="is not the name of a shard"):
        EmbeddingStore.open(tmp_path, SPEC).adopt([name])


def damage(path: Path, how: str) -> None:
    data = path.read_bytes()
    path.unlink()
    if how == "flip":
        path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    elif how == "truncate":
        path.write_bytes(data[: len(data) // 2])
    elif how == "link":
        (path.parent / "elsewhere").write_bytes(data)
        path.symlink_to("elsewhere")


@pytest.mark.parametrize("how", ["flip", "truncate", "link", "gone"])
def test_nothing_is_adopted_with_a_damaged_shard(tmp_path: Path, how: str) -> None:
    store = EmbeddingStore.open(tmp_path, SPEC)
    good = store.write_shard(HASHES[:3], EMBEDDINGS[:3])
    bad = store.write_shard(HASHES[3:], EMBEDDINGS[3:])
    damage(store.folder / "shards" / bad, how)
    with pytest.raises(CorruptStoreError, match=rf"{bad} cannot be adopted.*\nExtract again"):
        store.adopt([good, bad])
    assert len(EmbeddingStore.open(tmp_path, SPEC)) == 0
    assert store.adopt([good]) == 1
    assert content(store) == as_content(HASHES[:3], EMBEDDINGS[:3])


def test_a_shard_of_another_extractor_is_refused(tmp_path: Path) -> None:
    store = EmbeddingStore.open(tmp_path, SPEC)
    store.add(HASHES[:1], EMBEDDINGS[:1])
    other = EmbeddingStore.open(tmp_path, ExtractorSpec({**SPEC.document, "weights": "cd" * 32}))
    name = other.write_shard(HASHES, EMBEDDINGS)
    shutil.copy(other.folder / "shards" / name, store.folder / "shards" / name)
    with pytest.raises(CorruptStoreError, match="belongs to extractor"):
        store.adopt([name])


def test_gc_between_reading_and_locking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = EmbeddingStore.open(tmp_path, SPEC)
    name = store.write_shard(HASHES, EMBEDDINGS)
    real = featx.store.adoption.committer_lock

    def late(folder: Path):  # type: ignore[no-untyped-def]
        (folder / "shards" / name).unlink()
        return real(folder)

    monkeypatch.setattr(featx.store.adoption, "committer_lock", late)
    with pytest.raises(CorruptStoreError, match="it is gone"):
        store.adopt([name])
    assert len(EmbeddingStore.open(tmp_path, SPEC)) == 0


def cluster_run(root: Path) -> None:
    """The run under test: keep what a killed job left, then do the rest."""
    store = EmbeddingStore.open(root / "cache", SPEC)
    store.adopt(store.unindexed())
    names = []
    for i in (0, 3, 6):
        rows = np.arange(i, i + 3)
        rows = rows[~store.contains(HASHES[rows])]
        if len(rows):
            names.append(store.write_shard(HASHES[rows], EMBEDDINGS[rows]))
    store.adopt(names)


def test_kill_at_every_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    k = 0
    while True:
        k += 1
        root = tmp_path / str(k)
        root.mkdir()
        kill = KillAt(k)
        with intercept(root, kill):
            try:
                cluster_run(root)
            except SimulatedKill:
                pass
            else:
                break
        held = content(EmbeddingStore.open(root / "cache", SPEC))
        assert held.items() <= as_content(HASHES, EMBEDDINGS).items()
        whole = len(shard_files(root / "cache" / SPEC.folder))
        cluster_run(root)
        store = EmbeddingStore.open(root / "cache", SPEC)
        assert content(store) == as_content(HASHES, EMBEDDINGS)
        assert len(store.shards) == 3  # what was whole before the kill was kept, not made again
        assert len(shard_files(store.folder)) == 3 >= whole
    assert k > 30  # the shim does see the store at work


def test_power_cut_after_adopting_what_a_killed_worker_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker died before syncing its shard's name; the committer promises the rows all the
    same."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    promised = 0
    for k in range(1, 60):
        root = tmp_path / str(k)
        root.mkdir()
        disk, kill = PowerLossDisk(root), KillAt(k)

        def both(name, arguments, call, disk=disk, kill=kill):  # type: ignore[no-untyped-def]
            return kill(name, arguments, lambda: None) or disk(name, arguments, call)

        with intercept(root, both):
            try:
                EmbeddingStore.open(root / "cache", SPEC).write_shard(HASHES, EMBEDDINGS)
            except SimulatedKill:
                pass
            else:
                break
        with intercept(root, disk):
            store = EmbeddingStore.open(root / "cache", SPEC)
            rows = 9 * store.adopt(store.unindexed())
        promised += rows
        disk.moments = disk.moments[-1:]
        for files, _ in disk.aftermaths() if rows else ():
            lay_out(files, tmp_path / "after")
            assert len(EmbeddingStore.open(tmp_path / "after" / "cache", SPEC)) == rows
            shutil.rmtree(tmp_path / "after")
    assert promised  # some kill came between the rename and its sync


WORKER = """
import sys, json, numpy as np
sys.path.insert(0, sys.argv[1])
from store_lab import SPEC, make_rows
from featx.store import EmbeddingStore
hashes, embeddings = make_rows(400)
store = EmbeddingStore.open(sys.argv[2], SPEC)
start = int(sys.argv[3])
print(json.dumps([store.write_shard(hashes[i:i + 20], embeddings[i:i + 20])
                  for i in range(start, start + 200, 20)]))
"""


def test_workers_in_other_processes(tmp_path: Path) -> None:
    """Three at once, the middle one on images of both others."""
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", WORKER, here, str(tmp_path)]
    running = [
        subprocess.Popen([*command, str(start)], stdout=subprocess.PIPE, text=True)
        for start in (0, 100, 200)
    ]
    names = [name for process in running for name in json.loads(process.communicate()[0])]
    assert len(set(names)) == 30
    store = EmbeddingStore.open(tmp_path, SPEC)
    assert store.adopt(names) == 20
    hashes, embeddings = make_rows(400)
    assert content(store) == as_content(hashes, embeddings)
